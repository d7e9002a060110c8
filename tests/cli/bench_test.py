"""koine bench, against koine serve and against peers in Python that do what no server should."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import threading
import unittest

from koine_tool import (CONNECT, DEADLINE, KOINE, OK, OUTPUT, RECEIVE, RESOLVE, TIMED_OUT,
                        USAGE, Datagrams, Peer, Server, TestCase, echo, free_port, koine, reset)

BRIEFLY = ("--connections", "4", "--duration", "100ms")
PATIENTLY = (*BRIEFLY, "--timeout", "50s")  # for where a busy machine must not look like an error


def bench(*arguments, **options):
    """The one object that --json prints, and how it ended."""
    done = koine("bench", *arguments, "--json", **options)
    assert done.stdout.count(b"\n") == 1, (done.stdout, done.stderr)
    return json.loads(done.stdout), done


class Bench(TestCase):
    def test_every_request_is_answered_over_every_transport(self):
        folder = self.scratch()
        for on in ("tcp://127.0.0.1:0", "udp://127.0.0.1:0", f"unix:{folder}/s",
                   f"unixgram:{folder}/d", "unix:@koine-bench-test-%d" % os.getpid()):
            with self.subTest(on), Server("echo", "--on", on) as server:
                result, done = bench(server.url, *PATIENTLY, "--size", "100B", "--pipeline", "3")
                self.assert_exit(OK, done)
                self.assertEqual(b"", done.stderr)
                self.assertEqual(server.url, result["url"])
                self.assertEqual(4, result["connected"])
                self.assertGreater(result["answered"], 0)
                self.assertEqual(result["sent"], result["answered"])
                self.assertEqual({}, result["errors"])
                self.assertFalse(result["interrupted"])
                latency = result["latency_ns"]
                ordered = [latency[key] for key in ("min", "p50", "p90", "p99", "p99_9", "max")]
                self.assertEqual(sorted(ordered), ordered)

    def test_works_on_every_multiplexer(self):
        with Server("echo") as server:
            for multiplexer in ("epoll", "poll", "select"):
                result, done = bench(server.url, *PATIENTLY, "--multiplexer", multiplexer)
                self.assert_exit(OK, done)
                self.assertGreater(result["answered"], 0)

    def test_requests_larger_than_what_the_network_holds_do_not_stand_still(self):
        with Server("echo") as server:
            result, done = bench(server.url, "--connections", "2", "--size", "5MB",
                                 "--pipeline", "2", "--duration", "100ms", "--timeout", "50s")
        self.assert_exit(OK, done)
        self.assertGreaterEqual(result["answered"], 4)
        self.assertEqual(result["sent"], result["answered"])

    def test_a_rate_says_how_many_requests_are_sent_whatever_the_server_does(self):
        # 40 are due in 200 ms; one that is due just then may be left out.
        with Server("echo") as server:
            result, done = bench(server.url, "--connections", "3", "--duration", "200ms",
                                 "--rate", "200", "--timeout", "50s")
        self.assert_exit(OK, done)
        self.assertLessEqual(result["sent"], 40)
        self.assertEqual(result["sent"], result["answered"])
        self.assertIsNone(result["pipeline"])

    def test_the_latency_of_a_rate_counts_from_when_a_request_was_due(self):
        # The server does nothing until all 50 requests, due within 50 ms, were sent or have to wait:
        # the first of them is late by more than any that was measured from its sending would be.
        def stall(connection):
            got = b""
            while len(got) < 50 * 1000:
                got += connection.recv(1 << 16)
            connection.sendall(got)
            connection.recv(1)

        with Peer(stall) as peer:
            result, done = bench(peer.url, "--connections", "1", "--size", "1000B", "--rate",
                                 "1000", "--duration", "50ms", "--timeout", "50s")
        self.assert_exit(OK, done)
        self.assertEqual(50, result["answered"])
        self.assertGreaterEqual(result["latency_ns"]["max"], 49_000_000)
        self.assertLess(result["latency_ns"]["min"], result["latency_ns"]["max"])

    def test_bytes_that_are_wrong_are_told_with_their_place(self):
        def wrong(connection):
            piece = bytearray(connection.recv(1 << 16))
            piece[10] ^= 1
            connection.sendall(piece)
            connection.recv(1)

        with Peer(wrong) as peer:
            done = koine("bench", peer.url, *BRIEFLY)
        self.assert_exit(RECEIVE, done)
        self.assertIn(b"x wrong bytes came back", done.stdout)
        self.assertIn(b"the first: byte 10 that came back is 0x", done.stdout)
        with Datagrams(lambda question: question[:-1] + b"\0") as peer:
            result, done = bench(peer.url, *BRIEFLY)
        self.assert_exit(RECEIVE, done)
        self.assertEqual(["wrong bytes came back"], list(result["errors"]))

    def test_bytes_that_nobody_asked_for_are_wrong_too(self):
        with Peer(lambda connection: connection.sendall(b"welcome!" * 20)) as peer:
            done = koine("bench", peer.url, *BRIEFLY)
        self.assertIn(b"wrong bytes came back", done.stdout)

    def test_connections_that_break_are_counted_by_what_happened(self):
        def hang_up(connection):
            connection.recv(1)

        def reset_later(connection):  # at once, it could meet the connecting instead
            connection.recv(1)
            reset(connection)

        for handler, words in ((reset_later, "connection reset"), (hang_up, "")):
            with self.subTest(words), Peer(handler) as peer:
                result, done = bench(peer.url, *BRIEFLY)
                self.assertNotEqual(OK, done.returncode)
                self.assertEqual(0, result["answered"])
                self.assertTrue(any(words in kind for kind in result["errors"]), result)

    def test_a_server_that_is_silent_is_a_timeout_not_a_hang(self):
        release = threading.Event()
        with Peer(lambda connection: release.wait(DEADLINE)) as peer:
            result, done = bench(peer.url, *BRIEFLY, "--timeout", "50ms")
            release.set()
        self.assert_exit(TIMED_OUT, done)
        self.assertEqual(["read: timed out"], list(result["errors"]))

    def test_datagrams_without_an_answer_are_lost_and_the_rest_goes_on(self):
        count = 0

        def every_second(question):
            nonlocal count
            count += 1
            return question if count % 2 else None

        with Datagrams(every_second) as peer:
            result, done = bench(peer.url, *BRIEFLY, "--timeout", "50ms", "--pipeline", "4")
        self.assert_exit(TIMED_OUT if result["lost"] else OK, done)
        self.assertGreater(result["lost"], 0)
        self.assertGreater(result["answered"], 0)
        self.assertEqual(result["sent"], result["answered"] + result["lost"])

    def test_datagrams_that_come_twice_count_once(self):
        with Datagrams(lambda question: question, copies=2) as twice:
            result, done = bench(twice.url, *PATIENTLY)
        self.assertGreater(result["answered"], 0)
        self.assertEqual(result["sent"], result["answered"] + result["lost"])

    def test_nobody_there_is_an_error_at_once(self):
        self.assert_complains(CONNECT, "refused",
                              koine("bench", f"tcp://127.0.0.1:{free_port()}"))
        self.assert_complains(CONNECT, "refused",
                              koine("bench", f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"))
        self.assert_complains(CONNECT, "not found", koine("bench", "unix:/nonexistent/s"))
        self.assert_complains(RESOLVE, "nowhere.invalid",
                              koine("bench", "tcp://nowhere.invalid:1"))
        self.assert_complains(CONNECT, "not connected to", koine("bench", "fd://3"))

    def test_interrupting_it_ends_it_early_and_prints_what_there_is(self):
        # A peer tells when the load has begun, so the signal comes while it lasts.
        begun = threading.Event()

        def tell(connection):
            begun.set()
            echo(connection)

        with Peer(tell) as peer, subprocess.Popen(
                [KOINE, "bench", peer.url, "--connections", "2", "--duration", "1h", "--json"],
                stdout=subprocess.PIPE) as process:
            self.assertTrue(begun.wait(DEADLINE))
            process.send_signal(signal.SIGINT)
            result = json.loads(process.stdout.read())
            self.assertEqual(OK, process.wait(DEADLINE))
        self.assertTrue(result["interrupted"])
        self.assertEqual(result["sent"], result["answered"])

    def test_progress_is_shown_on_a_terminal_only(self):
        with Server("echo") as server:
            quiet = koine("bench", server.url, *PATIENTLY)
            self.assertEqual(b"", quiet.stderr)
            ours, theirs = pty.openpty()
            with subprocess.Popen([KOINE, "bench", server.url, "--duration", "500ms"],
                                  stdout=subprocess.DEVNULL, stderr=theirs) as process:
                os.close(theirs)
                shown = b""
                while select.select([ours], [], [], DEADLINE)[0]:
                    try:
                        shown += os.read(ours, 1 << 16)
                    except OSError:  # the other end is closed
                        break
                self.assertEqual(OK, process.wait(DEADLINE))
            os.close(ours)
        self.assertRegex(shown, rb"\[#* *\] \d+\.\d s")
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown[-40:])  # and taken back

    def test_the_report_keeps_to_80_columns(self):
        with Server("echo") as server:
            for options in (("--rate", "123456.789"), ("--pipeline", "4096", "--size", "16KiB")):
                done = koine("bench", server.url, *PATIENTLY, *options)
                self.assert_exit(OK, done)
                text = done.stdout.decode()
                self.assertEqual(server.url, text.splitlines()[0])
                self.assertRegex(text, r"(?m)^latency +p50 +p90 +p99 +p99\.9 +max$")
                self.assertRegex(text, r"(?m)^errors +none$")
                for line in text.splitlines():
                    self.assertLessEqual(len(line), 80, line)

    def test_what_makes_no_sense_is_a_usage_error(self):
        for arguments, words in (
                ((), "bench whom?"),
                (("--size", "0"), "malformed --size 0"),
                (("--size", "2GiB"), "1B to 1GiB"),
                (("--size", "64k"), "malformed --size 64k"),
                (("--pipeline", "0"), "1 to 4096"),
                (("--pipeline", "4097"), "1 to 4096"),
                (("--connections", "0"), "malformed --connections 0"),
                (("--connections", "-1"), "malformed --connections -1"),
                (("--duration", "0s"), "more than no time"),
                (("--duration", "5"), "expected a unit"),
                (("--timeout", "0s"), "more than no time"),
                (("--rate", "0"), "malformed --rate 0"),
                (("--rate", "-5"), "malformed --rate -5"),
                (("--rate", "nan"), "malformed --rate nan"),
                (("--rate", "inf"), "malformed --rate inf"),
                (("--rate", "1e3"), "malformed --rate 1e3"),
                (("--rate", "fast"), "malformed --rate fast"),
                (("--rate", "10", "--pipeline", "2"), "when no rate is given"),
                (("--multiplexer", "kqueue"), "malformed --multiplexer kqueue")):
            url = () if words == "bench whom?" else ("tcp://127.0.0.1:1",)
            done = koine("bench", *url, *(f"{a}={b}" for a, b in zip(arguments[::2], arguments[1::2])))
            with self.subTest(arguments):
                self.assert_complains(USAGE, words, done)
                self.assertEqual(b"", done.stdout)
        self.assert_complains(USAGE, "malformed URL tcp://127.0.0.1:x",
                              koine("bench", "tcp://127.0.0.1:x"))
        for size in ("7", "65508"):
            done = koine("bench", "udp://127.0.0.1:1", "--size", f"{size}B")
            self.assert_complains(USAGE, "8 to 65507 bytes", done)

    def test_more_connections_than_descriptors_is_an_error_that_says_so(self):
        done = koine("-c", f"ulimit -n 100 && exec {KOINE} bench tcp://127.0.0.1:1 --connections 90",
                     executable="/bin/sh")
        self.assertIn(b"90 connections need more than the 100 descriptors", done.stderr)

    def test_a_result_that_cannot_be_written_is_an_error(self):
        with Server("echo") as server, open("/dev/full", "wb") as full:
            done = koine("bench", server.url, *PATIENTLY, stdout=full)
        self.assert_complains(OUTPUT, "No space left", done)


if __name__ == "__main__":
    unittest.main(verbosity=2)
