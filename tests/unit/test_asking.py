"""What a caller says of a lock, in wire form: the short way of a plain one ends where the long way does."""

import pytest

from coordinator.errors import InvalidInput
from coordinator.model.names import Priority
from coordinator.model.need import Need, needs_of
from coordinator.ops.asking import USUAL, LockOptions, lock_ask, lock_options
from coordinator.policy.rules import RuleSet

pytestmark = pytest.mark.no_redis


@pytest.mark.parametrize("needs", ["infra/prod", [Need("a"), Need("b", "shared")], (Need("c", permits=3),)])
@pytest.mark.parametrize("max_hold", [0.05, 1.0004, 3600])
def test_of_a_lock_about_which_nothing_is_said_the_short_way_says_the_same(needs, max_hold):
    assert lock_options(None, None, {}) is USUAL
    assert LockOptions() == USUAL
    assert LockOptions() is not USUAL  # so that is the long way
    assert lock_ask("one", needs_of(needs), USUAL, max_hold) == lock_ask(
        "one", needs_of(needs), LockOptions(), max_hold
    )


def test_whatever_is_said_is_looked_at():
    assert lock_options(Priority.HIGH, None, {}).priority == Priority.HIGH
    assert lock_options(None, 0, {}).wait == 0
    assert lock_options(None, None, {"ttl": 3}).ttl == 3
    with pytest.raises(InvalidInput):
        lock_options(None, None, {"tll": 3})
    for options in (USUAL, LockOptions()):
        with pytest.raises(InvalidInput):
            lock_ask("one", needs_of("r"), options, 0.01)


def test_rules_choose_the_priority_of_a_plain_lock_too():
    assert lock_ask("one", needs_of("r"), USUAL, 60, RuleSet(default=Priority.HIGH)).priority == Priority.HIGH
    assert lock_ask("one", needs_of("r"), USUAL, 60).priority == Priority.NORMAL


def test_needs_that_were_looked_at_are_taken_as_they_are():
    found = needs_of("a")
    assert needs_of(found) is found
    with pytest.raises(InvalidInput):
        needs_of(())
    assert needs_of((), empty=True) == ()
    assert needs_of(("a",)) == found
