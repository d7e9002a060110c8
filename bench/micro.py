"""The smallest parts: every program named *_bench beside the built peers, each of Google Benchmark.

A name's samples are the repetitions; programs take turns, so that none has the quiet minute alone.
"""

import json
import pathlib
import subprocess
import time

import measure

PROGRAM_SECONDS_MAX = 120
NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}


def programs(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted({*folder.glob("*_bench"), *folder.glob("micro/*_bench")})


def nanoseconds(benchmark: dict) -> float:
    """Of one item, or of one iteration where the program counts no items: CPU time, or the time on
    the clock for those that say in their name that it is what counts."""
    if benchmark.get("items_per_second"):
        return 1e9 / benchmark["items_per_second"]
    clock = "real_time" if benchmark["name"].endswith("/real_time") else "cpu_time"
    return benchmark[clock] * NANOSECONDS[benchmark["time_unit"]]


def parse(text: str) -> dict[str, float]:
    answer = json.loads(text)
    return {one["name"]: nanoseconds(one) for one in answer["benchmarks"]
            if one.get("run_type") != "aggregate" and not one.get("error_occurred")}


def run(options, place: measure.Place, troubles: list[str], deadline: float) -> dict[str, dict]:
    """By program and name: nanoseconds, one for each round."""
    result: dict[str, dict[str, list[float]]] = {}
    failed = set()
    for turn in range(options.micro_rounds):
        for program in programs(place.tools):
            if program.name in failed or (turn > 0 and time.monotonic() > deadline):
                continue
            try:
                done = subprocess.run(
                    [program, "--benchmark_format=json", f"--benchmark_min_time={options.micro_seconds}"],
                    capture_output=True, text=True, check=True, timeout=PROGRAM_SECONDS_MAX,
                    preexec_fn=place.anywhere)
                for name, each_ns in parse(done.stdout).items():
                    result.setdefault(program.name, {}).setdefault(name, []).append(each_ns)
            except (subprocess.SubprocessError, OSError, ValueError, KeyError) as error:
                failed.add(program.name)
                troubles.append(f"micro, {program.name}: {error}")
                measure.say(f"  LEFT OUT: {troubles[-1]}")
        measure.say(f"  micro: round {turn + 1}")
    return result
