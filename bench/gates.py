"""What koine promises, each as one number beside its bound: the first table of the report.

A figure is a ratio of medians, or a median, with the 95 % interval of what many more samples would
say. A gate is met when the figure is within its bound; when the interval reaches to the other side of
the bound the words say so, because then another run may say the opposite.
"""

import math
from dataclasses import dataclass
from statistics import median
from typing import Callable

import messages
import report

MULTIPLEXERS = ("epoll", "io_uring")
FRAMEWORKS = report.FRAMEWORKS
ASIO = ("asio-callbacks", "asio-coroutines", "asio-io_uring")
CPU = "cpu_ns_per_request"
RATE = "requests_per_second"
IDLE_HELD = 18_000


def p50(sample: dict) -> float:
    return sample["load"]["latency_us"]["p50"]


@dataclass(frozen=True)
class Figure:
    middle: float
    low: float
    high: float
    note: str = ""
    digits: int = 2

    def __str__(self) -> str:
        show = lambda value: f"{value:,.{self.digits}f}"  # noqa: E731
        interval = "" if math.isnan(self.low) or self.low == self.high else (
            f" ({show(self.low)}–{show(self.high)})")
        return f"**{show(self.middle)}**{interval}{self.note}"


@dataclass(frozen=True)
class Gate:
    workload: str
    text: str
    bound: float
    figure: Callable[[dict, str], Figure | None]  # of a run, on a multiplexer
    is_most: bool = True  # the figure may be at most the bound; else it must be at least that
    multiplexers: tuple[str, ...] = MULTIPLEXERS

    def verdict(self, figure: Figure | None) -> str:
        if figure is None:
            return "not measured"
        sign = 1 if self.is_most else -1
        within = lambda value: sign * value <= sign * self.bound  # noqa: E731
        worst = figure.high if self.is_most else figure.low
        best = figure.low if self.is_most else figure.high
        if within(figure.middle):
            return "met" if math.isnan(worst) or within(worst) else "met, with the bound in the interval"
        return ("missed, with the bound in the interval" if not math.isnan(best) and within(best)
                else "**not met**")


def ratio_in(run: dict, workload: str, server: str, other: str, key) -> Figure | None:
    """One server over another, in the label in which both have the most samples."""
    samples = {name: run["load"].get(workload, {}).get(name, []) for name in (server, other)}
    label = report.best_label(samples)
    these, those = (report.labelled(samples[name], label) for name in (server, other))
    return Figure(*report.ratio(these, those, key)) if these and those else None


def over(workload: str, other: str, key=CPU, suffix: str = ""):
    return lambda run, multiplexer: ratio_in(run, workload, f"koine-{multiplexer}{suffix}", other, key)


def under(workload: str, other: str):
    """How many times koine's CPU time the other takes."""
    return lambda run, multiplexer: ratio_in(run, workload, other, f"koine-{multiplexer}", CPU)


def best(run: dict, workload: str, names: tuple[str, ...], key, want=min) -> str | None:
    samples = {name: of for name in names if (of := run["load"].get(workload, {}).get(name))}
    samples = {name: of for name, of in samples.items() if any(
        report.labelled(of, label) for label in report.LABELS)}
    if not samples:
        return None
    label = report.best_label(samples)
    found = {name: report.middle(these, key) for name, of in samples.items()
             if (these := report.labelled(of, label))}
    return want(found, key=found.get) if found else None


def over_best(workload: str, names: tuple[str, ...], key=CPU, want=min, suffix: str = ""):
    def figure(run: dict, multiplexer: str) -> Figure | None:
        other = best(run, workload, names, key, want)
        found = other and ratio_in(run, workload, f"koine-{multiplexer}{suffix}", other, key)
        return Figure(found.middle, found.low, found.high, f" {other}") if found else None

    return figure


def of_values(values: list[float], digits: int = 0, note: str = "") -> Figure | None:
    if not values:
        return None
    return Figure(median(values), *report.interval_of_median(values), note=note, digits=digits)


def rpc(run: dict, _: str) -> Figure | None:
    row = run.get("messages", {}).get("64 outstanding")
    return Figure(*messages.times(row), digits=1) if row else None


def idle_bytes(run: dict, multiplexer: str) -> Figure | None:
    samples = run["idle"].get(f"koine-{multiplexer}", [])
    return of_values([list(one["bytes_per_connection"].values())[-1] for one in samples])


def idle_held(run: dict, multiplexer: str) -> Figure | None:
    samples = run["idle"].get(f"koine-{multiplexer}", [])
    if max(run.get("idle_steps", [0])) < IDLE_HELD:
        return None  # nobody asked for so many
    return of_values([max(map(int, one["bytes_per_connection"])) for one in samples])


