"""Coordinator: the same handler with every policy that a handler can have, and with none."""

from __future__ import annotations

from typing import Any

from bench.actors.marks import mark
from coordinator.policy.rate import MAX_RATE, RateLimit
from workers import Registry

every, none = Registry(), Registry()


@every.handler(
    "noop",
    timeout="adaptive",
    breaker="bench",
    # More than a fleet on one server does, so that it is looked at and holds nobody up.
    rate=RateLimit(burst=round(MAX_RATE), per_second=MAX_RATE),
)
@none.handler("noop", breaker=False, escalate=False)
async def noop(ctx: Any, payload: Any) -> None:  # noqa: ARG001
    mark(payload)
