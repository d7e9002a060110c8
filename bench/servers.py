"""The servers that are compared, and the workloads they are compared in.

Every server prints `listening on tcp://127.0.0.1:PORT` (or udp) on its standard output once it is
ready, uses one core, and is stopped by SIGTERM. `{bin}` in a command is the folder of the built
programs, `{peers}` that of the peers' sources, `{koine}` the koine binary. A server whose program was
not built is left out, and the report says so. One name may stand for several programs, each for
workloads of its own.
"""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Workload:
    name: str
    meaning: str
    load: tuple[str, ...] = ()  # options of the generator
    kind: str = "load"  # what measures it: see run.py
    anchor: str = "raw_epoll"  # the server that all others are a ratio to
    generator: str = "load"
    unit: str = "request"
    share: float = 1  # of the time that a whole run may take
    size: int = 0  # bytes of a write, in bulk
    times: int = 1  # as many rounds, where small differences matter


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
        Workload("udp", "UDP echo, 4 sockets × 64 B, 16 datagrams under way on each",
                 ("--connections", "4", "--pipeline", "16"), anchor="raw_udp", generator="load_udp",
                 unit="datagram", share=0.5),
        Workload("udp-trains", "UDP echo, 4 sockets × trains of 64 datagrams × 64 B, sent as one",
                 ("--connections", "4", "--pipeline", "64", "--train", "64"), anchor="raw_udp",
                 generator="load_udp", unit="datagram", share=0.5),
        Workload("bulk-256k", "one way on one connection, 256 KiB a write and a read", kind="bulk",
                 anchor="raw_bulk", unit="MiB", share=0.5, size=MIB // 4),
        Workload("bulk-1m", "one way on one connection, 1 MiB a write and a read", kind="bulk",
                 anchor="raw_bulk", unit="MiB", share=0.5, size=MIB),
        Workload("journeys-1x64", "what following messages costs: ping-pong", ("--spin",),
                 anchor="koine-epoll", share=0.8, times=3),
        Workload("journeys-64x64", "what following messages costs: 64 connections × 64 B",
                 ("--connections", "64"), anchor="koine-epoll", share=0.8, times=3),
        Workload("idle", "connections that echoed 64 B once and then are quiet", kind="idle", share=1.5),
        Workload("micro", "spawn, timers, post and messages between shards", kind="micro", share=0.7),
        Workload("compile", "the smallest echo server through the compiler, -std=c++23 -O2 -c",
                 kind="compile"),
        Workload("messages", "RSocket messages beside gRPC: 64 B on one connection", kind="messages"),
        Workload("simulator", "the simulated internet beside ns-3: one TCP stream", kind="simulator"),
        Workload("generators", "the generator of these figures beside `koine bench`", kind="generators",
                 share=0.5),
    )
}

KEPT = ("ping-pong", "64x64", "1000x64", "64x16k", "pipeline", "churn")
ECHO = (*KEPT, "idle")
UDP = ("udp", "udp-trains")
BULK = ("bulk-256k", "bulk-1m")
JOURNEYS = ("journeys-1x64", "journeys-64x64")
NO_LIMITS = ("--max-connections", "20000", "--max-per-address", "20000")


@dataclass(frozen=True)
class Server:
    name: str
    command: tuple[str, ...]
    workloads: tuple[str, ...] = ECHO
    usual: bool = True  # taken when --servers is not given
    spins: bool = False  # never sleeps: it is stopped while others are measured
    threaded: bool = False  # has threads that share the core
    needs: str = ""  # an option of `koine serve` that may not be there yet
    idle_max: int = 20_000  # connections that may be held
    client: tuple[str, ...] = ()  # in bulk: what sends
    follows: int = 0  # one message in so many, and tells of it at its end


def koine(multiplexer: str, *options: str, name: str = "", workloads=ECHO, usual: bool = True,
          needs: str = "", follows: int = 0) -> Server:
    return Server(name or f"koine-{multiplexer}",
                  ("{koine}", "serve", "echo", "--on", "tcp://127.0.0.1:0", "--shards", "1",
                   "--multiplexer", multiplexer, *NO_LIMITS, *options), workloads, usual, needs=needs,
                  follows=follows)


