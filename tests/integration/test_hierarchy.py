"""Subtrees through both clients: locks, jobs, and what is said of who is in the way."""

from typing import Any

import pytest

from coordinator import Need, State
from coordinator.doctor import examine
from coordinator.errors import Deadlock, InvalidInput, UpgradeRefused
from tests.support.scene import Scene


def test_a_subtree_waits_for_what_is_held_below_and_names_it(co: Any, other: Any) -> None:
    leaf = co.acquire("infra/prod/vpc", owner="pr-1", reason="apply")
    ticket = other.request("infra/prod/**", owner="ops")
    [blocker] = ticket.position().blockers
    assert (blocker.owner, blocker.resource, blocker.mode) == ("pr-1", "infra/prod/vpc", "exclusive")
    assert other.try_acquire("infra/prod/db") is None
    leaf.release()
    tree = ticket.wait(5)
    assert tree.fence > leaf.fence
    waits = co.request("infra/prod/db", owner="pr-2")
    assert [(one.owner, one.resource) for one in waits.position().blockers] == [("ops", "infra/prod/**")]
    assert [(one.owner, one.resource) for one in co.line("infra/prod/db").holders] == [("ops", "infra/prod/**")]
    assert [(one.owner, one.resource) for one in co.line("infra/**").holders] == [("ops", "infra/prod/**")]
    tree.release()
    waits.wait(5).release()


def test_several_needs_are_had_together_or_not_at_all(co: Any, other: Any) -> None:
    held = co.acquire(["a/x", Need("b/**", "shared")])
    ticket = other.request(["a/**", "b/y", "c"])
    assert ticket.state() == State.WAITING
    assert co.line("c").holders == ()
    held.release()
    ticket.wait(5).release()


def test_bad_patterns_are_refused_before_anything_is_sent(co: Any) -> None:
    for bad in ("a/**/b", ["a/**", "a/b"], "/".join("abcdefghijklmnopq") + "/**"):
        with pytest.raises(InvalidInput):
            co.acquire(bad)
        with pytest.raises(InvalidInput):
            co.submit("work", resources=bad)


def test_nobody_waits_for_oneself(co: Any) -> None:
    leaf = co.acquire("p/a", owner="me", reentrant=True)
    with pytest.raises(Deadlock):
        co.acquire("p/**", within=leaf, wait=5)
    with pytest.raises(UpgradeRefused):
        co.acquire("p/**", owner="me", reentrant=True, wait=5)
    leaf.release()


def test_a_job_has_a_subtree_while_it_runs(scene: Scene) -> None:
    ticket = scene.co.submit("work", resources=["p/**"])
    [(ident, fence)] = scene.claim()
    assert scene.co.try_acquire("p/a/b") is None
    behind = scene.co.submit("work", resources=["p/a"])
    assert [one.ident for one in behind.position().blockers] == [ticket.ident]
    assert scene.settle(ident, fence) == "ok"
    assert behind.state() == State.READY
    assert examine(scene.co).problems == ()
