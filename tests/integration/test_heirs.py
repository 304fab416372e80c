"""What is taken from somebody, or handed on, goes to an owner by its name if it is clear which request is meant."""

from typing import Any

import pytest

from coordinator import State
from coordinator.errors import InvalidInput, NotFound
from coordinator.keys import key
from tests.support.until import until


def test_a_lock_goes_to_the_one_request_of_an_owner_that_waits_for_it(co: Any, other: Any) -> None:
    lease = co.acquire(["a", "b"], owner="ann")
    first, ticket = other.request("a", owner="first", priority="high"), other.request("a", owner="bob")
    other.request("elsewhere", owner="bob")
    elsewhere = other.acquire("held", owner="bob")
    waits = other.request("held", owner="bob")
    assert other.transfer(lease.ident, reason="hotfix", to_owner="bob") == State.HELD
    second = ticket.wait(5)
    assert second.hand_over(to_owner="first") == State.HELD
    assert first.wait(5).fence > second.fence > lease.fence
    taken, given = (one.fields for one in other.audit())
    assert (taken["to"], taken["to_owner"], taken["owner"]) == (ticket.ident, "bob", "ann")
    assert (given["to"], given["to_owner"], given["owner"]) == (first.ident, "first", "bob")
    assert (elsewhere.held, waits.state()) == (True, State.WAITING)


@pytest.mark.parametrize(("held", "wanted"), [("a/b", "a/**"), ("a/**", "a/b"), ("a/**", "a/b/**"), ("a/b/**", "a/**")])
def test_who_waits_across_a_subtree_is_meant_too(co: Any, other: Any, held: str, wanted: str) -> None:
    lease, ticket = co.acquire(held), other.request(wanted, owner="bob")
    assert other.transfer(lease.ident, reason="hotfix", to_owner="bob") == State.HELD
    assert ticket.wait(5).held


def test_a_job_is_meant_too(co: Any, other: Any) -> None:
    lease = co.acquire("a")
    job = other.submit("deploy", resources=["a"], owner="bob")
    assert lease.hand_over(to_owner="bob") == State.READY
    assert job.state() == State.READY


def test_whoever_is_not_clear_gets_nothing(co: Any, other: Any, raw: Any, namespace: str) -> None:
    lease = co.acquire("a", owner="ann")
    idents = {other.request("a", owner="bob").ident for _ in range(2)}
    other.request("b/a", owner="ann")
    with pytest.raises(InvalidInput, match="to_owner: has several requests that wait for that: name one by") as caught:
        other.transfer(lease.ident, reason="hotfix", to_owner="bob")
    assert all(ident in str(caught.value) for ident in idents)
    for nobody in ("ann", "carl"):
        with pytest.raises(InvalidInput, match="to_owner: must have a request that waits for what is handed on"):
            lease.hand_over(to_owner=nobody)
    for both in ({}, {"to": min(idents), "to_owner": "bob"}):
        with pytest.raises(InvalidInput, match="either the id of a request that waits, or whose it is"):
            other.transfer(lease.ident, reason="hotfix", **both)
    with pytest.raises(InvalidInput, match="must say why"):
        other.transfer(lease.ident, to_owner="bob")
    with pytest.raises(NotFound):
        other.transfer("nobody-1", reason="hotfix", to_owner="bob")
    assert (lease.held, other.audit()) == (True, ())


def test_a_request_of_a_process_that_is_gone_is_not_meant(co: Any, connect: Any, raw: Any, namespace: str) -> None:
    lease = co.acquire("a")
    [ours] = raw.zrange(key(namespace, "SESSIONS"), 0, -1)
    gone = connect(session_ttl=30.0)
    gone.request("a", owner="bob")
    [theirs] = set(raw.zrange(key(namespace, "SESSIONS"), 0, -1)) - {ours}
    ticket = co.request("a", owner="bob")
    raw.zadd(key(namespace, "SESSIONS"), {theirs: 1})
    assert lease.hand_over(to_owner="bob") == State.HELD
    assert until(lambda: ticket.state() == State.HELD)
