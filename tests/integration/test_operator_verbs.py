"""What operators do to a holder that is alive: it learns of it within a second, and cannot write past the fence."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import redis

from coordinator import Need, StaleFence, State
from coordinator.errors import (
    Frozen,
    InvalidInput,
    LeaseLost,
    LineOverloaded,
    NotFound,
    NotFrozen,
    WaitCancelled,
    WaitTimeout,
)
from coordinator.fencing import fenced
from coordinator.ops.operator import HOLDERS_PER_LOOK
from tests.support.until import until

SOON = 1.0  # seconds within which a holder learns of it


def force_release(other: Any, lease: Any) -> Any:
    assert other.force_release(lease.ident, "test") == State.LOST
    return other.acquire("a", wait=5)


def force_release_to_the_next(other: Any, lease: Any) -> Any:
    ticket = other.request("a")
    other.force_release(lease.ident, "test")
    return ticket.wait(5)


def transfer(other: Any, lease: Any) -> Any:
    first, ticket = other.request("a", priority="high"), other.request("a")
    assert other.transfer(lease.ident, ticket.ident, "test") == State.HELD
    first.cancel()
    return ticket.wait(5)


def hand_over(other: Any, lease: Any) -> Any:
    first, ticket = other.request("a", priority="high"), other.request("a")
    assert lease.hand_over(ticket.ident, "test") == State.HELD
    first.cancel()
    return ticket.wait(5)


def steal(other: Any, lease: Any) -> Any:
    ticket = other.request("a", priority="high")
    stolen = other.steal("a", "test", owner="ann")
    assert ticket.state() == State.WAITING
    ticket.cancel()
    [taken] = [one for one in other.audit() if one.event == "steal"]
    assert (taken.subject, taken.fields["to"], taken.fields["why"]) == (lease.ident, stolen.ident, "test")
    assert taken.fields["by"]
    assert "transfer" not in {one.event for one in other.audit()}
    return stolen


@pytest.mark.parametrize(
    "call",
    [lambda lease, _: lease.release(), lambda lease, _: lease.extend(5), lambda lease, to: lease.hand_over(to)],
    ids=["release", "extend", "hand_over"],
)
def test_a_holder_that_asks_before_its_message_has_come_believes_the_answer(
    co: Any, other: Any, monkeypatch: pytest.MonkeyPatch, call: Callable[[Any, str], Any]
) -> None:
    """As one that was stopped meanwhile, whose message still lies in the inbox."""
    lease, ticket = co.acquire("a"), other.request("a")
    monkeypatch.setattr(getattr(co, "target", co)._driver.keeper, "lose", lambda *_: None)
    other.force_release(lease.ident, "test")
    with pytest.raises(LeaseLost):
        call(lease, ticket.ident)
    assert not lease.held
    until(lease.lost.is_set, SOON)
    with pytest.raises(LeaseLost):
        lease.check()


@pytest.mark.parametrize("verb", [force_release, force_release_to_the_next, transfer, hand_over, steal])
def test_a_holder_learns_at_once_that_its_lock_was_taken_and_is_fenced_out(
    co: Any, other: Any, raw: "redis.Redis", namespace: str, verb: Callable[[Any, Any], Any]
) -> None:
    lease = co.acquire("a")
    store = f"store:{namespace}"
    fenced(raw, lease, "SET", store, "of the old one")
    new = verb(other, lease)
    until(lambda: not lease.held, SOON)
    if verb is not hand_over:
        until(lease.lost.is_set, SOON)
        with pytest.raises(LeaseLost):
            lease.check()
    assert new.fence > lease.fence
    fenced(raw, new, "SET", store, "of the new one", keep=60)
    with pytest.raises(StaleFence):
        fenced(raw, lease, "SET", store, "late")
    assert raw.get(store) == b"of the new one"
    last = other.audit()[-1].fields
    assert int(last["fence_before"]) == lease.fence < int(last["fence"]) <= new.fence
    raw.delete(store)
    new.release()


def test_a_lock_is_stolen_from_all_who_are_in_the_way_and_from_nobody_else(co: Any, other: Any) -> None:
    co.define("c", capacity=3)
    readers = [co.acquire(Need("a", "shared")) for _ in range(3)]
    low, high = co.acquire("c", priority="low"), co.acquire(Need("c", permits=2), priority="high")
    permit = other.steal("c", "the least urgent one is enough")
    until(low.lost.is_set, SOON)
    assert high.held
    with_them = other.steal(Need("a", "shared"), "fits beside them")
    assert all(one.held for one in readers)
    alone = other.steal(["a", "b"], "needs it alone")
    for one in (*readers, with_them):
        until(one.lost.is_set, SOON)
    assert alone.held
    below, above = co.acquire("tree/leaf"), other.steal("tree/**", "all of it")
    until(below.lost.is_set, SOON)
    leaf = other.steal("tree/leaf", "only that")
    until(above.lost.is_set, SOON)
    leaf.release()
    waits = co.request("b")
    free = other.steal("d", "it was free")
    other.freeze("e", 60, "test")
    with pytest.raises(WaitTimeout):
        other.steal("e", "frozen", wait=0.1)
    for one in (permit, high, alone, free):
        one.release()
    waits.wait(5).release()


def test_of_many_holders_the_least_urgent_ones_are_stolen_from(co: Any, other: Any) -> None:
    """More than one look shows, and those who came first are the most urgent."""
    many = HOLDERS_PER_LOOK + 20
    co.define("c", capacity=many)
    high = [co.acquire("c", priority="high") for _ in range(many - 5)]
    low = [co.acquire("c", priority="low") for _ in range(5)]
    stolen = other.steal(Need("c", permits=5), "an incident")
    for one in low:
        until(one.lost.is_set, SOON)
    assert {one.subject for one in other.audit() if one.event == "steal"} == {one.ident for one in low}
    assert all(one.held for one in high)
    stolen.release()


def test_a_steal_gets_into_a_full_line_and_need_not_wait(co: Any, other: Any) -> None:
    co.define("a", max_line=1)
    held, waits = co.acquire("a"), co.request("a", priority="critical")
    with pytest.raises(LineOverloaded):
        other.acquire("a", wait=1)
    stolen = other.steal("a", "an incident", wait=0)
    until(held.lost.is_set, SOON)
    assert waits.state() == State.WAITING
    stolen.release()
    waits.wait(5).release()
    other.freeze("b", 60, "test")
    with pytest.raises(WaitTimeout):
        other.steal("b", "frozen", wait=0)


def test_a_position_names_the_freeze_that_keeps_it(co: Any, other: Any) -> None:
    other.freeze("a/**", 60, "release day", by="ann")
    ticket = co.request("a/b")
    [found] = ticket.position().frozen
    assert (found.pattern, found.by, found.reason) == ("a/**", "ann", "release day")
    other.let_pass(ticket.ident, "fixes it")
    assert ticket.position().frozen == ()
    with pytest.raises(NotFrozen, match=r"no freeze 'a': frozen are 'a/\*\*'"):
        other.thaw("a")
    other.thaw("a/**")
    with pytest.raises(NotFrozen, match="nothing is frozen"):
        other.thaw("a/**")
    with pytest.raises(InvalidInput, match=r"`path/\*\*` for it and all below"):
        other.freeze("a/*/c", 60, "release day")


def test_a_freeze_until_a_moment_is_judged_by_the_server(co: Any, other: Any, raw: "redis.Redis") -> None:
    now = datetime.fromtimestamp(raw.time()[0], timezone(timedelta(hours=5, minutes=30)))
    made = other.freeze("a", until=now + timedelta(hours=1), reason="release day")
    assert made.until == other.freezes()[0].until == now.timestamp() + 3600
    assert co.request("a").position().frozen[0].until == made.until
    with pytest.raises(InvalidInput, match="must be later than now, at most ten years; it is 2"):
        other.freeze("b", until=now - timedelta(minutes=1), reason="release day")
    with pytest.raises(InvalidInput, match="must be later than now"):
        other.freeze("b", until=datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))), reason="release day")
    for wrong in (now.replace(tzinfo=None), "2026-12-01T08:00Z", 1.0, now.date()):
        with pytest.raises(InvalidInput, match="until: must be a datetime with a time zone"):
            other.freeze("b", until=wrong, reason="release day")
    for either in ({}, {"seconds": 60, "until": now + timedelta(hours=1)}):
        with pytest.raises(InvalidInput, match="either for how many seconds, or until when"):
            other.freeze("b", reason="release day", **either)
    with pytest.raises(InvalidInput, match="must say why"):
        other.freeze("b", 60)
    assert [one.pattern for one in other.freezes()] == ["a"]


@pytest.mark.parametrize("blank", ["", " \t"])
def test_a_reason_that_says_nothing_is_refused_by_every_verb(co: Any, other: Any, blank: str) -> None:
    lease, ticket = co.acquire("a"), co.request("a")
    for verb in (
        lambda: other.cancel(ticket.ident, blank),
        lambda: other.reprioritise(ticket.ident, "high", reason=blank),
        lambda: other.reorder(ticket.ident, reason=blank),
        lambda: other.force_release(lease.ident, blank),
        lambda: other.transfer(lease.ident, ticket.ident, blank),
        lambda: other.steal("a", blank),
        lambda: lease.hand_over(ticket.ident, blank),
        lambda: other.freeze("a", 60, blank),
        lambda: other.drain("a", blank),
        lambda: other.thaw("a", blank),
        lambda: other.undrain("a", blank),
        lambda: other.let_pass(ticket.ident, blank),
        lambda: other.define("a", reason=blank, capacity=2),
    ):
        with pytest.raises(InvalidInput, match="must say why") as caught:
            verb()
        assert caught.value.argument == "reason"
    assert (other.audit(), lease.held, ticket.state()) == ((), True, State.WAITING)
    other.reorder(ticket.ident)
    assert other.cancel(ticket.ident)
    assert [one.fields["why"] for one in other.audit()] == ["no reason given", "cancelled by a caller"]


def test_nothing_is_taken_for_one_whom_a_freeze_keeps_out_all_the_same(co: Any, other: Any) -> None:
    first, second = co.acquire("a"), co.acquire("b/1")
    waits = other.request(["a", "b/1"])
    other.freeze("b/**", 60, "maintenance")
    with pytest.raises(Frozen, match=r"nobody is granted 'b/1' now \(maintenance\)"):
        other.steal(["a", "b/1"], "test")
    with pytest.raises(Frozen):
        other.transfer(first.ident, waits.ident, "test")
    with pytest.raises(Frozen):
        first.hand_over(waits.ident)
    first.check()
    second.check()
    assert [one.ident for one in other.line("a").waiters] == [waits.ident]
    other.let_pass(waits.ident, "test")
    assert other.transfer(first.ident, waits.ident, "test") == State.WAITING
    second.release()
    waits.wait(5).release()


def test_nobody_is_moved_before_itself_or_one_who_does_not_wait(co: Any, other: Any) -> None:
    with co.lock("a") as lease:
        ticket = other.request("a")
        with pytest.raises(InvalidInput, match="another request"):
            co.reorder(ticket.ident, before=ticket.ident)
        with pytest.raises(InvalidInput, match="a request that waits: it is held"):
            co.reorder(ticket.ident, before=lease.ident)
        with pytest.raises(NotFound):
            co.reorder(ticket.ident, before="nobody")
        ticket.cancel()


def test_the_audit_says_what_was_taken_from_whom_and_for_whom(co: Any, other: Any) -> None:
    lease = co.acquire(["é/☃", "b c"], owner="old")
    ticket = other.request("b c", owner="new")
    other.transfer(lease.ident, ticket.ident, "test")
    other.force_release(ticket.ident, "test")
    other.freeze("é/☃", 60, "test")
    taken, forced, frozen = other.audit()
    assert (taken.fields["resource"], taken.fields["owner"], taken.fields["to_owner"]) == ("b c, é/☃", "old", "new")
    assert (forced.fields["resource"], forced.fields["owner"]) == ("b c", "new")
    assert frozen.subject == "é/☃"


def test_who_cancels_or_reprioritises_what_others_asked_for_is_on_record(co: Any, other: Any) -> None:
    with co.lock("a"):
        tickets = [co.request("a", owner="bob") for _ in range(3)]
        other.reprioritise(tickets[0].ident, "high", reason="first", by="ann")
        other.reprioritise(tickets[0].ident, "high", reason="again", by="ann")
        assert other.cancel(tickets[1].ident, "went home", by="ann")
        tickets[2].reprioritise("high")
        tickets[2].cancel("not needed")
        raised, cancelled = other.audit()
        tickets[0].cancel()
    assert (raised.event, raised.subject) == ("reprioritise", tickets[0].ident)
    assert (cancelled.event, cancelled.subject) == ("cancel", tickets[1].ident)
    told = {"by": "ann", "resource": "a", "owner": "bob"}
    assert raised.fields == {**told, "why": "first", "was": "1", "priority": "2"}
    assert cancelled.fields == {**told, "why": "went home", "state": "waiting"}


def test_who_is_moved_or_cancelled_learns_of_it(co: Any, other: Any) -> None:
    lease = co.acquire("a")
    first, second, third = (co.request("a") for _ in range(3))
    other.reorder(third.ident, reason="test")
    assert [one.ident for one in other.line("a").waiters] == [third.ident, first.ident, second.ident]
    other.cancel(first.ident)
    with pytest.raises(WaitCancelled):
        first.wait(SOON)
    lease.release()
    last = third.wait(SOON)
    last.release()
    assert second.wait(SOON).fence > last.fence


def test_what_is_frozen_stays_held_and_its_holder_writes_on_until_it_is_drained(
    co: Any, other: Any, raw: "redis.Redis", namespace: str
) -> None:
    lease, waits = co.acquire("db/main"), other.request("db/main", priority="emergency")
    other.freeze("db/**", 60, "maintenance")
    fenced(raw, lease, "SET", f"store:{namespace}", "of the holder", keep=60)
    assert lease.held
    lease.release()
    assert other.line("db/main").holders == ()
    other.thaw("db/**")
    new = waits.wait(SOON)
    fenced(raw, new, "SET", f"store:{namespace}", "of the next", keep=60)
    with pytest.raises(StaleFence):
        fenced(raw, lease, "SET", f"store:{namespace}", "late")
    raw.delete(f"store:{namespace}")
    new.release()


def test_who_did_it_is_a_user_at_a_host_unless_it_is_said(co: Any, other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    monkeypatch.setattr("socket.gethostname", lambda: "desk")
    lease, ticket = co.acquire("a"), other.request("a")
    other.freeze("b", 60, "test")
    other.thaw("b", by="bob")
    lease.hand_over(ticket.ident)
    assert [one.fields["by"] for one in other.audit()] == ["ann@desk", "bob", "ann@desk"]


@pytest.mark.parametrize("reason", ["", "  ", None])
def test_nothing_is_taken_or_frozen_without_a_reason(co: Any, other: Any, reason: Any) -> None:
    lease, ticket = co.acquire("a"), other.request("a")
    for verb in (
        lambda: other.force_release(lease.ident, reason),
        lambda: other.transfer(lease.ident, ticket.ident, reason),
        lambda: other.steal("a", reason),
        lambda: other.freeze("b", 60, reason),
        lambda: other.let_pass(ticket.ident, reason),
    ):
        with pytest.raises(InvalidInput, match="must say why"):
            verb()
    lease.check()
    assert other.audit() == ()
    other.define("c", capacity=2)
    assert other.audit()[0].fields["why"] == "no reason given"


def test_who_opened_and_closed_a_breaker_and_why_goes_on_record(
    co: Any, other: Any, raw: "redis.Redis", namespace: str
) -> None:
    co.open_breaker("our/bank", 60, "they are down", undeclared=True, by="ann")
    other.open_breaker("our/bank", reason="for longer", undeclared=True)
    other.close_breaker("our/bank", "they are back", by="bob")
    co.close_breaker("our/bank", undeclared=True)
    done = co.audit()
    assert [(one.event, one.subject, one.fields["was"], one.fields["why"]) for one in done] == [
        ("open_breaker", "our/bank", "closed", "they are down"),
        ("open_breaker", "our/bank", "open", "for longer"),
        ("close_breaker", "our/bank", "open", "they are back"),
        ("close_breaker", "our/bank", "closed", "no reason given"),
    ]
    assert (done[0].fields["by"], done[2].fields["by"]) == ("ann", "bob")
    assert "@" in done[1].fields["by"]
    assert int(done[0].fields["until"]) / 1000 == pytest.approx(done[0].at + 60, abs=0.01)
    told = [entry for _, entry in raw.xrange(f"co:{{{namespace}}}:events")]
    assert [(one[b"event"], one[b"who"], one[b"reason"]) for one in told if one[b"who"] in (b"ann", b"bob")] == [
        (b"breaker_open", b"ann", b"they are down"),
        (b"breaker_close", b"bob", b"they are back"),
    ]
    assert {one[b"event"] for one in told} == {b"breaker_open", b"breaker_close"}


@pytest.mark.parametrize("reason", ["", " \t"])
def test_a_blank_reason_for_a_breaker_is_refused_and_nothing_is_written(
    co: Any, raw: "redis.Redis", namespace: str, reason: str
) -> None:
    for change in (co.open_breaker, co.close_breaker):
        with pytest.raises(InvalidInput, match="must say why"):
            change("job", reason=reason, undeclared=True)
    with pytest.raises(InvalidInput, match="must say why"):
        co.open_breaker("job", 60, undeclared=True)
    assert raw.keys(f"co:{{{namespace}}}:*") == []
