"""Servers take turns (A B C, B C A, ...) at short samples of one workload, the canary between them.

Every few rounds all servers start anew, so that the luck of one process's memory layout is not a
result. It goes on until each has enough samples at one core distance, or twice the rounds were made,
or the time is up. A server that has trouble is out, with a word; the others go on.
"""

import time

import bulk
import measure
import report

ROUNDS_PER_START = 5
CONTESTANTS = {"load": measure.Contestant, "bulk": bulk.Contestant}


def label(before: dict, after: dict, sample: dict) -> str:
    """What a sample may be compared with; "mixed" and "disturbed" with nothing."""
    if sample["waited_share"] > measure.WAITED_SHARE_MAX:
        return "disturbed"
    return before["near_far"] if before["near_far"] == after["near_far"] else "mixed"


class Turns:
    """All samples of one workload, by server."""

    def __init__(self, options, place, workload, servers, troubles: list[str], deadline: float):
        self.samples: dict[str, list[dict]] = {server.name: [] for server in servers}
        self._options, self._place, self._workload = options, place, workload
        self._left = list(servers)  # without those that had trouble
        self._troubles, self._deadline = troubles, deadline
        self._rounds = options.rounds * workload.times

    def run(self) -> dict[str, list[dict]]:
        for begin in range(0, 2 * self._rounds, ROUNDS_PER_START):
            contestants = {server: contestant for server in list(self._left)
                           if (contestant := self._attempt(server, lambda: self._start(server)))}
            try:
                for turn in range(begin, min(begin + ROUNDS_PER_START, 2 * self._rounds)):
                    self._round(turn, contestants)
                    if self._enough():
                        break
            finally:
                for server, contestant in contestants.items():
                    self._attempt(server, contestant.stop)
            if self._enough():
                break
            measure.say(f"  {self._workload.name}: round {turn + 1}")
        self._tell()
        return self.samples

    def _start(self, server):
        return CONTESTANTS[self._workload.kind](self._place, server, self._workload,
                                                self._options.seconds, self._options.warmup)

    def _attempt(self, server, action):
        """What `action` returns; or None, and that server is out."""
        try:
            return action()
        except (measure.Trouble, OSError) as trouble:
            self._troubles.append(f"{self._workload.name}, {server.name}: {trouble}")
            measure.say(f"  LEFT OUT from here: {self._troubles[-1]}")
            self._left = [other for other in self._left if other is not server]
            return None

    def _round(self, turn: int, contestants: dict) -> None:
        first = turn % max(len(self._left), 1)
        before = measure.canary(self._place)
        for server in self._left[first:] + self._left[:first]:
            sample = self._attempt(server, contestants[server].sample)
            after = measure.canary(self._place)
            if sample:
                sample["round"] = turn
                sample["canary_ns"] = [before["nanoseconds"], after["nanoseconds"]]
                sample["label"] = label(before, after, sample)
                self.samples[server.name].append(sample)
            before = after

    def _enough(self) -> bool:
        samples = {server.name: self.samples[server.name] for server in self._left}
        return not samples or time.monotonic() > self._deadline or self._rounds <= max(
            report.complete_rounds(samples, label) for label in report.LABELS)

    def _tell(self) -> None:
        for name, samples in self.samples.items():
            for label in report.LABELS:
                if these := report.labelled(samples, label):
                    unit = self._workload.unit
                    measure.say(
                        f"  {self._workload.name:14} {name:22} {label:4} {len(these):3} samples "
                        f"{report.middle(these, 'cpu_ns_per_request'):10,.0f} ns CPU/{unit} "
                        f"{report.middle(these, 'requests_per_second'):12,.0f} {unit}/s")
