"""An alert is told once, stands as long as there is reason, and never stays for ever."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.metrics.judging import standing_of, text_of, verdicts_of
from coordinator.model.measures import is_figure
from coordinator.policy.alerts import (
    ACKNOWLEDGED,
    CALM,
    CRITICAL,
    DEFAULTS,
    KEEP_RESOLVED,
    LEVELS,
    RAISED,
    RESOLVED,
    REST,
    WARNING,
    Rule,
    Standing,
    acknowledged,
    step,
)

RULE = Rule("depth", "fleet.depth", 100, 500, hold=10)
LOW = Rule("coalesce", "coalesce_share", 0.2, None, below=True, hold=10)
EVERY = 5.0
START = 1_800_000_000.0

figures = st.one_of(st.none(), st.floats(0, 1000))


def run(rule: Rule, seen: Iterable[float | None], known: Standing = REST) -> tuple[Standing, list[str], float]:
    """An alert after some looks, what was told, and when it ended."""
    told, now = [], START
    for figure in seen:
        now += EVERY
        made = step(rule, known, figure, now)
        known, told = made.standing, told + [made.told] * bool(made.told)
    return known, told, now


def raised(rule: Rule = RULE, figure: float = 120) -> Standing:
    return run(rule, [figure] * 4)[0]


def test_it_is_raised_when_the_figure_has_been_there_for_long_enough() -> None:
    assert run(RULE, [120, 120])[1] == []
    known, told, _ = run(RULE, [120, 120, 120])
    assert (known.state, known.level, told) == (RAISED, WARNING, [RAISED])
    assert run(RULE, [120, 120, 20, 120, 120])[1] == []


@given(st.lists(st.floats(81, 99.9), max_size=50), st.booleans())
def test_within_the_band_nothing_changes(seen: list[float], was_raised: bool) -> None:
    before = raised() if was_raised else REST
    after, told, _ = run(RULE, seen, before)
    assert (after.state, after.level, told) == (before.state, before.level, [])


@given(st.lists(st.floats(401, 499.9), max_size=50))
def test_within_the_band_of_the_higher_level_nothing_changes_either(seen: list[float]) -> None:
    after, told, _ = run(RULE, seen, raised(figure=600))
    assert (after.level, told) == (CRITICAL, [])


@given(st.lists(st.sampled_from([90.0, 110.0]), max_size=100))
def test_a_figure_that_trembles_around_a_limit_is_told_once_at_most(seen: list[float]) -> None:
    assert len(run(RULE, seen)[1]) <= 1


@given(st.lists(figures, max_size=60), st.lists(st.one_of(st.none(), st.floats(0, 79.9)), min_size=3, max_size=3))
def test_whatever_happened_it_resolves_once_the_figure_is_back(
    before: list[float | None], after: list[float | None]
) -> None:
    known, told, _ = run(RULE, before + after)
    assert known.level == CALM
    assert known.state in ("", RESOLVED)
    if told:
        assert told[-1] == RESOLVED


@given(st.lists(figures, max_size=60))
def test_every_alert_is_told_in_turn(seen: list[float | None]) -> None:
    known, told, _ = run(RULE, seen)
    resolved = [n for n, one in enumerate(told) if one == RESOLVED]
    assert all(told[n - 1] == RAISED for n in resolved), "nothing is resolved that was not raised"
    assert (known.level != CALM) == bool(told and told[-1] == RAISED)


@given(st.lists(figures, max_size=60))
def test_a_higher_figure_never_stands_lower(seen: list[float | None]) -> None:
    # Each look by itself: from the same standing, more is never judged to be less.
    known, _, now = run(RULE, seen)
    ranks = [LEVELS.index(step(RULE, known, figure, now + 3600).standing.level) for figure in range(0, 1000, 25)]
    assert ranks == sorted(ranks)


def test_what_gets_worse_is_news_also_for_whoever_has_seen_it() -> None:
    seen = acknowledged(raised(), "me")
    same, told, _ = run(RULE, [150] * 4, seen)
    assert (same.state, same.by, told) == (ACKNOWLEDGED, "me", [])
    worse, told, _ = run(RULE, [600] * 4, seen)
    assert (worse.state, worse.level, worse.by, told) == (RAISED, CRITICAL, "", [RAISED])
    better, told, _ = run(RULE, [150] * 4, acknowledged(worse, "me"))
    assert (better.state, better.level, told) == (ACKNOWLEDGED, WARNING, [])


def test_some_figures_are_bad_when_they_are_small() -> None:
    known, told, _ = run(LOW, [0.1] * 4)
    assert (known.level, told) == (WARNING, [RAISED])
    assert run(LOW, [0.22] * 9, known)[0].level == WARNING
    assert run(LOW, [0.25] * 9, known)[0].level == CALM
    assert run(LOW, [None] * 9)[1] == []


def test_what_is_resolved_is_listed_for_a_while() -> None:
    known, _, now = run(RULE, [0] * 4, raised())
    assert known.state == RESOLVED
    assert step(RULE, known, 0, now + KEEP_RESOLVED - 60).standing.state == RESOLVED
    assert step(RULE, known, 0, now + KEEP_RESOLVED).standing == REST


@given(
    st.sampled_from(["", RAISED, ACKNOWLEDGED, RESOLVED]),
    st.sampled_from(LEVELS),
    st.integers(0, 10**6),
    st.integers(0, 2**40),
    st.integers(-(2**40), 2**40),
    st.text(max_size=20),
)
def test_a_standing_comes_back_from_its_text(
    state: str, level: str, figure: int, since: int, turning: int, by: str
) -> None:
    one = Standing(state, level, float(figure), float(since), float(turning), "" if by == "-" else by)
    text = text_of(one)
    assert standing_of(text) == one or figure >= 10**6
    assert text.isascii()


@pytest.mark.parametrize("text", ["", "raised", "raised warning x 0 0 -", "what warning 1 0 0 -", "raised hot 1 0 0 -"])
def test_what_cannot_be_read_is_at_rest(text: str) -> None:
    assert standing_of(text) == REST


def test_an_alert_without_its_rule_goes_without_a_word() -> None:
    assert [*verdicts_of([RULE], {"gone": "raised warning 1 0 0 -"}, {}, START)] == [
        ("gone", "raised warning 1 0 0 -", "", "", "", "")
    ]


def test_the_rules_are_about_figures_that_there_are() -> None:
    assert all(is_figure(rule.figure) for rule in DEFAULTS)
    assert len({rule.name for rule in DEFAULTS}) == len(DEFAULTS)
    limits = {rule.name: (rule.warning, rule.critical) for rule in DEFAULTS}
    assert limits["queue_depth"] == (100, 500)
    assert limits["mean_wait"] == (30, 120)
    assert limits["timeout_rate"] == (0.05, 0.15)
    assert limits["retry_failure"] == (0.1, 0.25)
    assert limits["coalesce_rate"] == (0.2, None)
    assert limits["dead_jobs"] == (1, 20)
