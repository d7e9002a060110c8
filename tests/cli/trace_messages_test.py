"""koine trace of servers that talk in messages: those that tell their end of the way, and all others."""

import json
import struct
import unittest

from koine_tool import (CONNECT, FAILED, OK, USAGE, Peer, Server, TestCase, echo, free_port, koine)

SETUP, REQUEST_RESPONSE, PAYLOAD, METADATA_PUSH = 0x01, 0x04, 0x0A, 0x0C
HAS_METADATA, COMPLETE, NEXT = 0x100, 0x40, 0x20
ROUTING = 0x80 | 0x7E  # "message/x.rsocket.routing.v0", by its number


def journeys_of(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def frames_of(connection):
    """The frames that arrive: stream, type, metadata, data."""
    received = connection.makefile("rb")
    while head := received.read(3):
        frame = received.read(int.from_bytes(head, "big"))
        stream, word = struct.unpack(">IH", frame[:6])
        kind, rest, metadata = word >> 10, frame[6:], None
        if kind == REQUEST_RESPONSE and word & HAS_METADATA:
            size = int.from_bytes(rest[:3], "big")
            metadata, rest = rest[3:3 + size], rest[3 + size:]
        yield stream, kind, metadata, rest


class Foreign:
    """A server that answers calls as RSocket 1.0 says, and has never heard of journeys."""

    def __init__(self):
        self.kinds = []
        self.metadata = []

    def __call__(self, connection):
        for stream, kind, metadata, data in frames_of(connection):
            self.kinds.append(kind)
            if kind == REQUEST_RESPONSE:
                self.metadata.append(metadata)
                frame = struct.pack(">IH", stream, PAYLOAD << 10 | COMPLETE | NEXT) + data
                connection.sendall(len(frame).to_bytes(3, "big") + frame)


class TraceMessages(TestCase):
    def assert_whole(self, journey):
        self.assertEqual(journey["total_ns"], sum(span["ns"] for span in journey["spans"]))
        self.assertEqual(journey["total_ns"],
                         journey["reply"]["recv_out"] - journey["request"]["write_in"])

    def test_has_the_stamps_of_both_ends(self):
        with Server("messages") as server:
            for multiplexer in ("epoll", "poll", "select"):
                done = koine("trace", server.url, "echo", "hello", "--count", 20, "--json",
                             "--multiplexer", multiplexer)
                self.assert_exit(OK, done)
                journeys = journeys_of(done)
                self.assertEqual(20, len(journeys))
                for journey in journeys:
                    self.assert_whole(journey)
                    self.assertEqual("same clock", journey["offset"]["method"])
                    self.assertRegex(journey["trace_id"], "^[0-9a-f]{32}$")
                    self.assertIn("recv_out", journey["request"])
                # On a machine that stands still for a while, a late block may come too late.
                stamps = {"write_in", "write_out", "sched", "snd", "rx", "recv_in", "recv_out"}
                self.assertTrue(any(stamps <= journey["request"].keys() & journey["reply"].keys()
                                    for journey in journeys))
                self.assertEqual(20, len({journey["trace_id"] for journey in journeys}))

    def test_shows_thirteen_steps_and_the_layers_each_way(self):
        with Server("messages") as server:
            done = koine("trace", server.url, "echo", "hello, layers", "--layers")
        self.assert_exit(OK, done)
        told = done.stdout.decode()
        self.assertIn("14 of 14 stamps: the kernel's stamps of both ends, and the frames", told)
        for step in ("1     copy", "3     network there", "5     wake-up", "-     program",
                     "3'    network back", "5'    wake-up"):
            self.assertIn(step, told)
        self.assertEqual(2, told.count("4 TCP"))
        for line in told.splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_servers_of_all_kinds_tell(self):
        for concurrency in ("thread", "process"):
            with Server("messages", "--concurrency", concurrency) as server:
                done = koine("trace", server.url, "sum", "1 2", "--json")
                self.assert_exit(OK, done)
                self.assertIn("rx", journeys_of(done)[0]["request"])

    def test_follows_one_call_in_so_many(self):
        with Server("messages") as server:
            done = koine("trace", server.url, "echo", "hi", "--count", 21, "--every", 10, "--json")
        self.assert_exit(OK, done)
        self.assertEqual(3, len(journeys_of(done)))

    def test_a_foreign_server_gives_half_and_sees_nothing_of_it_in_its_requests(self):
        foreign = Foreign()
        with Peer(foreign) as peer:
            done = koine("trace", "rsocket+" + peer.url, "a/route", "hello", "--count", 3, "--json")
        self.assert_exit(OK, done)
        for journey in journeys_of(done):
            self.assert_whole(journey)
            self.assertNotIn("rx", journey["request"])
            self.assertNotIn("write_in", journey["reply"])
            self.assertNotIn("offset", journey)
            self.assertIn("sched", journey["request"])
            self.assertIn("rx", journey["reply"])
        self.assertEqual(SETUP, foreign.kinds[0])
        self.assertNotIn(METADATA_PUSH, foreign.kinds)
        route = bytes([ROUTING, 0, 0, 8, 7]) + b"a/route"
        self.assertEqual(3, len(foreign.metadata))
        for metadata in foreign.metadata:
            self.assertTrue(metadata.startswith(route), metadata)
            self.assertNotIn(b"journey", metadata)

    def test_an_error_of_the_handlers_is_told_and_shown(self):
        with Server("messages") as server:
            done = koine("trace", server.url, "fail", "no paper")
            self.assert_exit(FAILED, done)
            self.assertIn(b"no paper", done.stderr)
            self.assertIn(b"verdict: ", done.stdout)

    def test_what_makes_no_sense_is_said(self):
        with Server("messages") as server, Peer(echo) as bytes_peer:
            self.assert_complains(USAGE, "which route?", koine("trace", server.url))
            self.assert_complains(USAGE, "has no routes",
                                  koine("trace", bytes_peer.url, "echo", "hello"))
            self.assert_complains(USAGE, "--no-reply",
                                  koine("trace", server.url, "echo", "x", "--no-reply"))
            self.assert_complains(USAGE, "--reply-bytes",
                                  koine("trace", server.url, "echo", "x", "--reply-bytes", "5"))
            self.assert_complains(USAGE, "at most 255 bytes", koine("trace", server.url, "r" * 256))
        done = koine("trace", f"rsocket+tcp://127.0.0.1:{free_port()}", "echo", "hello")
        self.assert_complains(CONNECT, "refused", done)


if __name__ == "__main__":
    unittest.main()
