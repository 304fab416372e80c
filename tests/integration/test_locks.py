"""Locks through both clients on a real server."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from coordinator import Need, Priority, State
from coordinator.errors import (
    Deadlock,
    IllegalTransition,
    InvalidInput,
    LeaseLost,
    LineFull,
    NotFound,
    OverCapacity,
    WaitCancelled,
    WaitTimeout,
)
from tests.support.until import until


def waiting(client: Any, resource: str, count: int) -> None:
    """Until so many stand in the line."""
    until(lambda: client.line(resource).line_length == count, what=f"{count} waiting for {resource}")


def test_a_lock_is_held_and_released(co: Any) -> None:
    with co.lock("infra/prod/vpc", owner="pr-1498", reason="apply") as lease:
        assert lease.held
        assert lease.fence > 0
        assert co.line("infra/prod/vpc").holders[0].reason == "apply"
    assert not lease.held
    assert co.line("infra/prod/vpc").holders == ()


def test_every_grant_has_a_larger_fence(co: Any, other: Any) -> None:
    fences = []
    for client in (co, other, co, other):
        with client.lock("a") as lease:
            fences.append(lease.fence)
    assert fences == sorted(set(fences))


def test_release_hands_over_to_the_most_urgent_then_the_first(co: Any, other: Any) -> None:
    held = co.acquire("a")
    tickets = {
        name: other.request("a", priority=priority)
        for name, priority in [("low", "low"), ("first", 1), ("second", Priority.NORMAL), ("urgent", 4)]
    }
    held.release()
    for name in ("urgent", "first", "second", "low"):
        lease = tickets[name].wait(5)
        assert [one for one in tickets if tickets[one].state() == State.HELD] == [name]
        lease.release()


def test_all_or_nothing(co: Any, other: Any) -> None:
    held = co.acquire("b")
    both = other.request(["a", "b", "c"])
    assert both.state() == State.WAITING
    assert co.line("a").holders == ()
    held.release()
    lease = both.wait(5)
    assert {one.holders[0].ident for one in map(co.line, "abc")} == {lease.ident}


def test_nobody_passes_the_head_of_a_line_and_other_lines_go_on(co: Any, other: Any) -> None:
    held = co.acquire("b")
    head = other.request(["a", "b"])
    behind = other.request("a")
    assert behind.state() == State.WAITING
    assert other.try_acquire("c") is not None
    held.release()
    head.wait(5).release()
    behind.wait(5).release()


def test_shared_and_counted(co: Any, other: Any) -> None:
    readers = [co.try_acquire(Need("config", "shared")) for _ in range(3)]
    assert all(readers)
    assert other.try_acquire("config") is None
    co.define("slots", capacity=3)
    assert co.try_acquire(Need("slots", permits=2)) is not None
    assert other.try_acquire(Need("slots", permits=2)) is None
    assert other.try_acquire("slots") is not None
    with pytest.raises(OverCapacity):
        co.request(Need("slots", permits=4))
    more = other.request(Need("slots", permits=2))
    co.define("slots", capacity=5)
    assert more.wait(5).held


def test_a_writer_is_not_starved_by_later_readers(co: Any, other: Any) -> None:
    reader = co.acquire(Need("config", "shared"))
    writer = other.request("config")
    late = co.request(Need("config", "shared"))
    assert late.state() == State.WAITING
    reader.release()
    writer.wait(5).release()
    late.wait(5).release()


def test_a_wait_runs_out(co: Any, other: Any) -> None:
    with co.lock("a"):
        began = time.monotonic()
        with pytest.raises(WaitTimeout) as caught:
            other.acquire("a", wait=0.3)
        assert 0.29 <= time.monotonic() - began < 2
        assert other.get(caught.value.ident).state() == State.EXPIRED
        assert co.line("a").line_length == 0


def test_acquire_without_waiting(co: Any, other: Any) -> None:
    with co.lock("a"):
        with pytest.raises(WaitTimeout, match=r": a, c$") as caught:
            other.acquire(["c", "a"], wait=0)
        assert caught.value.resources == ("a", "c")
        assert other.try_acquire("a") is None
        assert co.line("a").line_length == 0


def test_a_ticket_goes_on_waiting_after_its_wait_timed_out(co: Any, other: Any) -> None:
    held = co.acquire("a")
    ticket = other.request("a")
    with pytest.raises(WaitTimeout, match=r": a$"):
        ticket.wait(0.05)
    assert ticket.state() == State.WAITING
    held.release()
    assert ticket.wait(5).held


def test_a_waiting_request_can_be_cancelled(co: Any, other: Any) -> None:
    held = co.acquire("a")
    ticket = other.request("a")
    assert ticket.cancel("not needed")
    with pytest.raises(WaitCancelled):
        ticket.wait(5)
    with pytest.raises(IllegalTransition):
        co.cancel(held.ident)


def test_reprioritise_changes_the_order(co: Any, other: Any) -> None:
    held = co.acquire("a")
    first, second = other.request("a"), other.request("a")
    second.reprioritise("emergency")
    assert second.position().place == 0
    assert [one.ident for one in first.position().blockers] == [held.ident, second.ident]
    held.release()
    second.wait(5).release()
    first.wait(5).release()


def test_a_fixed_ttl_ends_the_lease_and_tells_first(co: Any, other: Any) -> None:
    lease = co.acquire("a", ttl=0.5)
    ticket = other.request("a")
    assert lease.held
    following = ticket.wait(5)
    assert lease.why_lost
    assert not lease.held
    assert following.fence > lease.fence
    with pytest.raises(LeaseLost):
        lease.release()


def test_extend_moves_the_end(co: Any) -> None:
    lease = co.acquire("a", ttl=0.6)
    for _ in range(3):
        ends = lease.trusted_until
        lease.extend(0.6)
        assert lease.trusted_until > ends
        assert lease.held
    lease.release()
    with pytest.raises(LeaseLost):
        lease.extend(1)


def test_a_forced_release_reaches_the_holder(co: Any, other: Any) -> None:
    lease = co.acquire("a", reason="apply")
    assert other.force_release(lease.ident, "stuck") == State.LOST
    until(lease.lost.is_set, what="the holder is told")
    assert not lease.held
    with pytest.raises(LeaseLost):
        lease.release()


def test_a_lock_is_handed_on_by_an_operator_and_by_its_holder(co: Any, other: Any) -> None:
    lease = co.acquire("a")
    first, second = (other.request("a", owner=name) for name in ("first", "second"))
    assert co.transfer(lease.ident, second.ident, "hotfix") == State.HELD
    until(lease.lost.is_set, what="the holder is told")
    with pytest.raises(LeaseLost):
        lease.hand_over(first.ident)
    heir = second.wait(5)
    assert heir.fence > lease.fence
    assert heir.hand_over(first.ident) == State.HELD
    assert not heir.held
    heir.release()  # it was given already
    assert first.wait(5).fence > heir.fence
    with pytest.raises(InvalidInput, match="it is gone"):
        co.transfer(first.ident, "nobody-1", "why")
    with pytest.raises(IllegalTransition):
        co.transfer(lease.ident, second.ident, "why")


def test_a_request_is_moved_in_its_line(co: Any, other: Any) -> None:
    lease = co.acquire("a")
    tickets = [other.request("a") for _ in range(3)]
    assert co.reorder(tickets[2].ident) == State.WAITING
    co.reorder(tickets[1].ident, before=tickets[0].ident, by="ann", reason="agreed")
    assert [one.ident for one in co.line("a").waiters] == [tickets[at].ident for at in (2, 1, 0)]
    entry = co.audit()[-1]
    assert (entry.event, entry.subject, entry.fields["by"], entry.fields["why"]) == (
        "reorder",
        tickets[1].ident,
        "ann",
        "agreed",
    )
    with pytest.raises(IllegalTransition):
        co.reorder(lease.ident)
    with pytest.raises(NotFound):
        co.reorder(tickets[0].ident, before="nobody-1")


def test_a_freeze_keeps_a_tree_from_everybody_but_who_may_pass(co: Any, other: Any) -> None:
    made = co.freeze("p/ü/**", 60, "release day", by="ann")
    assert co.freezes() == [replace(made, since=co.freezes()[0].since)]
    tickets = [other.request("p/ü/a") for _ in range(2)]
    assert other.try_acquire("p/ü") is None
    assert other.try_acquire("p/üx") is not None
    [need] = co.explain(tickets[0].ident).needs
    assert (need.frozen.pattern, need.frozen.by, need.frozen.reason) == ("p/ü/**", "ann", "release day")
    assert co.let_pass(tickets[1].ident, "outage") == State.HELD
    tickets[1].wait(5).release()
    co.thaw("p/ü/**")
    tickets[0].wait(5).release()
    assert co.freezes() == []
    with pytest.raises(NotFound):
        co.thaw("p/ü/**")
    for wrong in ("", "/**", "a*", "a/**/b", 3):
        with pytest.raises(InvalidInput):
            co.freeze(wrong, 60, "why")
    with pytest.raises(InvalidInput):
        co.freeze("a", 0, "why")


def test_leaving_a_lock_that_was_lost_is_an_error(co: Any, other: Any) -> None:
    with pytest.raises(LeaseLost), co.lock("a") as lease:
        other.force_release(lease.ident, "stuck")


def test_an_error_inside_is_not_hidden_by_a_lost_lease(co: Any, other: Any) -> None:
    def fail() -> None:
        with co.lock("a") as lease:
            other.force_release(lease.ident, "stuck")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_a_client_that_closes_leaves_nothing_behind(connect: Any, other: Any) -> None:
    leaving = connect()
    leaving.acquire("a")
    leaving.request(["a", "b"])
    follower = other.request("a")
    leaving.close()
    assert follower.wait(5).held
    assert other.line("b").line_length == 0


def test_lines_are_limited(connect: Any) -> None:
    client = connect(max_line=2)
    client.acquire("a")
    client.request("a")
    client.request("a")
    with pytest.raises(LineFull):
        client.request("a")


def test_many_contenders_one_at_a_time(co: Any, other: Any) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def contend(client: Any) -> None:
        nonlocal inside, most
        for _ in range(10):
            with client.lock("hot", wait=30):
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1

    with ThreadPoolExecutor(8) as pool:
        done: list[Future[None]] = [pool.submit(contend, (co, other)[i % 2]) for i in range(8)]
        for one in done:
            one.result(60)
    assert most == 1


@pytest.mark.parametrize(
    "name",
    ["", " a", "a\n", "a\0b", "{a}", "a*", "a?", "[a]", "x" * 65536, "\ud800", None, 7, b"a", ["a", 3], [], ["a", "a"]],
)
def test_bad_names_are_refused_before_anything_is_written(co: Any, raw: Any, namespace: str, name: Any) -> None:
    with pytest.raises(InvalidInput):
        co.acquire(name)
    with pytest.raises(InvalidInput):
        co.submit("job", resources=name) if name != [] else co.submit("job", resources={"a": 1})
    assert not list(raw.scan_iter(f"co:{{{namespace}}}:*"))


@pytest.mark.parametrize(
    "options",
    [
        {"priority": 5},
        {"priority": "hihg"},
        {"priority": True},
        {"wait": float("nan")},
        {"wait": -1},
        {"wait": "soon"},
        {"ttl": 0},
        {"ttl": float("inf")},
        {"tll": 3},
        {"owner": 3},
        {"reason": "x" * 2000},
        {"metadata": {"a": float("nan")}},
        {"metadata": {1: 2}},
    ],
)
def test_bad_options_are_refused_before_anything_is_written(
    co: Any, raw: Any, namespace: str, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput):
        co.acquire("a", **options)
    assert not list(raw.scan_iter(f"co:{{{namespace}}}:*"))


@pytest.mark.parametrize("name", ["a b", "a%b", "a:b", "ü/ñ", "🔒", "~x", "../..", "a'b\"c", "a" * 512])
def test_unusual_names_work(co: Any, other: Any, name: str) -> None:
    with co.lock(name):
        assert other.try_acquire(name) is None
        assert other.survey().resources[0].name == name


def test_unknown_ids_are_not_found(co: Any) -> None:
    for act in (co.get, co.cancel, co.explain):
        with pytest.raises(NotFound):
            act("nobody-1")


def test_an_uncontended_lock_takes_one_round_trip_each_way(connect: Any, raw: Any) -> None:
    client = connect(session_ttl=60.0, sweep_interval=30.0)  # no heartbeat while we count
    client.acquire("a").release()

    def scripts_run() -> int:
        stats = raw.info("commandstats")
        return sum(int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("evalsha", "fcall"))

    before = scripts_run()
    lease = client.acquire(["a", "b", "c"])
    assert scripts_run() == before + 1
    lease.release()
    assert scripts_run() == before + 2


def test_who_cancels_what_is_granted_is_told_the_way_out(co: Any) -> None:
    ticket = co.request("a")
    with pytest.raises(IllegalTransition, match=r"ticket.wait\(\).release\(\)"):
        ticket.cancel()
    ticket.wait().release()
    assert co.line("a").holders == ()


def test_who_would_wait_in_a_circle_is_told(co: Any, other: Any) -> None:
    one, two = co.acquire("a"), other.acquire("b", priority="low")
    waits = other.request("a", within=two, priority="low")
    with pytest.raises(Deadlock) as told:
        other.request("b", within=waits.ident, priority="low")
    assert told.value.cycle == (told.value.ident,), "what the same piece of work holds"
    ticket = co.request("b", within=one)
    with pytest.raises(Deadlock) as told:
        waits.wait(5)
    assert told.value.cycle == (ticket.ident, waits.ident)
    two.release()
    ticket.wait(5).release()
    one.release()
