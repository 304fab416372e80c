"""Signed jobs on a real server: what somebody without a key plants is never run, and never believed."""

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
import redis
from pydantic import SecretStr

from coordinator import Dedup, RetryPolicy, State, Submission
from coordinator.errors import BadSignature
from coordinator.keys import key
from tests.support.fleet import Fleet
from workers import Registry

KEYS = {"old": SecretStr("o" * 40), "new": SecretStr("n" * 40)}
SIGNED = {"signing_keys": KEYS, "sign_with": "new"}
Make = Callable[..., Fleet]


@pytest.fixture
def seen() -> list[Any]:
    """What handlers were given."""
    return []


@pytest.fixture
def jobs(seen: list[Any]) -> Registry:
    registry = Registry()

    def keep(ctx: Any, payload: Any) -> Any:
        seen.append(payload)
        return payload

    registry.handler("echo")(keep)
    registry.handler("other")(keep)
    registry.handler("apart", executor="process")(_none)
    return registry


def stored(raw: "redis.Redis", namespace: str, ident: str) -> bytes:
    """The payload of a job as it is kept: in its record if it is short, else apart."""
    short = b"".join(filter(None, raw.hmget(key(namespace, "REQ", ident), "data", "data2")))
    found = short or raw.hget(key(namespace, "PAYLOADS"), ident)
    assert found
    return found


def plant(raw: "redis.Redis", namespace: str, ident: str, payload: bytes) -> None:
    """Put another payload in its place."""
    raw.hdel(key(namespace, "REQ", ident), "data", "data2")
    raw.hset(key(namespace, "PAYLOADS"), ident, payload)


def _none(ctx: Any, payload: Any) -> None:
    return None


async def test_signed_jobs_run_and_their_results_are_believed(fleets: Make, jobs: Registry, seen: list[Any]) -> None:
    fleet = fleets(**SIGNED)
    await fleet.worker(jobs)
    ticket = await fleet.client.submit("echo", {"a": 1})
    assert await ticket.result(10) == {"a": 1}
    assert await (await fleet.client.submit("echo")).result(10) is None
    assert await (await fleet.client.submit("apart", 5)).result(10) is None
    assert seen == [{"a": 1}, None]


async def test_a_key_is_changed_without_a_job_being_lost(fleets: Make, jobs: Registry) -> None:
    before = fleets(signing_keys=KEYS, sign_with="old")
    ticket = await before.client.submit("echo", 1)
    after = fleets(**SIGNED)
    await after.worker(jobs)
    assert await ticket.result(10) == 1


@pytest.mark.plants_faults
@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda stored: msgpack.packb("evil"), "the payload is not signed"),
        (lambda stored: stored[:-1] + b"\x07", "wrong signature"),
        (lambda stored: stored.replace(b"\x03new", b"\x03bad"), "signed with key 'bad'"),
        (lambda stored: b"", "the payload is not signed"),
        (lambda stored: stored[:20], "cannot read"),
    ],
)
async def test_a_payload_that_was_changed_in_redis_is_buried_and_never_run(
    fleets: Make, jobs: Registry, seen: list[Any], raw: "redis.Redis", namespace: str, *, forge: Any, why: str
) -> None:
    fleet = fleets(**SIGNED)
    ticket = await fleet.client.submit("echo", 5)
    plant(raw, namespace, ticket.ident, forge(stored(raw, namespace, ticket.ident)))
    await fleet.worker(jobs)
    state, said = await fleet.why(ticket)
    assert state == State.DEAD
    assert why in said
    assert seen == []


async def test_a_job_of_somebody_without_a_key_is_buried_and_its_siblings_run(
    fleets: Make, jobs: Registry, seen: list[Any]
) -> None:
    outsider, fleet = fleets(), fleets(**SIGNED)
    forged, good = await outsider.client.submit("echo", "evil"), await fleet.client.submit("echo", "good")
    await fleet.worker(jobs)
    assert await good.result(10) == "good"
    assert await fleet.why(forged) == (State.DEAD, "the payload is not signed")
    assert seen == ["good"]


async def test_a_worker_without_keys_runs_nothing_signed(fleets: Make, jobs: Registry, seen: list[Any]) -> None:
    fleet = fleets(**SIGNED)
    ticket = await fleet.client.submit("echo", 1)
    await fleets().worker(jobs)
    state, why = await fleet.why(ticket)
    assert (state, seen) == (State.DEAD, [])
    assert "the keys here are: none" in why


