"""Faults made on purpose: the verdict of `koine trace` names each.

Each fault has to hit KOINE_FAULTS messages (3 if it is not set), and every one of their verdicts has to name
it.
"""

import os
import re
import subprocess
import sys
import threading
import unittest

from koine_tool import DEADLINE
from two_hosts import MS, OUR_CPU, TwoHosts

FAULTS = int(os.environ.get("KOINE_FAULTS", "3"))


class Faults(TwoHosts):

    def setUp(self):
        super().setUp()
        self.url = self.serve("echo", "tcp://10.78.0.1:0")

    def shape(self, host, device="wire"):
        """Makes what leaves a host queue there, once a full bucket is spent."""
        self.at(host, "tc", "qdisc", "del", "dev", device, "root", check=False)
        shaped = self.at(host, "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate",
                         "256kbit", "burst", "64kb", "latency", "2s", check=False)
        if shaped.returncode != 0:
            print(f"\n*** no tbf here: {shaped.stderr} ***\n", file=sys.stderr)
            self.skipTest("this kernel has no tbf")

    def trace_shaped(self, *where):
        """Those that queued. Sixteen messages go through with what the bucket holds: what is usual. Then each
        takes 125 ms."""
        slow = []
        while len(slow) < FAULTS:
            self.shape(*where)
            journeys = self.trace(self.url, "k" * 4000, "--reply-bytes", 4000, "--count", 24)
            slow += self.slow(journeys, 60)
            self.assertTrue(slow, "nothing queued")
        return slow

    @staticmethod
    def slow(journeys, least_ms):
        """Those that took much longer, of the ones that had something to be compared with."""
        return [journey for journey in journeys[5:] if journey["total_ns"] > least_ms * MS]

    def assert_named(self, words, slow):
        """`words` is a regular expression."""
        self.assertGreaterEqual(len(slow), FAULTS, "the fault left no trace")
        others = "\n".join(f"{journey['total_ns'] / MS:.2f} ms: {journey['verdict']}\n{journey}"
                           for journey in slow if not re.search(words, journey["verdict"]))
        self.assertEqual("", others, f"{len(slow)} verdicts, expected {words!r} in all")

    def test_a_loss_is_named_with_how_often_and_counted_as_tcp_counts_it(self):
        self.at(self.server, "nft", "add table inet faults; add chain inet faults lose "
                "{ type filter hook input priority 0; }; add rule inet faults lose "
                "tcp dport != 1 tcp flags & psh == psh numgen inc mod 20 == 11 drop")
        journeys = self.trace(self.url, "hello", "--count", 20 * max(FAULTS, 10))
        lost = [journey for journey in journeys[5:] if journey["request"]["sendings"] > 1
                and journey["total_ns"] > 100 * MS]
        self.assert_named("lost (once )?on the way there", lost)
        sent_again = sum(journey["request"]["sendings"] - 1 for journey in journeys)
        self.assertGreaterEqual(sent_again, len(lost))
        self.assertEqual(sent_again,
                         sum(journey["request"].get("tcp", {}).get("retransmits", 0)
                             for journey in journeys))

    def test_a_queue_at_our_own_device_is_named(self):
        self.assert_named("in the queue of the client's own device", self.trace_shaped(self.client))

    def test_a_queue_at_a_router_or_at_the_server_is_named_as_what_it_may_be(self):
        for where in ((self.router, "there"), (self.router, "back"), (self.server, "wire")):
            # TCP may take what queues so long for lost, and send it again.
            self.assert_named("in the network and at the other end|lost on the way there, or late",
                              self.trace_shaped(*where))
            self.at(where[0], "tc", "qdisc", "del", "dev", where[1], "root")

    def test_a_neighbour_that_takes_our_cpu_is_named(self):
        # Spins for 60 ms in every 120, before everybody else on our CPU.
        hog = subprocess.Popen(
            ["taskset", "-c", OUR_CPU, "chrt", "-f", "50", sys.executable, "-c",
             "import time\n"
             "print('spins', flush=True)\n"
             "while True:\n"
             "    until = time.monotonic() + 0.06\n"
             "    while time.monotonic() < until: pass\n"
             "    time.sleep(0.06)\n"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        watchdog = threading.Timer(DEADLINE, hog.kill)
        watchdog.start()
        slow = []
        try:
            if hog.stdout.readline() != "spins\n":
                self.skipTest(f"no real-time scheduling here: {hog.stderr.read()}")
            while len(slow) < FAULTS and hog.poll() is None:
                slow += self.slow(self.trace(self.url, "hello", "--count", 4000), 40)
        finally:
            watchdog.cancel()
            hog.kill()
            hog.wait()
            hog.stdout.close()
            hog.stderr.close()
        self.assert_named("for a CPU", slow)


if __name__ == "__main__":
    unittest.main()