def koine_udp(multiplexer: str) -> Server:
    return Server(f"koine-{multiplexer}",
                  ("{koine}", "serve", "echo", "--on", "udp://127.0.0.1:0", "--shards", "1",
                   "--multiplexer", multiplexer), UDP)


def koine_busy(multiplexer: str) -> Server:
    return koine(multiplexer, "--busy-poll", "100us", name=f"koine-{multiplexer}-busy",
                 workloads=("ping-pong",), needs="--busy-poll")


def koine_journeys(name: str, every: int) -> Server:
    return koine("epoll", "--journeys", str(every), name=f"koine-epoll-{name}",
                 workloads=JOURNEYS, needs="--journeys", follows=every)


def bulk(name: str, *program: str) -> Server:
    return Server(name, (*program, "receive", "0", "{size}"), BULK,
                  client=(*program, "send", "{url}", "{size}", "{total}"))


def koine_bulk(multiplexer: str) -> Server:
    return bulk(f"koine-{multiplexer}", "/usr/bin/env", f"KOINE_MULTIPLEXER={multiplexer}",
                "{bin}/koine_bulk")


RAW = (*ECHO, "lines")

SERVERS = (
    Server("raw_epoll", ("{bin}/raw_epoll", "0"), RAW),
    # The same program again: what it differs from 1.00 is the noise of the whole method.
    Server("raw_epoll-again", ("{bin}/raw_epoll", "0"), RAW),
    Server("raw_epoll-spin", ("{bin}/raw_epoll", "0", "--spin"), ("ping-pong",), spins=True),
    Server("raw_io_uring", ("{bin}/raw_io_uring", "0")),
    koine("epoll", workloads=(*ECHO, *JOURNEYS)),
    koine("io_uring"),
    koine_busy("epoll"),
    koine_busy("io_uring"),
    koine("poll", usual=False),
    koine("select", usual=False),
    Server("asio-callbacks", ("{bin}/asio_callbacks", "0")),
    Server("asio-coroutines", ("{bin}/asio_coroutines", "0")),
    Server("asio-io_uring", ("{bin}/asio_callbacks_io_uring", "0")),
    Server("koine-epoll", ("{bin}/koine_lines", "0", "epoll"), ("lines",)),
    Server("koine-io_uring", ("{bin}/koine_lines", "0", "io_uring"), ("lines",)),
    Server("asio-lines", ("{bin}/asio_lines", "0"), ("lines",)),
    Server("libuv", ("{bin}/uv", "0")),
    Server("libevent", ("{bin}/event", "0")),
    Server("go", ("{bin}/go_echo", "0"), threaded=True),
    Server("python-asyncio", ("/usr/bin/python3", "{peers}/asyncio_echo.py", "0")),
    Server("python-threads", ("/usr/bin/python3", "{peers}/threads_echo.py", "0"), threaded=True,
           idle_max=2_000),

    Server("raw_udp", ("{bin}/raw_udp", "0"), UDP),
    Server("raw_udp-again", ("{bin}/raw_udp", "0"), UDP),
    Server("raw_udp-trains", ("{bin}/raw_udp", "0", "--trains"), UDP),
    koine_udp("epoll"),
    koine_udp("io_uring"),
    Server("asio", ("{bin}/asio_udp", "0"), UDP),

    bulk("raw_bulk", "{bin}/raw_bulk"),
    bulk("raw_bulk-again", "{bin}/raw_bulk"),
    koine_bulk("epoll"),
    koine_bulk("io_uring"),
    bulk("asio", "{bin}/asio_bulk"),
    Server("iperf3", ("/usr/bin/iperf3", "--server", "--port", "5201", "--forceflush"), BULK,
           client=("/usr/bin/iperf3", "--client", "127.0.0.1", "--port", "5201", "--length", "{size}",
                   "--bytes", "{total}", "--json")),

    # A second time: the noise. And with a recorder that follows as good as no message, so that what is
    # left is the switch: the kernel stamps what arrives, and messages are counted; one in 100; all.
    Server("koine-epoll-again", koine("epoll").command, JOURNEYS),
    koine_journeys("switch", 1_000_000),
    koine_journeys("journeys-100", 100),
    koine_journeys("journeys-1", 1),
)
NAMES = tuple(dict.fromkeys(server.name for server in SERVERS))
