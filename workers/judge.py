"""From the end of a run to its outcome, and from the outcome to the words of a report. Nothing is done here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from coordinator.errors import CoordinatorError
from coordinator.model import codec
from coordinator.model.signing import Signer
from coordinator.ops.lessons import NOTHING_LEARNT, Learnt
from coordinator.policy import on_error
from coordinator.policy.backoff import Record
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


def failure(job: Job, error: BaseException, chance: float, known: Learnt = NOTHING_LEARNT) -> Outcome:
    """The outcome of a handler that raised. `chance` is in [0, 1), `known` what the fleet has learnt of the handler."""
    if job.stopped is not None:
        return stopped(job, chance, known)
    if isinstance(error, SnoozeFor):
        return Snooze(error.seconds)
    if isinstance(error, RateLimited):
        return Limited(error.seconds)
    if isinstance(error, GiveUp):
        return Failed(words.reason(error.reason) or "given up", blameless=True)
    if isinstance(error, RetryLater):
        return _later(job, error)
    if isinstance(error, HandlerFailed):
        found = _ruled(job, error.ruled, error.said, (chance, known.record))
        blameless = error.blameless
    else:
        ruled = on_error.find(job.handler.on_error, error)
        found = _ruled(job, ruled, words.of_error(error), (chance, known.record))
        blameless = isinstance(error, job.handler.breaker_ignores)
    return replace(found, blameless=True) if blameless and isinstance(found, Failed | Retry) else found


def _later(job: Job, error: RetryLater) -> Outcome:
    """The handler's own delay, as often as the policy allows."""
    said = words.reason(error.reason) or "to be retried"
    chosen = after_failure(_policy(job), job.attempt, said, 0.0)
    return Retry(error.delay, said, True) if isinstance(chosen, Retry) else Failed(said, True)


def _ruled(job: Job, ruled: on_error.Ruled | None, said: str, odds: tuple[float, Record]) -> Outcome:
    """The outcome of a failure, by the handler's rule for it if there is one. `odds`: chance, and how retries fared."""
    if ruled is not None and isinstance(ruled.action, Snooze):
        return replace(ruled.action, reason=said)
    if ruled is not None and ruled.action == on_error.GIVE_UP:
        return Failed(words.shortened(f"no retry after {words.escaped(ruled.of)}: {said}", words.MAX_REASON))
    policy, (chance, record) = _policy(job), odds
    passed = policy.passed_over(job.attempt, record)
    if passed is not None:
        said = words.shortened(f"{said} (adaptive: {passed})", words.MAX_REASON)
    return after_failure(policy, job.attempt, said, chance, record)


def stopped(job: Job, chance: float, known: Learnt = NOTHING_LEARNT) -> Outcome:
    """The outcome of a handler that was told to stop, and did."""
    if job.stopped is Stop.CANCEL:
        return Cancelled(words.reason(job.why))
    if job.stopped is Stop.TIMEOUT:
        ruled = on_error.find(job.handler.on_error, TimeoutError(job.why))
        outcome = _ruled(job, ruled, words.reason(job.why), (chance, known.record))
        if not isinstance(outcome, Retry) or job.unescalated is None:
            return outcome
        return replace(outcome, delay=max(outcome.delay, known.escalation.pause(job.unescalated)))
    return Released()


def report(job: Job, outcome: Outcome, max_result: int) -> Report:
    """The words of an outcome. A result that cannot be kept makes it a failure. Of a run that was out of time by its
    handler's word it is said how far that was escalated, for the fleet counts those."""
    made = _WORDS[type(outcome)](job, outcome, max_result)
    if job.stopped is Stop.TIMEOUT and job.escalates and isinstance(outcome, Retry | Failed):
        return made._replace(outcome=f"{made.outcome}@{job.level}")
    return made


def sealed(job: Job, outcome: Outcome, max_result: int, signer: Signer) -> Report:
    """The same, with a result signed as it is stored. What became of one that cannot be kept is a reason, and no
    result."""
    if not signer.keys and type(outcome) is Succeeded and outcome.result is None:
        return Report(job.ident, str(job.fence), "succeeded")  # as most are: nothing is kept
    made = report(job, outcome, max_result)
    if not signer.keys or made.outcome != "succeeded" or not isinstance(made.value, bytes):
        return made
    return made._replace(value=signer.seal_result(job.ident, made.value))


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
    if outcome.blameless:
        return Report(job.ident, str(job.fence), "failed-", 0, outcome.reason)
    return Report(job.ident, str(job.fence), "failed", math.ceil(outcome.pause * 1000), outcome.reason)


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
