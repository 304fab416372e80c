"""The clocks of a job, each by its own name, so that none can eat another's time.

`wait` runs from submission (after any delay) until the first start; `run` from each start; `total` from submission to
the end, whatever happens in between. Holding resources is bounded besides by the namespace's `max_hold`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from coordinator.model.names import milliseconds

# How long something may wait: seconds, for the fleet to say, or without end.
Wait = float | Literal["adaptive"] | None
ADAPTIVE = "adaptive"


class Learnt(float):
    """Seconds that nobody chose: the fleet has learnt them. Where it is crowded they shrink, but not below `least`; by
    default they do not. How far: `policy.shed.shrunk`."""

    least: float

    def __new__(cls, seconds: float, least: float | None = None) -> Self:
        """Seconds, and the least of them."""
        made = super().__new__(cls, seconds)
        made.least = float(seconds if least is None else min(least, seconds))
        return made


@dataclass(frozen=True, slots=True)
class TimeoutPolicy:
    """Seconds, or None for no limit of that kind. Raises InvalidInput."""

    wait: float | None = None
    run: float | None = None
    total: float | None = None

    def __post_init__(self) -> None:
        for name in ("wait", "run", "total"):
            value = getattr(self, name)
            if value is not None:
                milliseconds(value, name, least=0.001)
