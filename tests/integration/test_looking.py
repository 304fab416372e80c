"""Who holds what, with both clients."""

from __future__ import annotations

import asyncio
import time
from threading import Thread
from typing import Any

import pytest

from coordinator import AsyncCoordinator, Coordinator, Need
from coordinator.errors import InvalidInput
from coordinator.ops import timing
from tests.support.holds import seen_holds
from tests.support.until import until


def test_who_holds_what_is_told_from_both_sides(co: Any, other: Any) -> None:
    lease = co.acquire([Need("p/ü", "shared"), "p/b"], owner="pr 1", reason="apply")
    ticket = other.request("p/ü", owner="pr 2")
    page = co.holders("p/*", most=1)
    [first] = page.resources
    [holder] = first.holders
    assert (first.name, first.line_length, holder.owner, holder.mode) == ("p/ü", 1, "pr 1", "shared")
    assert (holder.fence, holder.until is not None) == (lease.fence, True)
    assert [one.name for one in co.holders("p/*", page.after).resources] == ["p/b"]
    assert not co.holders("p/ü/*").resources
    [mine] = co.held_by("pr 1").requests
    assert (mine.request.state, mine.fence, mine.request.reason) == ("held", lease.fence, "apply")
    assert set(mine.needs) == {Need("p/b"), Need("p/ü", "shared")}
    [theirs] = co.held_by("pr 2").requests
    assert (theirs.request.ident, theirs.request.state, theirs.fence) == (ticket.ident, "waiting", None)
    lease.release()
    assert (co.held_by("pr 1").total, co.held_by("pr 2").requests[0].request.state) == (0, "held")
    for wrong in (lambda: co.holders("a*b"), lambda: co.held_by(""), lambda: co.holders("**", most=0)):
        with pytest.raises(InvalidInput):
            wrong()


def test_changes_are_told_as_they_happen(co: Any, other: Any) -> None:
    with other.watch("p/**") as changes:
        lease = co.acquire(["p/ü", "elsewhere"], owner="ann")
        ticket = co.request("p/ü")
        lease.release()
        co.freeze("p/**", 60, "why")
        co.thaw("p/**")
        co.define("p/x", capacity=2)
        ticket.wait(5).release()
        found = [next(changes) for _ in range(9)]
        assert [(one.what, one.resources) for one in found] == [
            *(("waiting", ("p/ü",)), ("granted", ("p/ü",)), ("waiting", ("p/ü",)), ("released", ("p/ü",))),
            *(("granted", ("p/ü",)), ("frozen", ("p/**",)), ("thawed", ("p/**",))),
            *(("defined", ("p/x",)), ("released", ("p/ü",))),
        ]
        assert (found[0].subject, found[1].fields["fence"]) == (lease.ident, str(lease.fence))
        assert changes.after >= found[-1].ident
    assert list(changes) == []
    with other.watch("p/ü", found[6].ident) as rest:
        assert next(rest).what == "released"
    with other.watch("p/ü", "1-1") as rest:
        assert [next(rest).what for _ in range(2)] == ["gap", "waiting"]
    for wrong in (lambda: other.watch("a*b"), lambda: other.watch("a", "soon"), lambda: other.watch("a", 7)):
        with pytest.raises(InvalidInput):
            wrong()


def blocked(raw: Any) -> int:
    """How many connections wait for events."""
    return sum(one["cmd"] == "xread" for one in raw.client_list())


def test_a_watch_that_waits_ends_when_it_is_closed_and_gives_its_connection_back(
    redis_url: str, namespace: str, raw: Any
) -> None:
    with Coordinator.connect(redis_url, namespace) as co:
        changes = co.watch("p/**")
        found: list[str] = []
        thread = Thread(target=lambda: found.extend(one.what for one in changes))
        thread.start()
        until(lambda: blocked(raw))
        co.acquire("p/a")
        until(lambda: found == ["waiting", "granted"])
        until(lambda: blocked(raw))
        changes.close()
        thread.join(5)
        assert not thread.is_alive()
        until(lambda: not blocked(raw))


def test_a_watch_ends_with_its_client(redis_url: str, namespace: str) -> None:
    co = Coordinator.connect(redis_url, namespace)
    changes = co.watch()
    thread = Thread(target=lambda: list(changes))
    thread.start()
    until(lambda: changes.after)
    co.close()
    thread.join(5)
    assert (thread.is_alive(), changes.closed) == (False, True)


async def test_a_watch_is_ended_by_another_task(redis_url: str, namespace: str, raw: Any) -> None:
    async with AsyncCoordinator.connect(redis_url, namespace) as co, co.watch("p/**") as changes:

        async def follow() -> list[str]:
            return [one.what async for one in changes]

        task = asyncio.create_task(follow())
        await asyncio.to_thread(until, lambda: blocked(raw))
        await changes.close()
        assert await asyncio.wait_for(task, 5) == []
        await asyncio.to_thread(until, lambda: not blocked(raw))


