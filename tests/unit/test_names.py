"""Names, numbers and durations that are let in, and those that are not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import InvalidInput
from coordinator.model.names import (
    MAX_SECONDS,
    Priority,
    label,
    milliseconds,
    one_of,
    request_id,
    resource_name,
    text,
    whole,
)


@pytest.mark.parametrize("name", ["a", "infra/prod/vpc", "Ünï cødé", "a" * 512, "~", "a:b", "%"])
def test_names_of_resources_are_free_text(name: str) -> None:
    assert resource_name(name) == name


BAD_NAMES = [
    "",
    " ",
    " a",
    "a ",
    "a\nb",
    "a\tb",
    "a\x00b",
    "a\x7fb",
    "a\u2028b",
    "{a}",
    "a*",
    "a?",
    "[a]",
    "a\\b",
    "\ud800",
    "a\udcffb",
    "a" * 513,
    "ä" * 257,
    "x" * 65_536,
    None,
    7,
    b"a",
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
def test_what_could_be_taken_for_something_else_is_refused(name: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        resource_name(name)
    assert caught.value.argument == "resource"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["default", "a", "A9._@+:/-", "a" * 128])
def test_labels_are_short_and_plain(name: str) -> None:
    assert label(name, "queue") == name


@pytest.mark.parametrize("name", ["", "-a", "a b", "a" * 129, "ä", "{a}", "a\n", "a*", None, 1])
def test_other_labels_are_refused(name: object) -> None:
    with pytest.raises(InvalidInput, match="queue"):
        label(name, "queue")


def test_priorities_are_themselves_their_number_or_their_name() -> None:
    for value in (Priority.HIGH, 2, "high", "HIGH"):
        assert Priority.of(value) is Priority.HIGH
    assert sorted(Priority) == [Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.CRITICAL, Priority.EMERGENCY]


@pytest.mark.parametrize("value", [-1, 5, True, "urgent", "", None, 1.0])
def test_other_priorities_are_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="emergency=4"):
        Priority.of(value)


@given(st.floats(0, MAX_SECONDS))
def test_a_duration_is_never_shortened(seconds: float) -> None:
    found = milliseconds(seconds, "wait")
    assert found >= seconds * 1000 or math.isclose(found, seconds * 1000, abs_tol=1e-6)
    assert found <= seconds * 1000 + 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.001, MAX_SECONDS * 1.01, 10**400, True, "1", None])
def test_other_durations_are_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="wait"):
        milliseconds(value, "wait")


def test_a_duration_may_have_a_least_value() -> None:
    assert milliseconds(0.05, "ttl", least=0.05) == 50
    with pytest.raises(InvalidInput):
        milliseconds(0.049, "ttl", least=0.05)


@pytest.mark.parametrize("value", [0, 11, True, 1.0, "1", None])
def test_whole_numbers_are_whole_and_within_bounds(value: object) -> None:
    assert (whole(1, "n", 1, 10), whole(10, "n", 1, 10)) == (1, 10)
    with pytest.raises(InvalidInput, match="from 1 to 10"):
        whole(value, "n", 1, 10)


@pytest.mark.parametrize("value", ["", "x" * 513, "\udcff", "ä", None, 7, b"a", []])
def test_what_cannot_be_the_id_of_a_request_is_refused(value: object) -> None:
    assert request_id("0pmn279x29rb-12g") == "0pmn279x29rb-12g"
    with pytest.raises(InvalidInput, match="id"):
        request_id(value)


def test_free_text_may_be_empty_but_not_endless() -> None:
    assert (text(None, "owner"), text("", "owner"), text("a\nb", "owner")) == ("", "", "a\nb")
    assert text("x" * 1024, "owner") == "x" * 1024
    for bad in ("x" * 1025, "ä" * 513, 7, "\ud800"):
        with pytest.raises(InvalidInput, match="owner"):
            text(bad, "owner")


def test_a_near_miss_is_named() -> None:
    assert one_of("join", "on_conflict", ("join", "reject")) == "join"
    with pytest.raises(InvalidInput, match="did you mean 'join'"):
        one_of("jion", "on_conflict", ("join", "reject"))
    for bad in ("zzz", None, 3):
        with pytest.raises(InvalidInput, match="must be one of join, reject"):
            one_of(bad, "on_conflict", ("join", "reject"))
