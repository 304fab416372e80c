"""What the checker is told, and what it answers: plain values that anybody can write down by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Rule = Literal["exclusion", "fence", "order", "lost", "twice", "sequence", "stale", "needs", "told"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the trace says of one pull."""

    pull: str
    resources: frozenset[str]
    priority: int


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the server's account, where `fence` of an end is the one it was settled under, if that is known.

    `regranted`: the holder goes on under a new fence. `returned`: it waits again, with a new `stamp` or its old one.
    `parked`: it has left its lines until it returns. `reprioritised`: it has another `priority`. `ordered`: the line of
    the one resource in `resources` has the mode `state` from here on. `sized`: it has so many `permits`.

    Of what is asked for, `shared` is what others may have too, `permits` how many of a counted resource, if more than
    one, and `lines` where it stands in line, if that is not everywhere.
    """

    what: Literal["asked", "granted", "regranted", "returned", "parked", "reprioritised", "ended", "ordered", "sized"]
    request: str
    pull: str = ""
    resources: frozenset[str] = frozenset()
    priority: int = 0
    stamp: int = 0
    fence: int = 0
    state: str = ""
    shared: frozenset[str] = frozenset()
    permits: Mapping[str, int] = field(default_factory=dict)
    lines: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Claim:
    """What a process believed: from `t` on it holds, it is done, or it was told that the request is over."""

    what: Literal["holding", "done", "told"]
    process: str
    t: float
    request: str
    fence: int = 0
    state: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One breach of one rule."""

    rule: Rule
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every breach found, and how much was looked at."""

    problems: tuple[Problem, ...]
    pulls: int
    grants: int
    comparisons: int
    beliefs: int

    @property
    def clean(self) -> bool:
        """Whether no rule was broken."""
        return not self.problems
