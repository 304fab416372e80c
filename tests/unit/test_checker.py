"""The checker of the demonstration against histories written by hand: it must pass the legal ones, and catch each
illegal one for the right reason. A checker that never complains would make every run look clean."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from demo.checker import check
from demo.facts import Claim, Fact, Verdict, Wanted

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


@pytest.mark.parametrize("make", LEGAL, ids=lambda make: make.__name__)
def test_a_legal_history_is_clean(make) -> None:
    assert make().judge().problems == ()


def two_holders_at_the_server() -> History:
    h = History.of(p="a", q="a")
    h.ask("p", 1)
    h.grant("p", 10, silent=True)
    h.ask("q", 2)
    h.grant("q", 11, silent=True)
    h.believe("holding", "p", 10)
    h.end("p", 10)
    h.believe("holding", "q", 11)
    h.end("q", 11)
    return h


def two_that_believe_they_hold() -> History:
    h = History.of(p="a", q="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.ask("q", 2)
    h.end("p", 10, silent=True)
    h.grant("q", 11)
    h.believe("done", "p", 10)
    h.end("q", 11)
    return h


def one_of_two_resources_is_taken() -> History:
    h = History.of(p="a", both="ab")
    h.ask("p", 1)
    h.grant("p", 10, silent=True)
    h.ask("both", 2)
    h.grant("both", 11, silent=True)
    h.believe("holding", "p", 10)
    h.end("p", 10)
    h.believe("holding", "both", 11)
    h.end("both", 11)
    return h


def the_same_fence_twice() -> History:
    h = one_after_the_other()
    h.facts = [replace(one, fence=10) if one.fence == 11 else one for one in h.facts]
    h.claims = [replace(one, fence=10) for one in h.claims]
    return h


def a_fence_that_goes_back() -> History:
    h = one_after_the_other()
    h.facts = [replace(one, fence=9) if one.fence == 11 else one for one in h.facts]
    h.claims = [replace(one, fence=9) if one.fence == 11 else one for one in h.claims]
    return h


def a_fence_nobody_was_given() -> History:
    h = one_after_the_other()
    h.believe("holding", "p", 77)
    return h


def overtaken_by_a_later_equal() -> History:
    h = History.of(p="a", q="a", r="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.ask("q", 2)
    h.ask("r", 3)
    h.end("p", 10)
    h.grant("r", 11)
    h.end("r", 11)
    h.grant("q", 12)
    h.end("q", 12)
    return h


def a_less_urgent_one_first() -> History:
    h = History.of(p="a", q="a", r="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.ask("q", 2)
    h.ask("r", 3, EMERGENCY)
    h.end("p", 10)
    h.grant("q", 11)
    h.end("q", 11)
    h.grant("r", 12)
    h.end("r", 12)
    return h


def passed_on_the_resource_that_was_free() -> History:
    h = History.of(p="a", both="ab", q="b")
    h.ask("p", 1)
    h.grant("p", 10)
    h.ask("both", 2)
    h.ask("q", 3)
    h.grant("q", 11)
    h.end("q", 11)
    h.end("p", 10)
    h.grant("both", 12)
    h.end("both", 12)
    return h


def ageing_ignored() -> History:
    h = aged_past_a_more_urgent_one()
    first, second = h.facts[5:7], h.facts[7:9]
    h.facts = [*h.facts[:5], *[replace(one, fence=one.fence and 4000) for one in second], *first]
    h.facts = [*h.facts[:7], *[replace(one, fence=one.fence and 5000) for one in first]]
    h.claims = h.claims[:2]
    h.now = 2.0
    for request, fence in (("r", 4000), ("q", 5000)):
        h.believe("holding", request, fence)
        h.believe("done", request, fence)
    return h


def a_pull_that_never_asked() -> History:
    h = one_after_the_other()
    h.wanted.append(Wanted("forgotten", frozenset("a"), NORMAL))
    return h


def a_waiter_that_was_forgotten() -> History:
    h = one_after_the_other()
    h.wanted.append(Wanted("r", frozenset("b"), NORMAL))
    h.ask("r", 3)
    return h


def a_holder_that_never_ended() -> History:
    h = one_after_the_other()
    h.facts.pop()
    return h


def success_that_nobody_worked_for() -> History:
    h = History.of(p="a")
    h.ask("p", 1)
    h.grant("p", 10, silent=True)
    h.end("p", 10, "succeeded", silent=True)
    return h


def settled_twice() -> History:
    h = History.of(p="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.end("p", 10, "succeeded")
    h.end("p", 10, "succeeded", silent=True)
    return h


def a_pull_that_ran_as_two_jobs() -> History:
    h = History.of(p="a")
    for number, ident in enumerate(("first", "second"), 1):
        h.ask("p", number, ident=ident)
        h.grant(ident, 10 + number)
        h.end(ident, 10 + number, "succeeded")
    return h


def started_twice_under_one_lease() -> History:
    h = History.of(p="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.believe("holding", "p", 10)
    h.end("p", 10, "succeeded")
    return h


def granted_after_the_end() -> History:
    h = one_after_the_other()
    h.server("granted", "p", fence=12)
    return h


def started_after_it_was_settled() -> History:
    h = History.of(p="a")
    h.ask("p", 1)
    h.grant("p", 10)
    h.end("p", 10, "succeeded")
    h.believe("holding", "p", 10)
    return h


def granted_without_asking() -> History:
    h = one_after_the_other()
    h.server("granted", "stranger", fence=12)
    return h


def released_without_a_grant() -> History:
    h = History.of(p="a", q="a")
    h.ask("p", 1)
    h.end("p", 0, silent=True)
    h.ask("q", 2)
    h.grant("q", 10)
    h.end("q", 10)
    return h


def done_before_it_began() -> History:
    h = one_after_the_other()
    h.claims[0], h.claims[1] = h.claims[1], h.claims[0]
    return h


def settled_under_an_old_fence() -> History:
    h = History.of(p="a")
    h.ask("p", 1)
    h.grant("p", 10, silent=True)
    h.server("returned", "p")
    h.grant("p", 11)
    h.believe("done", "p", 11)
    h.end("p", 10, "succeeded", silent=True)
    return h


def fewer_resources_than_the_pull_needs() -> History:
    h = one_after_the_other()
    h.wanted = [replace(one, resources=frozenset("ab")) if one.pull == "p" else one for one in h.wanted]
    return h


def another_priority_than_the_pull_has() -> History:
    h = one_after_the_other()
    h.wanted = [replace(one, priority=HIGH) if one.pull == "q" else one for one in h.wanted]
    return h


def told_of_another_end() -> History:
    h = one_after_the_other()
    h.believe("told", "p", state="lost")
    return h


# The rule that is broken, then those that cannot but be broken with it.
ILLEGAL = [
    (two_holders_at_the_server, "exclusion"),
    (two_that_believe_they_hold, "exclusion"),
    (one_of_two_resources_is_taken, "exclusion"),
    (the_same_fence_twice, "fence"),
    (a_fence_that_goes_back, "fence exclusion"),
    (a_fence_nobody_was_given, "fence"),
    (overtaken_by_a_later_equal, "order"),
    (a_less_urgent_one_first, "order"),
    (passed_on_the_resource_that_was_free, "order"),
    (ageing_ignored, "order"),
    (a_pull_that_never_asked, "lost"),
    (a_waiter_that_was_forgotten, "lost"),
    (a_holder_that_never_ended, "lost"),
    (success_that_nobody_worked_for, "lost"),
    (settled_twice, "twice"),
    (a_pull_that_ran_as_two_jobs, "twice"),
    (started_twice_under_one_lease, "twice"),
    (granted_after_the_end, "sequence"),
    (started_after_it_was_settled, "twice"),
    (granted_without_asking, "sequence"),
    (released_without_a_grant, "sequence"),
    (done_before_it_began, "sequence lost"),
    (settled_under_an_old_fence, "stale"),
    (fewer_resources_than_the_pull_needs, "needs"),
    (another_priority_than_the_pull_has, "needs"),
    (told_of_another_end, "told"),
]


@pytest.mark.parametrize(("make", "rules"), ILLEGAL, ids=[make.__name__ for make, _ in ILLEGAL])
def test_an_illegal_history_is_caught_for_the_right_reason(make, rules: str) -> None:
    assert list(dict.fromkeys(one.rule for one in make().judge().problems)) == rules.split()


def test_the_verdict_says_how_much_was_looked_at() -> None:
    verdict = more_urgent_first().judge()

    assert verdict.clean
    assert (verdict.pulls, verdict.grants, verdict.comparisons, verdict.beliefs) == (3, 3, 1, 6)
