"""The doctor names every fault of places, holders, lines and clocks that is planted, mends it, and the work goes on."""

from typing import Any

import pytest

from coordinator import Need
from coordinator.doctor import examine
from coordinator.keys import encode
from tests.support.scene import Scene
from tests.support.until import until

pytestmark = pytest.mark.plants_faults


def submit(scene: Scene, *resources: str, **options: Any) -> str:
    return scene.co.submit("job", {"n": 1}, resources=list(resources), **options).ident


# --- places


def test_a_ready_job_that_is_in_no_queue_becomes_claimable(scene: Scene) -> None:
    job = submit(scene, "x")
    scene.raw.zrem(scene.key("READY", "default"), job)
    assert scene.faults(job) == ["is ready, but is not in ready:default"]
    scene.mend()
    assert [ident for ident, _ in scene.claim()] == [job]


def test_a_ready_job_that_needs_nothing_becomes_claimable(scene: Scene) -> None:
    job = submit(scene)
    scene.raw.zrem(scene.key("READY", "default"), job)
    assert scene.faults(job) == ["is ready, but is not in ready:default"]
    scene.mend()
    assert [ident for ident, _ in scene.claim()] == [job]


@pytest.mark.parametrize("place", ["WAITING", "LINE"])
def test_a_waiting_job_is_put_back_in_its_place(scene: Scene, place: str) -> None:
    lease = scene.co.acquire("x")
    job = submit(scene, "x")
    member = "default" if place == "WAITING" else "x"
    scene.raw.zrem(scene.key(place, member), job)
    assert any("is waiting, but is not in" in fault for fault in scene.faults(job))
    scene.mend()
    lease.release()
    ((ident, fence),) = scene.claim()
    assert (ident, scene.settle(ident, fence)) == (job, "ok")


@pytest.mark.parametrize("place", ["LINE", "OWNS"])
def test_a_waiting_lock_request_gets_its_lock_after_all(scene: Scene, place: str) -> None:
    lease = scene.co.acquire("x")
    ticket = scene.co.request("x", wait=60)
    if place == "LINE":
        scene.raw.zrem(scene.key("LINE", "x"), ticket.ident)
    else:
        scene.raw.srem(scene.key("OWNS", scene.session), ticket.ident)
    assert any("is waiting, but is not in" in fault for fault in scene.faults(ticket.ident))
    scene.mend()
    lease.release()
    assert ticket.wait(5).held


@pytest.mark.parametrize("place", ["NESTED", "FLOW"])
def test_a_nested_request_that_the_search_for_circles_would_miss_is_listed_again(scene: Scene, place: str) -> None:
    first = scene.co.acquire("a")
    blocker = scene.co.acquire("b")
    ticket = scene.co.request("b", wait=60, within=first)
    key = scene.key("NESTED") if place == "NESTED" else scene.key("FLOW", first.ident)
    scene.raw.delete(key)
    assert [fault.partition(":")[0] for fault in scene.faults(ticket.ident)] == [
        f"is waiting, but is not in {place.lower()}"
    ]
    scene.mend()
    assert scene.faults(ticket.ident) == []
    blocker.release()
    ticket.wait(5).release()
    assert not scene.raw.exists(scene.key("NESTED"), scene.key("FLOW", first.ident))


def test_who_waits_no_more_is_in_no_list_of_nested_requests(scene: Scene) -> None:
    scene.raw.zadd(scene.key("NESTED"), {"ghost": 1})
    scene.raw.sadd(scene.key("FLOW", "other"), "ghost")
    assert set(scene.faults("ghost")) == {"has no record, but is in nested", "has no record, but is in flow:other"}
    scene.mend()
    assert not scene.raw.exists(scene.key("NESTED"), scene.key("FLOW", "other"))


def test_an_entry_at_an_owner_is_put_back_and_a_stranger_is_taken_out(scene: Scene) -> None:
    lease = scene.co.acquire("x", owner="ann")
    place = scene.key("BY_OWNER", "ann")
    scene.raw.zrem(place, lease.ident)
    scene.raw.zadd(place, {"ghost": 0})
    assert scene.faults(lease.ident) == ["is held, but is not in by_owner:ann"]
    assert scene.faults("ghost") == ["has no record, but is in by_owner:ann"]
    scene.mend()
    assert [one.request.ident for one in scene.co.held_by("ann").requests] == [lease.ident]
    lease.release()
    scene.raw.zadd(place, {lease.ident: 0})
    assert scene.faults(lease.ident) == ["is released, but is in by_owner:ann"]
    scene.mend()
    assert scene.raw.exists(place) == 0


