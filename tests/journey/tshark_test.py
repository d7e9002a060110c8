"""The frames of `koine trace` as tshark reads them: layers, comments, nanoseconds."""

import os
import shutil
import subprocess
import sys
import unittest

from koine_tool import DEADLINE, OK, Datagrams, Peer, TestCase, echo, koine


class Tshark(TestCase):
    def setUp(self):
        if shutil.which("tshark") is None:
            if os.environ.get("CI") == "true":
                self.fail("tshark is missing, and CI=true: install the package tshark")
            print("\n*** tshark is missing: NOTHING IS COMPARED WITH IT. ***\n", file=sys.stderr)
            self.skipTest("tshark is missing")

    def frames(self, url, *options):
        name = os.path.join(self.scratch(), "trace.pcapng")
        self.assert_exit(OK, koine("trace", url, "hello, tshark", "--pcapng", name, *options))
        fields = ("frame.protocols", "frame.time_epoch", "frame.comment", "frame.interface_name",
                  "frame.len", "frame.packet_id", "_ws.malformed")
        done = subprocess.run(
            ["tshark", "-n", "-r", name, "-T", "fields", "-E", "separator=|"]
            + [word for field in fields for word in ("-e", field)],
            capture_output=True, text=True, timeout=DEADLINE, check=True)
        return [dict(zip(fields, line.split("|"))) for line in done.stdout.splitlines()]

    def test_reads_layers_comments_and_nanoseconds(self):
        with Peer(echo) as peer:
            frames = self.frames(peer.url, "--count", 3)
        self.assertEqual(3, len(frames))
        for number, frame in enumerate(frames, 1):
            self.assertTrue(frame["frame.protocols"].startswith("eth:ethertype:ip:tcp"), frame)
            self.assertEqual(str(14 + 20 + 32 + 13), frame["frame.len"])
            self.assertRegex(frame["frame.time_epoch"], r"^\d+\.\d{9}$")
            self.assertIn(f"message {number}, ", frame["frame.comment"])
            self.assertIn("copy + TCP/IP: ", frame["frame.comment"])
            self.assertEqual("client TX", frame["frame.interface_name"])
            self.assertEqual(str(number), frame["frame.packet_id"])
            self.assertEqual("", frame["_ws.malformed"])
        self.assertLess(float(frames[0]["frame.time_epoch"]), float(frames[2]["frame.time_epoch"]))

    def test_reads_datagrams(self):
        with Datagrams(lambda question: question) as peer:
            (frame,) = self.frames(peer.url)
        self.assertTrue(frame["frame.protocols"].startswith("eth:ethertype:ip:udp"), frame)


if __name__ == "__main__":
    unittest.main()
