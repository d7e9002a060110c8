#!/usr/bin/env python3
"""What it costs to compile the smallest echo server, and how large it becomes.

    bench/compile_time.py [NAME=FILE...] [--runs N] [--build FOLDER]

Compiles each program with -std=c++23 -O2 -c, by both compilers in turn, and prints medians of the
wall time, the CPU time and the compiler's peak memory; then links it with the first compiler, statically
to koine and as koine's CMake and pkg-config files ask for, and prints its size without symbols. Without
NAME=FILE: koine's echo example and the peers'.
"""

import argparse
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time
from statistics import median

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPILERS = ("clang++-19", "g++")
FLAGS = ("-std=c++23", "-O2", "-DNDEBUG", "-I", str(ROOT))
PROGRAMS = {  # what is missing is left out
    "koine": ROOT / "examples/echo.cc",
    "asio-callbacks": ROOT / "bench/peers/asio_callbacks.cc",
    "asio-coroutines": ROOT / "bench/peers/asio_coroutines.cc",
}
# No compiler cache: it would be the time of a copy.
ENVIRONMENT = os.environ | {"CCACHE_DISABLE": "1"}


def run_measured(command: list[str]) -> dict:
    """Wall and CPU seconds and peak memory of a command with all its children."""
    begun = time.monotonic()
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)}\n{errors}")
    return {"wall_s": time.monotonic() - begun, "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_mib": usage.ru_maxrss / 1024}


def linking(build: pathlib.Path) -> list[str]:
    """How a program that uses koine is linked, by the pkg-config file of that build."""
    fields = dict(line.split(":", 1) for line in (build / "koine.pc").read_text().splitlines()
                  if ":" in line)
    own = [word for word in fields["Libs"].split() if not word.startswith("-L")]
    foreign = subprocess.run(["pkg-config", "--libs", *fields["Requires"].replace(",", " ").split()],
                             capture_output=True, text=True, check=False).stdout.split()
    return [f"-L{build}", *own, *foreign]


def stripped_kib(source: pathlib.Path, build: pathlib.Path, folder: str) -> float:
    program = pathlib.Path(folder) / "program"
    run_measured([COMPILERS[0], *FLAGS, str(source), "-o", str(program), "-s",
                  *linking(build)])
    return program.stat().st_size / 1024


def measure(programs: dict[str, pathlib.Path], build: pathlib.Path, runs: int,
            deadline: float = float("inf"), troubles: list[str] | None = None) -> list[dict]:
    """One row for each program and compiler. A program that does not compile is left out and told of
    in `troubles`; without these it is an error."""
    samples: dict[tuple[str, str], list[dict]] = {}
    sizes: dict[str, float] = {}
    left = dict(programs)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(runs + 1):  # the last one links
            if 0 < number < runs and time.monotonic() > deadline:
                continue
            for name, source in list(left.items()):
                try:
                    if number == runs:
                        sizes[name] = stripped_kib(source, build, folder)
                        continue
                    for compiler in COMPILERS:
                        samples.setdefault((name, compiler), []).append(run_measured(
                            [compiler, *FLAGS, "-c", str(source), "-o", f"{folder}/object.o"]))
                except RuntimeError as error:
                    if troubles is None:
                        raise
                    troubles.append(f"compile, {name}: {str(error)[:500]}")
                    del left[name]
    return [{"program": name, "compiler": compiler, "samples": samples[name, compiler],
             "stripped_kib": sizes[name] if compiler == COMPILERS[0] else None}
            for name in left for compiler in COMPILERS]


def markdown(rows: list[dict]) -> list[str]:
    lines = ["| program | compiler | wall s | CPU s | peak MiB | stripped KiB |",
             "| --- | --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        cells = [row["program"], row["compiler"]]
        for key, digits in (("wall_s", 2), ("cpu_s", 2), ("peak_mib", 0)):
            values = [sample[key] for sample in row["samples"]]
            cells.append(f"{median(values):.{digits}f} "
                         f"({min(values):.{digits}f}–{max(values):.{digits}f})")
        cells.append(f"{row['stripped_kib']:.0f}" if row["stripped_kib"] else "")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    options = parser.parse_args()
    programs = {name: path for name, path in PROGRAMS.items() if path.exists()}
    if options.programs:
        programs = {}
        for word in options.programs:
            name, _, path = word.partition("=")
            if not path or not pathlib.Path(path).exists():
                parser.error(f"{word}: expected NAME=FILE, a file that exists")
            programs[name] = pathlib.Path(path)
    if not 1 <= options.runs <= 100:
        parser.error(f"--runs {options.runs}: expected 1 to 100")
    try:
        print("\n".join(markdown(measure(programs, options.build, options.runs))))
    except (RuntimeError, FileNotFoundError) as error:
        print(f"compile_time.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
