#!/usr/bin/env python3
"""Messages beside gRPC: calls a second and the server's CPU time for each, in the same run.

    bench/messages.py [--koine build/release/koine] [--rounds N] [--seconds S] [--json FILE]

64-byte payloads on one connection, with 1, 64 and 256 calls outstanding, and the items of one stream. In
each round koine and gRPC C++ (its callback API; Debian's libgrpc++-dev, libprotobuf-dev and protobuf-compiler-grpc) take
turns, each with its own client, which compares every answer; medians are printed. CPU time is that of the
server's process, all threads, from /proc. Client and server share the machine, so calls a second say less.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from statistics import median

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTSTANDING = (1, 64, 256)
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process and all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


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
                               "--duration", f"{seconds}s", *how], stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)["answered"]


class Grpc:
    name = "gRPC"

    def __init__(self, folder):
        """Builds it there."""
        self.program = f"{folder}/grpc_messages"
        peers = ROOT / "bench/peers"
        plugin = subprocess.check_output(["which", "grpc_cpp_plugin"], text=True).strip()
        subprocess.run(["protoc", f"-I{peers}", f"--cpp_out={folder}", f"--grpc_out={folder}",
                        f"--plugin=protoc-gen-grpc={plugin}", f"{peers}/messages.proto"], check=True)
        subprocess.run(["g++", "-std=c++20", "-O2", "-DNDEBUG", f"-I{folder}",
                        f"{peers}/grpc_messages.cc", f"{folder}/messages.pb.cc",
                        f"{folder}/messages.grpc.pb.cc", "-o", self.program, "-lgrpc++", "-lgrpc", "-lgpr",
                        "-lprotobuf", "-labsl_synchronization", "-lpthread"], check=True)

    def start(self):
        server = subprocess.Popen([self.program, "serve", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        return server, "127.0.0.1:" + server.stdout.readline().strip()

    def load(self, address, outstanding, seconds):
        what = (["items", address] if outstanding is None
                else ["calls", address, str(outstanding)])
        return int(subprocess.check_output([self.program, *what, str(seconds)], text=True,
                                           timeout=seconds + 60))


def measure(side, outstanding, seconds):
    """Answers a second, and microseconds of the server for each."""
    server, address = side.start()
    try:
        side.load(address, outstanding, min(0.3, seconds))
        before = cpu_seconds(server.pid)
        answers = side.load(address, outstanding, seconds)
        used = cpu_seconds(server.pid) - before
        return answers / seconds, used / answers * 1e6
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--koine", default=str(ROOT / "build/release/koine"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--json", type=pathlib.Path)
    words = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        sides = (Koine(words.koine), Grpc(folder))
        for number in range(words.rounds):
            for outstanding in (*OUTSTANDING, None):
                for side in sides if number % 2 == 0 else reversed(sides):
                    key = ("items of a stream" if outstanding is None else f"{outstanding} outstanding",
                           side.name)
                    results.setdefault(key, []).append(measure(side, outstanding, words.seconds))
                    print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    table = {what: {side: {"per_second": median(rate for rate, _ in results[what, side]),
                           "server_us": median(cpu for _, cpu in results[what, side]),
                           "runs": results[what, side]} for side in ("koine", "gRPC")}
             for what in dict.fromkeys(what for what, _ in results)}
    print(f"| {'':17} | koine /s | gRPC /s | koine, server µs each | gRPC, server µs each | gRPC / koine |")
    print("|---|---:|---:|---:|---:|---:|")
    for what, row in table.items():
        ours, theirs = row["koine"], row["gRPC"]
        print(f"| {what:17} | {ours['per_second']:,.0f} | {theirs['per_second']:,.0f} | "
              f"{ours['server_us']:.2f} | {theirs['server_us']:.2f} | "
              f"{theirs['server_us'] / ours['server_us']:.1f} |")
    if words.json:
        words.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
