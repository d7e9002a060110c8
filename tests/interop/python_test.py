"""koine and Python's socket and socketserver; both directions, in each way of serving."""

import socket
import socketserver
import threading
import unittest

from koine_tool import DEADLINE, OK, Server, TestCase, connect, koine, read_all

MULTIPLEXERS = ("io_uring", "epoll", "poll", "select")
MANY_BYTES = bytes(range(251)) * 40_000  # 10 MB; the period is a prime, so that shifts show


class EchoStream(socketserver.BaseRequestHandler):

    def handle(self):
        while piece := self.request.recv(1 << 16):
            self.request.sendall(piece)


class EchoDatagram(socketserver.BaseRequestHandler):

    def handle(self):
        data, answers = self.request
        answers.sendto(data, self.client_address)


class Serving:
    """A socketserver that serves in a thread until the end of the with block."""

    def __init__(self, server):
        self.server = server
        self.thread = threading.Thread(target=server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self.server.server_address

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class TheirServers(TestCase):

    def expect_echo(self, url, text):
        for multiplexer in MULTIPLEXERS:
            with self.subTest(multiplexer):
                done = koine("send", "--timeout", "60s", "--multiplexer", multiplexer, url,
                             input=text)
                self.assert_exit(OK, done)
                self.assertTrue(text == done.stdout, "not what was sent")

    def test_threading_tcp_server(self):
        with Serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), EchoStream)) as address:
            self.expect_echo(f"tcp://127.0.0.1:{address[1]}", MANY_BYTES)

    def test_threading_unix_server(self):
        path = self.scratch() + "/server"
        with Serving(socketserver.ThreadingUnixStreamServer(path, EchoStream)):
            self.expect_echo(f"unix:{path}", MANY_BYTES)

    def test_udp_server(self):
        with Serving(socketserver.UDPServer(("127.0.0.1", 0), EchoDatagram)) as address:
            self.expect_echo(f"udp://127.0.0.1:{address[1]}", b"x" * 8_000)


class TheirClients(TestCase):

    def exchange(self, url):
        """Much in both directions at once, then a half close."""
        with connect(url) as stream:
            def say():
                stream.sendall(MANY_BYTES)
                stream.shutdown(socket.SHUT_WR)

            saying = threading.Thread(target=say)
            saying.start()
            heard = read_all(stream)
            saying.join()
        self.assertTrue(MANY_BYTES == heard, "not what was sent")

    def test_on_each_multiplexer(self):
        for multiplexer in MULTIPLEXERS:
            path = self.scratch() + "/echo"
            with self.subTest(multiplexer), \
                    Server("echo", "--multiplexer", multiplexer, "--on", "tcp://127.0.0.1:0",
                           "--on", "tcp://[::1]:0", "--on", f"unix:{path}") as server:
                for url in server.urls:
                    self.exchange(url)

    def test_in_each_concurrency(self):
        for concurrency in ("coroutine", "thread", "process"):
            with self.subTest(concurrency), \
                    Server("echo", "--concurrency", concurrency) as server:
                self.exchange(server.url)

    def test_on_shards(self):
        with Server("echo", "--shards", 2) as server:
            for _ in range(4):
                self.exchange(server.url)

    def test_many_at_once(self):
        with Server("echo") as server:
            streams = [connect(server.url) for _ in range(200)]
            for number, stream in enumerate(streams):
                stream.sendall(b"%d" % number)
                stream.shutdown(socket.SHUT_WR)
            self.assertEqual([b"%d" % number for number in range(200)],
                             [read_all(stream) for stream in streams])
            for stream in streams:
                stream.close()

    def test_datagrams_of_each_size(self):
        with Server("echo", "--on", "udp://127.0.0.1:0") as server, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            ours.settimeout(DEADLINE)
            for size in (0, 1, 1_472, 9_000, 65_507):
                ours.sendto(MANY_BYTES[:size], ("127.0.0.1", server.port))
                self.assertEqual(MANY_BYTES[:size], ours.recv(1 << 16))


if __name__ == "__main__":
    unittest.main()
