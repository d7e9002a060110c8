#!/usr/bin/env python3
"""Messages beside gRPC: calls a second and the server's CPU time for each, in the same run.

    bench/messages.py [--koine PROGRAM] [--grpc PROGRAM] [--rounds N] [--seconds S] [--json FILE]

64-byte payloads on one connection, with 1, 64 and 256 calls outstanding, and the items of one stream. In
each round koine and gRPC C++ (its callback API; Debian's libgrpc++-dev, libprotobuf-dev and protobuf-compiler-grpc) take
turns, each with its own client, which compares every answer; medians are printed. CPU time is that of the
server's process, all threads. Client and server share the machine, so calls a second say less.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time
from statistics import median

from measure import cpu_ns

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTSTANDING = (1, 64, 256)
SECONDS_BESIDE = 60


class Koine:
    name = "koine"

    def __init__(self, program):
        self.program = program

    def start(self):
        server = subprocess.Popen([self.program, "serve", "messages", "--idle-timeout", "1h"],
                                  stdout=subprocess.PIPE, text=True)
        return server, server.stdout.readline().split()[-1]

    def load(self, url, outstanding, seconds):
        how = ["--stream"] if outstanding is None else ["--pipeline", str(outstanding)]
        done = subprocess.run([self.program, "bench", url, "--connections", "1", "--size", "64", "--json",
                               "--duration", f"{seconds}s", *how], stdout=subprocess.PIPE, check=True,
                              timeout=seconds + SECONDS_BESIDE)
        return json.loads(done.stdout)["answered"]


class Grpc:
    name = "gRPC"

    def __init__(self, program):
        self.program = program

    def start(self):
        server = subprocess.Popen([self.program, "serve", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        return server, "127.0.0.1:" + server.stdout.readline().strip()

    def load(self, address, outstanding, seconds):
        what = (["items", address] if outstanding is None
                else ["calls", address, str(outstanding)])
        return int(subprocess.check_output([self.program, *what, str(seconds)], text=True,
                                           timeout=seconds + SECONDS_BESIDE))


def measure(side, outstanding, seconds):
    """Answers a second, and microseconds of the server for each."""
    server, address = side.start()
    try:
        side.load(address, outstanding, min(0.3, seconds))
        before_ns = cpu_ns(server.pid)
        answers = side.load(address, outstanding, seconds)
        used = (cpu_ns(server.pid) - before_ns) / 1e9
        return answers / seconds, used / answers * 1e6
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


ROWS = {**{f"{number} outstanding": number for number in OUTSTANDING}, "items of a stream": None}


def run(koine, grpc, rounds, seconds, deadline=float("inf")):
    """Rows by what was asked, then by side: {"per_second", "server_us", "runs"}. At least one round,
    and none that begins after the deadline (of time.monotonic)."""
    results = {}
    sides = (Koine(koine), Grpc(grpc))
    for number in range(rounds):
        if number > 0 and time.monotonic() > deadline:
            break
        for what, outstanding in ROWS.items():
            for side in sides if number % 2 == 0 else reversed(sides):
                results.setdefault((what, side.name), []).append(measure(side, outstanding, seconds))
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {what: {side.name: {"per_second": median(rate for rate, _ in results[what, side.name]),
                               "server_us": median(cpu for _, cpu in results[what, side.name]),
                               "runs": results[what, side.name]} for side in sides} for what in ROWS}


def times(row):
    """How many times koine's CPU a call costs gRPC: the medians, and the least and most of a round."""
    each = [theirs / ours for (_, ours), (_, theirs) in zip(row["koine"]["runs"], row["gRPC"]["runs"])]
    return row["gRPC"]["server_us"] / row["koine"]["server_us"], min(each), max(each)


def markdown(table):
    lines = ["| | koine /s | gRPC /s | koine, server µs each | gRPC, server µs each | gRPC / koine |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for what, row in table.items():
        ours, theirs = row["koine"], row["gRPC"]
        whole, low, high = times(row)
        lines.append(f"| {what} | {ours['per_second']:,.0f} | {theirs['per_second']:,.0f} | "
                     f"{ours['server_us']:.2f} | {theirs['server_us']:.2f} | "
                     f"**{whole:.1f}** ({low:.1f}–{high:.1f}) |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--koine", default=str(ROOT / "build/release/koine"))
    parser.add_argument("--grpc", default=str(ROOT / "build/release/bench/grpc_messages"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--json", type=pathlib.Path)
    words = parser.parse_args()
    table = run(words.koine, words.grpc, words.rounds, words.seconds)
    print("\n".join(markdown(table)))
    if words.json:
        words.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
