"""What the tests of the generator and of the peers share: the built programs, running.

The first argument of the test is the folder of the built programs.
"""

import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys

FOLDER = pathlib.Path(sys.argv.pop(1))
SHORT = ("--seconds", "0.05", "--warmup", "0.02", "--patience", "5")
PEERS = pathlib.Path(__file__).resolve().parent / "peers"
ECHOES = ("raw_epoll", "raw_io_uring", "asio_callbacks", "asio_callbacks_io_uring", "asio_coroutines",
          "asio_lines", "koine_lines", "uv", "event", "go_echo", "asyncio_echo.py", "threads_echo.py")


def load(url: str, *options: str, text: str = "") -> subprocess.CompletedProcess:
    generator = "load_udp" if url.startswith("udp://") else "load"
    return subprocess.run([FOLDER / generator, url, *options], input=text, capture_output=True,
                          text=True, check=False, timeout=60)


def command(name: str) -> list:
    return [sys.executable, PEERS / name] if name.endswith(".py") else [FOLDER / name]


def is_built(name: str) -> bool:
    return command(name)[-1].exists()


class Served:
    """A built server while it runs."""

    def __init__(self, name: str, *options: str, descriptors_max: int | None = None):
        def limit() -> None:
            if descriptors_max:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors_max, descriptors_max))

        self.process = subprocess.Popen([*command(name), *self.arguments(), *options], stdout=subprocess.PIPE, text=True,
                                        preexec_fn=limit)
        line = self.process.stdout.readline()
        self.url = re.fullmatch(r"listening on ((?:tcp|udp)://127\.0\.0\.1:\d+)\n", line)[1]
        self.port = int(self.url.rsplit(":")[-1])

    def arguments(self) -> list[str]:
        return ["0"]

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.process.stdout.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


class Receiver(Served):
    """The receiving end of a program that sends in bulk."""

    def arguments(self) -> list[str]:
        return ["receive", "0", "262144"]
