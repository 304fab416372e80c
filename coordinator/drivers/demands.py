"""What is asked of a server, and of its replicas.

WAIT says how many replicas have what was written before it: on servers older than 7.2 by anybody, since then on this
connection alone. But a call that is repeated on another connection finds its work done and writes nothing, and neither
does one that only looks at what others have written. So something goes to the replicas just before WAIT, behind all
that is there by then: a message on a channel where nobody listens. It is no key and in no file, and a server that is
full takes it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from coordinator.drivers.trouble import knows_not, message, said
from coordinator.errors import AccessDenied, ConfigError, CoordinatorError, Unconfirmed
from coordinator.keys import proof_channel
from coordinator.policy.faults import fault
from coordinator.settings import Settings

Words = tuple[Any, ...]


class Proof(NamedTuple):
    """Commands behind a call, of which the last is answered with how many replicas have it, and how many it takes."""

    replicas: int
    words: tuple[Words, ...]

    def refusal(self, replies: Sequence[Any]) -> CoordinatorError | None:
        """The first error among the replies to the words: of the right, or Unconfirmed."""
        for words, reply in zip(self.words, replies, strict=True):
            if not isinstance(reply, Exception):
                continue
            what = f"{words[0]} on the channel `{words[1]}`" if words[0] == "PUBLISH" else words[0]
            found = fault(message(reply), f"{what}, which proves that replicas have a write")
            if isinstance(found, AccessDenied):
                return AccessDenied(f"{found}: `coordinator acl` prints the rules of today")
            return Unconfirmed(f"the server refuses {what} behind it: {said(reply)}")
        return None


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
        mark = ("PUBLISH", proof_channel(settings.namespace), "")
        of_all, of_one = settings.acknowledged_by, settings.confirmed_by
        return cls(
            *(settings.retry_for, settings.allow_unsafe, settings.durability == "durable"),
            proof=Proof(of_all[0], (mark, ("WAIT", *of_all))) if of_all else None,
            confirmed_by=Proof(of_one[0], (mark, ("WAIT", *of_one))),
        )

    def confirmed(self, replies: list[Any]) -> Any:
        """The reply of a call that was followed by the words of `confirmed_by`, or the error that it is. Raises
        Unconfirmed and AccessDenied."""
        first, wanted, found = replies[0], self.confirmed_by.replicas, replies[-1]
        if knows_not(first):
            raise Unconfirmed("the server has forgotten the script again, so the grant is given back")
        if isinstance(first, Exception):
            try:
                raise first
            finally:
                del first, found  # as in a channel
                replies.clear()
        refused = self.confirmed_by.refusal(replies[1:])
        if refused:
            raise refused
        if found < wanted:
            raise Unconfirmed(f"only {found} of {wanted} replicas have the grant, so it is given back")
        return first


def no_cluster() -> ConfigError:
    """The error for a Cluster, of which nobody knows which nodes have what."""
    return ConfigError(["durability: `replicated` is for one server or Sentinel, not for a Cluster"])
