"""Places given by hand, in lines whose order changes: against the orders that docs/lines.md promises."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest

from coordinator.model.definition import MODES
from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.support.defining import Defining
from tests.support.engine import Engine, job

NEWEST = ("newest_first", "newest_ready_first")
LINES = ("a", "b")
NEEDS = ("a", "a", "b", "a b")


@dataclass
class Stander:
    """Somebody in line: when it arrived, when it was moved or changed last, and whereto. Counts of steps."""

    priority: int
    arrived: int
    changed: int = 0
    place: str = ""


class Lines:
    """Two lines with modes, and what must be true of any two who stand there."""

    def __init__(self, engine: Engine, define: Defining, chance: Random) -> None:
        self.engine, self.define, self.chance = engine, define, chance
        self.standers: dict[str, Stander] = {}
        self.modes = dict.fromkeys(LINES, "priority")
        self.step = 0
        engine.open("s")
        engine.hold("s", "holder", "a b")

    def arrive(self) -> None:
        ident, needs, priority = f"r{self.step}", self.chance.choice(NEEDS), self.chance.randrange(5)
        if self.chance.random() < 0.3:
            self.engine.submit(job(ident, needs, priority=priority))
        else:
            self.engine.ask("s", ident, needs, priority=priority)
        self.standers[ident] = Stander(priority, self.step)

    def move(self) -> None:
        if len(self.standers) < 2:
            return
        ident, other = self.chance.sample(sorted(self.standers), 2)
        place = self.chance.choice(("front", "front", "back", "back", "before"))
        deed = Deed("ann", "so it must be", f"c{self.step}")
        call = calls.reorder(self.engine.scope, ident, place, other if place == "before" else "", deed)
        if self.engine.call(call)[0] == "ok":
            moved = self.standers[ident]
            moved.changed, moved.place = self.step, place
            both = [line for line in LINES if {ident, other} <= {*self.engine.line(line)}]
            if place == "before" and both:
                line = self.engine.line(both[0])
                assert line.index(other) - line.index(ident) == 1

    def reprioritise(self) -> None:
        if self.standers:
            ident, priority = self.chance.choice(sorted(self.standers)), self.chance.randrange(5)
            self.engine.call(calls.reprioritise(self.engine.scope, ident, priority))
            self.standers[ident] = Stander(priority, self.standers[ident].arrived, self.step)

    def switch(self) -> None:
        line = self.chance.choice(LINES)
        before, was = self.engine.line(line), self.modes[line]
        self.modes[line] = self.chance.choice(MODES)
        self.define(line, mode=self.modes[line])
        after = self.engine.line(line)
        self.define(line, mode=was)
        assert self.engine.line(line) == before, "a change back gives back the old order"
        self.define(line, mode=self.modes[line])
        assert self.engine.line(line) == after

    def rank(self, ident: str) -> int:
        one = self.standers[ident]
        return int(self.engine.field(ident, "stamp") or 0) + (4 - one.priority) * self.engine.terms.aging_us

    def comes_first(self, one: str, other: str, mode: str) -> bool | None:
        """Whether one has to be before another, of which it was moved last. None: either may be."""
        ours, theirs = self.standers[one], self.standers[other]
        if not ours.place and not theirs.place:
            if mode == "priority":
                return self.rank(one) < self.rank(other)
            return (ours.arrived < theirs.arrived) == (mode not in NEWEST)
        if ours.place in ("front", "back"):
            if ours.changed > max(theirs.arrived, theirs.changed):
                return ours.place == "front"
            if theirs.arrived > ours.changed and not theirs.place and mode != "priority":
                return mode not in NEWEST
        return None

    def check(self) -> None:
        for name, mode in self.modes.items():
            line = self.engine.line(name)
            for one in line:
                for other in line:
                    must = self.comes_first(one, other, mode) if one != other else None
                    is_so = line.index(one) < line.index(other)
                    assert must in (None, is_so), f"{one} and {other} in {line}, {mode}: {self.standers}"


@pytest.mark.parametrize("seed", range(6))
def test_who_was_moved_stands_in_every_mode_where_it_was_put(engine: Engine, define: Defining, seed: int) -> None:
    lines = Lines(engine, define, Random(seed))
    acts = (lines.arrive, lines.arrive, lines.arrive, lines.move, lines.move, lines.reprioritise, lines.switch)
    for lines.step in range(1, 50):
        engine.keep_alive(lines.chance.choice((0.001, 0.2, 3)), "s")
        lines.chance.choice(acts)()
        lines.check()
    for mode in MODES:
        for name in LINES:
            define(name, mode=mode)
            lines.modes[name] = mode
        lines.check()


def test_a_job_that_was_put_behind_all_is_behind_all_in_its_queue_too(engine: Engine, define: Defining) -> None:
    engine.worker("w")
    define("a", mode="newest_first", capacity=3)
    for ident in ("one", "two", "three"):
        engine.put(ident, "a")
        engine.advance(1)
    engine.call(calls.reorder(engine.scope, "two", "back", "", Deed("ann", "later", "c")))
    assert [job.ident for job in engine.claim("w", 3)] == ["one", "three", "two"]


def test_an_heir_is_the_first_in_whatever_order_the_line_has_next(engine: Engine, define: Defining) -> None:
    engine.open("s")
    engine.hold("s", "holder", "a")
    held = engine.hold("s", "other", "b")
    for ident, needs in (("r1", "a"), ("heir", "a b"), ("r3", "a")):
        engine.ask("s", ident, needs)
        engine.advance(1)
    engine.call(calls.hand_over(engine.scope, "other", held, "heir", Deed("ann", "next", "c")))
    for mode in MODES:
        define("a", mode=mode)
        assert engine.line("a")[0] == "heir"
