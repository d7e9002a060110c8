"""What these tests share: programs of others, required where CI=true and skipped loudly elsewhere."""

import os
import shutil
import subprocess
import sys
import threading

from koine_tool import DEADLINE


def needed(test, program):
    """The path of `program`; without it `test` is skipped, and says so where it cannot be missed."""
    path = shutil.which(program)
    if path is None:
        if os.environ.get("CI") == "true":
            test.fail(f"{program} is not installed")
        print(f"\n*** {test.id()} NOT RUN: {program} is not installed ***", file=sys.stderr)
        test.skipTest(f"{program} is not installed")
    return path


def run(*command, input=b""):
    """Runs a program to its end: what it printed. It has to succeed."""
    done = subprocess.run(list(map(str, command)), input=input, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=DEADLINE)
    assert done.returncode == 0, f"{command} failed: {done.stderr.decode()}"
    return done.stdout


class Started:
    """A program that runs until the end of the with block, or by itself."""

    def __init__(self, *command, **options):
        options.setdefault("stdin", subprocess.PIPE)
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0, **options)
        self.watchdog = threading.Timer(DEADLINE, self.process.kill)

    def __enter__(self):
        self.watchdog.start()
        return self

    def say(self, data):
        self.process.stdin.write(data)

    def finish(self):
        """No more follows."""
        self.process.stdin.close()
        self.process.stdin = None

    def hear(self, size):
        """Exactly so many bytes of its standard output, or fewer at its end."""
        data = b""
        while len(data) < size and (piece := self.process.stdout.read(size - len(data))):
            data += piece
        return data

    def complaint_with(self, words):
        """The line of its standard error that has these words."""
        lines = []
        while line := self.process.stderr.readline().decode():
            lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"expected {words!r} in what it says, found {lines}")

    def rest(self):
        """Until it ends by itself: what else it printed."""
        return self.process.communicate(timeout=DEADLINE)[0]

    def __exit__(self, *_):
        self.watchdog.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
