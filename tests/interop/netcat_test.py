"""koine and the programs with which people try out networks: nc, ncat, socat; both directions.

A server of theirs may take a moment until it listens, and mostly does not say when: `koine send
--wait` is for that.
"""

import os
import socket
import unittest

from koine_tool import KOINE, OK, Server, TestCase, free_port, koine
from programs import Started, needed, run

TEXT = b"alpha\nbeta\x00\xff\n" * 5_000


class TheirClientsOfOurServer(TestCase):

    def expect_echo(self, *command):
        self.assertEqual(TEXT, run(*command, input=TEXT))

    def expect_datagram_echo(self, *command):
        """Such clients do not know when all has come, so they are left running until it has."""
        with Started(*command) as client:
            client.say(b"one")
            self.assertEqual(b"one", client.hear(3))
            client.say(b"and two")
            self.assertEqual(b"and two", client.hear(7))

    def test_nc_over_tcp(self):
        nc = needed(self, "nc")
        with Server("echo") as server:
            self.expect_echo(nc, "-N", "127.0.0.1", server.port)

    def test_nc_over_tcp_on_ipv6(self):
        nc = needed(self, "nc")
        with Server("echo", "--on", "tcp://[::1]:0") as server:
            self.expect_echo(nc, "-6", "-N", "::1", server.port)

    def test_nc_over_udp(self):
        nc = needed(self, "nc")
        with Server("echo", "--on", "udp://127.0.0.1:0") as server:
            self.expect_datagram_echo(nc, "-u", "127.0.0.1", server.port)

    def test_nc_over_unix(self):
        nc = needed(self, "nc")
        path = self.scratch() + "/echo"
        with Server("echo", "--on", f"unix:{path}"):
            self.expect_echo(nc, "-N", "-U", path)

    def test_ncat_over_tcp(self):
        ncat = needed(self, "ncat")
        with Server("echo") as server:
            self.expect_echo(ncat, "127.0.0.1", server.port)

    def test_ncat_over_udp(self):
        ncat = needed(self, "ncat")
        with Server("echo", "--on", "udp://127.0.0.1:0") as server:
            self.expect_datagram_echo(ncat, "-u", "127.0.0.1", server.port)

    def test_ncat_over_unix(self):
        ncat = needed(self, "ncat")
        path = self.scratch() + "/echo"
        with Server("echo", "--on", f"unix:{path}"):
            self.expect_echo(ncat, "-U", path)

    def test_socat_over_tcp(self):
        socat = needed(self, "socat")
        with Server("echo") as server:
            self.expect_echo(socat, "-t60", "-", f"TCP:127.0.0.1:{server.port}")

    def test_socat_over_udp(self):
        socat = needed(self, "socat")
        with Server("echo", "--on", "udp://127.0.0.1:0") as server:
            self.expect_datagram_echo(socat, "-", f"UDP:127.0.0.1:{server.port}")

    def test_socat_over_unix_and_an_abstract_name(self):
        socat = needed(self, "socat")
        path = self.scratch() + "/echo"
        name = f"koine-interop-{os.getpid()}"
        with Server("echo", "--on", f"unix:{path}", "--on", f"unix:@{name}"):
            self.expect_echo(socat, "-t60", "-", f"UNIX-CONNECT:{path}")
            self.expect_echo(socat, "-t60", "-", f"ABSTRACT-CONNECT:{name}")

    def test_a_command_behind_the_socket(self):
        nc = needed(self, "nc")
        for multiplexer in ("io_uring", "epoll", "poll", "select"):
            with self.subTest(multiplexer), \
                    Server("exec", "--multiplexer", multiplexer, "--", "sort", "-r") as server:
                answer = run(nc, "-N", "127.0.0.1", server.port, input=b"a\nc\nb\n")
                self.assertEqual(b"c\nb\na\n", answer)

    def test_a_client_that_only_listens(self):
        nc = needed(self, "nc")
        with Server("daytime") as server:
            self.assertRegex(run(nc, "-d", "127.0.0.1", server.port), rb"\d\d:\d\d:\d\d")


class OurClientOfTheirServers(TestCase):

    def expect(self, answer, *arguments, input=TEXT):
        done = koine("send", "--timeout", "60s", *arguments, input=input)
        self.assert_exit(OK, done)
        self.assertEqual(answer, done.stdout)

    def expect_conversation(self, server, url):
        """`server` says one thing, hears another, and ends."""
        server.say(b"welcome")
        server.finish()
        self.expect(b"welcome", "--wait", url)
        self.assertEqual(TEXT, server.rest())

    def test_nc_over_tcp(self):
        nc = needed(self, "nc")
        port = free_port()
        with Started(nc, "-l", "-N", "127.0.0.1", port) as server:
            self.expect_conversation(server, f"tcp://127.0.0.1:{port}")

    def test_nc_over_unix(self):
        nc = needed(self, "nc")
        path = self.scratch() + "/server"
        with Started(nc, "-l", "-N", "-U", path) as server:
            self.expect_conversation(server, f"unix:{path}")

    def test_nc_over_udp(self):
        nc = needed(self, "nc")
        port = free_port(socket.SOCK_DGRAM)
        with Started(nc, "-v", "-u", "-l", "127.0.0.1", port) as server:
            server.complaint_with("Bound on")
            with Started(KOINE, "send", "--timeout", "60s", f"udp://127.0.0.1:{port}",
                         "question") as client:
                self.assertEqual(b"question", server.hear(8))
                server.say(b"answer")
                self.assertEqual(b"answer", client.rest())

    # ncat's --exec is left out: it drops what it still has once its client has finished.
    def test_ncat_over_tcp(self):
        ncat = needed(self, "ncat")
        port = free_port()
        with Started(ncat, "-l", "127.0.0.1", port) as server:
            self.expect_conversation(server, f"tcp://127.0.0.1:{port}")

    def test_socat_over_tcp(self):
        socat = needed(self, "socat")
        with Started(socat, "-d", "-d", "-t60", "TCP-LISTEN:0,bind=127.0.0.1,fork",
                     "EXEC:cat") as server:
            port = server.complaint_with("listening on").rstrip().rsplit(":", 1)[1]
            self.expect(TEXT, f"tcp://127.0.0.1:{port}")
            self.expect(b"", f"tcp://127.0.0.1:{port}", input=b"")

    def test_socat_over_unix_and_an_abstract_name(self):
        socat = needed(self, "socat")
        path = self.scratch() + "/server"
        name = f"koine-interop-peer-{os.getpid()}"
        for theirs, ours in ((f"UNIX-LISTEN:{path}", f"unix:{path}"),
                             (f"ABSTRACT-LISTEN:{name}", f"unix:@{name}")):
            with self.subTest(ours), Started(socat, "-d", "-d", "-t60", theirs,
                                             "EXEC:cat") as server:
                server.complaint_with("listening on")
                self.expect(TEXT, ours)

    def test_socat_over_udp(self):
        socat = needed(self, "socat")
        port = free_port()
        with Started(socat, "-d", "-d", f"UDP-RECVFROM:{port},bind=127.0.0.1,fork",
                     "EXEC:cat") as server:
            server.complaint_with("receiving on")
            self.expect(b"ping", f"udp://127.0.0.1:{port}", input=b"ping")


if __name__ == "__main__":
    unittest.main()
