"""The words of a run: what is measured, what came out, and why something did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Better = Literal["more", "less", "neither"]


class NotMeasured(Exception):
    """A library cannot do a workload, could not be installed, or failed at it; the text says which."""


class NotInstalled(NotMeasured):
    """A library's environment could not be made; there is no use in trying again."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that a workload yields. `better` says which way is good."""

    key: str
    label: str
    unit: str
    better: Better = "less"


COST_FIGURES = (
    Figure("commands", "Redis commands per operation", "", "less"),
    Figure("round_trips", "round trips per operation", "", "less"),
    Figure("redis_us", "Redis CPU per operation", "us", "less"),
    Figure("client_us", "client CPU per operation", "us", "less"),
)


@dataclass(frozen=True, slots=True)
class Costs:
    """What some operations cost: Redis commands, round trips, seconds of processor time of Redis and of clients."""

    commands: float
    round_trips: float
    redis: float
    client: float = 0.0

    def per(self, operations: float) -> dict[str, float]:
        """As figures per operation, processor time in microseconds."""
        if operations <= 0:
            raise NotMeasured("no operation was completed")
        return {
            "commands": self.commands / operations,
            "round_trips": self.round_trips / operations,
            "redis_us": self.redis / operations * 1e6,
            "client_us": self.client / operations * 1e6,
        }


@dataclass(frozen=True, slots=True)
class Record:
    """One measurement of one library: figures by key, or why there are none."""

    workload: str
    peer: str
    repetition: int
    figures: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""
