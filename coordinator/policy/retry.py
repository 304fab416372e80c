"""When a failed job runs again.

With n the number of attempts made, before jitter:

    fixed         base
    linear        min(cap, base * n)
    exponential   min(cap, base * factor^(n-1))
    jittered      the same, shifted by up to +-jitter of itself
    adaptive      a step of the same ladder, chosen by what the fleet has seen (`backoff`), then shifted like that

The schedules are tenacity's wait objects, asked about an attempt by its number; the chance comes in as an argument, for
tenacity's own jitter draws it from the process. The default (3 attempts, 1 s doubling to 30 s, 10 %) rides out a
restart of whatever the job talks to; jitter keeps jobs that failed together from coming back together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from tenacity import RetryCallState, Retrying, wait_exponential, wait_fixed, wait_incrementing
from tenacity.wait import wait_base

from coordinator.errors import Corrupt, InvalidInput
from coordinator.model.names import milliseconds, one_of, whole
from coordinator.policy.backoff import NOTHING_KNOWN, Record, octave, step

Strategy = Literal["fixed", "linear", "exponential", "jittered", "adaptive"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)
SHAKEN = ("jittered", "adaptive")
MAX_FACTOR = 1000.0
SHORTEST = 0.001
# Steps that adaptive backoff chooses from; it stops climbing there, or at the cap.
MAX_STEPS = 64

_WIRE = re.compile(r"(\d{1,4}) (\d{1,12}) (\d{1,12}) (\d{1,4}(?:\.\d{1,3})?) (\d(?:\.\d{1,3})?)(?: ([a-z]+))?")
_RETRYING = Retrying()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon. Durations in seconds; `jitter` a share from 0 to 1, which only `jittered` and `adaptive`
    use, `factor` what `exponential` and these grow by. Raises InvalidInput.

    All are kept to the thousandth, as they travel with the job. `base=0` retries at once, and then the job keeps the
    resources it holds.
    """

    max_attempts: int = 3
    base: float = 1.0
    cap: float = 30.0
    factor: float = 2.0
    jitter: float = 0.1
    strategy: Strategy = "jittered"

    def __post_init__(self) -> None:
        whole(self.max_attempts, "max_attempts", 1, 1000)
        milliseconds(self.base, "base")
        milliseconds(self.cap, "cap")
        milliseconds(self.factor, "factor", least=1.0)
        milliseconds(self.jitter, "jitter")
        one_of(self.strategy, "strategy", STRATEGIES)
        if self.factor > MAX_FACTOR:
            raise InvalidInput("factor", self.factor, f"must be at most {MAX_FACTOR:.0f}")
        if self.jitter > 1:
            raise InvalidInput("jitter", self.jitter, "must be a share from 0 to 1")
        if 0 < self.base < SHORTEST:
            raise InvalidInput("base", self.base, "must be 0, which retries at once, or at least a millisecond")
        if self.base > self.cap:
            raise InvalidInput("base", self.base, f"must be at most the cap ({self.cap:g})")
        for name in ("base", "cap", "factor", "jitter"):
            object.__setattr__(self, name, round(float(getattr(self, name)), 3))

    @classmethod
    def default(cls) -> RetryPolicy:
        """3 attempts, 1 s doubling up to 30 s, 10 % jitter."""
        return cls()

    @classmethod
    def aggressive(cls) -> RetryPolicy:
        """5 attempts, from 0.5 s by 1.5 up to 60 s as the fleet has learnt, 20 % jitter."""
        return cls(5, 0.5, 60.0, 1.5, 0.2, "adaptive")

    @classmethod
    def none(cls) -> RetryPolicy:
        """One attempt."""
        return cls(max_attempts=1)

    def delay(self, attempts: int, chance: float, record: Record = NOTHING_KNOWN) -> float | None:
        """Seconds until the next attempt after `attempts` were made, or None to give up. `chance` is in [0, 1),
        `record` what is known of retries after each delay."""
        if attempts >= self.max_attempts:
            return None
        if self.base == 0:
            return 0.0
        wait = self._wait()
        plain = _asked(wait, self._place(wait, attempts, record))
        shift = self.jitter * (2 * chance - 1) if self.strategy in SHAKEN else 0.0
        return plain * (1 + shift)

    def passed_over(self, attempts: int, record: Record) -> str | None:
        """Why the next attempt waits for longer than plain backoff would have it; None if it does not."""
        if attempts >= self.max_attempts or self.base == 0:
            return None
        wait = self._wait()
        place = self._place(wait, attempts, record)
        if place == attempts:
            return None
        plain, chosen = _asked(wait, attempts), _asked(wait, place)
        seen = record[octave(round(plain * 1000))]
        return f"of {seen.tries:.3g} retries after about {plain:g} s {seen.successes:.3g} succeeded, so {chosen:g} s"

    def _place(self, wait: wait_base, attempts: int, record: Record) -> int:
        """The attempt whose delay is taken; that of adaptive backoff may be of a later one."""
        if self.strategy != "adaptive" or not record:
            return attempts
        return 1 + step(attempts - 1, self._ladder(wait), record)

    def _wait(self) -> wait_base:
        if self.strategy == "fixed":
            return wait_fixed(self.base)
        if self.strategy == "linear":
            return wait_incrementing(start=self.base, increment=self.base, max=self.cap)
        return wait_exponential(multiplier=self.base, max=self.cap, exp_base=self.factor)

    def _ladder(self, wait: wait_base) -> list[float]:
        delays = [_asked(wait, 1)]
        while len(delays) < MAX_STEPS and delays[-1] < self.cap:
            delays.append(_asked(wait, len(delays) + 1))
        return delays

    def to_wire(self) -> str:
        """`3 1000 30000 2 0.1`: attempts, base and cap in ms, factor, jitter; then the strategy, unless `jittered`.

        Different policies have different texts.
        """
        base, cap = round(self.base * 1000), round(self.cap * 1000)
        text = f"{self.max_attempts} {base} {cap} {_plain(self.factor)} {_plain(self.jitter)}"
        return text if self.strategy == "jittered" else f"{text} {self.strategy}"

    @classmethod
    def from_wire(cls, wire: str) -> RetryPolicy:
        """The policy of a text; the default for an empty one. Raises Corrupt."""
        if not wire:
            return cls()
        match = _WIRE.fullmatch(wire)
        if match is None:
            raise Corrupt(f"not a retry policy: {wire[:80]!r}")
        attempts, base, cap, factor, jitter, strategy = match.groups("jittered")
        try:
            # What the strategy is called is checked with the rest.
            return cls(int(attempts), int(base) / 1000, int(cap) / 1000, float(factor), float(jitter), strategy)  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            raise Corrupt(f"not a retry policy that anybody could have given: {wire[:80]!r}") from None


def _asked(wait: wait_base, attempt: int) -> float:
    state = RetryCallState(_RETRYING, None, (), {})
    state.attempt_number = attempt
    return float(wait(state))


def _plain(value: float) -> str:
    """Thousandths without an exponent."""
    return f"{value:.3f}".rstrip("0").rstrip(".")
