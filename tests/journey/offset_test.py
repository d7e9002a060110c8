"""A server whose clock is ahead by a known time: what `koine trace` says about it is true each time.

The clock is faked by a library that is preloaded into the server ($KOINE_OTHER_CLOCK); the client's is the true
one. So the truth is known at any time, and each journey's bounds have to hold it.
"""

import json
import os
import time
import unittest

from koine_tool import Server, environment, koine

COUNT = int(os.environ.get("KOINE_OFFSETS", "100"))


class OtherClock:
    """Ahead by so many ns, and faster by so many ppm."""

    def __init__(self, ahead, ppm=0, says_so=True):
        self.ahead, self.ppm, self.says_so = ahead, ppm, says_so
        self.since = time.time_ns()

    def changes(self):
        """Of the environment of who shall have it."""
        says_so = {"KOINE_OTHER_HOST": "1"} if self.says_so else {}
        return {"LD_PRELOAD": os.environ["KOINE_OTHER_CLOCK"], "KOINE_AHEAD_NS": str(self.ahead),
                "KOINE_DRIFT_PPB": str(self.ppm * 1000), "KOINE_DRIFT_FROM_NS": str(self.since),
                # What io_uring brings by itself does not pass through a function that could be replaced.
                "KOINE_MULTIPLEXER": "epoll", **says_so}

    def offset_at(self, ns):
        return self.ahead + (ns - self.since) * self.ppm / 1e6


def check_bounds(test, clock, journeys):
    """The truth is within the bounds, at the beginning of each journey and at its end."""
    for journey in journeys:
        offset = journey["offset"]
        test.assertEqual("bounds", offset["method"], journey)
        for at in (journey["request"]["write_in"], journey["reply"]["recv_out"]):
            error = abs(offset["theta_ns"] - clock.offset_at(at))
            test.assertLessEqual(error, offset["half_ns"] + 1, journey)  # ours is rounded
        test.assertNotIn("do not fit", journey["verdict"])
        test.assertEqual(journey["total_ns"], sum(span["ns"] for span in journey["spans"]))


class Offset(unittest.TestCase):

    def trace(self, clock):
        with Server("messages", "--on", "rsocket+tcp://127.0.0.1:0", env=environment(**clock.changes())) as server:
            done = koine("trace", server.url, "echo", "hello", "--count", COUNT, "--json")
            self.assertEqual(0, done.returncode, done.stderr)
        journeys = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(COUNT, len(journeys))
        return journeys

    def test_the_truth_is_within_the_bounds_of_each_message(self):
        for ahead, ppm in ((1_230_000_000, 50), (-86_400_000_000_000, -50), (3_000, 0), (-40_000, 99), (0, 0)):
            with self.subTest(ahead=ahead, ppm=ppm):
                clock = OtherClock(ahead, ppm)
                check_bounds(self, clock, self.trace(clock))

    def test_a_server_that_says_it_has_our_clock_and_has_not_is_not_believed(self):
        clock = OtherClock(1_230_000_000, says_so=False)
        check_bounds(self, clock, self.trace(clock))

    def test_one_that_has_it_is(self):
        for journey in self.trace(OtherClock(0, says_so=False)):
            self.assertEqual({"method": "same clock", "theta_ns": 0, "half_ns": 0}, journey["offset"])


if __name__ == "__main__":
    unittest.main()
