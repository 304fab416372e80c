"""What a handler raises to say how its job goes on, instead of failing it."""

from __future__ import annotations

from coordinator.errors import CoordinatorError
from coordinator.model.names import milliseconds, text
from coordinator.policy.on_error import Ruled


class Control(Exception):
    """Root of the exceptions that are an answer rather than a fault."""


class RetryLater(Control):
    """Run the job again after `delay` seconds; with 0 at once, keeping its resources.

    The delay is the handler's choice, how often is still the retry policy's: after its last attempt the job fails with
    `reason`. Raises InvalidInput.
    """

    def __init__(self, delay: float, reason: str = "") -> None:
        milliseconds(delay, "delay")
        super().__init__(delay, text(reason, "reason"))
        self.delay, self.reason = delay, reason


class SnoozeFor(Control):
    """The job cannot be done yet: again after `seconds`, without counting an attempt. Raises InvalidInput."""

    def __init__(self, seconds: float) -> None:
        milliseconds(seconds, "seconds")
        super().__init__(seconds)
        self.seconds = seconds


class RateLimited(Control):
    """Whom the handler depends on wants to be left alone for `seconds`: the job goes back to its place without counting
    an attempt, and until then no job of the same handler (of the same key, if its rate goes by one) is claimed. Raises
    InvalidInput."""

    def __init__(self, seconds: float) -> None:
        milliseconds(seconds, "seconds")
        super().__init__(seconds)
        self.seconds = seconds


class GiveUp(Control):
    """Trying again will not help: the job fails with `reason`, whatever its retry policy says."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(text(reason, "reason"))
        self.reason = reason


class JobCancelled(CoordinatorError):
    """Raised by `ctx.check()` when the job is to stop: it was cancelled, ran out of time, or the worker ends."""

    def __init__(self, ident: str, why: str) -> None:
        super().__init__(ident, why)
        self.ident, self.why = ident, why

    def __str__(self) -> str:
        return f"job {self.ident} is to stop: {self.why}"


class HandlerFailed(Exception):
    """What a handler raised in a process of its own, in words, and what its rules say of that. `blameless`: its
    breakers do not count it."""

    def __init__(self, said: str, ruled: Ruled | None = None, blameless: bool = False) -> None:
        super().__init__(said, ruled, blameless)
        self.said, self.ruled, self.blameless = said, ruled, blameless


def plain(answer: Control) -> Control:
    """The same answer without whatever an application's subclass added, so that it can leave its process."""
    match answer:
        case RetryLater():
            return RetryLater(answer.delay, answer.reason)
        case SnoozeFor():
            return SnoozeFor(answer.seconds)
        case RateLimited():
            return RateLimited(answer.seconds)
    return GiveUp(getattr(answer, "reason", ""))
