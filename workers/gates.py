"""From what a handler says of its gates to what its worker tells the server of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coordinator.errors import InvalidInput
from coordinator.model.names import label, one_of
from coordinator.policy.breaker import BreakerPolicy
from coordinator.policy.rate import AdaptiveLimit, RateLimit
from coordinator.wire.gates import Gates

MAX_DEPENDENCIES = 8


def gates_of(name: str, given: Mapping[str, Any]) -> Gates:
    """The gates of a handler. Raises InvalidInput."""
    policy, rate = given.get("breaker_policy"), given.get("rate")
    if policy is not None and not isinstance(policy, BreakerPolicy):
        raise InvalidInput("breaker_policy", policy, "must be a BreakerPolicy")
    if rate is not None and not isinstance(rate, RateLimit | AdaptiveLimit):
        one_of(rate, "rate", ("default", "adaptive"))
    return Gates(_breakers(name, given.get("breaker", True)), policy, rate)


def ignored(given: object) -> tuple[type[BaseException], ...]:
    """The exceptions that breakers do not count. Raises InvalidInput."""
    if isinstance(given, tuple) and all(isinstance(one, type) and issubclass(one, BaseException) for one in given):
        return given
    raise InvalidInput("breaker_ignores", given, "must be a tuple of exceptions")


def _breakers(name: str, wanted: bool | str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(wanted, bool):
        return (name,) if wanted else ()
    others = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    if len(others) > MAX_DEPENDENCIES:
        raise InvalidInput("breaker", wanted, f"must be at most {MAX_DEPENDENCIES} names")
    return tuple(dict.fromkeys([name, *(label(one, "breaker") for one in others)]))
