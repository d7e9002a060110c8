#!/usr/bin/env python3
"""Runs servers side by side and writes what each request cost: see docs/benchmarks.md.

Servers take turns (A B C, B C A, ...) at short samples, with the canary between them. Every few
rounds all servers start anew, so that the luck of one process's memory layout is not a result. It
goes on until each has enough samples at one core distance, or twice the rounds were made.
"""

import argparse
import datetime
import fcntl
import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import tempfile

import compile_time
import measure
import report
from servers import ANCHOR, SERVERS, WORKLOADS

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROUNDS_PER_START = 5
QUICK = {"rounds": 10, "seconds": 0.1, "warmup": 0.05, "idle_steps": [2000, 10000],
         "idle_rounds": 1, "compile_runs": 3}
FULL = {"rounds": 40, "seconds": 0.25, "warmup": 0.1, "idle_steps": [2000, 10000, 18000],
        "idle_rounds": 3, "compile_runs": 5}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", help="names with commas between; known: " + ", ".join(SERVERS))
    parser.add_argument("--workloads", help="names with commas between; known: " + ", ".join(WORKLOADS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter samples")
    parser.add_argument("--rounds", type=int, help="samples of each server, 1 to 100")
    parser.add_argument("--seconds", type=float, help="of each sample, 0.05 to 60")
    parser.add_argument("--output", type=pathlib.Path,
                        help="write Markdown here, and JSON with every sample beside it")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--server-core", type=int, default=1)
    parser.add_argument("--load-core", type=int, default=0)
    parser.add_argument("--priority", choices=("real-time", "normal"), default="real-time",
                        help="real-time (if permitted) keeps other programs out of the measurement")
    options = parser.parse_args()
    words = [word for word in sys.argv[1:] if word != "--quick"]
    options.rerun = shlex.join(["script/bench", *([] if options.quick else ["--full"]), *words])
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    if not 1 <= options.rounds <= 100:
        parser.error(f"--rounds {options.rounds}: expected 1 to 100")
    if not 0.05 <= options.seconds <= 60:
        parser.error(f"--seconds {options.seconds}: expected 0.05 to 60")
    cores = os.sched_getaffinity(0)
    if not {options.server_core, options.load_core} <= cores or options.server_core == options.load_core:
        parser.error(f"--server-core and --load-core: expected two different ones of {sorted(cores)}")
    options.named = options.servers.split(",") if options.servers else []
    options.servers = chosen(parser, "--servers", options.servers, SERVERS,
                             [server.name for server in SERVERS.values() if server.usual])
    options.workloads = chosen(parser, "--workloads", options.workloads, WORKLOADS, list(WORKLOADS))
    return options


def chosen(parser, option: str, names: str | None, known: dict, usual: list[str]) -> list:
    wanted = names.split(",") if names else usual
    for name in wanted:
        if name not in known:
            parser.error(f"{option} {name}: expected one of {', '.join(known)}")
    if option == "--servers" and ANCHOR not in wanted:
        wanted.insert(0, ANCHOR)  # nothing can be compared without it
    return [known[name] for name in dict.fromkeys(wanted)]


def output_of(*command: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    except FileNotFoundError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def about(options: argparse.Namespace, place: measure.Place, namespace: bool) -> dict:
    model = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    congestion = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    packages = ["libboost1.81-dev", "libuv1-dev", "libevent-dev", "liburing-dev"]
    versions = [f"{name} {version}" for name in packages
                if (version := output_of("dpkg-query", "-W", "-f", "${Version}", name))]
    dirty = " with changes" if output_of("git", "status", "--porcelain") else ""
    return {
        "rerun": options.rerun,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "koine": (output_of("git", "describe", "--always", "--tags") or "not from git") + dirty,
        "machine": f"{len(model)} × {model[0] if model else platform.machine()}",
        "kernel": platform.release(),
        "compiler": (output_of("clang++-19", "--version").splitlines() or ["unknown"])[0] + ", -O2",
        "libraries": ", ".join(versions) or "unknown",
        "congestion control": congestion,
        "network": "loopback" + (" of a namespace of its own" if namespace else ""),
        "priority": "real-time round-robin" if place.real_time else "normal",
        "rounds": f"{options.rounds} (at most {2 * options.rounds}), {options.seconds} s each after "
                  f"{options.warmup} s of warm-up",
    }


def label(before: dict, after: dict, sample: dict) -> str:
    """What a sample may be compared with; "mixed" and "disturbed" with nothing."""
    if sample["waited_share"] > measure.WAITED_SHARE_MAX:
        return "disturbed"
    return before["near_far"] if before["near_far"] == after["near_far"] else "mixed"


class LoadRun:
    """All samples of one workload."""

    def __init__(self, options, place, workload, servers, troubles: list[str]):
        self.samples: dict[str, list[dict]] = {server.name: [] for server in servers}
        self._options, self._place, self._workload = options, place, workload
        self._left = list(servers)  # without those that had trouble
        self._troubles = troubles

    def run(self) -> dict[str, list[dict]]:
        for begin in range(0, 2 * self._options.rounds, ROUNDS_PER_START):
            contestants = {server: contestant for server in self._left
                           if (contestant := self._attempt(server, lambda: measure.Contestant(
                               self._place, server, self._workload, self._options.seconds,
                               self._options.warmup)))}
            for turn in range(begin, min(begin + ROUNDS_PER_START, 2 * self._options.rounds)):
                self._round(turn, contestants)
                if self._enough():
                    break
            for server, contestant in contestants.items():
                self._attempt(server, contestant.stop)
            if self._enough():
                break
            measure.say(f"  {self._workload.name}: round {turn + 1}")
        self._tell()
        return self.samples

    def _attempt(self, server, action):
        """What `action` returns; or None, and that server is out."""
        try:
            return action()
        except measure.Trouble as trouble:
            self._troubles.append(f"{self._workload.name}, {server.name}: {trouble}")
            measure.say(f"  {self._troubles[-1]}")
            self._left = [other for other in self._left if other is not server]
            return None

    def _round(self, turn: int, contestants: dict) -> None:
        first = turn % max(len(self._left), 1)
        before = measure.canary(self._place)
        for server in self._left[first:] + self._left[:first]:
            sample = self._attempt(server, contestants[server].sample)
            after = measure.canary(self._place)
            if sample:
                sample["round"] = turn
                sample["canary_ns"] = [before["nanoseconds"], after["nanoseconds"]]
                sample["label"] = label(before, after, sample)
                self.samples[server.name].append(sample)
            before = after

    def _enough(self) -> bool:
        samples = {server.name: self.samples[server.name] for server in self._left}
        return not samples or self._options.rounds <= max(
            report.complete_rounds(samples, label) for label in report.LABELS)

    def _tell(self) -> None:
        for name, samples in self.samples.items():
            for label in report.LABELS:
                if these := report.labelled(samples, label):
                    measure.say(
                        f"  {self._workload.name:9} {name:16} {label:4} {len(these):3} samples "
                        f"{report.middle(these, 'cpu_ns_per_request'):10,.0f} ns CPU/request "
                        f"{report.middle(these, 'requests_per_second'):12,.0f} requests/s")
        measure.say("")


def run_idle(options, place, servers, troubles: list[str]) -> dict[str, list[dict]]:
    samples: dict[str, list[dict]] = {server.name: [] for server in servers}
    for server in servers:
        for _ in range(options.idle_rounds):
            try:
                sample = measure.idle_memory(place, server, options.idle_steps)
            except measure.Trouble as trouble:
                troubles.append(f"idle, {server.name}: {trouble}")
                measure.say(f"  {troubles[-1]}")
                break
            samples[server.name].append(sample)
            measure.say(f"  idle: {server.name:16} " + ", ".join(
                f"{each:,.0f} B at {step:,}" for step, each in sample["bytes_per_connection"].items()))
    return samples


def run_compile(options, troubles: list[str]) -> list[dict]:
    programs = {name: path for name, path in compile_time.PROGRAMS.items() if path.exists()}
    measure.say(f"  compile: {', '.join(programs)}")
    try:
        return compile_time.measure(programs, options.build, options.compile_runs)
    except (RuntimeError, FileNotFoundError) as error:
        troubles.append(f"compile: {error}")
        return []


def run(options: argparse.Namespace, place: measure.Place, namespace: bool) -> dict:
    troubles: list[str] = []
    servers = [server for server in options.servers if place.built(server)]
    result = {"about": about(options, place, namespace), "load": {}, "idle": {}, "compile": [],
              "troubles": troubles}
    for server in options.servers:
        if server not in servers:
            missing = f"{server.name}: not built ({place.command(server)[0]} is missing)"
            measure.say(f"  {missing}")
            if server.name in options.named:
                troubles.append(missing)
    result["about"]["not built"] = ", ".join(
        server.name for server in options.servers if server not in servers) or "none"
    for workload in options.workloads:
        these = [server for server in servers if workload.name in server.workloads]
        if workload.name == "idle":
            result["idle"] = run_idle(options, place, these, troubles)
        elif workload.name == "compile":
            result["compile"] = run_compile(options, troubles)
        else:
            result["load"][workload.name] = LoadRun(options, place, workload, these, troubles).run()
    return result


def main() -> int:
    options = parse()
    lock = open(pathlib.Path(tempfile.gettempdir()) / "koine-bench.lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("run.py: another benchmark is running on this machine; two would measure each other",
              file=sys.stderr)
        return 1
    namespace = measure.own_network()
    place = measure.Place(tools=options.build / "bench", koine=options.build / "koine",
                          server_core=options.server_core, load_core=options.load_core,
                          real_time=options.priority == "real-time" and measure.may_be_real_time())
    try:
        result = run(options, place, namespace)
    except (measure.Trouble, FileNotFoundError) as trouble:
        print(f"run.py: {trouble}", file=sys.stderr)
        return 1
    text = report.markdown(result, WORKLOADS, ANCHOR)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text)
        options.output.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    else:
        print(text)
    return 1 if result["troubles"] else 0


if __name__ == "__main__":
    sys.exit(main())
