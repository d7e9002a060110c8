"""koine send, against peers written in Python."""

import base64
import json
import os
import socket
import subprocess
import threading
import unittest

from koine_tool import (CONNECT, DEADLINE, EMPTY_REPLY, KOINE, OK, OUTPUT, RECEIVE, RESOLVE, SEND,
                        TIMED_OUT, Datagrams, Peer, TestCase, echo, environment, free_port, koine,
                        read_all, reset)

MULTIPLEXERS = ["io_uring", "epoll", "poll", "select"]


class SendByStream(TestCase):
    def test_sends_the_text_as_it_is_and_prints_what_comes_back(self):
        with Peer(echo) as peer:
            done = koine("send", peer.url, "hello, κόσμε")
        self.assert_exit(OK, done)
        self.assertEqual("hello, κόσμε".encode(), done.stdout)
        self.assertEqual(b"", done.stderr)

    def test_sends_any_bytes_of_a_pipe_or_a_file_on_every_multiplexer(self):
        data = os.urandom(3_000_000)
        path = os.path.join(self.scratch(), "data")
        with open(path, "wb") as file:
            file.write(data)
        with Peer(echo) as peer:
            for multiplexer in MULTIPLEXERS:
                arguments = ("send", peer.url, "-", "--multiplexer", multiplexer)
                with self.subTest(multiplexer):
                    piped = koine(*arguments, input=data)
                    self.assert_exit(OK, piped)
                    self.assertTrue(piped.stdout == data)
                    with open(path, "rb") as file:
                        from_file = koine(*arguments, stdin=file)
                    self.assert_exit(OK, from_file)
                    self.assertTrue(from_file.stdout == data)

    def test_input_that_comes_in_pieces_is_sent_in_pieces(self):
        # The second piece is written only after the first has come back.
        with Peer(echo) as peer:
            for multiplexer in MULTIPLEXERS:
                with self.subTest(multiplexer), subprocess.Popen(
                        [KOINE, "send", peer.url, "--multiplexer", multiplexer],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
                    for piece in (b"one\n", b"two\n"):
                        sender.stdin.write(piece)
                        sender.stdin.flush()
                        self.assertEqual(piece, sender.stdout.readline())
                    sender.stdin.close()
                    self.assertEqual(b"", sender.stdout.read())
                    self.assertEqual(OK, sender.wait(DEADLINE))

    def test_says_that_no_more_follows_and_reads_until_the_server_has_finished(self):
        def count(connection):
            connection.sendall(str(len(read_all(connection))).encode())

        with Peer(count) as peer:
            done = koine("send", peer.url, input=b"x" * 100_000)
        self.assert_exit(OK, done)
        self.assertEqual(b"100000", done.stdout)

    def test_a_server_that_speaks_first_needs_nothing_said(self):
        with Peer(lambda connection: connection.sendall(b"220 ready\r\n")) as peer:
            done = koine("send", peer.url, stdin=subprocess.DEVNULL)
        self.assert_exit(OK, done)
        self.assertEqual(b"220 ready\r\n", done.stdout)

    def test_works_over_unix_sockets_with_paths_and_with_abstract_names(self):
        path = os.path.join(self.scratch(), "s")
        with Peer(echo, socket.AF_UNIX, path):
            self.assertEqual(b"a", koine("send", f"unix:{path}", "a").stdout)
        name = f"koine-send-test-{os.getpid()}"
        with Peer(echo, socket.AF_UNIX, "\0" + name):
            self.assertEqual(b"b", koine("send", f"unix:@{name}", "b").stdout)

    def test_a_server_that_says_nothing_is_an_empty_reply(self):
        with Peer(read_all) as peer:
            self.assert_complains(EMPTY_REPLY, "without a word", koine("send", peer.url, "hello?"))

    def test_no_reply_is_waited_for_if_none_is_wanted(self):
        heard = []
        got_it = threading.Event()

        def listen(connection):
            heard.append(read_all(connection))
            got_it.set()
            connection.recv(1)  # never answers, nor ends

        with Peer(listen) as peer:
            done = koine("send", "--no-reply", peer.url, "take this")
            self.assert_exit(OK, done)
            self.assertEqual(b"", done.stdout)
            self.assertTrue(got_it.wait(DEADLINE))
        self.assertEqual([b"take this"], heard)

    def test_nobody_there_is_a_connect_error(self):
        done = koine("send", f"tcp://127.0.0.1:{free_port()}", "x")
        self.assert_complains(CONNECT, "refused", done)
        self.assert_complains(CONNECT, "not found", koine("send", "unix:/nonexistent/s", "x"))

    def test_a_name_without_an_address_is_a_resolve_error(self):
        # RFC 6761, section 6.4: .invalid never has one.
        done = koine("send", "tcp://nowhere.invalid:1", "x")
        self.assert_complains(RESOLVE, "nowhere.invalid", done)

    def test_a_server_that_stays_silent_is_a_timeout(self):
        release = threading.Event()
        with Peer(lambda connection: release.wait(DEADLINE)) as peer:
            done = koine("send", peer.url, "hello?", "--timeout", "100ms")
            release.set()
        self.assert_complains(TIMED_OUT, "timed out", done)

    def test_a_server_that_does_not_read_is_a_timeout_too(self):
        release = threading.Event()
        with Peer(lambda connection: release.wait(DEADLINE)) as peer:
            done = koine("send", peer.url, "--timeout", "200ms", input=b"x" * 20_000_000)
            release.set()
        self.assert_complains(TIMED_OUT, "timed out", done)

    def test_input_may_take_longer_than_the_timeout(self):
        # The server's silence counts only once everything has been said.
        with Peer(echo) as peer, subprocess.Popen(
                [KOINE, "send", peer.url, "--timeout", "50ms"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE) as sender:
            threading.Event().wait(0.3)
            self.assertIsNone(sender.poll())
            sender.stdin.write(b"late")
            sender.stdin.close()
            self.assertEqual(b"late", sender.stdout.read())
            self.assertEqual(OK, sender.wait(DEADLINE))

    def test_input_that_never_ends_is_given_up_when_the_server_has_finished(self):
        with Peer(lambda connection: connection.sendall(b"bye\n")) as peer, subprocess.Popen(
                [KOINE, "send", peer.url, "--timeout", "100ms"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE) as sender:
            self.assertEqual(b"bye\n", sender.stdout.read())
            self.assertEqual(TIMED_OUT, sender.wait(DEADLINE))
            self.assertIn(b"the server has finished", sender.stderr.read())

    def test_what_came_before_the_connection_broke_is_printed(self):
        def break_off(connection):
            connection.recv(100)
            connection.sendall(b"half")
            self.assertEqual(b"", connection.recv(100))  # everything was said
            reset(connection)

        with Peer(break_off) as peer:
            done = koine("send", peer.url, "x")
        self.assert_complains(RECEIVE, "connection reset", done)
        # The reset may overtake the bytes; but nothing else may be printed.
        self.assertIn(done.stdout, (b"half", b""))

    def test_an_answer_that_comes_before_all_was_said_is_printed(self):
        def refuse(connection):
            connection.recv(1)
            connection.sendall(b"too much\n")
            connection.shutdown(socket.SHUT_WR)
            read_all(connection)

        with Peer(refuse) as peer:
            done = koine("send", peer.url, input=b"x" * 3_000_000)
        self.assert_exit(OK, done)
        self.assertEqual(b"too much\n", done.stdout)

    def test_waits_for_a_server_that_starts_later(self):
        path = os.path.join(self.scratch(), "late")
        with subprocess.Popen([KOINE, "send", f"unix:{path}", "x", "--wait", "--timeout", "50s"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as sender:
            threading.Event().wait(0.1)  # some attempts fail first; the test holds without
            with Peer(echo, socket.AF_UNIX, path):
                self.assertEqual(b"x", sender.stdout.read())
                self.assertEqual(OK, sender.wait(DEADLINE))

    def test_waiting_ends_with_the_timeout_and_says_how_often_it_tried(self):
        done = koine("send", f"tcp://127.0.0.1:{free_port()}", "x", "--wait", "--timeout", "100ms")
        self.assert_complains(CONNECT, "attempts", done)

    def test_output_that_cannot_be_written_is_an_error(self):
        with Peer(echo) as peer, open("/dev/full", "wb") as full:
            done = koine("send", peer.url, "x", stdout=full)
        self.assert_complains(OUTPUT, "No space left", done)

    def test_runs_with_closed_standard_input(self):
        with Peer(lambda connection: connection.sendall(read_all(connection) + b"!")) as peer:
            done = koine("-c", f"exec {KOINE} send {peer.url} <&-", executable="/bin/sh")
        self.assert_exit(OK, done)
        self.assertEqual(b"!", done.stdout)

    def test_an_inherited_socket_is_nothing_to_send_to(self):
        self.assert_complains(CONNECT, "not connected to", koine("send", "fd://3", "x"))


class SendJson(TestCase):
    def test_prints_one_object_with_the_reply_and_how_much_went_each_way(self):
        for peer in (Peer(echo), Datagrams(lambda question: question)):
            with peer:
                url = peer.url
                done = koine("send", url, "hello, κόσμε", "--json")
            self.assert_exit(OK, done)
            result = json.loads(done.stdout)
            self.assertEqual((url, 17, 17, "hello, κόσμε"),
                             (result["url"], result["sent_bytes"], result["received_bytes"],
                              result["reply"]))
            self.assertGreater(result["elapsed_ns"], 0)
            self.assertNotIn("error", result)

    def test_a_reply_that_is_no_text_is_in_base64(self):
        with Peer(echo) as peer:
            for size in range(1, 8):
                data = bytes([255] * size)
                result = json.loads(koine("send", peer.url, "--json", input=data).stdout)
                self.assertNotIn("reply", result)
                self.assertEqual(data, base64.b64decode(result["reply_base64"], validate=True))

    def test_an_error_is_in_the_object_and_in_the_exit_code(self):
        done = koine("send", f"tcp://127.0.0.1:{free_port()}", "x", "--json")
        self.assert_complains(CONNECT, "refused", done)
        self.assertIn("refused", json.loads(done.stdout)["error"])


class SendByDatagram(TestCase):
    def test_sends_one_datagram_and_prints_the_answer(self):
        with Datagrams(bytes.upper) as peer:
            done = koine("send", peer.url, "hello")
        self.assert_exit(OK, done)
        self.assertEqual(b"HELLO", done.stdout)
        self.assertEqual([b"hello"], peer.heard)

    def test_an_empty_datagram_is_a_question_too_and_an_empty_one_an_answer(self):
        with Datagrams(lambda question: b"") as peer:
            done = koine("send", peer.url)
        self.assert_exit(OK, done)
        self.assertEqual(b"", done.stdout)
        self.assertEqual([b""], peer.heard)

    def test_carries_the_largest_datagram_there_is_and_refuses_a_larger_one(self):
        largest = os.urandom(65507)
        with Datagrams(lambda question: question) as peer:
            done = koine("send", peer.url, input=largest)
            self.assert_exit(OK, done)
            self.assertTrue(largest == done.stdout)
            done = koine("send", peer.url, input=largest + b"x")
        self.assert_complains(SEND, "at most 65507 bytes", done)
        self.assertEqual(1, len(peer.heard))

    def test_works_over_unix_datagram_sockets(self):
        path = os.path.join(self.scratch(), "d")
        with Datagrams(bytes.upper, socket.AF_UNIX, path) as peer:
            done = koine("send", peer.url, "hello")
        self.assert_exit(OK, done)
        self.assertEqual(b"HELLO", done.stdout)

    def test_an_open_host_is_either_loopback_address(self):
        with Datagrams(bytes.upper) as peer:
            done = koine("send", peer.url.replace("127.0.0.1", ""), "hello")
        self.assert_exit(OK, done)
        self.assertEqual(b"HELLO", done.stdout)

    def test_nobody_there_is_a_connect_error(self):
        port = free_port(socket.SOCK_DGRAM)
        self.assert_complains(CONNECT, "refused", koine("send", f"udp://127.0.0.1:{port}", "x"))
        self.assert_complains(CONNECT, "not found", koine("send", "unixgram:/nonexistent/d", "x"))

    def test_no_answer_is_a_timeout(self):
        with Datagrams(lambda question: None) as peer:
            done = koine("send", peer.url, "x", "--timeout", "100ms")
        self.assert_complains(TIMED_OUT, "timed out", done)
        self.assertEqual([b"x"], peer.heard)

    def test_no_answer_is_waited_for_if_none_is_wanted(self):
        with Datagrams(lambda question: None) as peer:
            self.assert_exit(OK, koine("send", peer.url, "x", "--no-reply"))

    def test_waits_for_a_server_that_starts_later(self):
        path = os.path.join(self.scratch(), "late")
        with subprocess.Popen(
                [KOINE, "send", f"unixgram:{path}", "x", "--wait", "--timeout", "50s"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as sender:
            with Datagrams(bytes.upper, socket.AF_UNIX, path):
                self.assertEqual(b"X", sender.stdout.read())
                self.assertEqual(OK, sender.wait(DEADLINE))


if __name__ == "__main__":
    unittest.main(verbosity=2)
