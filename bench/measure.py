"""One sample: a server on its core is loaded from the other, and we tell what each request cost.

Cost is the CPU time of the server's process, all threads, plus that of ksoftirqd on its core, in
exactly the window in which the generator counted requests (the generator reads those clocks). Before
and after, while nothing else runs, the canary says how far apart the two cores are.

Samples are short and many, because the cores' distance and other programs' noise change within a
second: each contestant, a server and the generator that is connected to it, is started once and then
asked for samples in turn. In between it has nothing to do, and a server that spins is stopped.
"""

import ctypes
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
READY = re.compile(r"^listening on ((?:tcp|udp)://127\.0\.0\.1:\d+)$|^(Server listening) on \d+",
                   re.MULTILINE)  # the latter: iperf3
FOLLOWED = re.compile(r"^([\d,]+) messages, ([\d,]+) followed$", re.MULTILINE)
FOLLOWED_SHARE_MIN = 0.98
START_SECONDS_MAX = 10
STOP_SECONDS_MAX = 15
WAITED_SHARE_MAX = 0.05  # a sample whose server or generator lost its core for longer is left out
ANSWER_SECONDS_MAX = 20  # of a generator, beyond its warm-up and window
PR_SET_PDEATHSIG = 1  # prctl(2)
IDLE_BASE = 16  # connections held before memory is first read, so that what is made once is made


class Trouble(Exception):
    """A server or tool did not do what a measurement needs; the text says what."""


