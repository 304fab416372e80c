"""What this process has seen of how long things take, and what the fleet makes of it.

Observations are put down here, a tenth of a microsecond each, and counted and handed in every few seconds in one call,
by the thread that beats for the session. The answer says how the timeouts of these things stand in the whole fleet.
What this process would have them be goes along with its next report, and counts if nobody was quicker.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from coordinator.drivers import clock
from coordinator.drivers.store import Store
from coordinator.errors import CoordinatorError
from coordinator.model.histogram import Histogram, Observed, bucket
from coordinator.model.measures import Meter
from coordinator.ops import timing
from coordinator.ops.timing import Heard, TimeoutView
from coordinator.policy.adaptive import (
    BASES,
    CONNECTION,
    HOLD,
    OTHER,
    RENEWAL,
    SHARE,
    Adaptive,
    Seen,
    clamped,
    cut_off_at,
    following,
)
from coordinator.settings import Settings
from coordinator.wire import calls
from coordinator.wire.calls import Lesson, Lessons, Scope

log = logging.getLogger(__name__)
T = TypeVar("T")

# Latencies of one thing that a report has not told yet: if the server is away for long, the newest are kept.
MOST_SAMPLES = 100_000
# Things counted apart in one process; the namespace has a limit of its own.
MOST_HERE = 512
# Things in one report: what there is more of goes along with the next ones.
MOST_REPORTED = 32
# A thing is forgotten after so many reports in which it was neither seen nor asked about.
FORGET_AFTER = 150
# News of these alone are handed in every so many seconds only: every process has some with each of its heartbeats.
PATIENT, PATIENCE = (RENEWAL, CONNECTION), 30.0
# What is only counted has one value, and nothing moves it.
COUNTED = Adaptive(base=60.0, least=1.0, most=1.0)
# A call without an answer counts as cut off, and not as refused, if it took this share of the time it was allowed.
CUT_OFF = 0.9
# Two moves of a timeout are at least this share of a report interval apart: reports are not exactly on time.
PACE = 0.9
# A move by less than this share of a timeout is not worth a write.
LEAST_MOVE = 0.002


@dataclass(slots=True)
class _Thing:
    """One resource, queue or handler. `took` and `cut` are what no report has told yet: latencies, and the buckets of
    those that were cut off; `resolved`: the latencies of the report under way. `pinned` ones are always asked about;
    `idle` counts reports without news of it."""

    base: float
    rules: Adaptive
    current: float
    pinned: bool = False
    asked: bool = False
    known: bool = False
    kept: bool = False
    took: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))
    cut: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))
    resolved: Observed = field(default_factory=Observed)
    seen: Seen = field(default_factory=Seen)
    total: int = 0
    version: int = 0
    idle: int = 0

    @property
    def wanted(self) -> bool:
        """Whether the next report is about it."""
        return bool(self.took or self.cut) or self.pinned or self.asked

    @property
    def seconds(self) -> float:
        return clamped(self.current, self.base, self.rules)

    @property
    def least(self) -> float:
        return self.rules.least * self.base

    def lesson(self, name: str) -> Lesson:
        """What the next report says of it. What is fresh goes over into it."""
        counts = self._take_counts()
        used, self.asked = self.pinned or self.asked, False
        now = self.seconds
        wish = following(now, self.base, self.seen, self.rules) if self.known else now
        moves = abs(wish - now) > LEAST_MOVE * now or now != self.current
        return Lesson(
            name,
            round(self.base * 1000),
            self.rules.strategy if used else "",
            self.total if self.known else -1,
            self.version,
            round(wish * 1000) if moves and self.known else 0,
            round((self.seen.latencies.quantile(SHARE) or 0.0) * 1000),
            counts,
        )

    def _take_counts(self) -> dict[str | int, int]:
        # Taken out one by one: other threads add to them all the while, without a lock.
        samples = list(_drained(self.took))
        places, took = Counter(map(bucket, samples)), len(samples)
        self.resolved = Observed(Histogram(dict(places)), sum(samples))
        places.update(_drained(self.cut))
        counts: dict[str | int, int] = {place: many for place, many in places.items()}  # noqa: C416
        # Without zeros: each would be a write.
        return counts | {how: many for how, many in (("ok", took), ("late", places.total() - took)) if many}


def _drained(samples: deque[T]) -> Iterator[T]:
    with suppress(IndexError):
        while True:
            yield samples.popleft()


@dataclass(frozen=True, slots=True)
class Habits:
    """How a process learns, if it does: by which rules for each type, how many things are counted apart in the
    namespace, every how many seconds it reports, and how long one of its calls may take."""

    rules: Mapping[str, Adaptive] = field(default_factory=dict)
    most: int = 256
    every: float = 2.0
    call: float = 5.0
    learns: bool = True


class Learner:
    """The book of timeouts of one process. Safe for many threads; `report` and `leave` are called by one. One that does
    not learn puts nothing down and reports nothing: what it is asked about stands as it was when it asked the fleet."""

    def __init__(self, habits: Habits, store: Store, scope: Scope, meter: Callable[[], Meter]) -> None:
        self._habits, self._store, self._scope, self._meter = habits, store, scope, meter
        self._lock = threading.Lock()
        self._things: dict[str, _Thing] = {}
        self._number = 1
        # The report on its way, which is sent again as it is until it was answered, and what it is about.
        self._sending: Lessons | None = None
        self._about: list[_Thing] = []
        self._reported_at = self._listed_at = -math.inf

    @classmethod
    def of(cls, settings: Settings, store: Store, scope: Scope, meter: Callable[[], Meter]) -> Learner:
        """The learner that the settings ask for. It reports with every second heartbeat."""
        return cls(_habits(settings), store, scope, meter)

    def adopt(self, settings: Settings, scope: Scope) -> None:
        """Learn by other settings from now on. What a handler itself says of its timeout stays with it."""
        with self._lock:
            before, self._habits, self._scope = self._habits.rules, _habits(settings), scope
            for key, thing in self._things.items():
                kind = key.partition("/")[0]
                rules = self._habits.rules[kind]
                if thing.rules is before.get(kind):
                    thing.rules = rules
                thing.base = thing.rules.base or rules.base or thing.base
                if not thing.known:
                    thing.current = thing.base

    def pin(self, key: str, rules: Adaptive | None = None) -> None:
        """A timeout that this process will ask for again and again, and by what rules if not by those of its type."""
        with self._lock:
            thing = self._thing(key)
            thing.pinned = True
            if rules is not None:
                thing.rules, thing.base = rules, rules.base or thing.base
            if not thing.known:
                thing.current = thing.base

    def knows(self, key: str) -> bool:
        """Whether the fleet's timeout is known here."""
        with self._lock:
            return self._thing(key).known

    def note(self, key: str, view: TimeoutView | None) -> None:
        """Take what the fleet knows; None for nothing."""
        with self._lock:
            thing = self._thing(key)
            if view is None:
                thing.known = True
            else:
                self._take(thing, view.current, view.version, view.seen)

    def seconds(self, key: str) -> float:
        """The timeout in force; its base where nothing is known."""
        thing = self._things.get(key)
        if thing is None:
            with self._lock:
                thing = self._thing(key)
        thing.asked = True
        return thing.seconds

    def least(self, key: str) -> float:
        """What the timeout in force does not shrink below, in seconds."""
        with self._lock:
            return self._thing(key).least

    def figures(self, key: str) -> tuple[Seen, str]:
        """What a timeout follows from, and by which strategy."""
        with self._lock:
            thing = self._thing(key)
            return thing.seen, thing.rules.strategy

    now = staticmethod(clock.now)
    """The clock that latencies are measured by."""

    def took(self, key: str, seconds: float) -> None:
        """Something succeeded after so many seconds."""
        if not self._habits.learns:
            return
        thing = self._things.get(key)
        if thing is None:
            with self._lock:
                thing = self._thing(key)
        thing.took.append(seconds)

    def taker(self, key: str) -> Callable[[float], None]:
        """What is to be called with how long something took, instead of `took`: for whoever does that all the time."""
        if not self._habits.learns:
            return _nothing
        with self._lock:
            thing = self._thing(key)
            thing.kept = True
            return thing.took.append

    def ran_out(self, key: str, limit: float) -> None:
        """Something was cut off at its limit."""
        if not self._habits.learns:
            return
        with self._lock:
            thing = self._thing(key)
            thing.cut.append(cut_off_at(limit, thing.seconds))

    def timed(self, kind: str, seconds: float, answered: bool) -> None:
        """A session was opened or renewed, or the server did not answer."""
        key = timing.key_of(kind, "session")
        if answered:
            self.took(key, seconds)
        elif seconds >= CUT_OFF * self._habits.call:
            self.ran_out(key, self._habits.call)

    def report(self, session: str) -> None:
        """Hand in what was seen, if it is time to. What cannot be handed in is handed in later."""
        now = clock.now()
        if self._habits.learns and now - self._reported_at >= self._habits.every:
            self._reported_at = now
            self._report(session)

    def leave(self, session: str) -> None:
        """Hand in what is left, before the session ends. More than fits into one report is lost, and so are the last
        heartbeats: not every process that takes one lock need make another call for them."""
        self._reported_at = self._listed_at = clock.now()
        if self._habits.learns:
            self._report(session)

    def _report(self, session: str) -> None:
        lessons = self._next()
        if lessons is None:
            return
        try:
            found = timing.heard(self._store.call(calls.learn(self._scope, session, lessons), 0.0))
        except CoordinatorError as error:
            log.debug("what was seen of timeouts could not be handed in yet: %s", error)
            return
        if found is not None:
            self._hear(lessons, found)

    def _next(self) -> Lessons | None:
        with self._lock:
            if self._sending is None:
                chosen = self._choose()
                if not chosen:
                    return None
                self._about = [thing for _key, thing in chosen]
                things = tuple(thing.lesson(key) for key, thing in chosen)
                pace_ms = round(self._habits.every * PACE * 1000)
                self._sending = Lessons(self._number, self._habits.most, pace_ms, things)
            return self._sending

    def _choose(self) -> list[tuple[str, _Thing]]:
        """What this report is about. Those chosen go to the end, so that all have their turn."""
        wanted: list[tuple[str, _Thing]] = []
        urgent = False
        for key, thing in list(self._things.items()):
            if thing.wanted:
                thing.idle = 0
                wanted.append((key, thing))
                urgent = urgent or not key.startswith(PATIENT)
            else:
                thing.idle += 1
                if thing.idle > FORGET_AFTER and not thing.kept:
                    del self._things[key]
        if not urgent and self._reported_at - self._listed_at < PATIENCE:
            return []
        self._listed_at = self._reported_at
        del wanted[MOST_REPORTED:]
        for key, thing in wanted:
            self._things[key] = self._things.pop(key, thing)
        return wanted

    def _hear(self, lessons: Lessons, found: list[Heard]) -> None:
        meter = self._meter()
        with self._lock:
            for lesson, thing, one in zip(lessons.things, self._about, found, strict=False):
                self._take(thing, one.current, one.version, one.seen)
                thing.total = one.total
                kind = lesson.name.partition("/")[0]
                if kind == HOLD:
                    continue
                meter.count("timeout.met", lesson.counts.get("ok", 0), kind)
                meter.add("timeout.resolution", thing.resolved)
                thing.resolved = Observed()
                meter.count("timeout.expired", lesson.counts.get("late", 0), kind)
                if lesson.next_ms and one.version > lesson.version and round(one.current * 1000) == lesson.next_ms:
                    meter.count("timeout.adjusted", 1, kind)
            self._number += 1
            self._sending, self._about = None, []

    def _take(self, thing: _Thing, current: float, version: int, seen: Seen | None) -> None:
        thing.current, thing.version, thing.known = current, version, True
        if seen is not None:
            thing.seen, thing.total = seen, seen.total

    def _thing(self, key: str) -> _Thing:
        thing = self._things.get(key)
        if thing is None:
            kind = key.partition("/")[0]
            if len(self._things) >= MOST_HERE:
                key = f"{kind}/{OTHER}"
                thing = self._things.get(key)
            if thing is None:
                rules = self._habits.rules.get(kind) or (COUNTED if kind == HOLD else Adaptive())
                base = rules.base or BASES[kind]
                thing = self._things[key] = _Thing(base, rules, base)
        return thing


def _habits(settings: Settings) -> Habits:
    section, every = settings.timeouts, 2 * settings.sweep_interval
    return Habits({**section.rules(), HOLD: COUNTED}, section.names, every, settings.operation_timeout, section.learn)


def _nothing(_seconds: float) -> None:
    return None
