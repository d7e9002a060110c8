"""The journeys of `koine trace --otlp` as OpenTelemetry's own package reads them."""

import json
import os
import sys
import unittest

from koine_tool import OK, Peer, TestCase, echo, koine
from programs import needed, run

READER = os.path.join(os.path.dirname(__file__), "otlp", "reader.js")
MODULES = os.environ["OTLP_MODULES"]
CLIENT = "3"  # SPAN_KIND_CLIENT


class Otlp(TestCase):

    def setUp(self):
        super().setUp()
        self.node = needed(self, "node")
        if not os.path.isdir(os.path.join(MODULES, "@opentelemetry")):
            if os.environ.get("CI") == "true":
                self.fail(f"{MODULES} has no @opentelemetry: script/test installs it")
            print(f"\n*** {self.id()} NOT RUN: script/test installs OpenTelemetry ***", file=sys.stderr)
            self.skipTest("OpenTelemetry is not installed")
        os.environ["NODE_PATH"] = MODULES

    def test_reads_each_journey_as_a_span_with_its_stamps(self):
        name = os.path.join(self.scratch(), "trace.json")
        with Peer(echo) as peer:
            done = koine("trace", peer.url, "hello", "--count", 3, "--json", "--otlp", name)
        self.assert_exit(OK, done)
        journeys = [json.loads(line) for line in done.stdout.splitlines()]
        with open(name, "rb") as file:
            spans = [line.split(" ") for line in run(self.node, READER, input=file.read()).decode().splitlines()]
        self.assertEqual(3, len(spans))
        self.assertEqual(3, len({span[3] for span in spans}), "each journey is a trace of its own")
        for journey, (service, what, kind, trace, span, parent, begin, end, events) in zip(journeys, spans):
            self.assertEqual(("client", "message", CLIENT, "-"), (service, what, kind, parent))
            self.assertEqual((32, 16), (len(trace), len(span)))
            self.assertEqual(journey["request"]["write_in"], int(begin))
            self.assertEqual(journey["reply"]["recv_out"], int(end))
            for stamp in ("write_in", "tx_sched", "tx_software", "recv_out"):
                self.assertIn(stamp, events.split(","))


if __name__ == "__main__":
    unittest.main()
