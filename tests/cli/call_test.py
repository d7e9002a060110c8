"""koine call and koine bench against koine serve messages: answers, items, errors, exit codes."""

import json
import os
import signal
import socket
import subprocess
import unittest

from koine_tool import (CONNECT, DEADLINE, FAILED, KOINE, OK, RECEIVE, TIMED_OUT, USAGE, Peer, Server,
                        TestCase, free_port, koine)


class Call(TestCase):

    def setUp(self):
        super().setUp()
        self.server = self.enterContext(Server("messages"))

    def call(self, *arguments, **options):
        return koine("call", self.server.url, *arguments, **options)

    def test_says_where_it_listens_so_that_it_can_be_called(self):
        self.assertTrue(self.server.url.startswith("rsocket+tcp://127.0.0.1:"), self.server.url)

    def test_prints_the_answer_as_it_is(self):
        done = self.call("echo", "hello, κόσμε")
        self.assert_exit(OK, done)
        self.assertEqual("hello, κόσμε".encode(), done.stdout)
        self.assertEqual(b"", done.stderr)
        self.assertEqual(b"", self.call("echo").stdout)
        self.assertEqual(b"42", self.call("sum", "20 -3 25").stdout)
        self.assertEqual(b"1 ms later", self.call("slow", "1").stdout)

    def test_sends_standard_input_of_any_bytes(self):
        data = os.urandom(700_000)
        done = self.call("echo", "-", input=data)
        self.assert_exit(OK, done)
        self.assertTrue(done.stdout == data)

    def test_a_message_that_is_too_large_is_refused_before_it_is_sent(self):
        done = self.call("echo", "-", input=bytes(1_048_577))
        self.assert_exit(FAILED, done)
        self.assertIn(b"a message has at most 1048576 bytes", done.stderr)

    def test_prints_the_items_of_a_stream_in_lines(self):
        done = self.call("count", "1000", "--stream")
        self.assert_exit(OK, done)
        self.assertEqual([str(i) for i in range(1000)], done.stdout.decode().splitlines())

    def test_takes_so_many_items_and_cancels_the_rest(self):
        done = self.call("count", str(2**60), "--stream", "--take", "100")
        self.assert_exit(OK, done)
        self.assertEqual([str(i) for i in range(100)], done.stdout.decode().splitlines())

    def test_fires_and_forgets(self):
        done = self.call("echo", "x", "--no-reply")  # which nobody answers, nor complains about
        self.assert_exit(OK, done)
        self.assertEqual(b"", done.stdout)

    def test_prints_json(self):
        answer = json.loads(self.call("echo", "hello", "--json").stdout)
        self.assertEqual({"url", "route", "reply", "elapsed_ns"}, answer.keys())
        self.assertEqual(("hello", "echo"), (answer["reply"], answer["route"]))
        binary = json.loads(self.call("echo", "-", "--json", input=b"\xff\x00").stdout)
        self.assertEqual("/wA=", binary["reply_base64"])
        lines = self.call("count", "3", "--stream", "--json").stdout.splitlines()
        self.assertEqual([(0, "0"), (1, "1"), (2, "2")],
                         [(line["item"], line["data"]) for line in map(json.loads, lines)])
        failed = self.call("fail", "why", "--json")
        self.assertIn("why", json.loads(failed.stdout)["error"])

    def test_tells_what_the_service_says_is_wrong(self):
        for arguments, words in (
                (("fail", "no paper"), "call fail: failed: APPLICATION_ERROR: fail: failed: no paper"),
                (("nowhere",), "no handler for REQUEST_RESPONSE of route 'nowhere'"),
                (("echo", "--stream"), "no handler for REQUEST_STREAM of route 'echo'"),
                (("slow", "soon"), "malformed: INVALID: decode request of slow: malformed: expected "
                                   "an integer from 0 to 18446744073709551615, not 'soon'"),
                (("sum", "1 x"), "expected an integer"),
                (("sum", "9223372036854775807 1"), "it needs more than 64 bits")):
            with self.subTest(arguments):
                done = self.call(*arguments)
                self.assert_exit(FAILED, done)
                self.assertIn(words, done.stderr.decode())

    def test_gives_up_in_time(self):
        done = self.call("slow", "3600000", "--timeout", "100ms")
        self.assert_exit(TIMED_OUT, done)
        self.assertIn(b"call slow: timed out", done.stderr)

    def test_works_over_unix_sockets(self):
        path = os.path.join(self.scratch(), "s")
        with Server("messages", "--on", f"rsocket+unix:{path}") as server:
            self.assertEqual(f"rsocket+unix:{path}", server.url)
            self.assertEqual(b"x", koine("call", server.url, "echo", "x").stdout)

    def test_a_server_that_is_told_to_stop_lets_calls_finish(self):
        with subprocess.Popen([KOINE, "call", self.server.url, "count", str(2**60), "--stream",
                               "--take", "100000"], stdout=subprocess.PIPE) as caller:
            self.assertEqual(b"0\n", caller.stdout.readline())
            self.server.send_signal(signal.SIGTERM)
            rest = caller.stdout.read().splitlines()
            self.assertEqual(OK, caller.wait(DEADLINE))
            self.assertEqual(99_999, len(rest))
        self.assertEqual(OK, self.server.wait())


