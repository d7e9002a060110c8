#!/usr/bin/env python3
"""The simulated internet beside ns-3: the same streams, in turn, in CPU seconds.

    sim_beside_ns3.py KOINE NS3 [--rounds N]

KOINE is bench/sim.cc, NS3 is bench/ns3/bulk.cc, each built. In every round each program runs once
for each row, one after the other, so that a noisy machine is noisy for both; what counts is the
CPU time of the whole process, user and system. Prints a table in Markdown: the median, and in
brackets the least and the most.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time

# What it is called, the words for each program.
ROWS = [
    ("100 MB, 100 Mbit/s, 20 ms, a router", ["bulk", "0"], ["100", "0", "100"]),
    ("100 MB, 1 Gbit/s, 20 ms, a router", ["bulk", "1"], ["1000", "0", "100"]),
    ("100 MB, 100 Mbit/s, 20 ms, 0.1 % lost", ["bulk", "3"], ["100", "0.1", "100"]),
    ("20 MB, 100 Mbit/s, 20 ms, 1 % lost", ["bulk", "4"], ["100", "1", "20"]),
]


def cpu_seconds(command):
    """What the command used, and its own word on the goodput in simulated time."""
    program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = program.stdout.read()
    program.stdout.close()
    _, status, used = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} failed: {said}")
    return used.ru_utime + used.ru_stime, float(re.search(r"([0-9.]+|inf) Mbit/s", said[said.find(
        "its time"):])[1])


def run(koine, ns3, rounds, deadline=float("inf")):
    """Rows by name, then by side: {"cpu_s": [...], "goodput_mbit": N}. At least one round, and none
    that begins after the deadline (of time.monotonic)."""
    table = {row: {who: {"cpu_s": []} for who in ("koine", "ns-3")} for row, _, _ in ROWS}
    for number in range(rounds):
        if number > 0 and time.monotonic() > deadline:
            break
        for row, ours, theirs in ROWS:
            print(f"  round {number + 1}: {row}", file=sys.stderr)
            for who, command in (("koine", [koine, *ours]), ("ns-3", [ns3, *theirs])):
                seconds, table[row][who]["goodput_mbit"] = cpu_seconds(command)
                table[row][who]["cpu_s"].append(seconds)
    return table


def shown(samples):
    low, middle, high = min(samples), statistics.median(samples), max(samples)
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def markdown(table):
    lines = ["| stream | koine, CPU s | ns-3, CPU s | times | goodput of its time: koine | ns-3 |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for row, of in table.items():
        ours, theirs = of["koine"], of["ns-3"]
        times = statistics.median(theirs["cpu_s"]) / statistics.median(ours["cpu_s"])
        lines.append(f"| {row} | {shown(ours['cpu_s'])} | {shown(theirs['cpu_s'])} | **{times:.1f}** "
                     f"| {ours['goodput_mbit']:.1f} Mbit/s | {theirs['goodput_mbit']:.1f} Mbit/s |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("koine")
    parser.add_argument("ns3")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("\n".join(markdown(run(arguments.koine, arguments.ns3, arguments.rounds))))


if __name__ == "__main__":
    main()
