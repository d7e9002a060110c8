"""Faults made on purpose: the verdict of `koine trace` names each.

Two network namespaces with a cable between them, made and removed here, so root is needed; and nft and tc
to break things. What is missing is said, and its tests are skipped. Nothing outside them is touched.

Each fault has to hit KOINE_FAULTS messages (3 if it is not set), and every one of their verdicts has to name
it. A busy machine injects faults of its own, so that client and server run before whatever else there is, on a
CPU each.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

from koine_tool import DEADLINE, KOINE

MS = 1_000_000  # ns
FAULTS = int(os.environ.get("KOINE_FAULTS", "3"))
CPUS = sorted(os.sched_getaffinity(0))
OUR_CPU, THEIR_CPU = str(CPUS[0]), str(CPUS[-1])


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=DEADLINE)


def before_others(cpu):
    """What makes a command run on that CPU as soon as it can, if that is allowed here."""
    command = ("taskset", "-c", cpu, "chrt", "-f", "10")
    return command if run(*command, "true", check=False).returncode == 0 else ()


def missing():
    if os.getuid() != 0:
        return "root is needed for network namespaces"
    for tool in ("ip", "nft", "sysctl", "tc", "taskset", "chrt"):
        if shutil.which(tool) is None:
            return f"{tool} is missing"
    probe = f"koine-probe-{os.getpid()}"
    if run("ip", "netns", "add", probe, check=False).returncode != 0:
        return "network namespaces are not allowed here"
    run("ip", "netns", "del", probe)
    return None


class Faults(unittest.TestCase):
    """A client at 10.77.0.1, a server at 10.78.0.1, and a router between them."""

    def setUp(self):
        if reason := missing():
            print(f"\n*** {reason}: NO FAULT IS INJECTED. ***\n", file=sys.stderr)
            self.skipTest(reason)
        self.client, self.router, self.server = (f"koine-{host}-{os.getpid()}"
                                                 for host in ("client", "router", "server"))
        for space in (self.client, self.router, self.server):
            run("ip", "netns", "add", space)
            self.addCleanup(run, "ip", "netns", "del", space)
            self.at(space, "ip", "link", "set", "lo", "up")
        for host, network, device in ((self.client, "10.77.0", "back"), (self.server, "10.78.0", "there")):
            run("ip", "link", "add", "wire", "netns", host, "type", "veth", "peer", "name", device,
                "netns", self.router)
            for space, end, name in ((host, "1", "wire"), (self.router, "2", device)):
                self.at(space, "ip", "address", "add", f"{network}.{end}/24", "dev", name)
                self.at(space, "ip", "link", "set", name, "up")
            self.at(host, "ip", "route", "add", "default", "via", f"{network}.2")
        self.at(self.router, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        self.errors = tempfile.TemporaryFile()
        self.addCleanup(self.errors.close)
        self.serving = subprocess.Popen(
            ["ip", "netns", "exec", self.server, *before_others(THEIR_CPU), KOINE, "serve", "echo",
             "--on", "tcp://10.78.0.1:0"],
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
            journeys = self.trace("k" * 4000, "--reply-bytes", 4000, "--count", 24)
            slow += self.slow(journeys, 60)
            self.assertTrue(slow, "nothing queued")
        return slow

    def trace(self, *options):
        done = self.at(self.client, *before_others(OUR_CPU), KOINE, "trace", self.url,
                       *map(str, options), "--json", "--timeout", "30s", check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        journeys = [json.loads(line) for line in done.stdout.splitlines()]
        for journey in journeys:
            self.assertEqual(journey["total_ns"], sum(span["ns"] for span in journey["spans"]))
        return journeys

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
        journeys = self.trace("hello", "--count", 20 * max(FAULTS, 10))
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
                slow += self.slow(self.trace("hello", "--count", 4000), 40)
        finally:
            watchdog.cancel()
            hog.kill()
            hog.wait()
            hog.stdout.close()
            hog.stderr.close()
        self.assert_named("for a CPU", slow)


if __name__ == "__main__":
    unittest.main()
