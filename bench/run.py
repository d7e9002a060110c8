#!/usr/bin/env python3
"""Runs servers side by side and writes what each request cost: see docs/benchmarks.md.

One workload after the other (see servers.py), each for its share of the time that is left, so that the
whole ends when it was promised. After each the report is written with what there is so far; what fails
is left out of it, with a word.
"""

import argparse
import datetime
import fcntl
import json
import os
import pathlib
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import bulk
import compile_time
import generators
import measure
import messages
import micro
import page
import plots
import sim_beside_ns3
import turns
from servers import NAMES, SERVERS, WORKLOADS

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUICK = {"minutes": 6, "rounds": 4, "seconds": 0.1, "warmup": 0.05, "idle_steps": [2000, 10000],
         "idle_rounds": 1, "compile_runs": 2, "micro_rounds": 2, "micro_seconds": 0.02,
         "messages_rounds": 1, "messages_seconds": 0.5, "simulator_rounds": 1, "generator_rounds": 3,
         "generator_seconds": 0.3}
FULL = {"minutes": 25, "rounds": 20, "seconds": 0.15, "warmup": 0.05, "idle_steps": [2000, 10000, 18000],
        "idle_rounds": 2, "compile_runs": 5, "micro_rounds": 7, "micro_seconds": 0.05,
        "messages_rounds": 5, "messages_seconds": 1, "simulator_rounds": 3, "generator_rounds": 7,
        "generator_seconds": 0.5}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", help="names with commas between; known: " + ", ".join(NAMES))
    parser.add_argument("--workloads", help="names with commas between; known: " + ", ".join(WORKLOADS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter samples")
    parser.add_argument("--minutes", type=float, help="that the whole may take, 0.1 to 600")
    parser.add_argument("--rounds", type=int, help="samples of each server, 1 to 100")
    parser.add_argument("--seconds", type=float, help="of each sample, 0.05 to 60")
    parser.add_argument("--output", type=pathlib.Path,
                        help="write Markdown here, JSON with every sample beside it, and pictures in "
                             "the folder pictures/ beside it")
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
    if not 0.1 <= options.minutes <= 600:
        parser.error(f"--minutes {options.minutes}: expected 0.1 to 600")
    cores = os.sched_getaffinity(0)
    if not {options.server_core, options.load_core} <= cores or options.server_core == options.load_core:
        parser.error(f"--server-core and --load-core: expected two different ones of {sorted(cores)}")
    options.named = options.servers.split(",") if options.servers else []
    options.servers = chosen(parser, "--servers", options.servers, NAMES,
                             [server.name for server in SERVERS if server.usual])
    options.workloads = [WORKLOADS[name] for name in chosen(
        parser, "--workloads", options.workloads, WORKLOADS, list(WORKLOADS))]
    return options


def chosen(parser, option: str, names: str | None, known, usual: list[str]) -> list[str]:
    wanted = names.split(",") if names else usual
    for name in wanted:
        if name not in known:
            parser.error(f"{option} {name}: expected one of {', '.join(known)}")
    return list(dict.fromkeys(wanted))


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
    packages = ["libboost1.81-dev", "libuv1-dev", "libevent-dev", "liburing-dev", "golang-go", "python3",
                "iperf3", "libgrpc++-dev", "libns3-dev"]
    versions = [f"{name.removesuffix('-dev')} {version}" for name in packages
                if (version := output_of("dpkg-query", "-W", "-f", "${Version}", name))]
    dirty = " with changes" if output_of("git", "status", "--porcelain") else ""
    return {
        "rerun": options.rerun,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "koine": (output_of("git", "describe", "--always", "--tags") or "not from git") + dirty,
        "machine": f"{len(model)} × {model[0] if model else platform.machine()}",
        "kernel": platform.release(),
        "compiler": (output_of("clang++-19", "--version").splitlines() or ["unknown"])[0] + ", -O2",
        "peers": ", ".join(versions) or "unknown",
        "congestion control": congestion,
        "network": "loopback" + (" of a namespace of its own" if namespace else ""),
        "priority": "real-time round-robin" if place.real_time else "normal",
        "rounds": f"{options.rounds} (at most {2 * options.rounds}, within {options.minutes:g} min for "
                  f"all), {options.seconds} s each after {options.warmup} s of warm-up",
    }


class Run:
    """All that was chosen, one workload after the other; `result` is what there is so far."""

    def __init__(self, options: argparse.Namespace, place: measure.Place, namespace: bool):
        self._options, self._place, self._namespace = options, place, namespace
        self._ends = time.monotonic() + 60 * options.minutes
        self._servers = []
        self.troubles: list[str] = []
        names = [workload.name for workload in options.workloads]
        self.result = {"about": about(options, place, namespace), "chosen": names, "left": names,
                       "load": {}, "idle": {}, "idle_steps": options.idle_steps, "compile": [],
                       "micro": {}, "messages": {}, "simulator": {}, "generators": [],
                       "troubles": self.troubles}
        self._find_servers()

    def _find_servers(self) -> None:
        missing = {}
        for server in SERVERS:
            if why := self._place.missing(server):
                missing[server.name] = why
            else:
                self._servers.append(server)
        for name, why in missing.items():
            if name in self._options.servers:
                measure.say(f"LEFT OUT: {name}: {why}")
                if name in self._options.named:
                    self.troubles.append(f"{name}: {why}")
        self.result["about"]["left out"] = ", ".join(
            f"{name} ({why})" for name, why in missing.items()
            if name in self._options.servers).replace(str(ROOT) + "/", "") or "none"

    def of(self, workload) -> list:
        """Who takes part: whoever was chosen, and the anchor, without which nothing is compared."""
        return [server for server in self._servers if workload.name in server.workloads
                and server.name in (*self._options.servers, workload.anchor)]

    def go(self, written) -> None:
        """Measures, and calls `written` after each workload."""
        workloads = list(self._options.workloads)
        begun = time.monotonic()
        while workloads:
            workload = workloads.pop(0)
            share = workload.share / (workload.share + sum(other.share for other in workloads))
            deadline = time.monotonic() + share * max(self._ends - time.monotonic(), 0)
            measure.say(f"{workload.name}: {workload.meaning} (after {time.monotonic() - begun:.0f} s, "
                        f"for at most about {deadline - time.monotonic():.0f} s)")
            try:
                getattr(self, "_" + workload.kind)(workload, deadline)
            except Exception as error:  # whatever it was: the others go on
                self.troubles.append(f"{workload.name}: {type(error).__name__}: {error}")
                measure.say(f"  LEFT OUT: {self.troubles[-1]}")
            self.result["left"] = [other.name for other in workloads]
            written()

    def _load(self, workload, deadline: float) -> None:
        those = turns.Turns(self._options, self._place, workload, self.of(workload), self.troubles,
                            deadline)
        self.result["load"][workload.name] = those.samples
        those.run()

    def _bulk(self, workload, deadline: float) -> None:
        with bulk.congestion_control(self._namespace) as used:
            self.result["about"]["congestion control"] = (
                f"{self.result['about']['congestion control'].split(';')[0]}; in bulk {used}")
            self._load(workload, deadline)

    def _idle(self, workload, deadline: float) -> None:
        samples = self.result["idle"]
        for turn in range(self._options.idle_rounds):
            for server in self.of(workload):
                if turn > 0 and time.monotonic() > deadline:
                    return
                steps = [step for step in self._options.idle_steps if step <= server.idle_max]
                try:
                    sample = measure.idle_memory(self._place, server, steps)
                except (measure.Trouble, OSError) as trouble:
                    self.troubles.append(f"idle, {server.name}: {trouble}")
                    measure.say(f"  LEFT OUT: {self.troubles[-1]}")
                    continue
                samples.setdefault(server.name, []).append(sample)
                measure.say(f"  idle: {server.name:16} " + ", ".join(
                    f"{each:,.0f} B at {step:,}"
                    for step, each in sample["bytes_per_connection"].items()))

    def _compile(self, workload, deadline: float) -> None:
        programs = {name: path for name, path in compile_time.PROGRAMS.items() if path.exists()}
        self.result["compile"] = compile_time.measure(programs, self._options.build,
                                                      self._options.compile_runs, deadline,
                                                      self.troubles)

    def _micro(self, workload, deadline: float) -> None:
        self.result["micro"] = micro.run(self._options, self._place, self.troubles, deadline)

    def _messages(self, workload, deadline: float) -> None:
        self.result["messages"] = messages.run(
            self._place.koine, self._place.tools / "grpc_messages", self._options.messages_rounds,
            self._options.messages_seconds, deadline)

    def _simulator(self, workload, deadline: float) -> None:
        tools = self._place.tools
        self.result["simulator"] = sim_beside_ns3.run(tools / "sim", tools / "ns3_bulk",
                                                      self._options.simulator_rounds, deadline)

    def _generators(self, workload, deadline: float) -> None:
        self.result["generators"] = generators.run(self._options, self._place, self._servers,
                                                   self.troubles)


def write(result: dict, output: pathlib.Path) -> None:
    """The page, every sample beside it, and its pictures in a folder beside it."""
    drawn = plots.all_of(result, WORKLOADS)
    places = {name: f"pictures/{output.stem}-{name}.svg" for name in drawn}
    output.parent.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        (output.parent / places[name]).parent.mkdir(exist_ok=True)
        (output.parent / places[name]).write_text(picture)
    output.write_text(page.markdown(result, places))
    output.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")


def interrupted(number, frame) -> None:
    raise KeyboardInterrupt


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, interrupted)
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
        measure.canary(place)
        run = Run(options, place, namespace)
    except (measure.Trouble, OSError) as trouble:
        print(f"run.py: {trouble}", file=sys.stderr)
        return 1

    def written() -> None:
        if options.output:
            write(run.result, options.output)

    try:
        run.go(written)
    except KeyboardInterrupt:
        run.troubles.append("it was interrupted")
        written()
    if not options.output:
        print(page.markdown(run.result, {}))
    for trouble in run.troubles:
        measure.say(f"did not work: {trouble}")
    return 1 if run.troubles else 0


if __name__ == "__main__":
    sys.exit(main())
