"""What the tests of the tool share: running it, waiting for its servers, and peers in Python.

Nothing here sleeps: a server is ready when it has said where it listens, an answer is waited for, and
whatever never comes fails by its deadline. The tool under test is named by $KOINE.
"""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

KOINE = os.environ.get("KOINE", "build/dev/koine")
DEADLINE = 60  # seconds; generous, for sanitizers on a busy machine

# Exit codes, as cli/exit_code.h has them.
OK, FAILED, USAGE, RESOLVE, CONNECT, OUTPUT = 0, 1, 2, 6, 7, 23
TIMED_OUT, EMPTY_REPLY, SEND, RECEIVE, CUT = 28, 52, 55, 56, 75


def environment(**changes):
    """Ours with changes; None takes a variable away."""
    env = dict(os.environ)
    for name, value in changes.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def koine(*arguments, input=b"", env=None, **options):
    """Runs the tool to its end. Output is bytes; see text() and complaint()."""
    if not any(name in options for name in ("stdin", "input")):
        options["input"] = input
    return subprocess.run([KOINE, *map(str, arguments)], env=env or environment(),
                          stdout=options.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE,
                          timeout=DEADLINE, **options)


class Server:
    """`koine serve ARGUMENTS`, from when it listens until the end of the with block."""

    def __init__(self, *arguments, endpoints=None, env=None, **options):
        self.arguments = list(map(str, arguments))
        self.endpoints = endpoints or max(1, self.arguments.count("--on"))
        self.json = "--json" in self.arguments
        self.env = env or environment()
        self.options = options

    def __enter__(self):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen([KOINE, "serve", *self.arguments], env=self.env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.errors, **self.options)
        self.watchdog = threading.Timer(DEADLINE, self.process.kill)
        self.watchdog.start()
        self.urls = [self._listening() for _ in range(self.endpoints)]
        return self

    def _listening(self):
        line = self.process.stdout.readline().decode()
        if self.json and line:
            event = json.loads(line)
            assert event["event"] == "listening", event
            return event["url"]
        if not line.startswith("listening on "):
            self.__exit__()
            raise AssertionError(f"expected 'listening on ...', found {line!r}; "
                                 f"standard error: {self.complaints()!r}")
        return line.removeprefix("listening on ").rstrip("\n")

    @property
    def url(self):
        return self.urls[0]

    @property
    def port(self):
        return port_of(self.url)

    @property
    def pid(self):
        return self.process.pid

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Until it ends by itself: its exit code."""
        return self.process.wait(DEADLINE)

    def stop(self, number=signal.SIGTERM):
        self.send_signal(number)
        return self.wait()

    def complaints(self):
        """What it has written to standard error so far."""
        if not self.errors.closed:
            self.errors.seek(0)
            self.said = self.errors.read().decode()
        return self.said

    def complaint_with(self, words):
        """Waits until standard error has these words, or the server is gone."""
        pause = threading.Event()
        while words not in self.complaints() and self.process.poll() is None:
            pause.wait(0.01)
        return self.complaints()

    def __exit__(self, *_):
        self.watchdog.cancel()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.complaints()  # for whoever asks later
        self.errors.close()


class Bound:
    """A socket in Python that a thread of its own serves: run() until stop()."""

    def __init__(self, family, kind, address, schemes):
        self.socket = socket.socket(family, kind)
        self.socket.bind(address)
        self.ip_scheme, self.unix_scheme = schemes
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    @property
    def url(self):
        name = self.socket.getsockname()
        if isinstance(name, str):
            return f"{self.unix_scheme}:{name}"
        return f"{self.ip_scheme}://127.0.0.1:{name[1]}"

    def __exit__(self, *_):
        self.stop()
        self.thread.join()  # or it would serve whatever has this descriptor's number next
        self.socket.close()


class Peer(Bound):
    """A listener in Python; `handler(connection)` runs in a thread for each connection."""

    def __init__(self, handler, family=socket.AF_INET, address=("127.0.0.1", 0)):
        super().__init__(family, socket.SOCK_STREAM, address, ("tcp", "unix"))
        self.socket.listen()
        self.handler = handler

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            connection.settimeout(DEADLINE)
            self.handler(connection)

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)


def echo(connection):
    while piece := connection.recv(1 << 16):
        connection.sendall(piece)


def reset(connection):
    """Closing with this option drops the connection at once."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Datagrams(Bound):
    """A datagram socket in Python that answers each question with `answer(question)`, if not None."""

    def __init__(self, answer, family=socket.AF_INET, address=("127.0.0.1", 0), copies=1):
        super().__init__(family, socket.SOCK_DGRAM, address, ("udp", "unixgram"))
        self.answer = answer
        self.copies = copies
        self.heard = []
        self.stopped, self.stopper = socket.socketpair()

    def run(self):
        with self.stopped:
            while self.socket in select.select([self.socket, self.stopped], [], [])[0]:
                question, peer = self.socket.recvfrom(1 << 16)
                self.heard.append(question)
                answer = self.answer(question)
                for _ in range(0 if answer is None else self.copies):
                    self.socket.sendto(answer, peer)

    def stop(self):
        self.stopper.close()


def port_of(url):
    return int(url.rsplit(":", 1)[1])


def free_port(kind=socket.SOCK_STREAM):
    """A port at which nobody listens now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read_all(connection):
    """Everything until the peer finishes."""
    pieces = []
    while piece := connection.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def connect(url, timeout=DEADLINE):
    """A stream socket to where a `koine serve` listens."""
    if url.startswith("unix:"):
        stream = socket.socket(socket.AF_UNIX)
        name = url.removeprefix("unix:")
        stream.settimeout(timeout)
        stream.connect("\0" + name[1:] if name.startswith("@") else name)
        return stream
    host = "::1" if "[" in url else "127.0.0.1"
    return socket.create_connection((host, port_of(url)), timeout)


class TestCase(unittest.TestCase):
    maxDiff = None

    def assert_exit(self, code, done):
        """`done` is what koine() gave."""
        self.assertEqual(code, done.returncode, done.stderr.decode(errors="replace"))

    def assert_complains(self, code, words, done):
        self.assert_exit(code, done)
        self.assertIn(words, done.stderr.decode())
        self.assertTrue(done.stderr.decode().startswith("koine"), done.stderr)

    def scratch(self):
        """A folder of this test's own."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name
