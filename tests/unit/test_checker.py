"""The checker of the demonstration against histories written by hand: it must pass the legal ones, and catch each
illegal one for the right reason. A checker that never complains would make every run look clean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordinator_demo.facts import Wanted
from tests.support.histories import (
    EMERGENCY,
    HIGH,
    LEGAL,
    NORMAL,
    History,
    aged_past_a_more_urgent_one,
    more_urgent_first,
    one_after_the_other,
)


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