class Wrong(TestCase):

    def test_what_makes_no_sense_is_told(self):
        url = "rsocket+tcp://127.0.0.1:9"
        for arguments, words in (
                (("tcp://127.0.0.1:9", "echo"), "expected rsocket+tcp://"),
                (("rsocket+ws://127.0.0.1:9", "echo"), "expected rsocket+tcp://"),
                ((url, "echo", "--take", "3"), "add --stream"),
                ((url, "echo", "--stream", "--no-reply"), "contradict"),
                ((url, "x" * 256), "at most 255 bytes"),
                ((url,), "ROUTE"),
                (("rsocket+tcp://127.0.0.1:99999", "echo"), "larger than 65535")):
            with self.subTest(arguments):
                done = koine("call", *arguments)
                self.assert_exit(USAGE, done)
                self.assertIn(words, done.stderr.decode())
        served = koine("serve", "messages", "--on", "rsocket+ws://127.0.0.1:0")
        self.assert_exit(USAGE, served)
        self.assertIn(b"or for messages rsocket+tcp://", served.stderr)
        echo = koine("serve", "echo", "--on", "rsocket+tcp://127.0.0.1:0")
        self.assert_exit(USAGE, echo)
        self.assertIn(b"expects messages", echo.stderr)
        self.assert_exit(USAGE, koine("send", url, "x"))

    def test_nobody_there(self):
        done = koine("call", f"rsocket+tcp://127.0.0.1:{free_port()}", "echo", "x")
        self.assert_exit(CONNECT, done)

    def test_a_server_that_speaks_something_else(self):
        def http(connection):
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with Peer(http) as peer:
            done = koine("call", "rsocket+" + peer.url, "echo", "x")
        self.assert_exit(RECEIVE, done)
        self.assertIn(b"over the limit", done.stderr)  # "HTT" is a large length

    def test_a_server_that_goes_away(self):
        with Peer(lambda connection: connection.recv(1000)) as peer:
            done = koine("call", "rsocket+" + peer.url, "echo", "x")
        self.assert_exit(RECEIVE, done)


class Bench(TestCase):

    def bench(self, *arguments):
        return koine("bench", *arguments, "--duration", "200ms", "--json")

    def test_compares_every_answer_and_every_item(self):
        with Server("messages") as server:
            for arguments in (("--connections", "2", "--pipeline", "8"),
                              ("--connections", "1", "--size", "100000"),
                              ("--connections", "1", "--rate", "100"),
                              ("--connections", "2", "--stream")):
                with self.subTest(arguments):
                    done = self.bench(server.url, *arguments)
                    self.assert_exit(OK, done)
                    report = json.loads(done.stdout)
                    self.assertGreater(report["answered"], 0)
                    self.assertEqual({}, report.get("errors") or {})

    def test_what_is_for_messages_only_is_told(self):
        for arguments, words in ((("tcp://127.0.0.1:9", "--stream"), "--stream is for RSocket"),
                                 (("rsocket+tcp://127.0.0.1:9", "--size", "2MiB"), "a message has at most"),
                                 (("rsocket+tcp://127.0.0.1:9", "--stream", "--rate", "5"), "a window")):
            with self.subTest(arguments):
                done = koine("bench", *arguments)
                self.assert_exit(USAGE, done)
                self.assertIn(words, done.stderr.decode())


if __name__ == "__main__":
    unittest.main()
