"""The whole report as Markdown: the gates first, then the ratios in short, then everything."""

import pathlib

import compile_time
import gates
import messages
import report
import sim_beside_ns3
from servers import WORKLOADS

ROOT = pathlib.Path(__file__).resolve().parent.parent
ANCHOR = "raw_epoll"

METHOD = f"""Server and generator each have a core to themselves. Servers take turns at short samples, and start anew
every few rounds. Figures are medians, with the smallest and largest in brackets. Ratios are within the
same run, among samples of the same core distance (near or far, see `bench/canary.c`): median over median,
and in brackets the 95 % interval of the median of the ratios within one round. **CPU** is that of the
server's process and its core's ksoftirqd: on a loopback it says more than requests/s, which the generator
limits where it is busy (≥ 0.95). `{ANCHOR}-again` is the same program a second time: the noise."""

NOTES = {
    "ping-pong": "`-busy`: looks for news for up to 100 µs before sleeping, which costs its core. `-spin`: never "
                 "sleeps. CPU for each request says little about these.",
    "lines": "What is compared is whether the framework collects what a handler writes line by line.",
    "udp": "`raw_udp`: one recvfrom and one sendto for each. `raw_udp-trains`: UDP_GRO and UDP_SEGMENT.",
    "bulk-256k": "Both ends are the program of the line, as both are iperf3's. A connection for each sample.",
    "journeys-1x64": "`koine-epoll` follows no message, and `-again` is the same: the noise. `-switch`: the kernel "
                     "stamps what arrives and messages are counted, but as good as none is followed. "
                     "`-journeys-N`: one in N is, and at its end the server has told of all of these.",
    "idle": "Private memory of the server's process, without the kernel's.",
    "compile": "Size: linked statically to koine, dynamically to all else, without symbols.",
    "messages": "One connection, every answer compared, each side with its own client; CPU is the server "
                "process's. In brackets the least and the most of a round.",
    "simulator": "CPU time of the whole process; the same router, delays, queues and segments (`bench/ns3/bulk.cc`).",
    "generators": "Same server, in turns. 1.00 means that both generators tell the same of it.",
}


def in_one_line(trouble: str) -> str:
    """Without the places of this machine, which mean nothing elsewhere."""
    return " ".join(trouble.replace(f"{ROOT}/", "").split())


def heading(run: dict) -> list[str]:
    about = run["about"]
    lines = ["# Benchmarks", "", "Written by `script/bench`; rerun it with:", "", f"    {about['rerun']}", ""]
    if run.get("left"):
        lines += [f"**Not complete: {', '.join(run['left'])} did not come to its turn.**", ""]
    lines += [f"- {name}: {value}" for name, value in about.items() if name != "rerun"]
    return lines + [f"- other programs: {report.others(run)}", ""]


def summaries(loads: dict) -> list[str]:
    """One table for each anchor."""
    lines = []
    for anchor in dict.fromkeys(WORKLOADS[name].anchor for name in loads):
        of = {name: samples for name, samples in loads.items() if WORKLOADS[name].anchor == anchor}
        lines += [f"To `{anchor}`:", "", *report.summary_table(of, anchor), ""]
    return ["## Ratios in short", "", "**CPU per request** (less is better) · requests/s (more is better)",
            "", *lines] if loads else []


def load_section(name: str, samples: dict[str, list[dict]]) -> list[str]:
    workload = WORKLOADS[name]
    lines = []
    for label in report.LABELS:
        if any(report.labelled(these, label) for these in samples.values()):
            lines += [f"{label.capitalize()} cores:", "",
                      *report.load_table(samples, label, workload.anchor, workload.unit), ""]
    out = {label: sum(len(report.labelled(these, label)) for these in samples.values())
           for label in ("mixed", "disturbed")}
    lines += [f"Samples left out: {out['mixed']} in which the cores' distance changed, "
              f"{out['disturbed']} in which other programs took a core.", ""]
    for what, key in (("Connections that had no answer at all in a sample", "silent_connections"),
                      ("Datagrams lost in a sample", "lost")):
        most = {server: most for server, these in samples.items()
                if (most := max((one["load"].get(key, 0) for one in these), default=0))}
        if most:
            lines += [f"{what}: " + ", ".join(
                f"{server} up to {count:,}" for server, count in most.items()) + ".", ""]
    return lines


def section(run: dict, name: str) -> list[str]:
    """What was measured of one workload; nothing if it was not."""
    kind = WORKLOADS[name].kind
    if kind in ("load", "bulk"):
        samples = run["load"].get(name, {})
        return load_section(name, samples) if any(samples.values()) else []
    if kind == "idle":
        return [*report.idle_table(run["idle"]), ""] if any(run["idle"].values()) else []
    found = run.get(kind)
    makers = {"compile": compile_time.markdown, "micro": report.micro_table,
              "messages": messages.markdown, "simulator": sim_beside_ns3.markdown,
              "generators": report.generators_table}
    return [*makers[kind](found), ""] if found else []


def markdown(run: dict, pictures: dict[str, str]) -> str:
    """`pictures`: where each lies, as the page links it."""
    lines = heading(run)
    if table := gates.markdown(run, run["chosen"]):
        lines += ["## Gates", "", "What koine promises, and what this run says of it: ratios and medians, with their "
                  "95 % interval.", "", *table, ""]
    lines += [METHOD, ""]
    lines += summaries({name: of for name, of in run["load"].items() if any(of.values())})
    alternatives = {"cpu": "CPU time of each server for a request, as a ratio to raw_epoll",
                    "udp": "CPU time of each server for a datagram",
                    "idle": "Memory of an idle connection of each server"}
    for name, place in pictures.items():
        lines += [f"![{alternatives[name]}]({place})", ""]
    for name in run["chosen"]:
        if body := section(run, name):
            lines += [f"## {name}: {WORKLOADS[name].meaning}", ""]
            if name in NOTES:
                lines += [NOTES[name], ""]
            lines += body
    if run["troubles"]:
        lines += ["## What did not work", "", *(f"- {in_one_line(one)}" for one in run["troubles"]), ""]
    return "\n".join(lines)
