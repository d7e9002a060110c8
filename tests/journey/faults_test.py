"""Faults made on purpose: the verdict of `koine trace` names each.

Two network namespaces with a cable between them, made and removed here, so root is needed; and nft and tc
to break things. What is missing is said, and its tests are skipped. Nothing outside them is touched.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

from koine_tool import DEADLINE, KOINE

MS = 1_000_000  # ns


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=DEADLINE)


def missing():
    if os.getuid() != 0:
        return "root is needed for network namespaces"
    for tool in ("ip", "nft", "tc", "taskset", "chrt"):
        if shutil.which(tool) is None:
            return f"{tool} is missing"
    probe = f"koine-probe-{os.getpid()}"
    if run("ip", "netns", "add", probe, check=False).returncode != 0:
        return "network namespaces are not allowed here"
    run("ip", "netns", "del", probe)
    return None


class Faults(unittest.TestCase):
    """A client at 10.77.0.1 and a server at 10.77.0.2."""

    def setUp(self):
        if reason := missing():
            print(f"\n*** {reason}: NO FAULT IS INJECTED. ***\n", file=sys.stderr)
            self.skipTest(reason)
        self.client, self.server = (f"koine-{end}-{os.getpid()}" for end in ("client", "server"))
        for space in (self.client, self.server):
            run("ip", "netns", "add", space)
            self.addCleanup(run, "ip", "netns", "del", space)
        run("ip", "link", "add", "wire", "netns", self.client, "type", "veth", "peer", "name", "wire",
            "netns", self.server)
        for space, address in ((self.client, "10.77.0.1/24"), (self.server, "10.77.0.2/24")):
            self.at(space, "ip", "link", "set", "lo", "up")
            self.at(space, "ip", "address", "add", address, "dev", "wire")
            self.at(space, "ip", "link", "set", "wire", "up")
        self.errors = tempfile.TemporaryFile()
        self.addCleanup(self.errors.close)
        self.serving = subprocess.Popen(
            ["ip", "netns", "exec", self.server, KOINE, "serve", "echo", "--on", "tcp://10.77.0.2:0"],
            stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.addCleanup(self.stop)
        line = self.serving.stdout.readline()
        self.assertTrue(line.startswith("listening on "), line)
        self.url = line.removeprefix("listening on ").strip()

    def stop(self):
        self.serving.kill()
        self.serving.wait()
        self.serving.stdout.close()

    def at(self, space, *command, check=True):
        return run("ip", "netns", "exec", space, *command, check=check)

    def shape(self, host):
        """Makes what leaves a host queue there."""
        shaped = self.at(host, "tc", "qdisc", "add", "dev", "wire", "root", "tbf", "rate",
                         "256kbit", "burst", "64kb", "latency", "2s", check=False)
        if shaped.returncode != 0:
            print(f"\n*** no tbf here: {shaped.stderr} ***\n", file=sys.stderr)
            self.skipTest("this kernel has no tbf")

    def trace(self, *options, prefix=()):
        done = self.at(self.client, *prefix, KOINE, "trace", self.url, *map(str, options), "--json",
                       "--timeout", "30s", check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        journeys = [json.loads(line) for line in done.stdout.splitlines()]
        for journey in journeys:
            self.assertEqual(journey["total_ns"], sum(span["ns"] for span in journey["spans"]))
        return journeys

    @staticmethod
    def slow(journeys, least_ms):
        """Those that took much longer, of the ones that had something to be compared with."""
        return [journey for journey in journeys[5:] if journey["total_ns"] > least_ms * MS]

    def assert_named(self, words, slow, share=1.0):
        """So many at least: a busy machine has faults of its own, and their verdicts name those."""
        self.assertTrue(slow, "the fault left no trace")
        named = [journey for journey in slow if words in journey["verdict"]]
        verdicts = "\n".join(f"{journey['total_ns'] / MS:.2f} ms: {journey['verdict']}"
                             for journey in slow)
        self.assertGreaterEqual(len(named), share * len(slow), f"expected {words!r} in\n{verdicts}")

    def test_a_loss_is_named_with_how_often_and_counted_as_tcp_counts_it(self):
        self.at(self.server, "nft", "add table inet faults; add chain inet faults lose "
                "{ type filter hook input priority 0; }; add rule inet faults lose "
                "tcp dport != 1 tcp flags & psh == psh numgen inc mod 20 == 11 drop")
        journeys = self.trace("hello", "--count", 200)
        lost = [journey for journey in journeys[5:] if journey["request"]["sendings"] > 1
                and journey["total_ns"] > 100 * MS]
        self.assert_named("lost once on the way there", lost)
        sent_again = sum(journey["request"]["sendings"] - 1 for journey in journeys)
        self.assertGreaterEqual(sent_again, 9)
        self.assertEqual(sent_again,
                         sum(journey["request"].get("tcp", {}).get("retransmits", 0)
                             for journey in journeys))

    def test_a_queue_at_our_own_device_is_named(self):
        self.shape(self.client)
        # Sixteen messages go through with what the bucket holds: what is usual. Then each takes 125 ms.
        journeys = self.trace("k" * 4000, "--reply-bytes", 4000, "--count", 24)
        self.assert_named("in the queue of the client's own device", self.slow(journeys, 60), 0.7)

    def test_a_queue_elsewhere_is_named_as_what_it_may_be(self):
        self.shape(self.server)
        journeys = self.trace("k" * 4000, "--reply-bytes", 4000, "--count", 24)
        self.assert_named("in the network and at the other end", self.slow(journeys, 60), 0.7)

    def test_a_neighbour_that_takes_our_cpu_is_named(self):
        # Spins for 60 ms in every 120, before everybody else on CPU 0.
        hog = subprocess.Popen(
            ["taskset", "-c", "0", "chrt", "-f", "50", sys.executable, "-c",
             "import time\n"
             "print('spins', flush=True)\n"
             "while True:\n"
             "    until = time.monotonic() + 0.06\n"
             "    while time.monotonic() < until: pass\n"
             "    time.sleep(0.06)\n"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        watchdog = threading.Timer(DEADLINE, hog.kill)
        watchdog.start()
        try:
            if hog.stdout.readline() != "spins\n":
                self.skipTest(f"no real-time scheduling here: {hog.stderr.read()}")
            journeys = self.trace("hello", "--count", 12_000,
                                  prefix=("taskset", "-c", "0"))
        finally:
            watchdog.cancel()
            hog.kill()
            hog.wait()
            hog.stdout.close()
            hog.stderr.close()
        # Who takes the CPU also takes it from the kernel's thread that receives packets there, and
        # then the message is late on the network.
        self.assert_named("for a CPU", self.slow(journeys, 40), 0.5)


if __name__ == "__main__":
    unittest.main()
