"""Journeys between two hosts with a router between them: over IPv4 and IPv6, with loss, with two clocks."""

import collections
import ipaddress
import os
import re
import tempfile
import unittest

from offset_test import OtherClock, check_bounds
from two_hosts import KOINE, MS, OUR_CPU, TwoHosts, before_others

MESSAGES = int(os.environ.get("KOINE_LOSSES", "150"))

KINDS = {4: ("0800", 26, "10.77.0.1", "10.78.0.1"), 6: ("86dd", 22, "fd77::1", "fd78::1")}


class Hosts(TwoHosts):

    def test_the_same_is_known_over_both_versions_of_ip(self):
        for version, (_, _, _, server) in KINDS.items():
            host = f"[{server}]" if version == 6 else server
            for transport, stamps in (("tcp", ("write_in", "sched", "snd", "ack")),
                                      ("udp", ("write_in", "sched", "snd"))):
                with self.subTest(version=version, transport=transport):
                    url = self.serve("echo", f"{transport}://{host}:0")
                    journeys = self.trace(url, "hello", "--count", 10)
                    self.assertEqual(10, len(journeys))
                    for journey in journeys:
                        for stamp in stamps:
                            self.assertIn(stamp, journey["request"], journey)
                        self.assertIn("rx", journey["reply"], journey)
                    self.assert_headers(version, transport, url)
            with self.subTest(version=version, transport="messages"):
                url = self.serve("messages", f"rsocket+tcp://{host}:0")
                for journey in self.trace(url, "echo", "hello", "--count", 10):
                    self.assertEqual("same clock", journey["offset"]["method"])
                    self.assertEqual(13, len(journey["spans"]), journey)

    def assert_headers(self, version, transport, url):
        """Those that the kernel gave back, in the journey and in words."""
        ethertype, offset, client, server = KINDS[version]
        with tempfile.NamedTemporaryFile() as file:
            for journey in self.trace(url, "hello", "--count", 2, "--pcapng", file.name):
                (frame,) = journey["frames"]
                data = bytes.fromhex(frame["bytes"])
                self.assertEqual(ethertype, data[12:14].hex())
                size = 4 if version == 4 else 16
                self.assertEqual([ipaddress.ip_address(client), ipaddress.ip_address(server)],
                                 [ipaddress.ip_address(data[offset + i * size:offset + (i + 1) * size])
                                  for i in (0, 1)])
                self.assertIn(b"hello", data)
        shown = self.at(self.client, KOINE, "trace", url, "hello", "--layers").stdout
        for words in (f"3 IPv{version}", f"4 {transport.upper()}", "2 Ethernet", f"{client} > {server}", '"hello"'):
            self.assertIn(words, shown)

    def lose(self, space, percent):
        """Of the segments with data that a host gets, in turn and for as long as it takes."""
        self.at(space, "nft", "add table inet faults; add chain inet faults lose { type filter hook input priority 0; };"
                " add rule inet faults lose tcp dport != 1 tcp flags & psh == psh"
                f" numgen random mod 100 < {percent} drop")

    def test_a_loss_on_either_way_is_named_by_who_asked(self):
        self.lose(self.server, 5)
        self.lose(self.client, 5)
        for version, (_, _, _, server) in KINDS.items():
            with self.subTest(version=version):
                host = f"[{server}]" if version == 6 else server
                url = self.serve("messages", f"rsocket+tcp://{host}:0")
                named = collections.Counter()
                while not named["there"] or not named["back"]:
                    for journey in self.trace(url, "echo", "hello", "--count", MESSAGES)[5:]:
                        if journey["total_ns"] < 15 * MS or "for a CPU" in journey["verdict"]:
                            continue
                        # The last is what was lost so often that nobody waited for the end of it.
                        found = re.search(r"lost (once|twice|\d+ times) on the way (there|back)|lost and sent again",
                                          journey["verdict"])
                        self.assertTrue(found, journey)
                        named[found[2]] += 1

    def test_the_bounds_of_another_clock_hold_whatever_the_way_does(self):
        clock = OtherClock(1_230_000_000, 50)
        url = self.serve("messages", "rsocket+tcp://[fd78::1]:0", clock.changes())
        for name, disturb in (("nothing", lambda: None),
                              ("a queue on one way", self.shape_server),
                              ("loss", lambda: (self.lose(self.server, 3), self.lose(self.client, 3)))):
            with self.subTest(disturbed_by=name):
                disturb()
                journeys = self.trace(url, "echo", "k" * 1000, "--count", 100)
                check_bounds(self, clock, journeys)
                self.at(self.server, "tc", "qdisc", "del", "dev", "wire", "root", check=False)

    def shape_server(self):
        self.at(self.server, "tc", "qdisc", "add", "dev", "wire", "root", "netem", "delay", "6ms", check=False)


if __name__ == "__main__":
    unittest.main()
