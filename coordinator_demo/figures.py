"""The figures of a run, worked out from its history: waits by priority, hand-offs, lines, duplicates.

A wait is what an application sees: from the moment before it asks to the moment it, or the worker, has everything. It
contains every round trip, and at the scale of a replay one millisecond stands for minutes of the trace.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coordinator import Priority
from coordinator_demo.account import Account
from coordinator_demo.facts import Claim, Fact
from coordinator_demo.history import Line
from coordinator_demo.trace import Trace


@dataclass(frozen=True, slots=True)
class Spread:
    """How some durations are distributed, in seconds."""

    count: int
    p50: float
    p95: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a run. `hand_off` is from the moment a holder is done to the moment the next one has it."""

    pulls: int
    locks: int
    jobs: int
    resources: int
    elapsed: float
    waits: Mapping[Priority, Spread]
    hand_offs: int
    hand_off: Spread
    longest_line: int
    longest_line_of: str
    joined: int
    ends: Mapping[str, int]
    failures: tuple[str, ...]


def figures(trace: Trace, lines: Sequence[Line], account: Account) -> Figures:
    """The figures of a run from its history and the server's account."""
    asked = _first(lines, "asks", "pull")
    held = _first(lines, "holding", "pull")
    replayed = _Lines()
    for at, fact in enumerate(account.facts):
        replayed.apply(at, fact)
    used = [line["t"] for line in lines if line["event"] != "told"]
    return Figures(
        pulls=len(trace.pulls),
        locks=sum(not one.is_job for one in trace.pulls),
        jobs=sum(one.is_job for one in trace.pulls),
        resources=len({resource for one in trace.pulls for resource in one.resources}),
        elapsed=max(used) - min(used) if used else 0.0,
        waits={
            level: spread(
                held[one.key] - asked[one.key]
                for one in trace.pulls
                if one.priority is level and one.key in asked and one.key in held
            )
            for level in sorted({one.priority for one in trace.pulls}, reverse=True)
        },
        hand_offs=len(replayed.passed),
        hand_off=_hand_off_times(lines, replayed.passed),
        longest_line=replayed.longest,
        longest_line_of=replayed.longest_of,
        joined=account.joined,
        ends=Counter(fact.state for fact in account.facts if fact.what == "ended"),
        failures=tuple(f"{line['pull']}: {line['error']}" for line in lines if line["event"] == "failed"),
    )


def claims(lines: Iterable[Line]) -> list[Claim]:
    """What the processes believed, for the checker."""
    return [
        Claim(
            line["event"],
            line["process"],
            line["t"],
            line["request"],
            fence=line.get("fence", 0),
            state=line.get("state", ""),
        )
        for line in lines
        if line["event"] in ("holding", "done", "told")
    ]


def spread(values: Iterable[float]) -> Spread:
    """Quantiles by nearest rank; zeros for nothing."""
    ordered = sorted(values)

    def rank(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0

    return Spread(len(ordered), rank(0.5), rank(0.95), rank(0.99), rank(1.0))


class _Lines:
    """Replays who handed what to whom. `passed`: (giver, taker), one for each grant that had to wait for a release."""

    def __init__(self) -> None:
        self.passed: list[tuple[str, str]] = []
        self.longest, self.longest_of = 0, ""
        self._needs: dict[str, frozenset[str]] = {}
        self._waiting: Counter[str] = Counter()
        self._freed: dict[str, tuple[int, str]] = {}
        self._since: dict[str, int] = {}

    def apply(self, at: int, fact: Fact) -> None:
        ident = fact.request
        if fact.what == "asked":
            self._needs[ident] = fact.resources
        if fact.what in ("asked", "returned"):
            self._join(at, ident)
        elif fact.what in ("granted", "ended", "parked") and ident in self._since:
            self._leave(fact.what == "granted", ident)
        if fact.what in ("returned", "ended", "parked"):
            self._freed.update(dict.fromkeys(self._needs[ident], (at, ident)))

    def _join(self, at: int, ident: str) -> None:
        self._since[ident] = at
        self._waiting.update(self._needs[ident])
        for resource in self._needs[ident]:
            # Whoever asks is in line, if only for a moment: a line of one need not mean a wait.
            if self._waiting[resource] > self.longest:
                self.longest, self.longest_of = self._waiting[resource], resource

    def _leave(self, granted: bool, ident: str) -> None:
        self._waiting.subtract(self._needs[ident])
        arrived = self._since.pop(ident)
        when, giver = max((self._freed.get(one, (-1, "")) for one in self._needs[ident]), default=(-1, ""))
        if granted and when > arrived:
            self.passed.append((giver, ident))


def _hand_off_times(lines: Iterable[Line], passed: Iterable[tuple[str, str]]) -> Spread:
    held: dict[str, float] = {}
    done: dict[str, float] = {}
    for line in lines:
        if line["event"] == "holding":
            held.setdefault(line["request"], line["t"])
        elif line["event"] == "done":
            done[line["request"]] = line["t"]
    return spread(held[taker] - done[giver] for giver, taker in passed if giver in done and taker in held)


def _first(lines: Iterable[Line], event: str, field: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in lines:
        if line["event"] == event:
            found.setdefault(line[field], line["t"])
    return found
