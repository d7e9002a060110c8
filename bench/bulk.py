"""One way in bulk: a server that reads, and a client that writes so many bytes in one connection.

Both ends are the contestant's own program: raw_bulk, koine, Asio, iperf3. Each says itself how long it
took, from the connection's beginning until the receiver had all of it. A "request" here is a MiB.
"""

import contextlib
import json
import pathlib
import subprocess

import measure

BYTES_PER_SECOND = 4 << 30  # about what one core can, to make samples about as long as was asked for
SAMPLE_SECONDS_MAX = 60
MIB = 1 << 20
UNPACED = ("cubic", "reno")  # the first that the kernel permits
CONGESTION = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")


@contextlib.contextmanager
def congestion_control(allowed: bool):
    """One that does not pace for the connections made meanwhile, in a network namespace of our own.

    Pacing (bbr) halves what a loopback carries, and then the programs are not what is measured.
    """
    before = CONGESTION.read_text().strip()
    for name in UNPACED if allowed else ():
        try:
            CONGESTION.write_text(name)
            break
        except OSError:
            continue  # not in this kernel, or only for the machine's own namespace
    try:
        yield CONGESTION.read_text().strip()
    finally:
        if allowed:
            with contextlib.suppress(OSError):
                CONGESTION.write_text(before)


def outcome(said: str) -> tuple[int, float]:
    """Bytes and seconds, as the client told them."""
    answer = json.loads(said)
    if "end" in answer:  # iperf3
        answer = answer["end"]["sum_received"]
    return int(answer["bytes"]), float(answer["seconds"])


class Contestant:
    def __init__(self, place: measure.Place, server, workload, seconds: float, warmup: float):
        self._place, self._server, self._size = place, server, workload.size
        self._total = max(int(seconds * BYTES_PER_SECOND) // MIB, 1) * MIB
        self._running = measure.Running(place, server, workload.size)
        self._running.wait_until_ready()
        self._softirq = measure.ksoftirqd(place.server_core)

    def sample(self) -> dict:
        command = self._place.command(self._server.client, url=self._running.url, size=self._size,
                                      total=self._total)
        core = self._place.server_core
        pids = [self._running.pid] + ([self._softirq] if self._softirq else [])
        before_ns = [measure.cpu_ns(pid) for pid in pids]
        before_waited = measure.waited_ns(self._running.pid)
        before_busy = measure.busy_seconds(core)
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True,
                                  timeout=SAMPLE_SECONDS_MAX,
                                  preexec_fn=self._place.pinned(self._place.load_core))
            bytes_received, seconds = outcome(done.stdout)
        except subprocess.CalledProcessError as error:
            raise measure.Trouble(f"{command[0]}: {error.stderr or error.stdout}") from None
        except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
            raise measure.Trouble(f"{command[0]}: {error}") from None
        used_ns = [measure.cpu_ns(pid) - ns for pid, ns in zip(pids, before_ns)]
        waited = (measure.waited_ns(self._running.pid) - before_waited) / 1e9 / seconds
        others = measure.busy_seconds(core) - before_busy - used_ns[0] / 1e9
        if bytes_received < 0.99 * self._total:  # iperf3 leaves out what came after its end
            raise measure.Trouble(f"{bytes_received} of {self._total} bytes arrived")
        mib = bytes_received / MIB
        return {"requests_per_second": mib / seconds, "cpu_ns_per_request": sum(used_ns) / mib,
                "waited_share": waited, "others_share": max(others, 0) / seconds,
                "load": {"silent_connections": 0, "lost": 0, "requests": mib, "seconds": seconds}}

    def stop(self) -> None:
        self._running.stop()
