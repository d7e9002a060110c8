"""A server to whom nobody speaks makes no system call: strace watches one for a while.

The while is the only thing here that takes time, and no time is asserted.
"""

import re
import subprocess
import unittest

from koine_tool import Server, TestCase, connect
from programs import Started, needed

WHILE = 1.5  # seconds; a tick of a second, or anything faster, would show


class AnIdleServer(TestCase):

    def calls_while_idle(self, server):
        """The system calls that begin once strace watches."""
        trace = self.scratch() + "/trace"
        with Started(needed(self, "strace"), "-f", "-o", trace, "-p", server.pid) as strace:
            strace.complaint_with("attached")
            try:
                strace.process.wait(WHILE)
                self.fail("strace ended: " + strace.process.stderr.read().decode())
            except subprocess.TimeoutExpired:
                strace.process.terminate()
                strace.process.wait()
        with open(trace) as file:
            lines = [line.strip() for line in file]
        # Each thread sleeps in one call, which strace shows as begun again when it comes.
        threads = {line.split()[0] for line in lines}
        asleep = [line for line in lines if re.search(r"<unfinished \.\.\.>|<detached \.\.\.>", line)]
        self.assertEqual(len(threads), len(asleep), lines)
        return [line for line in lines if line not in asleep]

    def test_makes_no_system_call(self):
        for multiplexer in ("io_uring", "epoll", "poll", "select"):
            with self.subTest(multiplexer), \
                    Server("echo", "--multiplexer", multiplexer) as server, \
                    connect(server.url) as idle:
                idle.sendall(b"ready?")
                self.assertEqual(b"ready?", idle.recv(6))  # so everything has begun
                self.assertEqual([], self.calls_while_idle(server))

    def test_makes_none_on_shards_and_in_processes(self):
        for way in (("--shards", "2"), ("--concurrency", "thread"), ("--concurrency", "process")):
            with self.subTest(way), Server("echo", *way) as server, connect(server.url) as idle:
                idle.sendall(b"ready?")
                self.assertEqual(b"ready?", idle.recv(6))
                self.assertEqual([], self.calls_while_idle(server))


if __name__ == "__main__":
    unittest.main()
