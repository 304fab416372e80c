"""Calls that share one execution and one answer, through both clients; the jobs are run by hand."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from coordinator import Settings
from coordinator.errors import InvalidInput, JobFailed, WaitTimeout
from coordinator.model import codec
from coordinator.model.answers import answer_key
from coordinator.ops import answers
from coordinator.sections import Coalescing
from coordinator.wire import calls
from coordinator.wire.calls import Report
from tests.support.scene import Scene
from tests.support.until import until


def settle_next(scene: Scene, value: Any = None, outcome: str = "succeeded") -> str:
    """Run the next job; its id."""
    [(ident, fence)] = until(scene.claim, what="a job")
    packed = codec.pack(value, "value", 10_000) if outcome == "succeeded" else b"why not"
    report = Report(ident, fence, outcome, 0, packed)
    raw = scene.call(calls.settle(scene.scope, scene.session, calls.Claim(0, 0, 60_000, ("default",)), [report]))
    assert raw[1][0][0] == b"ok"
    return ident


@pytest.fixture
def pool() -> Any:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def test_all_who_ask_meanwhile_get_the_one_answer(co: Any, other: Any, scene: Scene, pool: Any) -> None:
    asking = [pool.submit(one.coalesce, "add", {"a": 1, "b": 2}, timeout=20) for one in (co, other) * 5]
    until(lambda: co.coalescing().calls + other.coalescing().calls == 10)
    settle_next(scene, 3)
    assert [one.result(20) for one in asking] == [3] * 10
    assert scene.claim() == []
    both = (co.coalescing(), other.coalescing())
    assert (sum(one.executed for one in both), sum(one.joined for one in both)) == (1, 9)


def test_the_answer_is_kept_first_in_redis_then_in_memory(co: Any, other: Any, scene: Scene, pool: Any) -> None:
    asked = pool.submit(co.coalesce, "add", {"a": [1], "b": 2}, timeout=20)
    settle_next(scene, {"sum": [3]})
    assert asked.result(20) == {"sum": [3]}
    for _ in range(3):
        found = co.coalesce("add", {"b": 2, "a": (1,)})
        assert found == {"sum": [3]}
        found["sum"].append("what the caller does with it is its own affair")
    stats = co.coalescing()
    assert (stats.calls, stats.executed, stats.far_hits, stats.near_hits) == (4, 1, 1, 2)
    assert (stats.hit_rate, stats.join_rate, stats.entries) == (0.75, 0.0, 1)
    assert stats.bytes > 0
    assert other.coalesce("add", {"b": 2, "a": [1]}) == {"sum": [3]}


def test_a_failure_is_told_to_all_and_kept_by_nobody(co: Any, other: Any, scene: Scene, pool: Any) -> None:
    asking = [pool.submit(one.coalesce, "add", 1, timeout=20) for one in (co, other, co)]
    until(lambda: co.coalescing().calls + other.coalescing().calls == 3)
    ident = settle_next(scene, outcome="failed")
    caught = []
    for one in asking:
        with pytest.raises(JobFailed, match="why not") as raised:
            one.result(20)
        caught.append(raised.value)
    assert {(one.ident, one.state) for one in caught} == {(ident, "failed")}
    again = pool.submit(co.coalesce, "add", 1, timeout=20)
    assert settle_next(scene, 2) != ident
    assert again.result(20) == 2


def test_with_no_time_to_live_only_those_who_wait_share(co: Any, scene: Scene, pool: Any) -> None:
    for value in (1, 2):
        asked = pool.submit(co.coalesce, "add", ttl=0, timeout=20)
        settle_next(scene, value)
        assert asked.result(20) == value


def test_what_differs_is_not_shared(co: Any, scene: Scene, pool: Any) -> None:
    several = [("add", 1), ("add", 1.0), ("add", "1"), ("sub", 1), ("add", [1]), ("add", None)]
    asking = [pool.submit(co.coalesce, name, payload, timeout=20) for name, payload in several]
    until(lambda: co.coalescing().executed == len(several))
    for _ in several:
        settle_next(scene, "done")
    assert [one.result(20) for one in asking] == ["done"] * len(several)


def test_a_wait_that_runs_out_leaves_the_job_to_the_others(co: Any, scene: Scene) -> None:
    with pytest.raises(WaitTimeout):
        co.coalesce("add", 1, timeout=0.1)
    settle_next(scene, 5)
    assert co.coalesce("add", 1) == 5


def test_answers_can_be_stored_and_read_many_at_a_time(co: Any, other: Any) -> None:
    co.warm("add", [(n, n * n) for n in range(200)], ttl=30)
    found = other.cached_many("add", [*range(200), "unknown", 3])
    assert [one.value for one in found[:200]] == [n * n for n in range(200)]
    assert found[200] is None
    assert found[201] == found[3]._replace(seconds_left=found[201].seconds_left)
    assert 25 < found[0].seconds_left <= 30
    assert len({one.ident for one in found[:200]}) == 200
    assert other.coalesce("add", 7) == 49
    assert other.coalescing().near_hits == 1
    co.warm("add", [(None, None)])
    assert other.coalesce("add") is None


@pytest.mark.parametrize("how", ["forget", "warm"])
def test_copies_in_other_processes_go_when_the_answer_does(co: Any, other: Any, how: str) -> None:
    co.warm("add", [(1, "old"), (2, "stays")])
    assert [one.value for one in other.cached_many("add", [1, 2])] == ["old", "stays"]
    before = other.coalescing().entries
    if how == "forget":
        co.forget("add", [1])
    else:
        co.warm("add", [(1, "new")])
    until(lambda: other.coalescing().entries == before - 1)
    [found, rest] = other.cached_many("add", [1, 2])
    assert (found and found.value) == (None if how == "forget" else "new")
    assert rest.value == "stays"


def test_an_answer_that_was_read_before_it_was_dropped_is_not_kept(co: Any, other: Any) -> None:
    """The message overtakes the reply."""
    co.warm("add", [(1, "old")])
    driver, key = getattr(other, "target", other)._driver, answer_key("add", 1, 100)
    mark = driver.near.mark()
    recalled = other.run(answers.recall(driver.scope, [key], driver.signer))
    co.forget("add", [1])
    until(lambda: driver.near.mark() > mark)
    driver.near.keep(key, recalled.found[0], recalled.session, mark)
    assert other.cached_many("add", [1]) == [None]


@pytest.mark.plants_faults
def test_without_a_session_no_copy_is_believed(co: Any, raw: Any, namespace: str, settings: Settings) -> None:
    co.warm("add", [(1, "old")], ttl=600)
    driver = getattr(co, "target", co)._driver
    assert co.cached_many("add", [1])[0].value == "old"
    key = next(iter(driver.near._copies))
    assert driver.near.look(key)
    raw.zrem(f"co:{{{namespace}}}:sessions", driver.keeper.session)
    until(lambda: driver.near.look(key) is None, seconds=2 * settings.session_ttl)


def test_copies_are_bounded_in_number_and_in_bytes(connect: Callable[..., Any]) -> None:
    limits = (Coalescing(entries=3), Coalescing(bytes=10_000), Coalescing(entries=0))
    few, small, none = (connect(coalescing=one) for one in limits)
    few.warm("add", [(n, "x" * 1000) for n in range(20)])
    for client, entries in ((few, 3), (small, 6), (none, 0)):
        for n in range(20):
            client.coalesce("add", n)
        assert client.coalescing().entries == entries
        assert client.coalescing().evicted == (20 - entries if entries else 0)
        assert client.coalescing().bytes <= client.settings.coalescing.bytes
        assert client.coalesce("add", 19) == "x" * 1000
        assert client.coalescing().near_hits == (1 if entries else 0)


@pytest.mark.parametrize("bad", [{"dedup": None}, {"delay": 1}, {"ttl": -1}, {"timeout": -1}, {"dealy": 1}])
def test_bad_arguments_are_refused(co: Any, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        co.coalesce("add", 1, **bad)


def test_a_call_has_the_options_of_a_job(co: Any, scene: Scene, pool: Any) -> None:
    asked = pool.submit(co.coalesce, "add", 1, timeout=20, resources="a", priority="high", owner="me")
    ident = settle_next(scene, 1)
    assert asked.result(20) == 1
    found = co.explain(ident)
    assert (int(found.priority), found.needs[0].need.resource if found.needs else "") == (2, "a")
