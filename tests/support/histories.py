"""Histories for the demonstration's checker, written down by hand: how to make one, and those that break no rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

from coordinator_demo.checker import check
from coordinator_demo.facts import Claim, Fact, Verdict, Wanted

NORMAL, HIGH, EMERGENCY = 1, 2, 4
AGING_US = 1000


@dataclass
class History:
    """A history in the making. Each call adds what the server and, unless `silent`, the process would say."""

    wanted: list[Wanted]
    facts: list[Fact]
    claims: list[Claim]
    now: float = 0.0

    @classmethod
    def of(cls, **needs: str) -> History:
        """Pulls by name, each with the resources it needs as letters: `of(p="a", q="ab")`. All of priority NORMAL."""
        return cls([Wanted(name, frozenset(letters), NORMAL) for name, letters in needs.items()], [], [])

    def ask(self, pull: str, stamp: int, priority: int = NORMAL, ident: str = "") -> None:
        self.wanted = [replace(one, priority=priority) if one.pull == pull else one for one in self.wanted]
        needs = next(one.resources for one in self.wanted if one.pull == pull)
        self.facts.append(Fact("asked", ident or pull, pull=pull, resources=needs, priority=priority, stamp=stamp))

    def grant(self, request: str, fence: int, silent: bool = False) -> None:
        self.facts.append(Fact("granted", request, fence=fence))
        if not silent:
            self.believe("holding", request, fence)

    def end(self, request: str, fence: int, state: str = "released", silent: bool = False) -> None:
        if not silent:
            self.believe("done", request, fence)
        self.facts.append(Fact("ended", request, fence=fence if state == "succeeded" else 0, state=state))

    def server(self, what: str, request: str, **facts: int) -> None:
        self.facts.append(Fact(what, request, **facts))  # type: ignore[arg-type]

    def believe(self, what: str, request: str, fence: int = 0, state: str = "") -> None:
        self.now += 1.0
        self.claims.append(Claim(what, "process", self.now, request, fence, state))  # type: ignore[arg-type]

    def judge(self) -> Verdict:
        return check(self.wanted, self.facts, self.claims, AGING_US)


def one_after_the_other() -> History:
    h = History.of(p="a", q="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.ask("q", 2)
    h.end("p", 10)
    h.grant("q", 11)
    h.end("q", 11)
    return h


def side_by_side() -> History:
    h = History.of(p="a", q="b")
    h.ask("p", 1)
    h.grant("p", 10)
    h.ask("q", 2)
    h.grant("q", 11)
    h.end("q", 11)
    h.end("p", 10)
    return h


def more_urgent_first() -> History:
    h = History.of(p="a", q="a", r="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.ask("q", 20)
    h.ask("r", 30, EMERGENCY)
    h.end("p", 10)
    h.grant("r", 40)
    h.end("r", 40)
    h.grant("q", 50)
    h.end("q", 50)
    return h


def aged_past_a_more_urgent_one() -> History:
    h = History.of(p="a", q="a", r="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.ask("q", 20)
    h.ask("r", 20 + AGING_US + 1, HIGH)
    h.end("p", 10)
    h.grant("q", 4000)
    h.end("q", 4000)
    h.grant("r", 5000)
    h.end("r", 5000)
    return h


def all_or_nothing() -> History:
    h = History.of(p="a", both="ab", q="b")
    h.ask("p", 1)
    h.grant("p", 10)
    h.ask("both", 2)
    h.ask("q", 3)
    h.end("p", 10)
    h.grant("both", 11)
    h.end("both", 11)
    h.grant("q", 12)
    h.end("q", 12)
    return h


def lock_lost_by_a_holder_that_still_believes() -> History:
    h = History.of(p="a", q="a")
    h.ask("p", 1)
    h.ask("q", 2)
    h.grant("p", 10)
    h.end("p", 10, "lost", silent=True)
    h.grant("q", 11)
    h.believe("done", "p", 10)
    h.end("q", 11)
    return h


def job_given_back_and_run_again() -> History:
    h = History.of(p="a")
    h.ask("p", 1)
    h.grant("p", 10, silent=True)
    h.server("returned", "p")
    h.grant("p", 11)
    h.end("p", 11, "succeeded")
    return h


def crashed_job_keeps_its_place() -> History:
    h = History.of(p="a", q="a")
    h.ask("p", 1)
    h.ask("q", 2)
    h.grant("p", 10)
    h.server("returned", "p")
    h.grant("p", 11)
    h.end("p", 11, "succeeded")
    h.grant("q", 12)
    h.end("q", 12, "succeeded")
    return h


def retry_later_gives_up_the_place() -> History:
    h = History.of(p="a", q="a")
    h.ask("p", 1)
    h.ask("q", 2)
    h.grant("p", 10)
    h.believe("done", "p", 10)
    h.server("parked", "p")
    h.grant("q", 11)
    h.server("returned", "p", stamp=12)
    h.end("q", 11, "succeeded")
    h.grant("p", 13)
    h.end("p", 13, "succeeded")
    return h


def retry_at_once_under_a_new_fence() -> History:
    h = History.of(p="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.believe("done", "p", 10)
    h.server("regranted", "p", fence=11)
    h.believe("holding", "p", 11)
    h.end("p", 11, "succeeded")
    return h


def raised_while_waiting() -> History:
    h = History.of(p="a", q="a", r="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.ask("q", 2)
    h.ask("r", 3)
    h.server("reprioritised", "r", priority=EMERGENCY)
    h.end("p", 10)
    h.grant("r", 11)
    h.end("r", 11)
    h.grant("q", 12)
    h.end("q", 12)
    return h


def gave_up_waiting() -> History:
    h = History.of(p="a", q="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.ask("q", 2)
    h.end("q", 0, "cancelled", silent=True)
    h.believe("told", "q", state="cancelled")
    h.end("p", 10)
    return h


LEGAL = [
    one_after_the_other,
    side_by_side,
    more_urgent_first,
    aged_past_a_more_urgent_one,
    all_or_nothing,
    lock_lost_by_a_holder_that_still_believes,
    job_given_back_and_run_again,
    crashed_job_keeps_its_place,
    retry_later_gives_up_the_place,
    retry_at_once_under_a_new_fence,
    raised_while_waiting,
    gave_up_waiting,
]
