"""What was recorded of a storm, put side by side: the records of the jobs, the server's counters, the events stream,
the metrics stream, the dependency's book, what the applications wrote down, and how the timeout of reports stood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordinator.keys import key
from coordinator.metrics.window import Window, window
from coordinator_demo import account
from coordinator_demo.account import BATCH, Event
from coordinator_demo.history import Line
from coordinator_demo.storm.dependency import Visit
from coordinator_demo.storm.plan import DIGEST, DIGEST_PRIORITY, Plan, Span


@dataclass(frozen=True, slots=True)
class Job:
    """One job: what its application wrote down when it was accepted, and its record as it is in the end. Times are
    epoch seconds by the server; `claimed` is that of its last run, None if it never had one."""

    ident: str
    name: str
    priority: str
    state: str
    asked: float
    claimed: float | None
    ended: float | None

    @property
    def waited(self) -> float | None:
        """From asking to its last start, which for most is the only one."""
        return None if self.claimed is None else max(0.0, self.claimed - self.asked)


@dataclass(frozen=True, slots=True)
class Timeout:
    """How the timeout of reports stood at a time, after so many moves."""

    at: float
    seconds: float
    moves: int


@dataclass(frozen=True, slots=True)
class Record:
    """All of it."""

    plan: Plan
    jobs: Sequence[Job]
    counters: Mapping[str, int]
    events: Sequence[Event]
    measured: Window
    book: Sequence[Visit]
    lines: Sequence[Line]
    timeouts: Sequence[Timeout]

    def named(self, *names: str) -> list[Job]:
        """The jobs of these handlers."""
        return [one for one in self.jobs if one.name in names]

    def happened(self, event: str, subjects: Iterable[str] = ()) -> list[Event]:
        """Events of that name; if subjects are given, only theirs."""
        wanted = set(subjects)
        return [one for one in self.events if one["event"] == event and (not wanted or one["id"] in wanted)]

    def visits(self, kind: str, span: Span | None = None) -> list[Visit]:
        """Who asked the dependency for that."""
        return [one for one in self.book if one.kind == kind and (span is None or span.has(one.at))]

    def noted(self, event: str, **facts: Any) -> list[Line]:
        """What applications wrote down, of that kind and with these facts."""
        wanted = facts.items()
        return [one for one in self.lines if one["event"] == event and all(one.get(k) == v for k, v in wanted)]


def moment(event: Event) -> float:
    """When an event was, in epoch seconds by the server."""
    return int(event["ms"]) / 1000


def jobs(client: Any, namespace: str, lines: Iterable[Line]) -> list[Job]:
    """The jobs that were accepted, those that coalesced calls made too, with their records. One without a record is
    `lost`."""
    asked = _asked(lines)
    found = []
    for start in range(0, len(asked), BATCH):
        chunk = asked[start : start + BATCH]
        pipe = client.pipeline(transaction=False)
        for one in chunk:
            pipe.hmget(key(namespace, "REQ", one["id"]), "state", "stamp", "since", "ended")
        for one, (state, stamp, since, ended) in zip(chunk, pipe.execute(), strict=True):
            times = (_seconds(since), _seconds(ended))
            told = (state or b"lost").decode()
            found.append(Job(one["id"], one["name"], one["priority"], told, int(stamp or 0) / 1_000_000, *times))
    return found


def _asked(lines: Iterable[Line]) -> list[Line]:
    """What applications handed in. Who calls for a digest learns from the answer which job made it."""
    kept = list(lines)
    makers = dict.fromkeys(one["by"] for one in kept if one["event"] == "answered")
    digests = [{"id": ident, "name": DIGEST, "priority": DIGEST_PRIORITY} for ident in makers]
    return [one for one in kept if one["event"] == "asked"] + digests


def measured(client: Any, namespace: str, now: float) -> Window:
    """The whole metrics stream, as one window."""
    return window(reversed(list(account.entries(client, namespace, "METRICS"))), now)


def _seconds(ms: bytes | None) -> float | None:
    return int(ms) / 1000 if ms else None
