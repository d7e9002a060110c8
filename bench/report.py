"""What the samples say: medians, spreads and ratios, as Markdown.

Samples are only compared within a label (near or far). A ratio is the median of a server over the
median of the anchor. How much to believe of it comes from the ratios of two samples of one round,
which met the same conditions: the 95 % interval of their median.
"""

import math
from statistics import median

import compile_time

LABELS = ("near", "far")
QUIET_SHARE_MAX = 0.03  # of the server's core, for other programs


def best_label(samples: dict[str, list[dict]]) -> str:
    """The label in which every server has the most samples."""
    return max(LABELS, key=lambda label: complete_rounds(samples, label))


def complete_rounds(samples: dict[str, list[dict]], label: str) -> int:
    """How many samples the server with the fewest has with that label."""
    return min((len(labelled(of_server, label)) for of_server in samples.values()), default=0)


def labelled(samples: list[dict], label: str) -> list[dict]:
    return [sample for sample in samples if sample["label"] == label]


def middle(samples: list[dict], key: str) -> float:
    return median(sample[key] for sample in samples)


def interval_of_median(values: list[float]) -> tuple[float, float]:
    """Where the median of many more such values would be, with 95 %: whatever their distribution.

    A value is below the true median with a chance of one half, so ranks n/2 ± 1.96 √n / 2 bound it
    (binomial, normal approximation). With fewer than six values that is all of them.
    """
    ordered = sorted(values)
    count = len(ordered)
    reach = 1.96 * math.sqrt(count) / 2
    low = max(math.floor(count / 2 - reach), 0)
    high = min(math.ceil(count / 2 + reach), count - 1)
    return ordered[low], ordered[high]


def ratio(server: list[dict], anchor: list[dict], key: str) -> tuple[float, float, float]:
    """Median over median, and the interval of the ratios within a round (all of one label)."""
    of_anchor = {sample["round"]: sample[key] for sample in anchor}
    paired = [sample[key] / of_anchor[sample["round"]] for sample in server
              if sample["round"] in of_anchor]
    whole = middle(server, key) / middle(anchor, key)
    low, high = interval_of_median(paired) if paired else (math.nan, math.nan)
    return whole, low, high


def spread(values: list[float]) -> str:
    return f"{median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def row(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [row(head), row(["---"] + ["---:"] * (len(head) - 1)), *map(row, rows)]


def load_table(samples: dict[str, list[dict]], label: str, anchor: str) -> list[str]:
    of_anchor = labelled(samples.get(anchor, []), label)
    rows = []
    for server, everything in samples.items():
        these = labelled(everything, label)
        if not these:
            continue
        ratios = []
        for key in ("cpu_ns_per_request", "requests_per_second"):
            if of_anchor:
                whole, low, high = ratio(these, of_anchor, key)
                ratios.append(f"**{whole:.2f}** ({low:.2f}–{high:.2f})")
            else:
                ratios.append("–")
        latency = [median(one["load"]["latency_us"][which] for one in these)
                   for which in ("p50", "p99", "p99.9")]
        rows.append([server, str(len(these)),
                     spread([one["cpu_ns_per_request"] for one in these]), ratios[0],
                     spread([one["requests_per_second"] for one in these]), ratios[1],
                     " / ".join(f"{us:,.1f}" for us in latency),
                     f"{median(one['load']['busy'] for one in these):.2f}"])
    return table(["server", "samples", "CPU ns/request", "ratio", "requests/s", "ratio",
                  "p50 / p99 / p99.9 µs", "generator busy"], rows)


def idle_table(idle: dict[str, list[dict]]) -> list[str]:
    steps = sorted({int(step) for samples in idle.values() for sample in samples
                    for step in sample["bytes_per_connection"]})
    rows = [[server] + [spread([sample["bytes_per_connection"][step] for sample in samples])
                        for step in steps] for server, samples in idle.items() if samples]
    return table(["server"] + [f"bytes/connection at {step:,}" for step in steps], rows)


