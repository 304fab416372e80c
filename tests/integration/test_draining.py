"""Draining: a freeze, and the wait until those who have what it covers are done."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from coordinator.errors import InvalidInput, NotDrained, NotFrozen
from coordinator.keys import key
from tests.support.until import until


def test_a_drain_ends_when_the_last_has_gone_and_what_it_covers_stays_frozen(co: Any, other: Any) -> None:
    lease, free = co.acquire("db/main"), co.acquire("elsewhere")
    with ThreadPoolExecutor(1) as pool:
        drained = pool.submit(other.drain, "db/**", "maintenance", wait=30, seconds=60, by="ann")
        until(other.freezes, what="it is frozen")
        waits = co.request("db/main")
        assert not drained.done()
        lease.release()
        made = drained.result(10)
    assert (made.pattern, made.by, made.reason) == ("db/**", "ann", "maintenance")
    assert waits.position().frozen
    [noted] = [one for one in other.audit() if one.event == "freeze"]
    assert (noted.subject, noted.fields["by"], noted.fields["why"]) == ("db/**", "ann", "maintenance")
    other.undrain("db/**", "done", by="ann")
    assert waits.wait(5).held
    assert free.held
    with pytest.raises(NotFrozen):
        other.undrain("db/**")


@pytest.mark.parametrize(
    ("held", "pattern"),
    [("a/b", "a/b"), ("a/b", "a/**"), ("a/b", "**"), ("a/**", "a/**"), ("a/**", "a/b"), ("a/**", "a/b/**")],
)
def test_whoever_still_holds_some_of_it_is_named_when_the_wait_is_over(
    co: Any, other: Any, held: str, pattern: str
) -> None:
    co.acquire(held)
    with pytest.raises(NotDrained, match="it stays frozen") as caught:
        other.drain(pattern, "maintenance", wait=0)
    assert (caught.value.pattern, caught.value.held) == (pattern, (held,))
    assert [one.pattern for one in other.freezes()] == [pattern]


def test_a_drain_looks_at_every_page_and_at_nobody_beside_it(co: Any, other: Any) -> None:
    names = [f"p/{n}" for n in range(120)]
    lease, beside = co.acquire(names), co.acquire("px")
    with pytest.raises(NotDrained, match="and 115 more") as caught:
        other.drain("p/**", "maintenance", wait=0)
    assert caught.value.held == tuple(sorted(names))
    lease.release()
    assert other.drain("p/**", "maintenance", wait=0).pattern == "p/**"
    assert beside.held


def test_what_the_dead_held_is_taken_back_though_nobody_else_is_there(
    co: Any, other: Any, raw: Any, namespace: str
) -> None:
    co.acquire("a")
    [session] = raw.zrange(key(namespace, "SESSIONS"), 0, -1)
    raw.zadd(key(namespace, "SESSIONS"), {session: 1})
    assert other.drain("a", "maintenance", wait=0).pattern == "a"


@pytest.mark.parametrize(("more", "argument"), [({"reason": " "}, "reason"), ({"wait": -1}, "wait")])
def test_a_drain_that_cannot_be_freezes_nothing(other: Any, more: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        other.drain("a", **{"reason": "maintenance", **more})
    assert (caught.value.argument, other.freezes()) == (argument, [])
