"""Sockets that another program opened: fd:// and systemd://."""

import socket
import unittest

from koine_tool import KOINE, OK, Server, TestCase, connect, free_port, koine, read_all
from programs import Started, needed


def ask(stream, text):
    with stream:
        stream.sendall(text)
        stream.shutdown(socket.SHUT_WR)
        return read_all(stream)


class PassedByItsParent(TestCase):

    def test_a_listening_socket(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            number = listener.fileno()
            with Server("echo", "--on", f"fd://{number}", pass_fds=[number]) as server:
                self.assertEqual(listener.getsockname()[1], server.port)
                self.assertEqual(b"inherited", ask(connect(server.url), b"inherited"))

    def test_a_datagram_socket(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as passed, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            passed.bind(("127.0.0.1", 0))
            number = passed.fileno()
            with Server("echo", "--on", f"fd://{number}", pass_fds=[number]):
                ours.sendto(b"inherited", passed.getsockname())
                self.assertEqual(b"inherited", ours.recv(100))

    def test_what_cannot_be_served_is_said(self):
        with open("/dev/null") as file, socket.socket() as idle:
            for number in (file.fileno(), idle.fileno(), 999):
                with self.subTest(number):
                    done = koine("serve", "--on", f"fd://{number}",
                                 pass_fds=[file.fileno(), idle.fileno()])
                    self.assertNotEqual(OK, done.returncode)
                    self.assertIn(f"fd://{number}", done.stderr.decode())


class ActivatedBySystemd(TestCase):

    def setUp(self):
        self.activate = needed(self, "systemd-socket-activate")

    def test_over_tcp(self):
        port = free_port()
        with Started(self.activate, "-l", f"127.0.0.1:{port}", KOINE, "serve", "echo", "--on",
                     "systemd://") as server:
            # The server is started by its first connection, once somebody listens.
            done = koine("send", "--wait", "--timeout", "60s", f"tcp://127.0.0.1:{port}", "first")
            self.assertEqual(b"first", done.stdout, done.stderr)
            said = f"listening on tcp://127.0.0.1:{port}\n".encode()
            self.assertEqual(said, server.hear(len(said)))
            self.assertEqual(b"second", ask(connect(f"tcp://127.0.0.1:{port}"), b"second"))

    def test_several_sockets_by_name(self):
        folder = self.scratch()
        with Started(self.activate, "-l", folder + "/one", "-l", folder + "/two",
                     "--fdname=one:two", KOINE, "serve", "echo", "--on", "systemd://two"):
            done = koine("send", "--wait", "--timeout", "60s", f"unix:{folder}/two", "by name")
            self.assertEqual(b"by name", done.stdout, done.stderr)

    def test_over_udp(self):
        port = free_port(socket.SOCK_DGRAM)
        with Started(self.activate, "-d", "-l", f"127.0.0.1:{port}", KOINE, "serve", "echo",
                     "--on", "systemd://") as server:
            server.complaint_with("Listening on")
            done = koine("send", "--timeout", "60s", f"udp://127.0.0.1:{port}", "datagram")
            self.assertEqual(b"datagram", done.stdout, done.stderr)

    def test_without_systemd_it_is_said(self):
        done = koine("serve", "--on", "systemd://")
        self.assertNotEqual(OK, done.returncode)
        self.assertIn("no sockets were passed", done.stderr.decode())


if __name__ == "__main__":
    unittest.main()
