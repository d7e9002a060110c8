"""koine trace of servers that talk in messages: those that tell their end of the way, and all others."""

import json
import struct
import time
import unittest

from koine_tool import (CONNECT, FAILED, OK, USAGE, Peer, Server, TestCase, echo, free_port, koine)

SETUP, REQUEST_RESPONSE, REQUEST_FNF, PAYLOAD, METADATA_PUSH = 0x01, 0x04, 0x05, 0x0A, 0x0C
HAS_METADATA, COMPLETE, NEXT = 0x100, 0x40, 0x20
JOURNEY = b"message/x.koine.journey.v0"
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


def push(connection, block):
    """Sends what a peer tells of journeys."""
    entry = bytes([len(JOURNEY) - 1]) + JOURNEY + len(block).to_bytes(3, "big") + block
    frame = struct.pack(">IH", 0, METADATA_PUSH << 10 | HAS_METADATA) + entry
    connection.sendall(len(frame).to_bytes(3, "big") + frame)


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

    def test_a_message_without_an_answer_has_one_way_with_the_stamps_of_both_ends(self):
        with Server("messages") as server:
            done = koine("trace", server.url, "note", "hello", "--no-reply", "--count", 20, "--json")
        self.assert_exit(OK, done)
        journeys = journeys_of(done)
        self.assertEqual(20, len(journeys))
        for journey in journeys:
            self.assertEqual(journey["total_ns"], sum(span["ns"] for span in journey["spans"]))
            self.assertNotIn("recv_out", journey["reply"])
        stamps = {"write_in", "write_out", "sched", "snd", "rx", "recv_in", "recv_out"}
        self.assertTrue(any(stamps <= journey["request"].keys() for journey in journeys))

    def test_shows_a_streams_request_and_its_first_items(self):
        with Server("messages") as server:
            done = koine("trace", server.url, "count", "10", "--stream", "--take", 2)
            self.assert_exit(OK, done)
            told = done.stdout.decode()
            self.assertRegex(told, r"(?ms)^request\nmessage .*^item 1\nmessage .*^item 2\nmessage ")
            self.assertNotIn("item 3", told)
            self.assertIn("7 of 7 stamps: the kernel's stamps of both ends", told)
            self.assertIn("1     copy + TCP/IP", told)
            self.assertIn("5'    wake-up + copy", told)
            for line in told.splitlines():
                self.assertLessEqual(len(line), 80, line)
            done = koine("trace", server.url, "count", "3", "--stream", "--count", 2, "--json")
            self.assert_exit(OK, done)
            items = [journey for journey in journeys_of(done) if "recv_out" in journey["reply"]]
            self.assertEqual(6, len(items))
            self.assertEqual(8, len(journeys_of(done)))
            for item in items:
                self.assertIn("write_in", item["reply"])
                self.assertNotIn("write_in", item["request"])

    def test_says_what_the_server_did_not_tell(self):
        def tells_nothing(connection):
            """It says hello, and then nothing of any message."""
            for _, kind, _, _ in frames_of(connection):
                if kind == SETUP:
                    push(connection, struct.pack(">BBBIQQ", 1, 0, 1, 1 << 20, 7, 7))

        with Peer(tells_nothing) as peer:
            done = koine("trace", "rsocket+" + peer.url, "note", "hello", "--no-reply")
        self.assert_exit(OK, done)
        self.assertIn(b"1 half is missing: the server did not tell within a second", done.stdout)

    def test_a_server_that_names_our_clock_is_believed_while_its_stamps_fit(self):
        ahead = 5_000_000_000

        def echoes_our_hello(connection):
            for stream, kind, _, rest in frames_of(connection):
                if kind == SETUP:
                    ours = rest[rest.index(JOURNEY) + len(JOURNEY) + 3:][:23]
                    push(connection, ours)
                elif kind == REQUEST_FNF:
                    now = time.time_ns() + ahead  # received, and told
                    push(connection, struct.pack(">BIQHQ35x", 6, stream, 0, 0x541, now))

        with Peer(echoes_our_hello) as peer:
            done = koine("trace", "rsocket+" + peer.url, "note", "hello", "--no-reply", "--json")
        self.assert_exit(OK, done)
        journey, = journeys_of(done)
        self.assertEqual("bounds", journey["offset"]["method"])
        self.assertLessEqual(abs(journey["offset"]["theta_ns"] - ahead), journey["offset"]["half_ns"])
        self.assertEqual(journey["total_ns"], sum(span["ns"] for span in journey["spans"]))

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
            self.assertIn(b"14 of 14 stamps: the kernel's stamps of both ends", done.stdout)

    def test_what_makes_no_sense_is_said(self):
        with Server("messages") as server, Peer(echo) as bytes_peer:
            self.assert_complains(USAGE, "which route?", koine("trace", server.url))
            self.assert_complains(USAGE, "has no routes",
                                  koine("trace", bytes_peer.url, "echo", "hello"))
            self.assert_complains(USAGE, "--no-reply and --stream",
                                  koine("trace", server.url, "echo", "--no-reply", "--stream"))
            self.assert_complains(USAGE, "has no streams",
                                  koine("trace", bytes_peer.url, "echo", "--stream"))
            self.assert_complains(USAGE, "--reply-bytes",
                                  koine("trace", server.url, "echo", "x", "--reply-bytes", "5"))
            self.assert_complains(USAGE, "at most 255 bytes", koine("trace", server.url, "r" * 256))
        done = koine("trace", f"rsocket+tcp://127.0.0.1:{free_port()}", "echo", "hello")
        self.assert_complains(CONNECT, "refused", done)


if __name__ == "__main__":
    unittest.main()
