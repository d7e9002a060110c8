"""What the samples say: medians, spreads and ratios, and tables of them.

Samples are only compared within a label (near or far). A ratio is the median of a server over the
median of the anchor. How much to believe of it comes from the ratios of two samples of one round,
which met the same conditions: the 95 % interval of their median.
"""

import math
from statistics import median

LABELS = ("near", "far")
QUIET_SHARE_MAX = 0.03  # of the server's core, for other programs
FRAMEWORKS = ("asio-callbacks", "asio-coroutines", "asio-io_uring", "libuv", "libevent", "go",
              "python-asyncio", "python-threads")


def best_label(samples: dict[str, list[dict]]) -> str:
    """The label in which every server has the most samples."""
    return max(LABELS, key=lambda label: complete_rounds(samples, label))


def complete_rounds(samples: dict[str, list[dict]], label: str) -> int:
    """How many samples the server with the fewest has with that label."""
    return min((len(labelled(of_server, label)) for of_server in samples.values()), default=0)


def labelled(samples: list[dict], label: str) -> list[dict]:
    return [sample for sample in samples if sample["label"] == label]


def middle(samples: list[dict], key) -> float:
    return median(value_of(sample, key) for sample in samples)


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


def value_of(sample: dict, key) -> float:
    return key(sample) if callable(key) else sample[key]


def ratio(server: list[dict], anchor: list[dict], key) -> tuple[float, float, float]:
    """Median over median, and the interval of the ratios within a round (all of one label)."""
    of_anchor = {sample["round"]: value_of(sample, key) for sample in anchor}
    paired = [value_of(sample, key) / of_anchor[sample["round"]] for sample in server
              if sample["round"] in of_anchor]
    whole = middle(server, key) / middle(anchor, key)
    low, high = interval_of_median(paired) if paired else (math.nan, math.nan)
    return whole, low, high


