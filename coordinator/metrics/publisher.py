"""Gets what a process measures onto the stream: one call a second, from a worker by a service of its loop, from a
client as long as it is used.

A client has no thread or task for this. The operation that comes first after the interval is over publishes what was
measured before it (a sync client in passing, for it has no loop; an asyncio client beside it), so an idle client sends
nothing, a busy one a call a second, and one that lives for less than an interval nothing at all: what it did is
counted by the server anyway (`fleet.did`).

Measuring must never get in anybody's way. A call is tried once; what could not be published goes into the next
sample, unless it may have arrived; after a failure there is a pause; and a server that does not allow it is not asked
again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coordinator.errors import AccessDenied, CoordinatorError, ScriptsMissing, StorageFull, StoreUnavailable
from coordinator.metrics.judging import judge
from coordinator.metrics.recorder import Recorder, SharedRecorder
from coordinator.metrics.sample import Origin, fields_of
from coordinator.ops import pulse
from coordinator.policy.alerts import DEFAULTS, Rule
from coordinator.sections import Metrics
from coordinator.wire.calls import Scope
from coordinator.wire.step import Operation

log = logging.getLogger(__name__)
# Intervals for which nothing is tried after a failure.
PAUSE = 10
# After these nothing of a sample is on the stream for certain.
NOT_THERE = (StoreUnavailable, StorageFull)
NEVER = (AccessDenied, ScriptsMissing)


@dataclass(frozen=True, slots=True)
class Options:
    """How a process publishes: seconds between samples, how long and how large the stream may be, seconds between two
    looks at the alerts, and their rules."""

    interval: float = 1.0
    max_length: int = 10_000
    max_bytes: int = 8 * 1_048_576
    judge_every: float = 5.0
    rules: tuple[Rule, ...] = DEFAULTS

    @classmethod
    def of(cls, settings: Metrics) -> Options:
        """What the settings say."""
        every = settings.alerts_every
        rules = settings.rules() if every else ()
        return cls(settings.interval, settings.max_length, settings.max_bytes, every, rules)

    def terms(self) -> pulse.Terms:
        """The same, as the server is told."""
        return pulse.Terms(
            round(self.interval * 1000),
            self.max_length,
            self.max_bytes,
            round(self.judge_every * 1000) if self.rules else 0,
        )


class Publisher:
    """Makes samples of what a recorder has, numbers them, and publishes them."""

    def __init__(
        self, scope: Scope, recorder: Recorder, options: Callable[[], Options], origin: Origin, now: float
    ) -> None:
        self.recorder, self._scope, self._options = recorder, scope, options
        self._origin, self._number, self._since = origin, 0, now
        # Not to be asked before, on the clock of whoever asks; infinite once it is known to be in vain.
        self.due = now + self.interval

    @property
    def interval(self) -> float:
        """Seconds between two samples."""
        return self._options().interval

    @property
    def published(self) -> int:
        """How many samples were made so far."""
        return self._number

    def publish(self, now: float, idle: bool = True, moved: str = "") -> Operation[None]:
        """Publish what was measured since the last time; without `idle` only if anything was. `moved`: an event to
        tell along with it, as `ops.pulse` has it."""
        options = self._options()
        self.due = now + options.interval
        taken = self.recorder.take()
        if taken.empty and not idle:
            return
        self._number += 1
        mark = f"{self._origin.process} {self._number}"
        words = fields_of(self._origin, self._number, now - self._since, taken)
        try:
            made = yield from pulse.publish(self._scope, mark, options.terms(), words, moved)
        except CoordinatorError as error:
            self.due = float("inf") if isinstance(error, NEVER) else now + PAUSE * options.interval
            if isinstance(error, NOT_THERE):
                self.recorder.give_back(taken)
            else:
                self._since = now
            raise
        self._since = now
        if made.judge:
            yield from judge(self._scope, mark, options.rules)


class Occasional:
    """What a client measures, published when it is used. `send` carries out an operation, and may do so later; `origin`
    says who this process is, anew in a forked child."""

    def __init__(
        self,
        scope: Scope,
        options: Callable[[], Options],
        origin: Callable[[], Origin],
        send: Callable[[Operation[None]], Any],
    ) -> None:
        self.recorder = SharedRecorder()
        self._scope, self._options, self._origin, self._send = scope, options, origin, send
        self._publisher: Publisher | None = None

    def used(self, now: float) -> None:
        """The client is being used."""
        publisher = self._publisher
        if publisher is None:
            self._publisher = Publisher(self._scope, self.recorder, self._options, self._origin(), now)
        elif now >= publisher.due:
            publisher.due = now + publisher.interval
            self._send(_quietly(publisher.publish(now, idle=False)))

    def last(self, now: float) -> Operation[None]:
        """The operation that publishes the rest, unless the client was hardly used."""
        publisher = self._publisher
        # Not while a failure is waited out: an end is not held up for the sake of a sample.
        if publisher is not None and publisher.published and publisher.due - now <= publisher.interval:
            yield from _quietly(publisher.publish(now, idle=False))

    def renew(self) -> None:
        """In a forked child: what the parent measured is its own to tell."""
        self.recorder.renew()
        self._publisher = None


def _quietly(operation: Operation[None]) -> Operation[None]:
    """What goes wrong with measuring is nobody's business but the log's."""
    try:
        yield from operation
    except CoordinatorError as error:
        log.debug("nothing was published: %s", error)