def test_a_stranger_in_every_list_is_taken_out(scene: Scene) -> None:
    job = submit(scene)
    scene.raw.zadd(scene.key("LINE", "a"), {"ghost": 1})
    scene.raw.zadd(scene.key("READY", "default"), {"ghost": 1})
    scene.raw.zadd(scene.key("DEADLINES"), {"ghost": 1e15})
    scene.raw.zadd(scene.key("DEAD"), {"ghost": 1})
    scene.raw.sadd(scene.key("OWNS", scene.session), "ghost")
    scene.raw.hset(scene.key("PAYLOADS"), "ghost", "x")
    scene.raw.hset(scene.key("HOLDERS", "b"), "ghost", f"x 1 7 {scene.session} 99999999999999")
    scene.raw.set(scene.key("NEEDS", "ghost"), "x1:a")
    places = ["line:a", "ready:default", "deadlines", "dead", f"owns:{scene.session}", "payloads", "holders:b"]
    wanted = {f"has no record, but is in {place}" for place in places} | {"has no record, but needs:ghost is kept"}
    assert set(scene.faults("ghost")) == wanted
    assert scene.faults("a") == scene.faults("b") == ["is in use, but not registered"]
    scene.mend()
    assert scene.co.try_acquire(["a", "b"]) is not None
    assert [ident for ident, _ in scene.claim()] == [job]


@pytest.mark.parametrize("ended", [False, True])
def test_an_entry_that_was_left_behind_is_taken_out(scene: Scene, ended: bool) -> None:
    job = submit(scene, "x")
    ((_, fence),) = scene.claim()
    if ended:
        scene.settle(job, fence)
    scene.raw.zadd(scene.key("LINE", "x"), {job: 1})
    scene.raw.zadd(scene.key("RESOURCES"), {"x": 0})
    scene.raw.zadd(scene.key("READY", "default"), {job: 1})
    state = "succeeded" if ended else "running"
    assert set(scene.faults(job)) == {f"is {state}, but is in line:x", f"is {state}, but is in ready:default"}
    scene.mend()
    assert scene.claim() == []
    assert ended or scene.settle(job, fence) == "ok"
    assert scene.co.try_acquire("x") is not None


def test_a_delayed_job_that_nobody_would_wake_runs(scene: Scene) -> None:
    job = submit(scene, "x", delay=3600)
    scene.raw.zrem(scene.key("SCHEDULED"), job)
    assert scene.faults(job) == ["is scheduled, but is not in scheduled"]
    scene.mend()
    assert [ident for ident, _ in scene.claim()] == [job]


def test_a_job_of_an_unregistered_queue_and_its_queue_are_brought_together(scene: Scene) -> None:
    job = submit(scene, queue="bulk")
    scene.raw.srem(scene.key("QUEUES"), "bulk")
    assert scene.faults(job) == ["its queue is not registered"]
    scene.mend()
    assert scene.raw.smembers(scene.key("QUEUES")) == {b"bulk"}


# --- holding


@pytest.mark.parametrize(
    "entry", [None, "nonsense", "x 1 5 {session} 99999999999999"], ids=["no entry", "unreadable", "another fence"]
)
def test_what_a_lock_holds_is_written_again(scene: Scene, entry: str | None) -> None:
    lease = scene.co.acquire("x")
    holders = scene.key("HOLDERS", "x")
    if entry is None:
        scene.raw.hdel(holders, lease.ident)
        assert "is held, but is not in holders:x" in scene.faults(lease.ident)
    else:
        scene.raw.hset(holders, lease.ident, entry.format(session=scene.session))
        found = [*scene.faults("x"), *scene.faults(lease.ident)]
        assert found in ([f"its holder {lease.ident} cannot be read"], ["does not hold x as its record says"])
    scene.mend()
    assert scene.holders("x")[lease.ident].split()[:3] == ["x", "1", str(lease.fence)]
    assert scene.co.try_acquire("x") is None
    lease.release()
    assert scene.co.try_acquire("x") is not None


def test_a_lock_that_was_given_to_another_meanwhile_is_lost(scene: Scene) -> None:
    lease = scene.co.acquire("x")
    scene.raw.hdel(scene.key("HOLDERS", "x"), lease.ident)
    newer = scene.co.acquire("x", wait=5)
    assert scene.faults(lease.ident) == ["is held, but is not in holders:x"]
    scene.mend()
    assert (scene.state(lease.ident), scene.state(newer.ident)) == ("lost", "held")
    until(lease.lost.is_set)
    assert newer.held


def test_of_holders_that_exclude_each_other_the_newest_stays(scene: Scene) -> None:
    older, newer = (scene.co.acquire(Need("x", "shared")) for _ in range(2))
    for lease in (older, newer):
        scene.raw.hset(scene.key("REQ", lease.ident), "needs", "x1:x")
        entry = scene.holders("x")[lease.ident]
        scene.raw.hset(scene.key("HOLDERS", "x"), lease.ident, f"x{entry[1:]}")
    assert scene.faults("x") == ["its holders cannot hold it together"]
    scene.mend()
    assert (scene.state(older.ident), scene.state(newer.ident)) == ("lost", "held")


def test_a_running_job_keeps_its_lease_and_its_session(scene: Scene) -> None:
    job = submit(scene, "x", run_timeout=60)
    ((_, fence),) = scene.claim()
    scene.raw.srem(scene.key("OWNS", scene.session), job)
    scene.raw.zrem(scene.key("DEADLINES"), job)
    wanted = {f"is running, but is not in owns:{scene.session}", "is running, but is not in deadlines"}
    assert set(scene.faults(job)) == wanted
    scene.mend()
    assert scene.raw.zscore(scene.key("DEADLINES"), job) is not None
    assert scene.settle(job, fence) == "ok"


