"""Handing in jobs: where they go, how duplicates are answered, and the limits at their border."""

from typing import Any

import pytest

from coordinator import keys
from coordinator.ops import work
from coordinator.wire import calls
from tests.scripts.reach import reaches
from tests.support.engine import HOUR, TERMS, Engine, Job, dedup, job

RERUN = dedup("k", "rerun", "until_started")


def payloads(jobs: list[Job]) -> list[str]:
    return [one.payload for one in jobs]


@reaches("submit", "ok")
def test_a_job_that_needs_nothing_is_ready_and_one_that_needs_a_busy_resource_waits(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r", "a")
    answers = engine.submit(job("j1"), job("j2", "a"), job("j3", delay_ms=5000), job("j4", "b"))
    assert answers == [
        ["accepted", "j1", "ready"],
        ["accepted", "j2", "waiting"],
        ["accepted", "j3", "scheduled"],
        ["accepted", "j4", "ready"],
    ]


def test_an_empty_batch_writes_nothing(engine: Engine) -> None:
    with engine.unchanged():
        assert engine.submit() == []


def test_a_job_sent_twice_is_accepted_once(engine: Engine) -> None:
    engine.put("j", "a")
    with engine.unchanged():
        assert engine.put("j", "a") == ["accepted", "j", "ready"]


def test_a_job_that_stands_twice_in_a_call_is_accepted_once(engine: Engine) -> None:
    answers = engine.submit(job("j"), job("k"), job("j"), job("k", payload=b"other"))
    assert answers == [
        ["accepted", "j", "ready"],
        ["accepted", "k", "ready"],
        ["accepted", "j", "ready"],
        ["conflict", "k", "ready"],
    ]
    assert engine.raw.zcard(engine.key("READY", "default")) == 2


def test_a_job_that_ends_in_the_call_that_brought_it_leaves_its_queue(engine: Engine) -> None:
    """Its time is over at once, and the next of the same key finds it so."""
    key = dedup("k", "join")
    assert [one[0] for one in engine.submit(job("j1", wait_ms=0, **key), job("j2", **key))] == ["accepted", "accepted"]
    assert (engine.state("j1"), engine.state("j2")) == ("expired", "ready")
    assert engine.raw.zrange(engine.key("READY", "default"), 0, -1) == [b"j2"]


@reaches("submit", "conflict")
def test_an_id_that_is_taken_by_something_else_is_refused(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r", "a")
    assert engine.put("r") == ["conflict", "r", "held"]
    engine.put("j")
    assert engine.put("j", payload=b"other") == ["conflict", "j", "ready"]


@reaches("submit", "too_large")
def test_a_payload_may_be_as_large_as_the_limit(engine: Engine) -> None:
    assert engine.put("j1", payload=b"x" * 1000)[0] == "accepted"
    assert engine.put("j2", payload=b"x" * 1001) == ["too_large", 1001, 1000]


@reaches("submit", "queue_full")
def test_a_queue_takes_as_many_as_it_may_ready_and_waiting_together(engine: Engine) -> None:
    engine.rules(max_queue=2)
    engine.worker("w")
    engine.hold("w", "r", "a")
    assert [engine.put("j1")[0], engine.put("j2", "a")[0]] == ["accepted", "accepted"]
    assert engine.put("j3") == ["queue_full", "default", 2]
    assert engine.put("j3", queue="other")[0] == "accepted"
    engine.claim("w")
    assert engine.put("j4")[0] == "accepted"


def test_the_schedule_takes_as_many_as_a_queue(engine: Engine) -> None:
    engine.rules(max_queue=1)
    assert engine.put("j1", delay_ms=1000)[0] == "accepted"
    assert engine.put("j2", delay_ms=1000) == ["queue_full", "default", 1]
    assert engine.put("j2")[0] == "accepted"


@reaches("submit", "line_full", "over_capacity")
def test_a_job_that_could_not_wait_or_never_run_is_refused(engine: Engine) -> None:
    engine.rules(max_line=1)
    assert engine.put("j1", "a")[0] == "accepted"
    assert engine.put("j2", "b a") == ["line_full", "a", 1]
    assert engine.put("j2", "x3:b") == ["over_capacity", "b", 1]
    assert engine.put("j2", "x3:b", delay_ms=1000) == ["over_capacity", "b", 1]
    assert engine.put("j2", "a", delay_ms=1000)[0] == "accepted"


def test_each_job_of_a_batch_is_judged_by_itself(engine: Engine) -> None:
    engine.rules(max_queue=2)
    answers = engine.submit(job("j1"), job("j2", "x9:a"), job("j3"), job("j4"))
    assert [one[0] for one in answers] == ["accepted", "over_capacity", "accepted", "queue_full"]


def test_more_resources_than_one_script_may_promote_are_left_to_the_sweep(engine: Engine) -> None:
    engine.rules(max_queue=1000)
    engine.submit(*(job(f"j{n}", " ".join(f"r{n}-{m}" for m in range(6))) for n in range(100)))
    assert engine.census()[engine.key("DIRTY")].value
    engine.sweep_all()
    assert {engine.state(f"j{n}") for n in range(100)} == {"ready"}


@reaches("submit", "rejected")
def test_reject_names_the_job_that_is_there(engine: Engine) -> None:
    engine.put("j1", **dedup("k"))
    assert engine.put("j2", **dedup("k", "reject")) == ["rejected", "j1", "ready"]
    assert engine.put("j3", **dedup("other", "reject"))[0] == "accepted"


@reaches("submit", "duplicate")
def test_join_gives_the_job_that_is_there_and_keeps_its_payload(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j1", **dedup("k"))
    assert engine.put("j2", payload=b"new", **dedup("k")) == ["duplicate", "j1", "joined"]
    assert payloads(engine.claim("w")) == ["payload"]
    assert engine.put("j3", **dedup("k")) == ["duplicate", "j1", "joined"]


def test_replace_gives_a_job_that_has_not_started_the_newest_payload(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j1", **dedup("k", "replace"))
    assert engine.put("j2", payload=b"new", **dedup("k", "replace")) == ["duplicate", "j1", "replaced"]
    assert payloads(engine.claim("w")) == ["new"]
    assert engine.put("j3", payload=b"late", **dedup("k", "replace")) == ["duplicate", "j1", "joined"]
    assert engine.payload("j1") == b"new"


@pytest.mark.parametrize("on_conflict", ["join", "replace"])
def test_a_duplicate_sent_twice_is_answered_alike_even_after_the_first_has_ended(
    engine: Engine, on_conflict: str
) -> None:
    engine.worker("w")
    engine.put("j1", **dedup("k"))
    answer = engine.put("j2", **dedup("k", on_conflict))
    engine.report("w", engine.claim("w")[0], "succeeded")
    with engine.unchanged():
        assert engine.put("j2", **dedup("k", on_conflict)) == answer


def test_rerun_has_at_most_one_active_and_one_waiting_with_the_latest_payload(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j1", payload=b"1", **RERUN)
    assert engine.put("j2", payload=b"2", **RERUN) == ["duplicate", "j1", "replaced"]
    [first] = engine.claim("w")
    assert first.payload == "2"
    assert engine.put("j3", payload=b"3", **RERUN)[0] == "accepted"
    assert engine.put("j4", payload=b"4", **RERUN) == ["duplicate", "j3", "replaced"]
    assert engine.claim("w") == []
    engine.report("w", first, "succeeded")
    assert payloads(engine.claim("w")) == ["4"]


@pytest.mark.parametrize("outcome", ["retry", "snooze", "released"])
def test_rerun_gives_up_a_job_that_would_wait_beside_a_newer_one(engine: Engine, outcome: str) -> None:
    engine.worker("w")
    engine.put("j1", **RERUN)
    [first] = engine.claim("w")
    engine.put("j2", payload=b"newer", **RERUN)
    assert engine.report("w", first, outcome, 1000) == ["ok", ""]
    assert (engine.state("j1"), engine.field("j1", "why")) == ("cancelled", "superseded by a newer one")
    assert payloads(engine.claim("w")) == ["newer"]


def test_rerun_takes_its_key_back_when_it_waits_again(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j1", **RERUN)
    engine.report("w", engine.claim("w")[0], "retry", 1000)
    assert engine.put("j2", payload=b"newer", **RERUN) == ["duplicate", "j1", "replaced"]
    engine.advance(1)
    engine.sweep()
    assert payloads(engine.claim("w")) == ["newer"]


def test_rerun_that_crashes_yields_to_a_newer_one(engine: Engine) -> None:
    engine.worker("w1")
    engine.put("j1", **RERUN)
    engine.claim("w1")
    engine.put("j2", **RERUN)
    engine.advance(10)
    engine.sweep()
    assert (engine.state("j1"), engine.state("j2")) == ("cancelled", "ready")


def end(engine: Engine, how: str) -> None:
    """Bring j1 to its end in one of all the ways there are."""
    if how in ("cancelled waiting", "expired"):
        engine.advance(1)
        engine.cancel("j1") if how == "cancelled waiting" else engine.sweep()
        return
    for _ in range(3 if how == "crashed" else 1):
        [given] = engine.claim("w")
        if how == "crashed":
            engine.beat("w", [("j1", given.fence)])
            engine.advance(60)
            engine.sweep()
            engine.worker("w")
        elif how == "deadline":
            engine.advance(2)
            engine.sweep()
        elif how == "told to stop":
            engine.cancel("j1")
            engine.report("w", given, "retry", 1000)
        else:
            engine.report("w", given, how)


ENDS = {
    "succeeded": "succeeded",
    "failed": "failed",
    "dead": "dead",
    "cancelled": "cancelled",
    "crashed": "dead",
    "cancelled waiting": "cancelled",
    "expired": "expired",
    "deadline": "expired",
    "told to stop": "cancelled",
}


@pytest.mark.parametrize("scope", ["until_started", "until_finished"])
@pytest.mark.parametrize("how", ENDS)
def test_the_key_is_free_after_every_end(engine: Engine, how: str, scope: str) -> None:
    engine.worker("w")
    clock: dict[str, Any] = {"expired": {"wait_ms": 1000}, "deadline": {"end_ms": 2000}}.get(how, {})
    engine.put("j1", **dedup("k", "reject", scope), **clock)
    end(engine, how)
    assert engine.state("j1") == ENDS[how]
    assert engine.put("j2", **dedup("k", "reject", scope))[0] == "accepted"


@pytest.mark.parametrize(("scope", "answer"), [("until_started", "accepted"), ("until_finished", "rejected")])
def test_the_scope_says_until_when_a_key_is_held(engine: Engine, scope: str, answer: str) -> None:
    engine.worker("w")
    engine.put("j1", **dedup("k", "reject", scope))
    assert engine.put("j2", **dedup("k", "reject", scope))[0] == "rejected"
    engine.claim("w")
    assert engine.put("j2", **dedup("k", "reject", scope))[0] == answer


def test_an_older_owner_does_not_free_the_key_of_a_newer_one(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j1", **dedup("k", "reject", "until_started"))
    [first] = engine.claim("w")
    engine.put("j2", **dedup("k", "reject", "until_started"))
    engine.report("w", first, "succeeded")
    assert engine.put("j3", **dedup("k", "reject", "until_started")) == ["rejected", "j2", "ready"]


def test_a_key_for_a_time_is_held_beyond_the_end_and_gives_the_result(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j1", **dedup("k", "join", "ttl", ttl_ms=5000))
    engine.report("w", engine.claim("w")[0], "succeeded", value="done")
    engine.advance(4.999)
    assert engine.put("j2", **dedup("k", "join", "ttl", ttl_ms=5000)) == ["duplicate", "j1", "joined"]
    assert engine.put("j2b", **dedup("k", "replace", "ttl", ttl_ms=5000)) == ["duplicate", "j1", "joined"]
    engine.advance(0.001)
    assert engine.put("j3", **dedup("k", "join", "ttl", ttl_ms=5000))[0] == "accepted"


def test_a_key_for_a_time_outlives_the_result(engine: Engine) -> None:
    day = 86_400_000
    engine.worker("w")
    engine.put("j1", **dedup("k", "join", "ttl", ttl_ms=day))
    engine.report("w", engine.claim("w")[0], "succeeded", value="done")
    # The clock of expiry is the server's own, and not the test's.
    assert abs(engine.raw.pttl(keys.key(engine.namespace, "REQ", "j1")) - day) < 10_000
    assert engine.raw.pttl(keys.key(engine.namespace, "RESULT", "j1")) <= TERMS.result_ms
    engine.advance(2 * HOUR)
    engine.worker("w2")
    assert engine.put("j2", **dedup("k", "join", "ttl", ttl_ms=day)) == ["duplicate", "j1", "joined"]
    assert engine.call(calls.watch(engine.scope, "j1", ""))[:2] == ["final", "succeeded"]
    assert engine.call(calls.watch(engine.scope, "j1", "w2")) == ["gone"]


def test_a_key_for_a_time_is_not_frozen_by_a_clock_set_back(engine: Engine) -> None:
    engine.put("j1", **dedup("k", "reject", "ttl", ttl_ms=5000))
    engine.advance(-HOUR)
    engine.sweep()
    engine.advance(5.001)
    assert engine.put("j2", **dedup("k", "reject", "ttl", ttl_ms=5000))[0] == "accepted"


def test_a_refused_job_takes_no_key(engine: Engine) -> None:
    assert engine.put("j1", "x9:a", **dedup("k", "reject"))[0] == "over_capacity"
    assert engine.put("j2", **dedup("k", "reject"))[0] == "accepted"


def test_one_idle_worker_is_rung_for_each_ready_job_the_longest_idle_first(engine: Engine) -> None:
    for n in range(3):
        engine.worker(f"w{n}")
        engine.claim(f"w{n}")
        engine.advance(0.1)
    engine.submit(job("j1"), job("j2"))
    assert [engine.inbox(f"w{n}") for n in range(3)] == [["bell default"], ["bell default"], []]
    engine.put("j3")
    assert [engine.inbox(f"w{n}") for n in range(3)] == [[], [], ["bell default"]]


def test_a_worker_of_another_queue_or_without_a_session_is_not_rung(engine: Engine) -> None:
    engine.worker("dead")
    engine.claim("dead")
    engine.advance(10)
    engine.worker("other", "bulk")
    engine.claim("other", 1, "bulk")
    engine.worker("w")
    engine.claim("w")
    engine.put("j")
    assert [engine.inbox(one) for one in ("dead", "other", "w")] == [[], [], ["bell default"]]


def test_a_job_that_waits_for_a_resource_rings_nobody_until_it_is_offered(engine: Engine) -> None:
    engine.worker("w")
    fence = engine.hold("w", "r", "a")
    engine.claim("w")
    engine.put("j", "a")
    assert engine.inbox("w") == []
    engine.release("r", fence)
    assert engine.inbox("w") == ["bell default"]


def test_metadata_clocks_and_retries_reach_the_worker(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j", "a", metadata='{"a": 1}', run_ms=1500, retry="3 1000 30000 2 0.1", priority=3)
    [given] = engine.claim("w")
    told = ("j", given.fence, "work", "default", 3, 0, 1, "1500", "3 1000 30000 2 0.1", "x1:a", '{"a": 1}', "payload")
    assert given == Job(*told, dedup="", waited_ms=0)


def test_a_queue_that_is_called_as_the_schedule_is_counted_apart_from_it(engine: Engine) -> None:
    engine.rules(max_queue=2)
    engine.submit(job("d1", delay_ms=1000), job("d2", delay_ms=1000))
    answers = engine.submit(job("d3", delay_ms=1000), job("q1", queue="scheduled"))
    assert [one[0] for one in answers] == ["queue_full", "accepted"]


def test_a_full_call_of_jobs_that_need_much_leaves_nobody_waiting_for_what_is_free(engine: Engine) -> None:
    engine.rules(max_queue=1000)
    jobs = [job(f"j{n}", " ".join(f"{word}/{n}" for word in "abcde")) for n in range(8)]
    assert len(list(work.chunks(jobs))) == 1
    assert {one[2] for one in engine.submit(*jobs)} == {"ready"}


@pytest.mark.parametrize("size", [0, 1, 64, 65, 128, 129])
def test_the_shorter_way_of_plain_jobs_leaves_what_the_other_leaves(raw: Any, namespace: str, size: int) -> None:
    """An empty option says nothing, but it makes a job take the longer way."""
    ways = []
    for name, options in (("short", {}), ("long", {"owner": ""})):
        engine = Engine(raw, f"{namespace}-{name}", max_queue=8)
        engine.worker("w")
        engine.claim("w")
        given = {"payload": b"x" * size, "options": options}
        jobs = [job(f"j{n}")._replace(**given, priority=n % 3, queue=f"q{n % 2}") for n in range(6)]
        answers = [engine.submit(*jobs), engine.submit(job("alone")._replace(**given))]
        answers += [engine.submit(*jobs, *jobs[:1]), engine.submit(*(job(f"k{n}")._replace(**given) for n in range(9)))]
        engine.advance(1)
        answers.append(engine.submit(job("late")._replace(**given)))
        found = sorted(raw.scan_iter(match=f"{keys.prefix(engine.namespace)}*", count=1000))
        prefix = len(keys.prefix(engine.namespace))
        ways.append((answers, {key[prefix:]: raw.dump(key) for key in found}))
    assert ways[0] == ways[1]
    assert any(one[0] == "queue_full" for answers in ways[0][0] for one in answers)
