"""Needs as they travel and as they are stored: `x1:infra/prod/vpc s1:config`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from coordinator.errors import Corrupt
from coordinator.keys import decode, encode
from coordinator.model.names import SUBTREE
from coordinator.model.need import Need

# Resources whose encoded name begins so are made by the engine; no user's name encodes to one.
INTERNAL = "~"

_TOKEN = re.compile(r"([xs])(\d+):(\S+)")


def to_wire(needs: Iterable[Need]) -> str:
    """`x1:infra/prod/vpc s1:config`: mode, permits, encoded resource."""
    return " ".join(map(_word, needs))


@lru_cache(maxsize=4096)
def _word(need: Need) -> str:
    return f"{'s' if need.mode == 'shared' else 'x'}{need.permits}:{node(need.resource)}"


def node(resource: str) -> str:
    """A resource as it stands in keys. Of a subtree the path is encoded: no other name has a `*` there."""
    path = resource.removesuffix(SUBTREE)
    return encode(path) + (SUBTREE if path != resource else "")


def from_wire(wire: str) -> tuple[Need, ...]:
    """The needs of a text, leaving out resources that only the engine names. Raises Corrupt."""
    try:
        return tuple(_parse(wire))
    except ValueError as error:  # a number without end, a resource that nobody could have asked for
        raise Corrupt(f"not needs: {type(error).__name__}") from None


def _parse(wire: str) -> Iterator[Need]:
    for token in wire.split():
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise Corrupt(f"not a need: {token[:80]!r}")
        mode, permits, resource = match.groups()
        if not resource.startswith(INTERNAL):
            yield Need(decode(resource), "shared" if mode == "s" else "exclusive", int(permits))