async def test_unsigned_jobs_run_while_signatures_are_not_required(fleets: Make, jobs: Registry) -> None:
    ticket = await fleets().client.submit("echo", 1)
    rolling = fleets(**SIGNED, require_signatures=False)
    await rolling.worker(jobs)
    assert await (await rolling.client.get(ticket.ident)).result(10) == 1


@pytest.mark.parametrize("how", ["id", "name", "queue", "dedup"])
@pytest.mark.plants_faults
async def test_a_signed_payload_is_good_for_no_other_job(
    fleets: Make, jobs: Registry, seen: list[Any], raw: "redis.Redis", namespace: str, how: str
) -> None:
    fleet = fleets(**SIGNED)
    key_of = {"dedup": Dedup("k", "replace")} if how == "dedup" else {}
    signed = await fleet.client.submit("other" if how == "name" else "echo", "once", delay=60, **key_of)
    victim = await fleet.client.submit("echo", "mine", queue="bulk" if how == "queue" else "default")
    plant(raw, namespace, victim.ident, stored(raw, namespace, signed.ident))
    await fleet.worker(jobs, queues=("default", "bulk"))
    state, why = await fleet.why(victim)
    assert (state, seen) == (State.DEAD, [])
    assert "wrong signature" in why
    await signed.cancel()


@pytest.mark.parametrize("on_conflict", ["replace", "rerun"])
@pytest.mark.parametrize("first", ["join", "replace", "rerun"])
async def test_a_replaced_payload_is_believed_under_the_older_id(
    fleets: Make, jobs: Registry, seen: list[Any], first: str, on_conflict: str
) -> None:
    fleet = fleets(**SIGNED)
    one = await fleet.client.submit("echo", 1, dedup=Dedup("repo#7 ü", first))  # type: ignore[arg-type]
    two = await fleet.client.submit("echo", 2, dedup=Dedup("repo#7 ü", on_conflict))  # type: ignore[arg-type]
    assert two.replaced
    assert two.ident == one.ident
    await fleet.worker(jobs)
    assert await two.result(10) == 2
    assert seen == [2]


async def test_a_retry_at_once_and_a_replay_check_the_same_signature(fleets: Make, seen: list[Any]) -> None:
    registry = Registry()

    @registry.handler("twice")
    async def twice(ctx: Any, payload: Any) -> Any:
        seen.append(payload)
        if len(seen) % 2:
            raise ValueError("once more")
        return payload

    fleet = fleets(**SIGNED)
    await fleet.worker(registry)
    ticket = await fleet.client.submit("twice", "x", retry=RetryPolicy(max_attempts=2, base=0))
    assert await ticket.result(10) == "x"
    failing = await fleet.client.submit("twice", "y", retry=RetryPolicy.none())
    assert (await fleet.why(failing))[0] == State.FAILED
    await fleet.client.replay(failing.ident)
    assert await failing.result(10) == "y"


@pytest.mark.plants_faults
@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda stored, other: msgpack.packb("evil"), "is not signed"),
        (lambda stored, other: stored[:-1] + b"\x09", "wrong signature"),
        (lambda stored, other: other, "wrong signature"),
        (lambda stored, other: None, "is not signed"),
    ],
)
async def test_a_result_that_no_worker_wrote_is_not_believed(
    fleets: Make, jobs: Registry, raw: "redis.Redis", namespace: str, *, forge: Any, why: str
) -> None:
    fleet = fleets(**SIGNED)
    await fleet.worker(jobs)
    ticket, other = await fleet.client.submit("echo", 1), await fleet.client.submit("echo", 2)
    assert (await ticket.result(10), await other.result(10)) == (1, 2)
    place = key(namespace, "RESULT", ticket.ident)
    forged = forge(raw.get(place), raw.get(key(namespace, "RESULT", other.ident)))
    if forged is None:
        raw.delete(place)
    else:
        raw.set(place, forged, keepttl=True)
    with pytest.raises(BadSignature, match=why):
        await ticket.result(10)
    assert await ticket.state() == State.SUCCEEDED


def test_both_clients_sign(connect: Callable[..., Any], raw: "redis.Redis", namespace: str) -> None:
    co = connect(**SIGNED)
    idents = [co.submit("echo", 1).ident]
    idents += [one.ident for one in co.submit_many([Submission("echo", 2)])]
    for ident in idents:
        assert stored(raw, namespace, ident).startswith(b"\xc1\x01i\x03new")
