"""Patterns of resources: what they are for, and which two can be for the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import InvalidInput
from coordinator.ops.history import Happening
from coordinator.ops.watching import Page, changes
from coordinator.policy.pattern import pattern

pytestmark = pytest.mark.no_redis

parts = st.sampled_from(["a", "b", "ab", "a-b", "", "c c"])
names = st.lists(parts, min_size=1, max_size=4).map("/".join).filter(lambda one: one.strip() == one != "")
segments = st.sampled_from(["a", "b", "ab", "*", "a*", "a-*", "c c"])
patterns = st.tuples(st.lists(segments, min_size=1, max_size=3), st.booleans()).map(
    lambda one: "/".join([*one[0], "**"] if one[1] else one[0])
)


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("infra/prod/vpc", ["infra/prod/vpc"], ["infra/prod", "infra/prod/vpc/a", "infra/prod/vpc2"]),
        ("infra/prod/*", ["infra/prod/vpc"], ["infra/prod", "infra/prod/vpc/a", "infra/prod2/vpc"]),
        ("infra/*/vpc", ["infra/prod/vpc", "infra/dev/vpc"], ["infra/vpc", "infra/a/b/vpc"]),
        ("infra/prod/v*", ["infra/prod/vpc", "infra/prod/v"], ["infra/prod/lb", "infra/prod/v/c"]),
        ("infra/**", ["infra", "infra/prod", "infra/prod/vpc"], ["infrared", "other"]),
        ("infra/p*/**", ["infra/prod", "infra/prod/vpc"], ["infra", "infra/dev"]),
        ("*", ["infra"], ["infra/prod"]),
        ("**", ["infra", "infra/prod"], []),
    ],
)
def test_what_a_pattern_is_for(text: str, yes: list[str], no: list[str]) -> None:
    assert [one for one in yes if not pattern(text).covers(one)] == []
    assert [one for one in no if pattern(text).covers(one)] == []


@pytest.mark.parametrize("text", ["", " a/*", "a*b", "**/a", "a/**/b", "a**b", "a?", "a/[b]", 7, None, ["a"]])
def test_what_is_no_pattern(text: object) -> None:
    with pytest.raises(InvalidInput):
        pattern(text)


def test_names_are_encoded_and_stars_are_not() -> None:
    assert pattern("c c/é*/**").wire == "c%20c/%C3%A9*/**"


@given(text=patterns, name=names)
def test_a_pattern_is_for_what_a_regular_expression_of_the_same_is_for(text: str, name: str) -> None:
    above, everything_below, _ = text.partition("/**") if text.endswith("/**") else (text, "", "")
    wanted = re.escape(above).replace(r"\*", "[^/]*") + ("(/.*)?" if everything_below else "")
    assert pattern(text).covers(name) == (re.fullmatch(wanted, name, re.DOTALL) is not None)


@given(text=patterns, other=patterns, name=names)
def test_two_patterns_that_are_for_the_same_meet(text: str, other: str, name: str) -> None:
    one, two = pattern(text), pattern(other)
    assert one.meets(two) == two.meets(one)
    assert not (one.covers(name) and two.covers(name)) or one.meets(two)


@given(text=patterns, name=names)
def test_a_name_is_a_pattern_too(text: str, name: str) -> None:
    assert pattern(name).covers(name)
    assert pattern(text).meets(pattern(name)) == pattern(text).covers(name)


def test_a_watch_of_a_resource_is_told_of_a_tree_that_it_stands_in() -> None:
    happening = Happening("1-1", 0.0, "grant", "r1", {"needs": "x1:a/**", "fence": "7"})
    page = Page(0.0, "1-1", False, ((happening, "x1:a/**"),))
    for watched, told in (("a/b", True), ("a", True), ("**", True), ("b", False), ("ab/*", False)):
        found = list(changes(page, pattern(watched), ""))
        assert [(one.what, one.resources, dict(one.fields)) for one in found] == [
            ("granted", ("a/**",), {"fence": "7"})
        ] * told
