"""Each program of examples/ is run, and meets a peer that is no example."""

import os
import signal
import socket
import subprocess
import threading
import unittest

from koine_tool import DEADLINE, KOINE, OK, Server, TestCase, connect, free_port, read_all

EXAMPLES = os.environ.get("EXAMPLES", "build/dev/examples")


def run(name, *arguments):
    """What the example prints until it ends; it has to succeed."""
    done = subprocess.run([f"{EXAMPLES}/{name}", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE)
    assert done.returncode == OK, done.stderr.decode()
    return done.stdout.decode()


class Example(Server):
    """An example that serves, from when it says where until the end of the with block."""

    def __init__(self, name, *arguments):
        super().__init__(endpoints=1)
        self.command = [f"{EXAMPLES}/{name}", *arguments]

    def __enter__(self):
        self.errors = open(os.devnull, "rb")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE)
        self.watchdog = threading.Timer(DEADLINE, self.process.kill)
        self.watchdog.start()
        self.urls = [self._listening()]
        return self


def line_of(stream):
    """The next line, byte by byte, so that nothing is taken of what follows."""
    line = b""
    while not line.endswith(b"\n") and (byte := stream.recv(1)):
        line += byte
    return line.decode()


class Examples(TestCase):

    def test_client_prints_what_comes_back(self):
        with Server("echo") as server:
            self.assertEqual("How are you?\n", run("client", server.url, "How are you?"))

    def test_client_says_that_nobody_is_there(self):
        done = subprocess.run([f"{EXAMPLES}/client", f"tcp://127.0.0.1:{free_port()}"],
                              stderr=subprocess.PIPE, timeout=DEADLINE)
        self.assertEqual(1, done.returncode)
        self.assertIn("refused", done.stderr.decode())

    def test_messages_says_the_same_in_both_worlds(self):
        with Example("messages", "serve", "rsocket+tcp://127.0.0.1:0") as server:
            here = run("messages", "ask", server.url)
            self.assertEqual(b'{"value":42}',
                             subprocess.run([KOINE, "call", server.url, "add", '{"a": 40, "b": 2}'],
                                            stdout=subprocess.PIPE, timeout=DEADLINE).stdout)
            self.assertEqual(OK, server.stop())
        self.assertEqual("2 + 3 = 5\n0 1 2 3 4 and that was all\n1 3 6 10 in the end\n", here)
        for seed in ("1", "2", "3"):
            self.assertEqual(here, run("messages", "sim", seed))

    def test_udp_echo_answers_each_datagram(self):
        with Example("udp_echo", "udp://127.0.0.1:0") as server, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(DEADLINE)
            client.connect(("127.0.0.1", server.port))
            for text in (b"hello", b"", b"x" * 9000):
                client.send(text)
                self.assertEqual(text, client.recv(65536))
            self.assertEqual(OK, server.stop(signal.SIGTERM))

    def test_proxy_passes_both_ways_and_the_end_of_each(self):
        with Server("echo") as server, Example("proxy", "tcp://127.0.0.1:0", server.url) as proxy:
            text = os.urandom(1_000_000)
            for _ in range(3):
                with connect(proxy.url) as client:
                    sender = threading.Thread(
                        target=lambda: (client.sendall(text), client.shutdown(socket.SHUT_WR)))
                    sender.start()
                    self.assertEqual(text, read_all(client))
                    sender.join()

    def test_proxy_ends_a_connection_whose_server_is_not_there(self):
        with Example("proxy", "tcp://127.0.0.1:0", f"tcp://127.0.0.1:{free_port()}") as proxy, \
                connect(proxy.url) as client:
            self.assertEqual(b"", read_all(client))

    def test_chat_tells_everybody_what_everybody_else_says(self):
        with Example("chat", "tcp://127.0.0.1:0") as server:
            with connect(server.url) as ann, connect(server.url) as bob:
                self.assertIn("name?", line_of(ann))
                ann.sendall(b"Ann\n")
                self.assertIn("name?", line_of(bob))
                ann.sendall(b"Anybody here?\n")  # nobody, but it shows that Ann has been let in
                bob.sendall(b"Bob\n")
                self.assertEqual("Bob is here\n", line_of(ann))
                bob.sendall(b"Hello!\n")
                self.assertEqual("Bob: Hello!\n", line_of(ann))
                ann.sendall(b"Hello, Bob.\n")
                heard = line_of(bob)
                if heard == "Ann: Anybody here?\n":  # the room may have heard Bob's name first
                    heard = line_of(bob)
                self.assertEqual("Ann: Hello, Bob.\n", heard)
                bob.shutdown(socket.SHUT_WR)
                self.assertEqual("Bob has left\n", line_of(ann))
            self.assertEqual(OK, server.stop())

    def test_retry_greets_a_server_that_comes_late(self):
        port = free_port()
        with subprocess.Popen([f"{EXAMPLES}/retry", f"tcp://127.0.0.1:{port}"],
                              stdout=subprocess.PIPE) as retry:
            with Server("echo", "--on", f"tcp://127.0.0.1:{port}"):
                self.assertEqual(b"koine\n", retry.stdout.read())
            self.assertEqual(OK, retry.wait(DEADLINE))

    def test_journey_shows_a_message_here_and_in_a_simulated_internet(self):
        here, there = run("journey", "1").split("In a simulated internet")
        self.assertIn("of 14 stamps", here)
        self.assertIn("waited 6.76 ms in the queue of r1 towards r2", there)
        self.assertIn("14 of 14 stamps: a simulated world's own record", there)
        self.assertIn("Ethernet II", there)

    def test_ways_around_tells_how_long_each_protocol_takes(self):
        lines = run("ways_around", "1").splitlines()
        self.assertEqual(len(lines), 5, lines)
        interrupted = [float(line.split()[-4]) for line in lines[1:]]
        self.assertLess(max(interrupted[:2]), 3, "link state")
        self.assertGreater(interrupted[3], 150, "RIP believes a silent neighbor for 180 s")


if __name__ == "__main__":
    unittest.main()
