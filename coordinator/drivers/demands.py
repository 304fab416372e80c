"""What is asked of a server, and of its replicas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coordinator.errors import ConfigError, Unconfirmed
from coordinator.settings import Settings


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked of the server. `retry_for`: seconds for which calls are repeated while it is away; `durable`: it
    must keep an append-only file; `acknowledged_by`: as in the settings. `confirmed_by`: the same of a single grant."""

    retry_for: float
    allow_unsafe: bool = False
    durable: bool = False
    acknowledged_by: tuple[int, int] | None = None
    confirmed_by: tuple[int, int] = (1, 1000)

    @classmethod
    def of(cls, settings: Settings) -> Demands:
        """What the settings ask."""
        durable = settings.durability == "durable"
        acknowledged, confirmed = settings.acknowledged_by, settings.confirmed_by
        return cls(settings.retry_for, settings.allow_unsafe, durable, acknowledged, confirmed)

    @property
    def wait(self) -> tuple[Any, ...]:
        """The command that has replicas say that they have what the server had written when it came to it."""
        return ("WAIT", *self.confirmed_by)

    def confirmed(self, replies: list[Any]) -> Any:
        """The reply of a call that was followed by `wait`. Raises Unconfirmed."""
        reply, found = replies
        if found < self.confirmed_by[0]:
            raise Unconfirmed(f"only {found} of {self.confirmed_by[0]} replicas have the grant, so it is given back")
        return reply


def no_cluster() -> ConfigError:
    """The error for a Cluster, of which nobody knows which nodes have what."""
    return ConfigError(["durability: `replicated` is for one server or Sentinel, not for a Cluster"])
