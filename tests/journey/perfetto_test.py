"""What `koine trace --perfetto` writes keeps the rules of the Trace Event Format, as ui.perfetto.dev reads it."""

import json
import os
import unittest

from koine_tool import OK, Peer, TestCase, echo, koine


class Perfetto(TestCase):

    def trace(self, count):
        name = os.path.join(self.scratch(), "trace.json")
        with Peer(echo) as peer:
            self.assert_exit(OK, koine("trace", peer.url, "hello", "--count", count, "--perfetto", name))
        with open(name) as file:
            return json.load(file)

    def test_has_what_each_kind_of_event_needs(self):
        trace = self.trace(5)
        self.assertIn(trace["displayTimeUnit"], ("ms", "ns"))
        named = set()
        for event in trace["traceEvents"]:
            self.assertIsInstance(event["name"], str)
            for number in ("pid", "tid"):
                self.assertIsInstance(event[number], int)
            match event["ph"]:
                case "M":
                    self.assertIn(event["name"], ("process_name", "thread_name"))
                    self.assertIsInstance(event["args"]["name"], str)
                    named.add((event["name"], event["pid"]))
                case "X":
                    self.assertGreaterEqual(event["ts"], 0)
                    self.assertGreaterEqual(event["dur"], 0)
                    self.assertIsInstance(event["args"], dict)
                case "s" | "f":
                    self.assertGreaterEqual(event["ts"], 0)
                    self.assertIn("id", event)
                    self.assertIn("cat", event)
                case other:
                    self.fail(f"no event of ours is {other!r}")
        for event in trace["traceEvents"]:
            self.assertIn(("process_name", event["pid"]), named)

    def test_slices_of_a_track_lie_within_each_other_or_apart(self):
        events = [event for event in self.trace(20)["traceEvents"] if event["ph"] == "X"]
        tracks = {}
        for event in events:
            begin = round(event["ts"] * 1000)
            tracks.setdefault((event["pid"], event["tid"]), []).append((begin, begin + round(event["dur"] * 1000)))
        for slices in tracks.values():
            around = []
            for begin, end in sorted(slices, key=lambda one: (one[0], -one[1])):
                while around and around[-1] <= begin:
                    around.pop()
                if around:
                    self.assertLessEqual(end, around[-1])
                around.append(end)

    def test_every_arrow_has_its_two_ends_in_slices_and_forward_in_time(self):
        events = self.trace(5)["traceEvents"]
        slices = [event for event in events if event["ph"] == "X"]
        begins = {event["id"]: event for event in events if event["ph"] == "s"}
        ends = {event["id"]: event for event in events if event["ph"] == "f"}
        self.assertTrue(begins)
        self.assertEqual(begins.keys(), ends.keys())
        for number, begin in begins.items():
            end = ends[number]
            self.assertEqual("e", end["bp"])
            self.assertEqual((begin["name"], begin["cat"]), (end["name"], end["cat"]))
            self.assertLessEqual(begin["ts"], end["ts"])
            for event in (begin, end):
                self.assertTrue(any(one["pid"] == event["pid"] and one["tid"] == event["tid"]
                                    and one["ts"] <= event["ts"] <= one["ts"] + one["dur"] for one in slices), event)


if __name__ == "__main__":
    unittest.main()
