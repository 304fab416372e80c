"""What a worker adds to the session of its process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from coordinator.drivers.messages import READ_SECONDS


def _not_claiming() -> float:
    return math.inf


@dataclass(frozen=True, slots=True)
class Extras:
    """What a worker adds to a session: what it is, its queues, the jobs it has begun, since when a claim of its has had
    no answer, and how long one read of its inbox lasts."""

    kind: str = "app"
    fields: tuple[tuple[str, str], ...] = ()
    started: Callable[[], Iterable[tuple[str, str]]] = tuple
    claiming: Callable[[], float] = _not_claiming
    reads: float = READ_SECONDS
