"""What a worker tells of the gates of its handlers, and what the server tells of how they stand.

`breaker/deploy:5:3:30000:60000:1 breaker/github:5:3:30000:60000:1 rate/deploy:10:1000~customer`: name, numbers, and the
field that a limit goes by. A limit without numbers is one that only a handler can close, by saying that it was told to
come back later; every handler has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from coordinator.keys import decode, encode
from coordinator.policy.breaker import BreakerPolicy
from coordinator.policy.rate import AdaptiveLimit, RateLimit


@dataclass(frozen=True, slots=True)
class GateDefaults:
    """What holds for gates of which their handlers do not say more."""

    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    rate: RateLimit = field(default_factory=RateLimit)
    adaptive: AdaptiveLimit = field(default_factory=AdaptiveLimit)


@dataclass(frozen=True, slots=True)
class Gates:
    """What the jobs of one handler have to pass before they are claimed: breakers by name, and a limit of rate."""

    breakers: tuple[str, ...] = ()
    policy: BreakerPolicy | None = None
    rate: RateLimit | AdaptiveLimit | Literal["default", "adaptive"] | None = None

    def to_wire(self, handler: str, defaults: GateDefaults | None = None) -> str:
        """The gates as the scripts read them."""
        return " ".join(self._words(encode(handler), defaults or GateDefaults()))

    def _words(self, own: str, defaults: GateDefaults) -> Iterator[str]:
        policy = self.policy or defaults.breaker
        for name in self.breakers:
            yield f"breaker/{encode(name)}:{policy.to_wire()}"
        rate = {"default": defaults.rate, "adaptive": defaults.adaptive}.get(str(self.rate), self.rate)
        if isinstance(rate, AdaptiveLimit):
            yield f"adaptive/{own}:{rate.to_wire()}"
        if isinstance(rate, RateLimit):
            yield f"rate/{own}:{rate.to_wire()}{'~' + rate.key if rate.key else ''}"
        else:
            yield f"rate/{own}"


def shown(gate: str) -> tuple[str, str]:
    """Kind and name of a gate, for people: `rate/deploy~acme` is the limit of `deploy` for `acme`."""
    kind, _, name = gate.partition("/")
    handler, tilde, value = name.partition("~")
    return kind, f"{decode(handler)} for {decode(value)}" if tilde else decode(name)
