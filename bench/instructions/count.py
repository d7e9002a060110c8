#!/usr/bin/env python3
"""Counts koine's own instructions for one request, call, spawn ..., and compares them with what they were.

    count.py PROGRAM              fails if one has become more than 3 % dearer
    count.py PROGRAM --renew      writes what it counts into expected.json

PROGRAM is the built `instructions` (stories.cc). valgrind runs each story twice with different counts; the
difference is what they cost without starting and ending. Only the program's own instructions are counted:
those of libc differ between processors. Renew the figures in the commit that changes them, and say in it
why they did: a figure that falls is renewed as well, so that it cannot rise again unseen.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

EXPECTED = pathlib.Path(__file__).resolve().parent / "expected.json"
SLACK = 0.03
COUNTS = {"spawn": 8_000, "timer": 20_000, "echo": 1_000, "line": 8_000, "call": 500, "simulator": 500}
NAMED = re.compile(r"\((\d+)\)(?: (.*))?")


def own_instructions(output: str, program: str) -> int:
    """The instructions of one object file in what callgrind wrote (its format: valgrind's manual, "cl-format")."""
    names: dict[str, str] = {}
    total, is_own, is_call = 0, False, False
    for line in output.splitlines():
        if line.startswith("ob="):
            number, name = NAMED.fullmatch(line[3:]).groups()
            if name:
                names[number] = name
            is_own = names[number] == program
        elif line.startswith("cob="):
            number, name = NAMED.fullmatch(line[4:]).groups()
            if name:
                names[number] = name
        elif line.startswith("calls="):
            is_call = True  # the next line is what the called function cost
        elif line and line[0] in "0123456789+-*":
            if is_own and not is_call:
                total += int((line.split() + ["0"])[1])  # a cost of zero is not written
            is_call = False
    return total


def counted(program: pathlib.Path, story: str, count: int, folder: str) -> int:
    output = pathlib.Path(folder) / "callgrind.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", str(program), story, str(count)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if answer.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{answer.stderr}")
    total = own_instructions(output.read_text(), str(program))
    if total == 0:
        raise RuntimeError(f"{story}: callgrind names no instructions of {program}")
    return total


def measured(program: pathlib.Path) -> dict[str, float]:
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for story, count in COUNTS.items():
            few, many = (counted(program, story, times, folder) for times in (count, 2 * count))
            figures[story] = round((many - few) / count, 1)
    return figures


def complaints(figures: dict[str, float], expected: dict[str, float]) -> list[str]:
    found = []
    for story, figure in figures.items():
        before = expected.get(story)
        if before is None:
            found.append(f"{story}: {figure:,} instructions, and no figure is expected: run with --renew")
        elif figure > before * (1 + SLACK):
            found.append(f"{story}: expected {before:,} instructions, got {figure:,}: "
                         f"{(figure / before - 1) * 100:+.1f} %, where {SLACK * 100:.0f} % more are allowed")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--renew", action="store_true", help="write the figures into expected.json")
    options = parser.parse_args()
    try:
        figures = measured(options.program.resolve())
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        print(f"count.py: {error}", file=sys.stderr)
        return 2
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    for story, figure in figures.items():
        print(f"{story:10} {figure:10,.1f} instructions, expected {expected.get(story, 0):10,.1f}")
    if options.renew:
        EXPECTED.write_text(json.dumps(figures, indent=2) + "\n")
        return 0
    found = complaints(figures, expected)
    for line in found:
        print(f"count.py: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
