#!/usr/bin/env python3
"""The load generator finds what a wrong server does, and nothing wrong where there is nothing.

    load_test.py FOLDER     the folder of the built programs; peers that were not built are skipped
"""

import json
import socket
import struct
import subprocess
import threading
import unittest

from served import ECHOES, FOLDER, SHORT, Receiver, Served, is_built, load


class Wrong:
    """A server of this test's own that serves one connection after another by `serve`."""

    def __init__(self, serve):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._serve = serve
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                try:
                    self._serve(client)
                except OSError:
                    pass  # the generator left, as it should

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


class FindsWhatIsWrong(unittest.TestCase):
    def errors(self, serve, *options: str) -> dict:
        with Wrong(serve) as server:
            answer = load(server.url, *SHORT, *options)
        self.assertEqual(answer.returncode, 1, answer)
        return json.loads(answer.stdout)["errors"]

    def test_a_changed_byte(self):
        def serve(client):
            for turn in range(100):
                data = bytearray(client.recv(64, socket.MSG_WAITALL))
                if turn == 5:
                    data[63] ^= 1
                client.sendall(data)

        self.assertEqual(self.errors(serve), {"wrong_bytes": 1})

    def test_an_answer_to_the_wrong_request(self):
        def serve(client):
            first = client.recv(64, socket.MSG_WAITALL)
            client.sendall(first)
            client.recv(64, socket.MSG_WAITALL)
            client.sendall(first)
            client.recv(1)

        self.assertEqual(self.errors(serve), {"wrong_bytes": 1})

    def test_a_byte_too_many(self):
        def serve(client):
            client.sendall(client.recv(64, socket.MSG_WAITALL) + b"x")
            client.recv(1)

        self.assertEqual(self.errors(serve), {"more_than_sent": 1})

    def test_a_byte_too_few(self):
        def serve(client):
            client.sendall(client.recv(64, socket.MSG_WAITALL))
            client.sendall(client.recv(64, socket.MSG_WAITALL)[:-1])
            client.recv(1)

        self.assertEqual(self.errors(serve, "--patience", "0.1"), {"no_echo": 1})

    def test_an_early_end(self):
        def serve(client):
            client.sendall(client.recv(64, socket.MSG_WAITALL))
            client.recv(64, socket.MSG_WAITALL)

        self.assertEqual(self.errors(serve), {"closed_early": 1})

    def test_a_reset(self):
        def serve(client):
            client.sendall(client.recv(64, socket.MSG_WAITALL))
            client.recv(64, socket.MSG_WAITALL)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        self.assertEqual(self.errors(serve), {"reset": 1})

    def test_a_connection_that_is_not_served(self):
        gate = threading.Event()

        def serve(client):
            gate.wait(20)

        with Wrong(serve) as server:
            answer = load(server.url, *SHORT, "--connections", "3", "--patience", "0.1")
            gate.set()
        self.assertEqual(json.loads(answer.stdout)["errors"], {"no_echo": 3})

    def test_nobody_listening(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        answer = load(f"tcp://127.0.0.1:{port}", *SHORT, "--connections", "2")
        self.assertEqual(answer.returncode, 1)
        self.assertEqual(json.loads(answer.stdout)["errors"], {"connect_refused": 2})

    def test_churn_waits_for_the_servers_end(self):
        def serve(client):
            client.sendall(client.recv(64, socket.MSG_WAITALL))
            client.recv(1)  # the generator has finished
            client.sendall(b"and one more")
            client.recv(1)

        self.assertIn("more_than_sent", self.errors(serve, "--churn"))

    def test_idle_connections_that_are_closed(self):
        def serve(client):
            client.sendall(client.recv(64, socket.MSG_WAITALL))

        with Wrong(serve) as server:
            with subprocess.Popen([FOLDER / "load", server.url, "--idle", "1"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True) as generator:
                self.assertEqual(json.loads(generator.stdout.readline()), {"held": 1, "errors": {}})
                # The server has closed once the next client is served.
                with socket.create_connection(("127.0.0.1", int(server.url.split(":")[-1]))) as next_one:
                    next_one.sendall(b"x" * 64)
                    self.assertEqual(len(next_one.recv(64, socket.MSG_WAITALL)), 64)
                generator.stdin.close()
                self.assertEqual(json.loads(generator.stdout.readline()),
                                 {"errors": {"closed_while_idle": 1}})


class WrongDatagrams:
    """A server of this test's own that answers each datagram with those that `answers` makes of it."""

    def __init__(self, answers):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"udp://127.0.0.1:{self._socket.getsockname()[1]}"
        self._answers = answers
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        turn = 0
        while True:
            data, peer = self._socket.recvfrom(2048)
            if data == b"end":
                return
            for answer in self._answers(turn, data):
                self._socket.sendto(answer, peer)
            turn += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


class FindsWhatIsWrongWithDatagrams(unittest.TestCase):
    def report(self, answers, *options: str) -> dict:
        with WrongDatagrams(answers) as server:
            answer = load(server.url, *SHORT, *options)
        self.assertEqual(answer.stderr, "")
        return json.loads(answer.stdout)

    def test_a_changed_byte(self):
        def answers(turn, data):
            return [data[:-1] + bytes([data[-1] ^ (turn == 5)])]

        self.assertEqual(self.report(answers)["errors"], {"wrong_bytes": 1})

    def test_a_byte_too_few(self):
        self.assertEqual(self.report(lambda turn, data: [data[:-1] if turn == 5 else data])["errors"],
                         {"wrong_bytes": 1})

    def test_an_answer_to_what_was_never_asked(self):
        def answers(turn, data):
            return [struct.pack("<Q", 1 << 40) + data[8:]] if turn == 5 else [data]

        self.assertEqual(self.report(answers)["errors"], {"more_than_sent": 1})

    def test_an_answer_that_comes_twice_counts_once(self):
        sent = []

        def answers(turn, data):
            sent.append(data)
            return [data, data]

        report = self.report(answers)
        self.assertEqual(report["errors"], {})
        self.assertLessEqual(report["requests"], len(sent))

    def test_what_is_not_answered_was_lost(self):
        report = self.report(lambda turn, data: [] if turn % 10 == 5 else [data], "--seconds", "0.5",
                             "--warmup", "0")
        self.assertEqual(report["errors"], {})
        self.assertGreater(report["lost"], 0)
        self.assertGreater(report["requests"], 0)

    def test_nobody_listening(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        answer = load(f"udp://127.0.0.1:{port}", *SHORT)
        self.assertEqual((answer.returncode, json.loads(answer.stdout)["errors"]),
                         (1, {"connect_refused": 1}))


class FindsNothingWrongElsewhere(unittest.TestCase):
    def served(self, name: str, *options: str, text: str = "", words: tuple = ()) -> list[dict]:
        with Served(name, *words) as server:
            answer = load(server.url, *options, "--watch", str(server.process.pid), text=text)
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))
        return [json.loads(line) for line in answer.stdout.splitlines()]

    def test_every_workload_on_every_echo(self):
        for name in ECHOES:
            if not is_built(name):
                continue
            for options in (["--spin"], ["--connections", "64"],
                            ["--connections", "300", "--pipeline", "3", "--size", "1000"],
                            ["--connections", "8", "--size", "100000", "--pipeline", "4"],
                            ["--pipeline", "16", "--lines"], ["--connections", "8", "--churn"]):
                if name.endswith("_lines") and "--lines" not in options:
                    continue
                with self.subTest(name=name, options=options):
                    report, = self.served(name, *SHORT, *options)
                    self.assertGreater(report["requests"], 0)
                    self.assertEqual(report["errors"], {})
                    self.assertGreater(sum(report["cpu_ns"].values()), 0)
                    latency = list(report["latency_us"].values())
                    self.assertEqual(latency, sorted(latency))  # p50 ≤ p90 ≤ p99 ≤ p99.9 ≤ max

    def test_datagrams_on_every_echo(self):
        for name, *words in (["raw_udp"], ["raw_udp", "--trains"], ["asio_udp"]):
            if not is_built(name):
                continue
            for options in (["--spin"], ["--connections", "4", "--pipeline", "16"],
                            ["--pipeline", "64", "--train", "64"],
                            ["--pipeline", "8", "--train", "4", "--size", "1472"]):
                with self.subTest(name=name, words=words, options=options):
                    report, = self.served(name, *SHORT, *options, words=words)
                    self.assertGreater(report["requests"], 0)
                    self.assertEqual(report["errors"], {})

    def test_bulk_arrives_whole(self):
        for name in ("raw_bulk", "asio_bulk", "koine_bulk"):
            if not is_built(name):
                continue
            with self.subTest(name=name), Receiver(name) as receiver:
                for total in ("1", "10000000"):
                    answer = subprocess.run([FOLDER / name, "send", receiver.url, "262144", total],
                                            capture_output=True, text=True, check=True, timeout=60)
                    self.assertEqual(json.loads(answer.stdout)["bytes"], int(total))

    def test_as_many_windows_as_are_asked_for(self):
        ready, *windows = self.served("raw_epoll", *SHORT, "--connections", "4", "--on-command",
                                      text="\n")
        self.assertEqual(ready, {"ready": 4, "errors": {}})
        self.assertEqual(len(windows), 1)

    def test_idle_connections_step_by_step(self):
        with Served("raw_epoll") as server:
            answer = load(server.url, "--idle", "5,300", text="\n")
        self.assertEqual([json.loads(line) for line in answer.stdout.splitlines()],
                         [{"held": 5, "errors": {}}, {"held": 300, "errors": {}}, {"errors": {}}])

    def test_wrong_words_are_named(self):
        for options, complaint in ((["tcp://10.0.0.1:7"], "expected tcp://127.0.0.1:PORT"),
                                   (["tcp://127.0.0.1:99999"], "expected a whole number from 1 to 65535"),
                                   (["tcp://127.0.0.1:7", "--size", "0"], "--size 0: expected"),
                                   (["tcp://127.0.0.1:7", "--size", "6x"], "--size 6x: expected"),
                                   (["tcp://127.0.0.1:7", "--sise", "6"], "--sise 6: expected a known"),
                                   (["tcp://127.0.0.1:7", "--churn", "--pipeline", "2"], "--pipeline"),
                                   (["tcp://127.0.0.1:7", "--train", "2"], "--train: a stream"),
                                   (["udp://127.0.0.1:7", "--churn"], "datagrams have no connections"),
                                   (["udp://127.0.0.1:7", "--size", "9"], "16 to 1472 bytes"),
                                   (["udp://127.0.0.1:7", "--train", "2"], "expected whole trains")):
            answer = load(*options)
            self.assertEqual(answer.returncode, 2)
            self.assertIn(complaint, answer.stderr)


if __name__ == "__main__":
    unittest.main()