# --- lines


def test_a_free_resource_with_a_waiter_is_given_to_it(scene: Scene) -> None:
    lease = scene.co.acquire("x")
    ticket = scene.co.request("x", wait=60)
    scene.raw.hdel(scene.key("HOLDERS", "x"), lease.ident)
    scene.raw.hset(scene.key("REQ", lease.ident), "state", "released")
    scene.raw.expire(scene.key("REQ", lease.ident), 60)
    scene.raw.zrem(scene.key("DEADLINES"), lease.ident)
    scene.raw.srem(scene.key("OWNS", scene.session), lease.ident)
    assert scene.faults("x") == [f"{ticket.ident} waits for it although it could have it"]
    scene.mend()
    assert ticket.wait(5).held


def test_an_offer_behind_a_better_request_is_withdrawn(scene: Scene) -> None:
    first, second = submit(scene, "x"), submit(scene, "x")
    scene.raw.zadd(scene.key("LINE", "x"), {second: 1})
    assert scene.faults(first) == ["is offered although it is not its turn"]
    scene.mend()
    assert scene.state(first) == "waiting"
    assert [ident for ident, _ in scene.claim(2)] == [second]


def test_a_rank_that_differs_from_line_to_line_is_made_one(scene: Scene) -> None:
    lease = scene.co.acquire(["x", "y"])
    job = submit(scene, "x", "y")
    scene.raw.zadd(scene.key("LINE", "y"), {job: 1})
    assert scene.faults(job) == ["its rank is not the same in all its lines"]
    scene.mend()
    assert scene.raw.zscore(scene.key("LINE", "x"), job) == scene.raw.zscore(scene.key("LINE", "y"), job)
    lease.release()
    assert [ident for ident, _ in scene.claim()] == [job]


def test_the_register_of_resources_is_put_right(scene: Scene) -> None:
    scene.co.acquire("a b/ü")
    scene.raw.zrem(scene.key("RESOURCES"), encode("a b/ü"))
    scene.raw.zadd(scene.key("RESOURCES"), {"nobody": 0})
    assert scene.faults("a b/ü") == ["is in use, but not registered"]
    assert scene.faults("nobody") == ["is registered, but not in use"]
    scene.mend()
    assert scene.raw.zrange(scene.key("RESOURCES"), 0, -1) == [encode("a b/ü").encode()]


# --- time


def test_what_a_session_held_that_lapsed_long_ago_is_taken_back(scene: Scene) -> None:
    lease = scene.co.acquire("x")
    session = scene.session
    scene.raw.zadd(scene.key("SESSIONS"), {session: 1})
    assert scene.faults(lease.ident) == ["its session has lapsed"]
    lapsed = ["belongs to a session that lapsed and was not taken back"]
    assert scene.faults(scene.key("OWNS", session)) == scene.faults(scene.key("SESSION", session)) == lapsed
    scene.mend()
    assert scene.state(lease.ident) == "lost"
    assert scene.raw.zscore(scene.key("SESSIONS"), session) is None


def test_what_has_just_lapsed_is_left_to_the_sweep(scene: Scene) -> None:
    lease = scene.co.acquire("x")
    scene.co.request("x", wait=60)
    now_ms = float(scene.raw.time()[0] * 1000)
    scene.raw.zadd(scene.key("SESSIONS"), {scene.session: now_ms})
    assert examine(scene.co, grace=3600).problems == ()
    assert "its session has lapsed" in [one.detail for one in examine(scene.co, grace=0).problems]
    assert scene.state(lease.ident) == "held"


def test_a_clock_that_ran_out_is_heard(scene: Scene) -> None:
    waiting, delayed = submit(scene, wait_timeout=3600), submit(scene, delay=3600)
    scene.raw.zadd(scene.key("DEADLINES"), {waiting: 1})
    scene.raw.zadd(scene.key("SCHEDULED"), {delayed: 1})
    assert (scene.faults(waiting), scene.faults(delayed)) == (["its clock ran out"], ["is due"])
    scene.mend()
    assert (scene.state(waiting), scene.state(delayed)) == ("expired", "ready")


def test_a_clock_that_is_missing_or_wrong_is_set(scene: Scene) -> None:
    ticket = scene.co.request("x", wait=600), scene.co.request("x", wait=600)
    held, waiting = (one.ident for one in ticket)
    deadlines = scene.key("DEADLINES")
    before = [scene.raw.zscore(deadlines, one) for one in (held, waiting)]
    scene.raw.zrem(deadlines, held)
    scene.raw.zadd(deadlines, {waiting: 1e15})
    assert scene.faults(held) == ["is held, but is not in deadlines"]
    assert scene.faults(waiting) == ["its clock is not the one in its record"]
    scene.mend()
    assert [scene.raw.zscore(deadlines, one) for one in (held, waiting)] == before
