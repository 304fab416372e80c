"""Who may have a resource together with whom, and whether somebody had it at a time when he might not.

How somebody has a resource is `shared`, `counted` (some of its permits) or `alone`. The first goes with its like, and
so does the second as long as there are permits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

Kind = Literal["shared", "counted", "alone"]


def together(one: Kind, other: Kind) -> bool:
    """Whether two may have it at once, as far as there are permits."""
    return one == other != "alone"


class Ends:
    """Until when a resource was had, for holders told of in the order of their fences."""

    def __init__(self) -> None:
        self._last: dict[Kind, tuple[float, str]] = {}

    def before(self, kind: Kind) -> tuple[float, str]:
        """When the last of those that do not go together with one of this kind was done, and who that was."""
        ends = [end for other, end in self._last.items() if not together(kind, other)]
        return max(ends, default=(-math.inf, ""))

    def add(self, kind: Kind, until: float, owner: str) -> None:
        """One who had it until then."""
        self._last[kind] = max(self._last.get(kind, (-math.inf, "")), (until, owner))


def most_at_once(spans: Iterable[tuple[float, float, int]]) -> int:
    """The most permits that were in use at any time, of spans of time with so many permits each. Ends come first."""
    changes = sorted(change for begins, ends, count in spans for change in ((begins, count), (ends, -count)))
    used = most = 0
    for _, change in sorted(changes, key=lambda one: (one[0], one[1])):
        used += change
        most = max(most, used)
    return most
