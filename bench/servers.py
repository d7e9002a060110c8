"""The servers that are compared, and the workloads they are compared in.

Every server prints `listening on tcp://127.0.0.1:PORT` on its standard output once it is ready, uses
one core, and is stopped by SIGTERM. `{bin}` in a command is the folder of the built peers, `{peers}`
that of their sources, `{koine}` the koine binary. A server whose program was not built is left out, and the report says so.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    name: str
    meaning: str
    load: tuple[str, ...]  # options of bench/load


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("ping-pong", "1 connection × 64 B; the generator spins, the server as it likes",
                 ("--connections", "1", "--spin")),
        Workload("64x64", "64 connections × 64 B", ("--connections", "64")),
        Workload("1000x64", "1000 connections × 64 B", ("--connections", "1000")),
        Workload("64x16k", "64 connections × 16 KiB", ("--connections", "64", "--size", "16384")),
        Workload("pipeline", "64 connections × 64 B, 16 requests under way on each",
                 ("--connections", "64", "--pipeline", "16")),
        Workload("lines", "the same with lines of 64 B, each answered by itself by its handler "
                          "(raw_epoll answers whole reads)",
                 ("--connections", "64", "--pipeline", "16", "--lines")),
        Workload("churn", "64 at a time: connect, echo 64 B, finish, see the server's end, close",
                 ("--connections", "64", "--churn")),
        Workload("compile", "the smallest echo server through the compiler, -std=c++23 -O2 -c", ()),
        Workload("idle", "connections that echoed 64 B once and then are quiet", ()),
    )
}

ECHO = ("ping-pong", "64x64", "1000x64", "64x16k", "pipeline", "churn", "idle")
NO_LIMITS = ("--max-connections", "20000", "--max-per-address", "20000")


@dataclass(frozen=True)
class Server:
    name: str
    command: tuple[str, ...]
    workloads: tuple[str, ...] = ECHO
    usual: bool = True  # taken when --servers is not given
    spins: bool = False  # never sleeps: it is stopped while others are measured
    threaded: bool = False  # has threads that share the core


def koine(multiplexer: str, usual: bool) -> Server:
    return Server(f"koine-{multiplexer}",
                  ("{koine}", "serve", "echo", "--on", "tcp://127.0.0.1:0", "--shards", "1",
                   "--multiplexer", multiplexer, *NO_LIMITS), usual=usual)


ANCHOR = "raw_epoll"

SERVERS = {
    server.name: server
    for server in (
        Server(ANCHOR, ("{bin}/raw_epoll", "0"), ECHO + ("lines",)),
        # The same program again: what it differs from 1.00 is the noise of the whole method.
        Server("raw_epoll-again", ("{bin}/raw_epoll", "0"), ECHO + ("lines",)),
        Server("raw_epoll-spin", ("{bin}/raw_epoll", "0", "--spin"), ("ping-pong",), spins=True),
        Server("raw_io_uring", ("{bin}/raw_io_uring", "0")),
        koine("epoll", usual=True),
        koine("io_uring", usual=True),
        koine("poll", usual=False),
        koine("select", usual=False),
        Server("asio-callbacks", ("{bin}/asio_callbacks", "0")),
        Server("asio-coroutines", ("{bin}/asio_coroutines", "0")),
        Server("asio-lines", ("{bin}/asio_lines", "0"), ("lines",)),
        Server("libuv", ("{bin}/uv", "0")),
        Server("asio-io_uring", ("{bin}/asio_callbacks_io_uring", "0")),
        Server("libevent", ("{bin}/event", "0")),
        Server("go", ("{bin}/go_echo", "0"), threaded=True),
        Server("python-asyncio", ("/usr/bin/python3", "{peers}/asyncio_echo.py", "0")),
        Server("python-threads", ("/usr/bin/python3", "{peers}/threads_echo.py", "0"), threaded=True),
    )
}