def test_a_position_says_how_long_it_will_probably_take(co: Any, other: Any, raw: Any, namespace: str) -> None:
    lease = co.acquire("p/a", owner="ann", reason="apply")
    tickets = [other.request("p/a") for _ in range(3)]
    assert tickets[0].position().expected is None
    seen_holds(raw, namespace, "p/a", *[100.0] * 20)
    found = [one.position() for one in tickets]
    assert [one.place for one in found] == [0, 1, 2]
    # Less what has passed since, on a machine that may be slow.
    assert [one.expected.p50 for one in found] == pytest.approx([100, 200, 300], rel=0.15)
    assert found[0].expected.samples == 20
    [blocker] = found[0].blockers
    assert (blocker.owner, blocker.reason, blocker.fence) == ("ann", "apply", lease.fence)
    lease.release()
    assert tickets[0].position().expected is None


def test_those_who_share_it_and_those_who_take_permits_are_forecast_so(co: Any, raw: Any, namespace: str) -> None:
    seen_holds(raw, namespace, "p/**", *[100.0] * 20)
    seen_holds(raw, namespace, "p/a", *[100.0] * 20)
    co.define("p/a", capacity=4)
    with co.lock(Need("p/a", permits=4)):
        tickets = [co.request(Need("p/a", "shared")) for _ in range(30)]
        tickets += [co.request(Need("p/a", permits=2)) for _ in range(3)]
        tickets += [co.request("p/**")]
        found = [tickets[at].position() for at in (0, 19, 29, 30, 31, 32, 33)]
        assert [one.place for one in found] == [0, 19, 29, 30, 31, 32, 0]
        wanted = [100, 100, 100, 200, 200, 300]
        # Who wants all below waits for each of those there, as far as it was looked.
        assert [one.expected.p50 for one in found[:-1]] == pytest.approx(wanted, rel=0.15)
        assert found[-1].expected.p50 >= 190
        assert {(one.mode, one.permits, one.fence) for one in found[3].blockers[1:]} == {("shared", 1, None)}


def test_how_long_locks_are_held_is_counted_by_their_clients(redis_url: str, namespace: str) -> None:
    with Coordinator.connect(redis_url, namespace) as observer:
        with Coordinator.connect(redis_url, namespace) as co:
            for _ in range(3):
                co.acquire(["p/a", "p/b"]).release()
        names = ["hold/p/a", "hold/p/b"]
        found = observer.run(timing.look(observer._driver.scope, names))
        assert [(one.key, one.seen.latencies.total, one.version) for one in found] == [(one, 3, 0) for one in names]
        listed = {one.kind for one in observer.run(timing.look(observer._driver.scope))}
        assert "lock" in listed
        assert "hold" not in listed


def test_a_lease_tells_what_it_is_and_who_waits_behind_it(co: Any, other: Any) -> None:
    began = time.time()
    needs = (Need("p/a"), Need("p/b", "shared"))
    lease = co.acquire(needs, owner="ann", reason="apply", ttl=60)
    info = lease.info
    assert (info.ident, info.needs, info.fence, info.owner, info.reason) == (
        *(lease.ident, needs, lease.fence),
        *("ann", "apply"),
    )
    assert began <= info.since <= time.time() < info.until < info.since + 60
    assert lease.waiters() == ()
    tickets = [
        other.request(Need("p/b", "shared"), owner="bob"),
        other.request(["p/a", "p/b"], owner="eve", reason="plan"),
    ]
    tickets[0].wait(5)
    assert [(one.ident, one.owner, one.reason) for one in lease.waiters()] == [(tickets[1].ident, "eve", "plan")]
    taken = other.request("p/c", owner="ann").wait(5)
    assert (taken.info.owner, co.steal("p/c", "outage", owner="op").info.owner) == ("ann", "op")


def test_a_lock_on_a_subtree_is_looked_at_like_any_other(co: Any, other: Any) -> None:
    with other.watch("p/ü") as changes, co.lock("p/**", owner="ann") as lease:
        assert [next(changes).resources for _ in range(2)] == [("p/**",), ("p/**",)]
        [one] = co.holders("p/**").resources
        assert (one.name, one.holders[0].fence) == ("p/**", lease.fence)
        assert co.held_by("ann").requests[0].needs == (Need("p/**"),)
        ticket = other.request("p/**", owner="bob")
        assert [one.owner for one in lease.waiters()] == ["bob"]
        assert ticket.position().blockers[0].owner == "ann"