def summary_table(results: dict[str, dict[str, list[dict]]], anchor: str) -> list[str]:
    """Workloads down, servers across: CPU ratio, and the requests/s ratio after it."""
    servers = [name for name in dict.fromkeys(name for of in results.values() for name in of)
               if name != anchor]
    rows = []
    for workload, samples in results.items():
        label = best_label(samples)
        of_anchor = labelled(samples.get(anchor, []), label)
        cells = []
        for server in servers:
            these = labelled(samples.get(server, []), label)
            if these and of_anchor:
                cpu, _, _ = ratio(these, of_anchor, "cpu_ns_per_request")
                rate, _, _ = ratio(these, of_anchor, "requests_per_second")
                cells.append(f"**{cpu:.2f}** · {rate:.2f}")
            else:
                cells.append("–")
        rows.append([f"{workload} ({label})", *cells])
    return table(["workload", *servers], rows)


def others(run: dict) -> str:
    """How quiet the machine was, judged by the server's core."""
    shares = [sample["others_share"] for of in run["load"].values() for samples in of.values()
              for sample in samples]
    if not shares:
        return "not watched"
    share = sum(shares) / len(shares)
    return (f"{share:.1%} of the server's core in the mean"
            + (": **not a quiet machine**" if share > QUIET_SHARE_MAX else ""))


def markdown(run: dict, workloads: dict, anchor: str) -> str:
    about = run["about"]
    lines = ["# Benchmarks", "", "Written by `script/bench`; rerun it with:", "",
             f"    {about['rerun']}", ""]
    lines += [f"- {name}: {value}" for name, value in about.items() if name != "rerun"]
    lines += [f"- other programs: {others(run)}"]
    lines += [
        "",
        f"Server and generator each have a core to themselves. Servers take turns at short samples, "
        f"and start anew every few rounds. Figures are medians, with the smallest and largest in "
        f"brackets. Ratios are to `{anchor}` of the same run, among samples of the same core distance "
        f"(near or far, see `bench/canary.c`): median over median, and in brackets the 95 % interval "
        f"of the median of the ratios within one round. **CPU** is the server's process and its "
        f"core's ksoftirqd: on a loopback it says more than requests/s, which the generator limits "
        f"where it is busy (≥ 0.95). `{anchor}-again` is the same program a second time: the noise.",
        ""]
    loads = {name: samples for name, samples in run["load"].items() if any(samples.values())}
    if loads:
        lines += ["## Ratios in short", "",
                  "**CPU per request** (less is better) · requests/s (more is better)", "",
                  *summary_table(loads, anchor), ""]
    for name, samples in loads.items():
        lines += [f"## {name}: {workloads[name].meaning}", ""]
        for label in LABELS:
            if any(labelled(these, label) for these in samples.values()):
                lines += [f"{label.capitalize()} cores:", "", *load_table(samples, label, anchor), ""]
        out = {label: sum(len(labelled(these, label)) for these in samples.values())
               for label in ("mixed", "disturbed")}
        lines += [f"Samples left out: {out['mixed']} in which the cores' distance changed, "
                  f"{out['disturbed']} in which other programs took a core.", ""]
        silent = {server: most for server, these in samples.items()
                  if (most := max((one["load"]["silent_connections"] for one in these), default=0))}
        if silent:
            lines += ["Connections that had no answer at all in a sample: " + ", ".join(
                f"{server} up to {most}" for server, most in silent.items()) + ".", ""]
    if any(run["idle"].values()):
        lines += [f"## idle: {workloads['idle'].meaning}", "",
                  "Private memory of the server's process, without the kernel's.", "",
                  *idle_table(run["idle"]), ""]
    if run["compile"]:
        lines += [f"## compile: {workloads['compile'].meaning}", "",
                  "Size: linked statically to koine, dynamically to all else, without symbols.", "",
                  *compile_time.markdown(run["compile"]), ""]
    if run["troubles"]:
        lines += ["## What did not work", "", *(f"- {trouble}" for trouble in run["troubles"]), ""]
    return "\n".join(lines)
