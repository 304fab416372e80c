"""Looking at requests and waiting for their end, progress, and replaying what failed."""

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.scripts.reach import reaches
from tests.support.engine import Engine, dedup


@reaches("watch", "pending", "final", "gone", "session_lost")
def test_looking_and_watching_is_one_step(engine: Engine) -> None:
    engine.worker("w")

    def watch(session: str = "") -> list[object]:
        return engine.call(calls.watch(engine.scope, "j", session))

    assert watch("w") == ["gone"]
    engine.put("j")
    assert watch("nobody") == ["session_lost"]
    with engine.unchanged():
        assert watch() == ["pending", "ready", ""]
    assert watch("w") == ["pending", "ready", ""]
    assert engine.raw.pttl(engine.key("WATCH", "j")) > 0
    engine.report("w", engine.claim("w")[0], "succeeded", value="result")
    assert engine.inbox("w") == ["ended j succeeded"]
    with engine.unchanged():
        assert watch("nobody") == ["final", "succeeded", "", "result"]


@reaches("note_progress", "ok", "stale")
def test_progress_is_heard_from_the_newest_fence_only(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j")
    [given] = engine.claim("w")

    def progress(fence: str) -> list[object]:
        return engine.call(calls.note_progress(engine.scope, "j", fence, "0.4 planning"))

    assert progress("1") == ["stale"]
    assert progress(given.fence) == ["ok"]
    assert engine.call(calls.watch(engine.scope, "j", "")) == ["pending", "running", "0.4 planning"]
    engine.report("w", given, "released")
    assert progress(given.fence) == ["stale"]


@reaches("explain", "ok", "gone")
def test_an_explanation_names_who_holds_and_who_stands_before(engine: Engine) -> None:
    engine.worker("s")
    engine.hold("s", "holder", "a")
    engine.ask("s", "ahead", "a")
    engine.ask("s", "me", "a b", owner="pr-1")
    reply = engine.call(calls.explain(engine.scope, "me", 20))
    needs = {one[0]: one for one in reply[4]}
    assert needs["a"][1:6] == ["x", 1, 1, "1", 2]
    assert [one[0] for one in needs["a"][6]] == ["holder"]
    assert [one[0] for one in needs["a"][7]] == ["ahead"]
    assert needs["b"][4:] == ["0", 1, [], [], [], [], "", ""]
    assert engine.call(calls.explain(engine.scope, "never-was", 20)) == ["gone"]
    engine.put("j1")
    engine.put("j2")
    assert engine.call(calls.explain(engine.scope, "j2", 20))[5] == [1, 2, 0, 0]


def test_an_explanation_says_what_those_ask_for_who_stand_before(engine: Engine) -> None:
    engine.worker("s")
    engine.raw.hset(engine.key("DEF", "a"), "capacity", 4)
    long = "x1:" + "b" * 80
    for ident, needs in enumerate(["x4:a", "s1:a", "s1:a", "x2:a", "x2:a", "x2:a", f"s1:a {long}", "s1:a", "x3:a"]):
        engine.ask("s", f"r{ident}", needs)
    engine.put("j", "x1:a")

    def need(ident: str, most: int) -> list[object]:
        [one] = engine.call(calls.explain(engine.scope, ident, most))[4]
        return [[person[-1] for person in one[7]], one[11]]

    assert need("j", 20) == [["s 1", "s 1", "x 2", "x 2", "x 2", "s 1", "s 1", "x 3"], ""]
    assert need("j", 2) == [["s 1", "s 1"], "x2*3 s1*2 x3*1"]
    assert need("r3", 1) == [["s 1"], "s1*1"]
    assert need("r1", 1) == [[], ""]
    assert [one[-1] for one in engine.call(calls.line(engine.scope, "a", 20))[5]][-2:] == ["x 3", "x 1"]
    # However long the line is, so many are looked at; of records that are gone only the number is known.
    gone = {f"gone{place}": place for place in range(200)}
    engine.raw.zadd(engine.key("LINE", "a"), gone)
    assert need("j", 20)[1] == "*128"
    engine.raw.zrem(engine.key("LINE", "a"), *gone)


@reaches("line", "ok")
@reaches("survey", "ok")
def test_a_resource_and_the_namespace_are_shown_page_by_page(engine: Engine) -> None:
    engine.worker("w")
    for name in "abc":
        engine.hold("w", f"r{name}", name)
    engine.ask("w", "waiter", "a")
    engine.put("j")
    reply = engine.call(calls.line(engine.scope, "a", 20))
    assert (reply[2:4], [one[0] for one in reply[4]], [one[0] for one in reply[5]]) == ([1, 1], ["ra"], ["waiter"])
    first = engine.call(calls.survey(engine.scope, "", 2, ""))
    assert [one[0] for one in first[2]] == ["a", "b"]
    assert first[3] == [["default", 1, 0, 0]]
    assert [one[0] for one in engine.call(calls.survey(engine.scope, "b", 2, ""))[2]] == ["c"]


def replay(engine: Engine, ident: str = "j", call: str = "c1") -> list[object]:
    return engine.call(calls.replay(engine.scope, ident, call))


def fail(engine: Engine, outcome: str = "failed", needs: str = "", **options: object) -> None:
    """A job that ended that way."""
    engine.worker("w")
    engine.put("j", needs, **options)
    engine.report("w", engine.claim("w")[0], outcome, value="broke")


@reaches("replay", "ok")
@pytest.mark.parametrize("outcome", ["failed", "dead"])
def test_a_failed_job_is_queued_again_as_new_with_its_payload(engine: Engine, outcome: str) -> None:
    fail(engine, outcome, "a", metadata="{}", end_ms=5000)
    assert replay(engine) == ["ok", "ready"]
    with engine.unchanged():
        assert replay(engine) == ["ok", "ready"]
    [given] = engine.claim("w")
    assert (given.payload, given.attempts, given.deliveries, given.metadata) == ("payload", 0, 1, "{}")
    engine.keep_alive(6, "w")
    engine.sweep()
    assert engine.state("j") == "running"
    engine.report("w", given, outcome)
    assert replay(engine, call="c2") == ["ok", "ready"]


@reaches("replay", "refused", "gone", "queue_full")
def test_what_did_not_fail_is_not_replayed(engine: Engine) -> None:
    fail(engine)
    assert replay(engine, "never-was") == ["gone"]
    engine.hold("w", "r", "a")
    assert replay(engine, "r") == ["gone"]
    engine.rules(max_queue=1)
    engine.put("other")
    assert replay(engine, "other") == ["refused", "ready"]
    assert replay(engine) == ["queue_full", "default", 1]
    engine.raw.hdel(engine.key("REQ", "j"), "data")
    assert replay(engine) == ["gone"]
    engine.raw.hset(engine.key("REQ", "j"), "data", b"payload")


def test_a_replayed_job_holds_its_dedup_key_again_if_it_is_free(engine: Engine) -> None:
    fail(engine, **dedup("k", "reject"))
    replay(engine)
    assert engine.put("j2", **dedup("k", "reject")) == ["rejected", "j", "ready"]


def test_a_replayed_job_leaves_a_dedup_key_to_the_one_that_has_it(engine: Engine) -> None:
    fail(engine, **dedup("k", "reject"))
    engine.put("j2", **dedup("k", "reject"))
    replay(engine)
    assert engine.put("j3", **dedup("k", "reject")) == ["rejected", "j2", "ready"]


def test_a_survey_can_be_of_the_names_that_begin_alike(engine: Engine) -> None:
    engine.open("s")
    for n, name in enumerate(["infra/a", "infra/b", "infrared", "other"]):
        engine.hold("s", f"r{n}", name)

    def names(after: str, most: int, prefix: str) -> list[str]:
        return [one[0] for one in engine.call(calls.survey(engine.scope, after, most, prefix))[2]]

    assert names("", 10, "infra/") == ["infra/a", "infra/b"]
    assert names("", 1, "infra/") == ["infra/a"]
    assert names("infra/a", 10, "infra/") == ["infra/b"]
    assert names("", 10, "nothing") == []


@reaches("dead", "ok")
def test_dead_jobs_are_listed_oldest_first_and_page_by_page(engine: Engine) -> None:
    engine.worker("w")
    for n in range(3):
        engine.put(f"j{n}", owner="me")
        engine.report("w", engine.claim("w")[0], "failed", value="broke")
        engine.advance(1)
    assert engine.beat("w")[0] == "ok"

    def dead(skip: int, most: int, until_ms: int | None = None) -> tuple[int, list[str]]:
        reply = engine.call(calls.dead(engine.scope, skip, most, until_ms))
        assert all(one[1:3] == ["failed", "work"] and one[6:8] == ["broke", "me"] for one in reply[3])
        return reply[2], [one[0] for one in reply[3]]

    assert dead(0, 2) == (3, ["j0", "j1"])
    assert dead(2, 2) == (3, ["j2"])
    assert dead(0, 9, engine.now - 2000) == (2, ["j0", "j1"])


@reaches("events", "ok")
def test_events_are_read_from_the_newest_or_after_one_that_is_known(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a")
    engine.ask("s", "next", "a")
    engine.release("r", fence)

    def events(after: str, most: int = 10) -> list[tuple[str, str]]:
        reply = engine.call(calls.events(engine.scope, after, most))
        return [(ident, words[words.index("event") + 1]) for ident, words in reply[2]]

    seen = events("")
    assert [what for _, what in seen] == ["ask", "grant", "ask", "release", "grant"]
    assert events("", 1) == seen[-1:]
    assert events(seen[0][0]) == seen[1:]
    assert events(seen[-1][0]) == []


def test_the_events_stream_is_capped_and_can_be_off(engine: Engine) -> None:
    engine.rules(max_events=0)
    engine.open("s")
    engine.release("r", engine.hold("s", "r", "a"))
    assert engine.raw.exists(engine.key("EVENTS")) == 0
    engine.rules(max_events=100)
    for n in range(150):
        engine.call(calls.define(engine.scope, "a", Deed("op", "test", f"c{n}"), {"capacity": n % 7 + 1}))
    assert engine.raw.xlen(engine.key("EVENTS")) <= 200  # the cap is by whole nodes of the stream, of 100 each
