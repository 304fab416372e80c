"""Patterns of resources: `infra/prod/vpc`, `infra/prod/*`, `infra/*/vpc`, `infra/prod/v*`, `infra/prod/**`.

A pattern goes with a name segment by segment. A segment is one of a name, or its beginning and `*`; the last may be
`**`: what stands before it, and everything below. `lua/lib/pattern` has the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from coordinator.errors import InvalidInput
from coordinator.keys import encode
from coordinator.model.names import resource_name

BELOW = "**"


class Segment(NamedTuple):
    """A segment of a name, or with `open` of all that begin so."""

    text: str
    open: bool

    def goes_with(self, name: str) -> bool:
        """Whether it is for a segment of a name."""
        return name.startswith(self.text) if self.open else name == self.text

    def meets(self, other: Segment) -> bool:
        """Whether both can be for the same."""
        if self.open and other.open:
            return self.text.startswith(other.text) or other.text.startswith(self.text)
        return self.goes_with(other.text) if self.open else other.goes_with(self.text)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern as its user wrote it, and what it means."""

    text: str
    segments: tuple[Segment, ...]
    deep: bool

    @property
    def wire(self) -> str:
        """As the scripts read it: names encoded."""
        words = [encode(one.text) + ("*" if one.open else "") for one in self.segments]
        return "/".join([*words, BELOW] if self.deep else words)

    def covers(self, name: str) -> bool:
        """Whether it is for a resource."""
        parts = name.split("/")
        fits = len(parts) >= len(self.segments) if self.deep else len(parts) == len(self.segments)
        return fits and all(one.goes_with(part) for one, part in zip(self.segments, parts, strict=False))

    def meets(self, other: Pattern) -> bool:
        """Whether there can be a resource that both are for."""
        mine, theirs = len(self.segments), len(other.segments)
        if (mine < theirs and not self.deep) or (theirs < mine and not other.deep):
            return False
        return all(one.meets(two) for one, two in zip(self.segments, other.segments, strict=False))


def pattern(text: object) -> Pattern:
    """What a pattern means. Raises InvalidInput."""
    # Anything but its stars has to be acceptable in a name.
    resource_name(text.replace("*", "+") if isinstance(text, str) else text, "pattern")
    return _parsed(str(text))


@lru_cache(maxsize=256)
def _parsed(text: str) -> Pattern:
    parts = text.split("/")
    deep = parts[-1] == BELOW
    segments = tuple(Segment(one.removesuffix("*"), one.endswith("*")) for one in (parts[:-1] if deep else parts))
    if any("*" in one.text for one in segments):
        raise InvalidInput("pattern", text, "may have * only at the end of a segment, and ** only as the last one")
    return Pattern(text, segments, deep)
