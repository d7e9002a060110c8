"""koine trace: any server, and how long each step of the way took by our own kernel's stamps."""

import json
import os
import socket
import unittest

from koine_tool import (CONNECT, EMPTY_REPLY, OK, OUTPUT, TIMED_OUT, USAGE, Datagrams, Peer, TestCase,
                        echo, free_port, koine, read_all)

MULTIPLEXERS = ("epoll", "poll", "select")


def journeys_of(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


class Trace(TestCase):
    def assert_whole(self, journey):
        """The steps add up to the total, and stamps of one host are in their order."""
        self.assertEqual(journey["total_ns"], sum(span["ns"] for span in journey["spans"]))
        request, reply = journey["request"], journey["reply"]
        self.assertEqual(journey["total_ns"], reply["recv_out"] - request["write_in"])
        self.assertLessEqual(request["write_in"], request["sched"])
        self.assertLessEqual(request["sched"], request["snd"][0])
        self.assertLessEqual(reply["recv_in"], reply["recv_out"])

    def test_follows_messages_to_a_server_that_knows_nothing_of_it(self):
        with Peer(echo) as peer:
            for multiplexer in MULTIPLEXERS:
                done = koine("trace", peer.url, "hello", "--count", 20, "--json",
                             "--multiplexer", multiplexer)
                self.assert_exit(OK, done)
                journeys = journeys_of(done)
                self.assertEqual(list(range(1, 21)), [journey["id"] for journey in journeys])
                for journey in journeys:
                    self.assertEqual("koine-journey/1", journey["format"])
                    self.assertEqual(peer.url, journey["server"])
                    self.assertIn("ack", journey["request"])
                    self.assertIn("rx", journey["reply"])
                    self.assert_whole(journey)
                self.assertIn("nothing to compare with yet", journeys[0]["verdict"])
                self.assertNotIn("nothing to compare with yet", journeys[-1]["verdict"])

    def test_shows_the_slowest_on_eighty_columns_with_the_verdict_first(self):
        with Peer(echo) as peer:
            done = koine("trace", peer.url, "hello, layers", "--count", 10, "--slowest", 2, "--layers")
        self.assert_exit(OK, done)
        told = done.stdout.decode()
        lines = told.splitlines()
        self.assertRegex(lines[0], r"^message \d+   [\d.]+ [um]?s")
        self.assertTrue(lines[1].startswith("verdict: "), lines[1])
        self.assertEqual(2, told.count("verdict: "))
        self.assertIn("10 messages, 10 followed: p50 ", told)
        for words in ('"hello, layers"', "4 TCP", "3 IPv4", "2 Ethernet", "stamps of one end"):
            self.assertIn(words, told)
        self.assertNotIn("\x1b", told)
        for line in lines:
            self.assertLessEqual(len(line), 80, line)

    def test_follows_datagrams_and_says_when_there_was_no_answer(self):
        with Datagrams(lambda question: question.upper()) as peer:
            done = koine("trace", peer.url, "hello", "--json", "--count", 3)
            self.assert_exit(OK, done)
            for journey in journeys_of(done):
                self.assert_whole(journey)
                self.assertNotIn("ack", journey["request"])
        with Datagrams(lambda question: None) as peer:
            done = koine("trace", peer.url, "hello", "--timeout", "100ms")
            self.assert_exit(TIMED_OUT, done)
            self.assertIn(b"1 without an answer", done.stdout)

    def test_a_unix_socket_has_the_programs_stamps_and_it_says_so(self):
        path = os.path.join(self.scratch(), "socket")
        with Peer(echo, socket.AF_UNIX, path) as peer:
            done = koine("trace", peer.url, "hello")
            self.assert_exit(OK, done)
            self.assertIn(b"the programs' stamps only", done.stdout)
            self.assertIn(b"the kernel stamps TCP and UDP only", done.stdout)

    def test_a_message_nobody_answers_ends_with_its_confirmation(self):
        with Peer(read_all) as peer:
            done = koine("trace", peer.url, "hello", "--no-reply", "--json")
            self.assert_exit(OK, done)
            (journey,) = journeys_of(done)
            self.assertEqual("3", journey["spans"][-1]["last"])
            self.assertEqual("at most", journey["spans"][-1]["quality"])

    def test_an_answer_may_be_longer_than_its_first_piece(self):
        with Peer(echo) as peer:
            done = koine("trace", peer.url, "-", "--reply-bytes", "1MiB", "--json", "--count", 2,
                         input=b"k" * (1 << 20))
            self.assert_exit(OK, done)
            for journey in journeys_of(done):
                self.assertEqual(1 << 20, journey["reply"]["bytes"])

    def test_follows_one_message_in_so_many(self):
        with Peer(echo) as peer:
            done = koine("trace", peer.url, "hello", "--count", 21, "--every", 10, "--json")
            self.assert_exit(OK, done)
            self.assertEqual(3, len(journeys_of(done)))

    def test_files_are_what_their_readers_expect(self):
        names = {kind: os.path.join(self.scratch(), kind) for kind in ("pcapng", "perfetto", "otlp")}
        with Peer(echo) as peer:
            options = [word for kind, name in names.items() for word in (f"--{kind}", name)]
            done = koine("trace", peer.url, "hello", "--count", 3, *options)
        self.assert_exit(OK, done)
        with open(names["pcapng"], "rb") as file:
            self.assertEqual(b"\x0a\x0d\x0d\x0a", file.read(4))
        with open(names["perfetto"]) as file:
            for event in json.load(file)["traceEvents"]:
                self.assertIn(event["ph"], "MXsf")
                if event["ph"] != "M":
                    self.assertGreaterEqual(event["ts"], 0)
        with open(names["otlp"]) as file:
            client, server = json.load(file)["resourceSpans"]
            spans = client["scopeSpans"][0]["spans"]
            self.assertEqual(3, len(spans))
            self.assertEqual(3, len({span["traceId"] for span in spans}))
            for span in spans:
                self.assertRegex(span["traceId"], "^[0-9a-f]{32}$")
                self.assertRegex(span["spanId"], "^[0-9a-f]{16}$")
                self.assertLess(int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"]))
            self.assertEqual([], server["scopeSpans"][0]["spans"])

    def test_what_cannot_be_done_is_said(self):
        with Peer(echo) as peer:
            self.assert_complains(USAGE, "expected 1 to", koine("trace", peer.url, ""))
            self.assert_complains(USAGE, "expected 1 to", koine("trace", peer.url, input=b""))
            done = koine("trace", peer.url, "hello", "--otlp", "/nowhere/at/all")
            self.assert_complains(OUTPUT, "/nowhere/at/all", done)
            with open("/dev/full", "wb") as full:
                done = koine("trace", peer.url, "hello", "--json", "--count", 3, stdout=full)
            self.assert_complains(OUTPUT, "standard output", done)
        port = free_port()
        done = koine("trace", f"tcp://127.0.0.1:{port}", "hello")
        self.assert_complains(CONNECT, "refused", done)
        with Peer(lambda connection: connection.recv(100)) as peer:
            self.assert_complains(EMPTY_REPLY, "without an answer", koine("trace", peer.url, "hello"))
        with Peer(lambda connection: connection.recv(100) and connection.recv(100)) as peer:
            done = koine("trace", peer.url, "hello", "--timeout", "100ms")
            self.assert_complains(TIMED_OUT, "timed out", done)


if __name__ == "__main__":
    unittest.main()