@dataclass(frozen=True)
class Place:
    """Where things are and run."""

    tools: pathlib.Path  # the built peers, load and canary
    koine: pathlib.Path
    server_core: int
    load_core: int
    real_time: bool

    def pinned(self, core: int):
        libc = ctypes.CDLL(None)

        def prepare() -> None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing outlives the measurement
            os.sched_setaffinity(0, {core})
            if self.real_time:
                os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

        return prepare

    def anywhere(self) -> None:
        """For programs that may use all cores, at no priority: they end with the measurement, too."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def command(self, words: tuple[str, ...], **names) -> list[str]:
        names |= {"bin": self.tools, "koine": self.koine, "peers": PEERS}
        return [word.format_map(names) for word in words]

    def missing(self, server) -> str:
        """The first thing that the server lacks here, or nothing."""
        words = self.command(server.command, size=0)
        for word in words:
            if word.startswith("/") and not pathlib.Path(word).exists():
                return f"{word} is missing"
        if server.needs:
            said = subprocess.run([self.koine, "serve", "--help"], capture_output=True, text=True,
                                  check=False).stdout
            if server.needs not in said:
                return f"`koine serve` has no {server.needs}"
        return ""


def canary(place: Place) -> dict:
    def prepare() -> None:  # it pins its threads itself
        if place.real_time:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

    command = [place.tools / "canary", str(place.load_core), str(place.server_core)]
    answer = subprocess.run(command, preexec_fn=prepare, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, check=False)
    if answer.returncode != 0:
        raise Trouble(answer.stderr.strip())
    return json.loads(answer.stdout)


class Running:
    """A server while it runs. Leaving the `with` stops it."""

    def __init__(self, place: Place, server, size: int = 0):
        self._output = tempfile.TemporaryFile(mode="w+")  # a file: it never blocks the server
        self._errors = tempfile.TemporaryFile(mode="w+")
        self._process = subprocess.Popen(
            place.command(server.command, size=size), stdin=subprocess.DEVNULL, stdout=self._output,
            stderr=self._errors, preexec_fn=place.pinned(place.server_core))
        self.pid = self._process.pid
        self.url = ""

    def __enter__(self):
        self.wait_until_ready()
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.stop()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            found = READY.search(self._said(self._output))
            if found:
                self.url = found[1] or ""
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.005)
        output, errors = self._said(self._output), self._said(self._errors)
        self._end()
        raise Trouble(f"did not start: it said {output!r}, and as errors {errors!r}")

    def stop(self) -> None:
        """Ends it by SIGTERM. That it was still alive, and obeys, is part of the measurement."""
        died = self._process.poll()
        if died is not None:
            errors = self._said(self._errors)[-500:]
            raise Trouble(f"died while it was measured (status {died}): {errors!r}")
        self._end()

    def _end(self) -> None:
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        self.thaw()
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise Trouble(f"did not stop within {STOP_SECONDS_MAX} s of SIGTERM") from None

    def output(self) -> str:
        return self._said(self._output)

    @staticmethod
    def _said(file) -> str:
        file.seek(0)
        return file.read()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def children(self) -> list[str]:
        return [child for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir()
                for child in (task / "children").read_text().split()]

    def private_bytes(self) -> int:
        rollup = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return 1024 * sum(int(kib) for kib in re.findall(r"^Private_\w+:\s+(\d+) kB$", rollup,
                                                        re.MULTILINE))


def waited_ns(pid: int) -> int:
    """How long the threads of a process, ready to run, waited for a core that others had."""
    return sum(int((task / "schedstat").read_text().split()[1])
               for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def cpu_ns(pid: int) -> int:
    """CPU time of a process so far. The number of its clock is made as clock_getcpuclockid(3) does."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def busy_seconds(core: int) -> float:
    """How long a core was not idle since the machine started, to 0.01 s (proc(5), /proc/stat)."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _, _, irq, softirq, *_ = map(int, ticks)
            return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    raise Trouble(f"/proc/stat does not tell of core {core}")


def ksoftirqd(core: int) -> int | None:
    """The process of that kernel thread, or None where it cannot be seen (in a container)."""
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text() == f"ksoftirqd/{core}\n":
                return int(comm.parent.name)
        except OSError:
            pass  # it ended meanwhile
    return None


class Generator:
    """bench/load beside a server, answering one JSON line at a time."""

    def __init__(self, place: Place, url: str, options: list[str], program: str = "load"):
        self._process = subprocess.Popen(
            [place.tools / program, url, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, preexec_fn=place.pinned(place.load_core))
        self.pid = self._process.pid

    def answer(self, seconds_max: float) -> dict:
        """The next line it prints; Trouble when it is late, or tells of errors."""
        if not select.select([self._process.stdout], [], [], seconds_max)[0]:
            raise Trouble(f"the generator did not answer within {seconds_max} s")
        line = self._process.stdout.readline()
        if not line:
            raise Trouble(f"the generator ended with status {self._process.wait()}")
        answer = json.loads(line)
        if answer["errors"]:
            raise Trouble(f"errors: {answer['errors']}")
        return answer

    def go_on(self) -> None:
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        try:
            self._process.stdin.close()
            self._process.wait(STOP_SECONDS_MAX)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Contestant:
    """A server and its generator, connected and quiet, ready to be asked for samples."""

    def __init__(self, place: Place, server, workload, seconds: float, warmup: float):
        self._seconds = seconds + warmup
        self._spins, self._threaded, self._follows = server.spins, server.threaded, server.follows
        self._requests = 0
        self._core = place.server_core
        self._softirq = ksoftirqd(place.server_core)
        self._running = Running(place, server)
        self._running.wait_until_ready()
        watched = [self._running.pid] + ([self._softirq] if self._softirq else [])
        self._generator = Generator(place, self._running.url, [
            *workload.load, "--on-command", "--seconds", str(seconds), "--warmup", str(warmup),
            "--watch", ",".join(map(str, watched))], workload.generator)
        try:
            self._generator.answer(ANSWER_SECONDS_MAX)
            if self._spins:
                self._running.freeze()
        except Trouble:
            self.stop()
            raise

    def sample(self) -> dict:
        if self._spins:
            self._running.thaw()
        # Threads of one server wait for each other, which is its own affair.
        pids = [self._generator.pid] + ([] if self._threaded else [self._running.pid])
        before_ns = [waited_ns(pid) for pid in pids]
        before_busy = self._others_seconds()
        self._generator.go_on()
        load = self._generator.answer(self._seconds + ANSWER_SECONDS_MAX)
        others_seconds = self._others_seconds() - before_busy
        waits = [(waited_ns(pid) - ns) / 1e9 / self._seconds for pid, ns in zip(pids, before_ns)]
        if self._running.children():
            raise Trouble("has child processes, whose CPU time would be missed")
        if self._spins:
            self._running.freeze()
        if load["requests"] == 0:
            raise Trouble("answered nothing")
        self._requests += load["requests"]
        cpu_ns = sum(load["cpu_ns"].values())
        softirq_ns = load["cpu_ns"].get(str(self._softirq), 0)
        return {
            "requests_per_second": load["requests"] / load["seconds"],
            "cpu_ns_per_request": cpu_ns / load["requests"],
            "ksoftirqd_share": softirq_ns / cpu_ns,
            "waited_share": max(waits),
            "others_share": max(others_seconds, 0) / self._seconds,
            "load": load,
        }

    def _others_seconds(self) -> float:
        """CPU time so far on the server's core of all but the server: a difference means others'."""
        return busy_seconds(self._core) - cpu_ns(self._running.pid) / 1e9

    def stop(self) -> None:
        self._running.thaw()
        self._generator.stop()
        self._running.stop()
        if self._follows:
            check_followed(self._running.output(), self._follows, self._requests)


def check_followed(output: str, every: int, requests: int) -> None:
    """That a server which follows one message in `every` has reported as many: its own last word."""
    found = FOLLOWED.search(output)
    if not found:
        raise Trouble("did not tell how many messages it followed")
    messages, followed = (int(number.replace(",", "")) for number in found.groups())
    if messages < requests or followed < FOLLOWED_SHARE_MIN * (messages // every):
        raise Trouble(f"followed {followed} of {messages} messages, of which {requests} were measured")


def idle_memory(place: Place, server, steps: list[int]) -> dict:
    """Private bytes of the server for each connection above the first IDLE_BASE, at each step."""
    held: dict[int, int] = {}
    with Running(place, server) as running:
        generator = Generator(place, running.url,
                              ["--idle", ",".join(map(str, [IDLE_BASE, *steps]))])
        try:
            for connections in [IDLE_BASE, *steps]:
                generator.answer(ANSWER_SECONDS_MAX)
                held[connections] = running.private_bytes()
                generator.go_on()
            generator.answer(ANSWER_SECONDS_MAX)  # all of them were still open
        finally:
            generator.stop()
    return {"private_bytes": held,
            "bytes_per_connection": {step: (held[step] - held[IDLE_BASE]) / (step - IDLE_BASE)
                                     for step in steps}}


def own_network() -> bool:
    """Moves this process into a network namespace of its own, with its loopback up. Needs root.

    Churn leaves ten thousands of ports in TIME_WAIT; here they disturb nobody and end with us.
    """
    import fcntl
    import socket
    import struct

    CLONE_NEWNET, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8914, 1
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
    return True


def may_be_real_time() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        return True
    except PermissionError:
        return False


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