def spread(values: list[float]) -> str:
    return f"{median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def significant(value: float) -> str:
    """Three digits, or all that stand before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def row(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [row(head), row(["---"] + ["---:"] * (len(head) - 1)), *map(row, rows)]


def load_table(samples: dict[str, list[dict]], label: str, anchor: str,
               unit: str = "request") -> list[str]:
    """One line for each server; columns that no server has a figure for are left out."""
    found = {server: these for server, every in samples.items() if (these := labelled(every, label))}
    of_anchor = found.get(anchor, [])
    frameworks = [middle(of, "cpu_ns_per_request") for name, of in found.items() if name in FRAMEWORKS]
    has_latency = any("latency_us" in one["load"] for of in found.values() for one in of)
    rows = []
    for server, these in found.items():
        ratios = []
        for key in ("cpu_ns_per_request", "requests_per_second"):
            if of_anchor:
                whole, low, high = ratio(these, of_anchor, key)
                ratios.append(f"**{whole:.2f}**" + ("" if math.isnan(low) else f" ({low:.2f}–{high:.2f})"))
            else:
                ratios.append("–")
        cells = [server, str(len(these)),
                 spread([one["cpu_ns_per_request"] for one in these]), ratios[0]]
        if frameworks:
            cells.append(f"{middle(these, 'cpu_ns_per_request') / min(frameworks):.2f}")
        cells += [spread([one["requests_per_second"] for one in these]), ratios[1]]
        if has_latency:
            cells.append(" / ".join(
                f"{median(one['load']['latency_us'][which] for one in these):,.1f}"
                for which in ("p50", "p99", "p99.9")))
            cells.append(f"{median(one['load']['busy'] for one in these):.2f}")
        rows.append(cells)
    rate = f"{unit}/s" if unit == "MiB" else f"{unit}s/s"
    return table(["server", "samples", f"CPU ns/{unit}", f"÷ {anchor}",
                  *(["÷ best framework"] if frameworks else []), rate, f"÷ {anchor}",
                  *(["p50 / p99 / p99.9 µs", "generator busy"] if has_latency else [])], rows)


def idle_table(idle: dict[str, list[dict]]) -> list[str]:
    steps = sorted({int(step) for samples in idle.values() for sample in samples
                    for step in sample["bytes_per_connection"]})
    rows = []
    for server, samples in idle.items():
        held = {step: [sample["bytes_per_connection"][step] for sample in samples
                       if step in sample["bytes_per_connection"]] for step in steps}
        if samples:
            rows.append([server] + [spread(held[step]) if held[step] else "–" for step in steps])
    return table(["server"] + [f"bytes/connection at {step:,}" for step in steps], rows)


def summary_table(results: dict[str, dict[str, list[dict]]], anchor: str) -> list[str]:
    """Servers down, workloads across: CPU ratio, and the requests/s ratio after it."""
    names = [name for name in dict.fromkeys(name for of in results.values() for name in of)
             if name != anchor]
    labels = {workload: best_label(samples) for workload, samples in results.items()}
    rows = []
    for name in names:
        cells = []
        for workload, samples in results.items():
            these = labelled(samples.get(name, []), labels[workload])
            of_anchor = labelled(samples.get(anchor, []), labels[workload])
            if these and of_anchor:
                cpu, _, _ = ratio(these, of_anchor, "cpu_ns_per_request")
                rate, _, _ = ratio(these, of_anchor, "requests_per_second")
                cells.append(f"**{cpu:.2f}** · {rate:.2f}")
            else:
                cells.append("–")
        if any(cell != "–" for cell in cells):
            rows.append([name, *cells])
    return table(["server", *(f"{workload} ({labels[workload]})" for workload in results)], rows)


def micro_table(micro: dict[str, dict[str, list[float]]]) -> list[str]:
    """One line for each name; Asio's program has koine's names."""
    asio = {name: values for program, of in micro.items() if program.startswith("asio")
            for name, values in of.items()}
    rows = []
    for program, of in micro.items():
        for name, values in of.items() if not program.startswith("asio") else ():
            cells = [f"{significant(median(values))} ({significant(min(values))}–{significant(max(values))})"]
            if theirs := asio.get(name):
                cells += [f"{significant(median(theirs))} ({significant(min(theirs))}–"
                          f"{significant(max(theirs))})", f"**{median(theirs) / median(values):.1f}**"]
            rows.append([f"{name} (`{program}`)", *cells, *([""] * (3 - len(cells)))])
    return table(["what", "koine, ns each", "Asio, ns each", "Asio / koine"], rows)


def generators_table(rows: list[dict]) -> list[str]:
    """Each figure of koine's generator over that of the plain one."""
    cells = []
    for one in rows:
        plain, ours = one["samples"]["load"], one["samples"]["koine bench"]
        ratios = []
        for key in ("per_second", "p50_us", "cpu_ns"):
            low, high = interval_of_median([b[key] / a[key] for a, b in zip(plain, ours)])
            ratios.append(f"**{middle(ours, key) / middle(plain, key):.2f}** ({low:.2f}–{high:.2f})")
        cells.append([f"{one['server']}, {one['connections']} at a time",
                      f"{middle(plain, 'per_second'):,.0f}", f"{middle(ours, 'per_second'):,.0f}", ratios[0],
                      f"{middle(plain, 'p50_us'):,.1f}", f"{middle(ours, 'p50_us'):,.1f}", *ratios[1:]])
    return table(["server", "load, requests/s", "koine bench", "ratio", "load, p50 µs", "koine bench",
                  "ratio", "server's CPU/request, ratio"], cells)


def others(run: dict) -> str:
    """How quiet the machine was, judged by the server's core."""
    shares = [sample["others_share"] for of in run["load"].values() for samples in of.values()
              for sample in samples]
    if not shares:
        return "not watched"
    share = sum(shares) / len(shares)
    return (f"{share:.1%} of the server's core in the mean"
            + (": **not a quiet machine**" if share > QUIET_SHARE_MAX else ""))
