"""Everything that a journey needs, without any right: as user nobody with an empty set of capabilities."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from koine_tool import DEADLINE, KOINE, Datagrams, Peer, echo

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all",
          "--no-new-privs")


class Unprivileged(unittest.TestCase):

    def setUp(self):
        # Where this was built, nobody may not be let in.
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        os.chmod(self.place.name, 0o777)
        self.koine = shutil.copy(KOINE, self.place.name)
        os.chmod(self.koine, 0o755)
        self.prefix = NOBODY if os.getuid() == 0 else ()
        rights = self.run_as_nobody("cat", "/proc/self/status")
        if rights.returncode != 0:
            print(f"\n*** {self.id()} NOT RUN: {rights.stderr} ***", file=sys.stderr)
            self.skipTest("setpriv is not allowed here")
        self.assertIn("CapEff:\t0000000000000000\n", rights.stdout)

    def run_as_nobody(self, *command):
        return subprocess.run([*self.prefix, *map(str, command)], capture_output=True, text=True,
                              timeout=DEADLINE, cwd=self.place.name)

    def trace(self, url, *options):
        done = self.run_as_nobody(self.koine, "trace", url, "hello", "--count", 5, "--json", *options)
        self.assertEqual(0, done.returncode, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def assert_stamped(self, journeys, *stamps):
        self.assertEqual(5, len(journeys))
        for journey in journeys:
            for stamp in ("write_in", "write_out", "sched", "snd", *stamps):
                self.assertIn(stamp, journey["request"], journey)
            for stamp in ("rx", "recv_in", "recv_out"):
                self.assertIn(stamp, journey["reply"], journey)
            self.assertEqual(journey["total_ns"], sum(span["ns"] for span in journey["spans"]))

    def test_tcp_is_stamped(self):
        with Peer(echo) as peer:
            self.assert_stamped(self.trace(peer.url), "ack")

    def test_datagrams_are_stamped(self):
        with Datagrams(lambda question: question) as peer:
            self.assert_stamped(self.trace(peer.url))

    def test_the_frames_come_back_with_their_headers(self):
        with open("/proc/sys/net/core/tstamp_allow_data") as file:
            if file.read().strip() == "0":
                self.skipTest("an administrator forbade it: net.core.tstamp_allow_data is 0")
        with Peer(echo) as peer:
            for journey in self.trace(peer.url, "--pcapng", os.path.join(self.place.name, "frames")):
                (frame,) = journey["frames"]
                self.assertEqual("0800", frame["bytes"][24:28], "Ethernet carries IPv4")


if __name__ == "__main__":
    unittest.main()