def micro(name: str):
    def figure(run: dict, _: str) -> Figure | None:
        for program, benchmarks in run.get("micro", {}).items():
            if program.startswith("koine") and name in benchmarks:
                return of_values(benchmarks[name], digits=1)
        return None

    return figure


def compiled(key: str, digits: int):
    def figure(run: dict, _: str) -> Figure | None:
        for row in run["compile"]:
            if row["program"] == "koine" and row["stripped_kib"]:
                values = [row[key]] if key in row else [sample[key] for sample in row["samples"]]
                return of_values(values, digits)
        return None

    return figure


ONCE = ("",)
GATES = (
    *(gate for workload in ("64x64", "1000x64", "64x16k", "churn") for gate in (
        Gate(workload, "CPU per request ≤ 1.05 × raw_epoll", 1.05, over(workload, "raw_epoll")),
        Gate(workload, "CPU per request ≤ 1.00 × the best framework", 1.00,
             over_best(workload, FRAMEWORKS)))),
    Gate("pipeline", "CPU per request ≤ 1.00 × raw_epoll", 1.00, over("pipeline", "raw_epoll")),
    Gate("lines", "CPU per request ≤ 1.25 × raw_epoll", 1.25, over("lines", "raw_epoll")),
    Gate("lines", "Asio takes ≥ 8 × the CPU", 8, under("lines", "asio-lines"), is_most=False),
    Gate("ping-pong", "busy-poll: requests/s ≥ 2.5 × the best Asio", 2.5,
         over_best("ping-pong", ASIO, RATE, max, "-busy"), is_most=False),
    Gate("ping-pong", "busy-poll: p50 ≤ 1.15 × raw_epoll-spin", 1.15,
         over("ping-pong", "raw_epoll-spin", p50, "-busy")),
    Gate("messages", "64 outstanding: gRPC takes ≥ 5 × the CPU", 5, rpc, False, ONCE),
    Gate("udp-trains", "recvfrom and sendto take ≥ 10 × the CPU", 10, under("udp-trains", "raw_udp"),
         is_most=False),
    Gate("udp", "CPU per datagram ≤ 1.05 × recvfrom and sendto", 1.05, over("udp", "raw_udp")),
    *(gate for workload in ("bulk-256k", "bulk-1m") for gate in (
        Gate(workload, "bytes/s ≥ 1.00 × iperf3", 1.00, over(workload, "iperf3", RATE), is_most=False),
        Gate(workload, "bytes/s ≥ 0.95 × raw_bulk", 0.95, over(workload, "raw_bulk", RATE),
             is_most=False))),
    *(Gate(workload, "one message in 100 followed: CPU per request ≤ 1.02 × the switch alone", 1.02,
           lambda run, _, workload=workload: ratio_in(
               run, workload, "koine-epoll-journeys-100", "koine-epoll-switch", CPU), True, ONCE)
      for workload in ("journeys-1x64", "journeys-64x64")),
    Gate("idle", "≤ 400 bytes for each connection", 400, idle_bytes),
    Gate("idle", f"{IDLE_HELD:,} connections held", IDLE_HELD, idle_held, is_most=False),
    Gate("micro", "spawn ≤ 50 ns", 50, micro("SpawnAndFinish"), True, ONCE),
    Gate("micro", "move an armed timer as time goes on ≤ 30 ns", 30, micro("MoveATimerBackAsTimeGoesOn"), True, ONCE),
    Gate("micro", "post ≤ 15 ns", 15, micro("ScheduleAndRun"), True, ONCE),
    Gate("compile", "≤ 0.9 s", 0.9, compiled("wall_s", 2), True, ONCE),
    Gate("compile", "≤ 200 MiB in the compiler", 200, compiled("peak_mib", 0), True, ONCE),
    Gate("compile", "≤ 250 KiB stripped, linked statically to koine", 250,
         compiled("stripped_kib", 0), True, ONCE),
)


def in_words(verdicts: dict[str, str]) -> str:
    """`met` if it is so on both, else what it is on each."""
    if len(set(verdicts.values())) == 1:
        return next(iter(verdicts.values()))
    return "; ".join(f"{multiplexer}: {words}" for multiplexer, words in verdicts.items())


def markdown(run: dict, chosen) -> list[str]:
    """The table; gates of workloads that were not chosen are not in it."""
    rows = []
    for gate in GATES:
        if gate.workload not in chosen:
            continue
        figures = {multiplexer: gate.figure(run, multiplexer) for multiplexer in gate.multiplexers}
        cells = [str(figure) if figure else "–" for figure in figures.values()]
        verdict = in_words({name: gate.verdict(figure) for name, figure in figures.items()})
        rows.append([gate.workload, gate.text, *(cells if len(cells) > 1 else [cells[0], ""]), verdict])
    if not rows:
        return []
    head = "| workload | gate | koine (epoll) | io_uring | |"
    return [head, "| --- | --- | ---: | ---: | --- |", *(report.row(cells) for cells in rows)]
