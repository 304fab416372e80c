"""A handler's rules for exceptions: the most specific class, and what is inside a group."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator import Snooze
from coordinator.errors import InvalidInput
from coordinator.policy.on_error import GIVE_UP, RETRY, Ruled, Rules, checked, find


class NotReady(Exception): ...


class Busy(NotReady, TimeoutError): ...


RULES: Rules = {TimeoutError: RETRY, ValueError: GIVE_UP, NotReady: Snooze(30)}


def group(*errors: Exception) -> ExceptionGroup[Exception]:
    return ExceptionGroup("several", errors)


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (TimeoutError(), Ruled(RETRY, "TimeoutError")),
        (ValueError(), Ruled(GIVE_UP, "ValueError")),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "?"), Ruled(GIVE_UP, "ValueError")),
        (NotReady(), Ruled(Snooze(30), "NotReady")),
        (Busy(), Ruled(Snooze(30), "NotReady")),
        (KeyError(), None),
        (group(TimeoutError(), ValueError()), Ruled(GIVE_UP, "ValueError")),
        (group(NotReady(), group(group(ValueError()))), Ruled(GIVE_UP, "ValueError")),
        (group(NotReady(), TimeoutError()), Ruled(RETRY, "TimeoutError")),
        (group(NotReady(), KeyError()), None),
        (group(NotReady(), NotReady()), Ruled(Snooze(30), "NotReady")),
        (group(KeyError(), ValueError()), Ruled(GIVE_UP, "ValueError")),
    ],
)
def test_what_the_rules_say(error: Exception, found: Ruled | None) -> None:
    assert find(RULES, error) == found


def test_the_more_specific_class_wins_in_whatever_order_they_were_given() -> None:
    for rules in ({OSError: GIVE_UP, TimeoutError: RETRY}, {TimeoutError: RETRY, OSError: GIVE_UP}):
        assert find(rules, TimeoutError()) == Ruled(RETRY, "TimeoutError")
        assert find(rules, ConnectionError()) == Ruled(GIVE_UP, "OSError")


def test_the_rule_of_a_group_is_for_what_has_none_of_its_own() -> None:
    rules: Rules = {ExceptionGroup: GIVE_UP, KeyError: RETRY}
    assert find(rules, group(OSError())) == Ruled(GIVE_UP, "ExceptionGroup")
    assert find(rules, group(KeyError())) == Ruled(RETRY, "KeyError")


def test_of_several_snoozes_the_longest_counts() -> None:
    rules: Rules = {NotReady: Snooze(5), KeyError: Snooze(9)}
    assert find(rules, group(NotReady(), KeyError(), NotReady())) == Ruled(Snooze(9), "KeyError")


leaves = st.sampled_from([TimeoutError(), ValueError(), NotReady(), KeyError()])
trees: Any = st.recursive(leaves, lambda inner: st.lists(inner, min_size=1, max_size=4).map(lambda some: group(*some)))


@given(trees)
def test_a_group_is_given_up_exactly_if_something_in_it_is(error: Exception) -> None:
    found = find(RULES, error)
    inside = [error] if not isinstance(error, ExceptionGroup) else list(flat(error))
    bad = any(isinstance(one, ValueError) for one in inside)
    assert (found is not None and found.action == GIVE_UP) == bad
    if all(isinstance(one, NotReady) for one in inside):
        assert found == Ruled(Snooze(30), "NotReady")


def flat(error: Exception) -> Any:
    for one in error.exceptions if isinstance(error, ExceptionGroup) else ():
        yield from flat(one) if isinstance(one, ExceptionGroup) else (one,)


@pytest.mark.parametrize(
    "rules",
    [3, [ValueError], {"ValueError": RETRY}, {int: RETRY}, {ValueError: "ignore"}, {ValueError: Snooze(-1)}],
)
def test_rules_that_make_no_sense_are_refused(rules: Any) -> None:
    with pytest.raises(InvalidInput):
        checked(rules)


def test_no_rules_are_none() -> None:
    assert checked(None) == {}
    assert find({}, ValueError()) is None
