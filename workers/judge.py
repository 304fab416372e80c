"""From the end of a run to its outcome, and from the outcome to the words of a report. Nothing is done here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from coordinator.errors import CoordinatorError
from coordinator.model import codec
from coordinator.policy import on_error
from coordinator.policy.outcome import (
    Cancelled,
    Failed,
    Limited,
    Outcome,
    Poisoned,
    Released,
    Retry,
    Snooze,
    Succeeded,
    after_failure,
)
from coordinator.policy.retry import RetryPolicy
from coordinator.wire.calls import Report
from workers import words
from workers.control import GiveUp, HandlerFailed, RateLimited, RetryLater, SnoozeFor
from workers.job import Job, Stop


class Packed(bytes):
    """A result that is packed already, in the process that made it."""


def failure(job: Job, error: BaseException, chance: float) -> Outcome:
    """The outcome of a handler that raised. `chance` is in [0, 1)."""
    if job.stopped is not None:
        return stopped(job, chance)
    if isinstance(error, SnoozeFor):
        return Snooze(error.seconds)
    if isinstance(error, RateLimited):
        return Limited(error.seconds)
    if isinstance(error, GiveUp):
        return Failed(words.reason(error.reason) or "given up", blameless=True)
    if isinstance(error, RetryLater):
        chosen = after_failure(_policy(job), job.attempt, words.reason(error.reason) or "to be retried", chance, True)
        return replace(chosen, delay=error.delay) if isinstance(chosen, Retry) else chosen
    if isinstance(error, HandlerFailed):
        found = _ruled(job, error.ruled, error.said, chance)
        blameless = error.blameless
    else:
        found = _ruled(job, on_error.find(job.handler.on_error, error), words.of_error(error), chance)
        blameless = isinstance(error, job.handler.breaker_ignores)
    return replace(found, blameless=True) if blameless and isinstance(found, Failed | Retry) else found


def _ruled(job: Job, ruled: on_error.Ruled | None, said: str, chance: float) -> Outcome:
    """The outcome of a failure, by the handler's rule for it if there is one."""
    if ruled is not None and isinstance(ruled.action, Snooze):
        return replace(ruled.action, reason=said)
    if ruled is not None and ruled.action == on_error.GIVE_UP:
        return Failed(words.shortened(f"no retry after {words.escaped(ruled.of)}: {said}", words.MAX_REASON))
    return after_failure(_policy(job), job.attempt, said, chance)


def stopped(job: Job, chance: float) -> Outcome:
    """The outcome of a handler that was told to stop, and did."""
    if job.stopped is Stop.CANCEL:
        return Cancelled(words.reason(job.why))
    if job.stopped is Stop.TIMEOUT:
        ruled = on_error.find(job.handler.on_error, TimeoutError(job.why))
        return _ruled(job, ruled, words.reason(job.why), chance)
    return Released()


def report(job: Job, outcome: Outcome, max_result: int) -> Report:
    """The words of an outcome. A result that cannot be kept makes it a failure."""
    return _WORDS[type(outcome)](job, outcome, max_result)


def _succeeded(job: Job, outcome: Succeeded, max_result: int) -> Report:
    try:
        return Report(job.ident, str(job.fence), "succeeded", 0, pack_result(outcome.result, max_result))
    except CoordinatorError as error:
        return Report(job.ident, str(job.fence), "failed-", 0, words.of_error(error))


def pack_result(result: object, max_result: int) -> bytes:
    """A result as it is stored. Raises InvalidInput, PayloadTooLarge."""
    if result is None:
        return b""  # nothing needs no key
    return result if isinstance(result, Packed) else codec.pack(result, "result", max_result)


def unfit(error: CoordinatorError) -> GiveUp:
    """The answer of a handler whose result cannot be kept: trying again would make the same one."""
    return GiveUp(words.of_error(error))


def _with_reason(word: str) -> Callable[[Job, Cancelled | Poisoned, int], Report]:
    def make(job: Job, outcome: Cancelled | Poisoned, _max_result: int) -> Report:
        return Report(job.ident, str(job.fence), word, 0, outcome.reason)

    return make


def _failed(job: Job, outcome: Failed, _max_result: int) -> Report:
    return Report(job.ident, str(job.fence), "failed-" if outcome.blameless else "failed", 0, outcome.reason)


def _retry(job: Job, outcome: Retry, _max_result: int) -> Report:
    word = "retry-" if outcome.blameless else "retry"
    return Report(job.ident, str(job.fence), word, math.ceil(outcome.delay * 1000), outcome.reason)


def _limited(job: Job, outcome: Limited, _max_result: int) -> Report:
    return Report(job.ident, str(job.fence), "limited", math.ceil(outcome.delay * 1000))


def _snooze(job: Job, outcome: Snooze, _max_result: int) -> Report:
    return Report(job.ident, str(job.fence), "snooze", math.ceil(outcome.delay * 1000), outcome.reason or b"")


def _released(job: Job, _outcome: Released, _max_result: int) -> Report:
    return Report(job.ident, str(job.fence), "released")


_WORDS: dict[type, Callable[..., Report]] = {
    Succeeded: _succeeded,
    Failed: _failed,
    Cancelled: _with_reason("cancelled"),
    Poisoned: _with_reason("dead"),
    Retry: _retry,
    Snooze: _snooze,
    Limited: _limited,
    Released: _released,
}


def _policy(job: Job) -> RetryPolicy:
    """The job's own retry policy, else the handler's, else that of the settings."""
    default = job.handler.retry or job.default_retry
    if not job.claimed.retry:
        return default
    try:
        return RetryPolicy.from_wire(job.claimed.retry)
    except CoordinatorError:
        return default
