"""When a failed job runs again.

delay(n) = min(cap, base * factor^(n-1)), then shifted by up to +-jitter of itself, where n is the number of attempts
made. The defaults (3 attempts, 1 s doubling to 30 s, 10 %) ride out a restart of whatever the job talks to; jitter
keeps jobs that failed together from coming back together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from coordinator.errors import Corrupt, InvalidInput
from coordinator.model.names import milliseconds, whole

_WIRE = re.compile(r"(\d+) (\d+) (\d+) (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon. Durations in seconds; `jitter` a share from 0 to 1. Raises InvalidInput.

    `base=0` retries at once, and then the job keeps the resources it holds.
    """

    max_attempts: int = 3
    base: float = 1.0
    cap: float = 30.0
    factor: float = 2.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        whole(self.max_attempts, "max_attempts", 1, 1000)
        milliseconds(self.base, "base")
        milliseconds(self.cap, "cap")
        milliseconds(self.factor, "factor", least=1.0)
        milliseconds(self.jitter, "jitter")
        if self.jitter > 1:
            raise InvalidInput("jitter", self.jitter, "must be a share from 0 to 1")

    @classmethod
    def default(cls) -> RetryPolicy:
        """3 attempts, 1 s doubling up to 30 s, 10 % jitter."""
        return cls()

    @classmethod
    def none(cls) -> RetryPolicy:
        """One attempt."""
        return cls(max_attempts=1)

    def delay(self, attempts: int, chance: float) -> float | None:
        """Seconds until the next attempt after `attempts` were made, or None to give up. `chance` is in [0, 1)."""
        if attempts >= self.max_attempts:
            return None
        # The exponent is bounded, so that a large attempt number cannot overflow a float.
        plain = min(self.cap, self.base * self.factor ** min(attempts - 1, 64))
        return max(0.0, plain * (1 + self.jitter * (2 * chance - 1)))

    def to_wire(self) -> str:
        """`3 1000 30000 2 0.1`: attempts, base and cap in ms, factor, jitter."""
        return f"{self.max_attempts} {self.base * 1000:.0f} {self.cap * 1000:.0f} {self.factor:g} {self.jitter:g}"

    @classmethod
    def from_wire(cls, wire: str) -> RetryPolicy:
        """The policy of a text; the default for an empty one. Raises Corrupt."""
        if not wire:
            return cls()
        match = _WIRE.fullmatch(wire)
        if match is None:
            raise Corrupt(f"not a retry policy: {wire[:80]!r}")
        attempts, base, cap, factor, jitter = match.groups()
        try:
            return cls(int(attempts), int(base) / 1000, int(cap) / 1000, float(factor), float(jitter))
        except (ValueError, OverflowError):
            raise Corrupt(f"not a retry policy that anybody could have given: {wire[:80]!r}") from None
