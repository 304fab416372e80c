"""What became of one run of a job: a value, applied later by the one writer of outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coordinator.policy.backoff import NOTHING_KNOWN, Record
from coordinator.policy.retry import RetryPolicy

# Seconds, so that a pause of nothing is told from none.
LEAST_PAUSE = 0.001


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The handler returned. `result` is what it returned."""

    result: Any = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The job is over without success. `blameless`: it says nothing of whom the handler depends on. `pause`: after how
    many seconds it would be tried again, should this have been a probe that is excused (`policy.breaker`); 0: never."""

    reason: str
    blameless: bool = False
    pause: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Retry:
    """The job runs again after `delay` seconds; with 0 at once, keeping its resources. `blameless` as of `Failed`.
    `strategy`: how the delay was chosen; `adjusted`: it is longer for what the fleet has seen."""

    delay: float
    reason: str
    blameless: bool = False
    strategy: str = field(default="handler", compare=False)
    adjusted: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Snooze:
    """The job is not ready yet: again after `delay` seconds, without counting an attempt."""

    delay: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Limited:
    """The handler was told to come back after `delay` seconds: so do all jobs of the same limit. No attempt is
    counted."""

    delay: float


@dataclass(frozen=True, slots=True)
class Released:
    """Handed back unfinished; no attempt is counted."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The handler was told to stop, and did."""

    reason: str


@dataclass(frozen=True, slots=True)
class Poisoned:
    """The job cannot be run at all (unknown handler, unreadable payload) and is set aside."""

    reason: str


Outcome = Succeeded | Failed | Retry | Snooze | Limited | Released | Cancelled | Poisoned


def after_failure(
    policy: RetryPolicy, attempts: int, reason: str, chance: float, record: Record = NOTHING_KNOWN
) -> Outcome:
    """Retry or give up, after `attempts` attempts including this one. `record`: how retries after each delay fared."""
    delay = policy.delay(attempts, chance, record)
    if delay is None:
        # Who says that a job runs once has it run once.
        pause = policy.delay(policy.max_attempts - 1, chance, record) if policy.max_attempts > 1 else None
        return Failed(reason, pause=0.0 if pause is None else max(LEAST_PAUSE, pause))
    adjusted = policy.passed_over(attempts, record) is not None
    return Retry(delay, reason, strategy=policy.strategy, adjusted=adjusted)
