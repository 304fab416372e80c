"""What a request asks of one resource."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal, cast

from coordinator.errors import InvalidInput
from coordinator.model.names import SUBTREE, in_subtree, one_of, resource_or_subtree, whole

Mode = Literal["exclusive", "shared"]

MAX_NEEDS = 256
MAX_PERMITS = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """A need for one resource, or with `path/**` for a subtree: all at and below a path.

    `exclusive` takes `permits` of the resource's capacity (1 of 1 unless defined otherwise, so nobody else has it);
    `shared` goes together with other shared holders and with no exclusive one. A subtree goes together with what is
    held in it, or is held of a path above it, only if both are shared. Raises InvalidInput.
    """

    resource: str
    mode: Mode = "exclusive"
    permits: int = 1

    def __post_init__(self) -> None:
        resource_or_subtree(self.resource)
        one_of(self.mode, "mode", ("exclusive", "shared"))
        whole(self.permits, "permits", 1, MAX_PERMITS)
        if self.mode == "shared" and self.permits != 1:
            raise InvalidInput("permits", self.permits, "must be 1 for a shared need")
        if self.permits != 1 and self.resource.endswith(SUBTREE):
            raise InvalidInput("permits", self.permits, "must be 1 for a subtree")


def needs_of(value: str | Need | Iterable[str | Need], *, empty: bool = False) -> tuple[Need, ...]:
    """Needs from a name, a Need or several of either, sorted by resource. Raises InvalidInput."""
    if isinstance(value, str):
        return _named(value)
    if isinstance(value, tuple) and ((len(value) == 1 and isinstance(value[0], Need)) or (empty and not value)):
        return cast("tuple[Need, ...]", value)
    given: object = (value,) if isinstance(value, Need) else value
    if not isinstance(given, Iterable) or isinstance(given, bytes | dict):
        raise InvalidInput("resources", value, "must be a name, a Need or a sequence of either")
    needs = tuple(sorted(one if isinstance(one, Need) else Need(one) for one in given))
    if not needs and not empty:
        raise InvalidInput("resources", value, "must name at least one resource")
    if len(needs) > MAX_NEEDS:
        raise InvalidInput("resources", len(needs), f"must be at most {MAX_NEEDS} needs per request")
    for one, following in pairwise(needs):
        if one.resource == following.resource:
            raise InvalidInput("resources", one.resource, "must name each resource once")
    _apart(needs)
    return needs


def in_the_way(one: Need, other: Need) -> bool:
    """Whether one of two needs is for a subtree that the other lies in, and they do not go together."""
    inside = any(
        outer.resource.endswith(SUBTREE) and in_subtree(inner.resource, outer.resource)
        for outer, inner in ((one, other), (other, one))
    )
    return inside and not one.mode == other.mode == "shared"


def _apart(needs: tuple[Need, ...]) -> None:
    """Nothing is asked for twice by way of a subtree. It is refused and not left out: the lease would not name it, and
    whether the subtree is to be had exclusively for its sake is for the caller to say."""
    for subtree in needs:
        if subtree.resource.endswith(SUBTREE):
            for one in needs:
                if one is not subtree and in_subtree(one.resource, subtree.resource):
                    said = f"lies in {subtree.resource!r}, which is asked for too: name one of them"
                    raise InvalidInput("resources", one.resource, said)


# Checking a name looks at each of its characters, and the same ones are asked for again and again.
@lru_cache(maxsize=4096)
def _named(resource: str) -> tuple[Need]:
    return (Need(resource),)
