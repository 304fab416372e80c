"""What a scenario is, what it is given to run with, and what it answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaos.checker.facts import Problem

Progress = Callable[[str, float, float], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. It misses its target when it is above `most` or below `least`; without both it informs."""

    name: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def target(self) -> str:
        """The target in words; empty if there is none."""
        if self.most is not None and self.most == self.least:
            return f"{self.most:g}"
        low = [] if self.least is None else [f">= {self.least:g}"]
        high = [] if self.most is None else [f"<= {self.most:g}"]
        return " and ".join(low + high)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run came out: every breach the checker found, and the figures with their targets."""

    problems: tuple[Problem, ...] = ()
    figures: tuple[Figure, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no rule was broken and no target missed."""
        return not self.problems and all(one.met for one in self.figures)


@dataclass(slots=True)
class Run:
    """One run of a scenario: its size, its chance, its folder, and where it says how far it is.

    Everything random is drawn from `random`, which is seeded with `seed`; what the operating system does in between is
    not under the seed's control. Histories go into `history`, and stay there when the run fails.
    """

    scenario: str
    seed: int
    long: bool
    size: Mapping[str, float]
    folder: Path
    progress: Progress = field(default=lambda _what, _done, _total: None)
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.scenario} {self.seed}")

    @property
    def history(self) -> Path:
        """The folder of the histories."""
        return self.folder / "history"

    @property
    def has_begun(self) -> bool:
        """Whether anybody has done anything yet that is in the history."""
        return any(one.stat().st_size for one in self.history.glob("*.jsonl"))

    @property
    def namespace(self) -> str:
        """A namespace of the run's own."""
        return f"chaos-{self.scenario}"

    def count(self, name: str) -> int:
        """A size that is a number of things."""
        return int(self.size[name])


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault, a claim about what survives it in one sentence, and the target in the words of the verdict table."""

    name: str
    claim: str
    target: str
    short: Mapping[str, float]
    long: Mapping[str, float]
    play: Callable[[Run], Verdict]

    def lasting(self, minutes: float) -> Scenario:
        """The same for so many minutes, if its size is a time."""
        if "minutes" not in self.short:
            return self
        return replace(self, short={**self.short, "minutes": minutes}, long={**self.long, "minutes": minutes})

    def size(self, long: bool) -> Mapping[str, float]:
        """The size of the run."""
        return self.long if long else self.short


def named(scenarios: Iterable[Scenario]) -> dict[str, Scenario]:
    """Scenarios by name. Raises ValueError for a name that is there twice."""
    found: dict[str, Scenario] = {}
    for one in scenarios:
        if one.name in found:
            raise ValueError(f"two scenarios are called {one.name!r}")
        found[one.name] = one
    return found
