"""Collects what a process measures until the next sample is published.

Nothing here looks at a clock, waits or sends. A count is one look-up and one store in a dict; an observation is three
additions and a logarithm. So a recorder can be on in every process: measured, 0.1 and 0.2 us.

`Recorder` belongs to one thread, which for a worker is its event loop, and has no lock (a count that comes from another
thread, such as the keeper's, is lost if the sample is taken at that very moment). Threads share a
`SharedRecorder`.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TypeVar

from coordinator.model.histogram import Observed, bucket
from coordinator.model.measures import Kind, allowed

T = TypeVar("T")
# What threads put down of one measure before it is added up: some twenty microseconds of work.
MOST_NOTES = 64


@dataclass(slots=True)
class Taken:
    """What was measured between two samples. Keys are names, with a label after a colon where they have one."""

    counts: dict[str, int] = field(default_factory=dict)
    observed: dict[str, Observed] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing happened; gauges alone are no news."""
        return not self.counts and not self.observed


class Recorder:
    """A `Meter` for one thread."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._observed: dict[str, Observed] = {}
        self._gauges: dict[str, float] = {}

    def count(self, name: str, times: int = 1, label: str = "") -> None:
        """Something happened, so many times."""
        if label:
            name = f"{name}:{label}"
        counts = self._counts
        counts[name] = counts.get(name, 0) + times

    def observe(self, name: str, value: float) -> None:
        """Something took so many seconds, or had that size."""
        found = self._observed.get(name)
        if found is None:
            found = self._observed[name] = Observed()
        found.total += value
        counts, place = found.histogram.counts, bucket(value)
        counts[place] = counts.get(place, 0) + 1

    def add(self, name: str, values: Observed) -> None:
        """Values that were put down elsewhere."""
        if values.histogram.counts:
            self._observed.setdefault(name, Observed()).merge(values)

    def gauge(self, name: str, value: float, label: str = "") -> None:
        """Something stands at that figure, until it is said to stand at another."""
        self._gauges[f"{name}:{label}" if label else name] = value

    def take(self) -> Taken:
        """What happened since the last time, and how the gauges stand. Names that the table does not have are left out:
        they are a fault of the program, and readers could make nothing of them."""
        counts, self._counts = self._counts, {}
        observed, self._observed = self._observed, {}
        return Taken(
            {name: count for name, count in counts.items() if count and allowed(name, (Kind.COUNT,))},
            {name: one for name, one in observed.items() if allowed(name, (Kind.TIME, Kind.SIZE))},
            {name: value for name, value in self._gauges.items() if allowed(name, (Kind.GAUGE,))},
        )

    def give_back(self, taken: Taken) -> None:
        """What was taken and could not be published goes into the next sample."""
        for name, count in taken.counts.items():
            self._counts[name] = self._counts.get(name, 0) + count
        for name, one in taken.observed.items():
            if name in self._observed:
                one.merge(self._observed[name])
            self._observed[name] = one


class SharedRecorder(Recorder):
    """A `Meter` for many threads. What they tell it is put down in lists, which takes no lock, and added up once there
    is a little of it."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._times: dict[str, deque[int]] = {}
        self._values: dict[str, deque[float]] = {}

    def count(self, name: str, times: int = 1, label: str = "") -> None:
        """Something happened, so many times."""
        if label:
            name = f"{name}:{label}"
        noted = self._times.get(name)
        if noted is None:
            noted = self._times.setdefault(name, deque())
        noted.append(times)
        if len(noted) >= MOST_NOTES:
            self._add_up()

    def observe(self, name: str, value: float) -> None:
        """Something took so many seconds, or had that size."""
        noted = self._values.get(name)
        if noted is None:
            noted = self._values.setdefault(name, deque())
        noted.append(value)
        if len(noted) >= MOST_NOTES:
            self._add_up()

    def gauge(self, name: str, value: float, label: str = "") -> None:
        """Something stands at that figure."""
        with self._lock:
            super().gauge(name, value, label)

    def add(self, name: str, values: Observed) -> None:
        """Values that were put down elsewhere."""
        with self._lock:
            super().add(name, values)

    def renew(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.RLock()
        self.take()

    def take(self) -> Taken:
        """As `Recorder.take`."""
        self._add_up()
        with self._lock:
            return super().take()

    def give_back(self, taken: Taken) -> None:
        """As `Recorder.give_back`."""
        with self._lock:
            super().give_back(taken)

    def _add_up(self) -> None:
        """Others may put down more meanwhile."""
        with self._lock:
            for name, times in list(self._times.items()):
                super().count(name, sum(_taken_from(times)))
            for name, values in list(self._values.items()):
                self.add(name, Observed.of(_taken_from(values)))


def _taken_from(noted: deque[T]) -> list[T]:
    return [noted.popleft() for _ in range(len(noted))]
