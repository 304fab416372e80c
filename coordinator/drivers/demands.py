"""What is asked of a server, and of its replicas.

WAIT says how many replicas have what was written before it: on servers older than 7.2 by anybody, since then on this
connection alone. But a call that is repeated on another connection finds its work done and writes nothing, and neither
does one that only looks at what others have written. So something goes to the replicas just before WAIT, behind all
that is there by then: a message on a channel where nobody listens. It is no key and in no file, and a server that is
full takes it, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from coordinator.errors import ConfigError, Unconfirmed
from coordinator.keys import proof_channel
from coordinator.settings import Settings

Words = tuple[Any, ...]


class Proof(NamedTuple):
    """Commands behind a call, of which the last is answered with how many replicas have it, and how many it takes."""

    replicas: int
    words: tuple[Words, ...]


# Of a program that asks for no locks.
NOTHING = Proof(1, ())


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked of the server. `retry_for`: seconds for which calls are repeated while it is away; `durable`: it
    must keep an append-only file. `proof` goes along with every call, if anything has to; `confirmed_by` with a single
    grant that replicas are to have."""

    retry_for: float
    allow_unsafe: bool = False
    durable: bool = False
    proof: Proof | None = None
    confirmed_by: Proof = NOTHING

    @classmethod
    def of(cls, settings: Settings) -> Demands:
        """What the settings ask."""
        said = ("PUBLISH", proof_channel(settings.namespace), "")
        of_all, of_one = settings.acknowledged_by, settings.confirmed_by
        return cls(
            *(settings.retry_for, settings.allow_unsafe, settings.durability == "durable"),
            proof=Proof(of_all[0], (said, ("WAIT", *of_all))) if of_all else None,
            confirmed_by=Proof(of_one[0], (said, ("WAIT", *of_one))),
        )

    def confirmed(self, replies: list[Any]) -> Any:
        """The reply of a call that was followed by the words of `confirmed_by`. Raises Unconfirmed."""
        wanted, found = self.confirmed_by.replicas, replies[-1]
        if found < wanted:
            raise Unconfirmed(f"only {found} of {wanted} replicas have the grant, so it is given back")
        return replies[0]


def no_cluster() -> ConfigError:
    """The error for a Cluster, of which nobody knows which nodes have what."""
    return ConfigError(["durability: `replicated` is for one server or Sentinel, not for a Cluster"])
