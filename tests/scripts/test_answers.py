"""Answers: a dedup key that outlives the success of its job, what is read of it, and who is told when it goes."""

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Report
from tests.scripts.reach import reaches
from tests.support.engine import Engine, dedup, job

KEY = "~answer/1"
FRESH = dedup(KEY, "join", "until_stale", ttl_ms=5000)


def recall(engine: Engine, *keys: str, session: str = "p") -> list[object]:
    reply = engine.call(calls.recall(engine.scope, session, keys))
    return reply[1:] if reply[0] == "ok" else reply


def forget(engine: Engine, *keys: str, after: str = "") -> str:
    return str(engine.call(calls.forget(engine.scope, after, keys))[1])


def warm(engine: Engine, *answers: tuple[str, str, bytes], ttl_ms: int = 5000) -> None:
    assert engine.call(calls.warm(engine.scope, "", "work", ttl_ms, answers)) == ["ok", ""]


def run(engine: Engine, outcome: str = "succeeded", value: str = "42") -> str:
    """Submit one job with the key and report its outcome; its id."""
    engine.worker("w")
    ident = f"j{engine.raw.hlen(engine.key('STATS'))}"
    assert engine.put(ident, **FRESH)[0] == "accepted"
    [given] = engine.claim("w")
    assert engine.report("w", given, outcome, value=value) == ["ok", ""]
    return ident


@reaches("recall", "ok")
def test_an_answer_is_kept_for_its_time_from_the_success_on(engine: Engine) -> None:
    engine.open("p")
    engine.worker("w")
    assert recall(engine, KEY) == [[]]
    engine.put("j", **FRESH)
    engine.keep_alive(60, "p", "w")  # far longer than it is good: while it is under way that does not matter
    assert recall(engine, KEY) == [["j", "", ""]]
    assert engine.put("k", **FRESH) == ["duplicate", "j", "joined"]
    [given] = engine.claim("w")
    engine.report("w", given, "succeeded", value="42")
    assert recall(engine, "other", KEY) == [[], ["j", "5000", "42"]]
    engine.advance(4.999)
    assert recall(engine, KEY) == [["j", "1", "42"]]
    assert engine.put("l", **FRESH) == ["duplicate", "j", "joined"]
    engine.advance(0.001)
    assert recall(engine, KEY) == [[]]
    assert engine.put("m", **FRESH)[0] == "accepted"


@pytest.mark.parametrize("outcome", ["failed", "dead", "cancelled"])
def test_what_does_not_succeed_keeps_no_answer(engine: Engine, outcome: str) -> None:
    engine.open("p")
    run(engine, outcome, "why")
    assert recall(engine, KEY) == [[]]
    assert engine.put("next", **FRESH)[0] == "accepted"


def test_a_retry_is_still_under_way(engine: Engine) -> None:
    engine.open("p")
    engine.worker("w")
    engine.put("j", **FRESH)
    [given] = engine.claim("w")
    engine.report("w", given, "retry", delay_ms=1000, value="why")
    assert recall(engine, KEY) == [["j", "", ""]]


def test_an_answer_that_is_good_for_longer_than_results_are_kept_outlives_them(engine: Engine) -> None:
    engine.rules(result_ms=1000)
    engine.open("p")
    ident = run(engine)
    engine.advance(4)
    assert engine.call(calls.watch(engine.scope, ident, "p")) == ["final", "succeeded", "", "42"]
    assert 4000 < engine.raw.pttl(engine.key("RESULT", ident)) <= 5000


def test_a_job_whose_key_was_forgotten_meanwhile_gives_no_answer(engine: Engine) -> None:
    engine.open("p")
    engine.worker("w")
    engine.put("old", **FRESH)
    [given] = engine.claim("w")
    forget(engine, KEY)
    assert engine.put("new", **FRESH)[0] == "accepted"
    engine.report("w", given, "succeeded", value="old")
    assert recall(engine, KEY) == [["new", "", ""]]


@reaches("warm", "ok")
def test_a_stored_answer_is_that_of_a_job_that_succeeded(engine: Engine) -> None:
    engine.open("p")
    warm(engine, (KEY, "r1", b"42"), ("~answer/2", "r2", b""))
    assert recall(engine, KEY, "~answer/2") == [["r1", "5000", "42"], ["r2", "5000", ""]]
    assert engine.put("j", **FRESH) == ["duplicate", "r1", "joined"]
    assert engine.call(calls.watch(engine.scope, "r1", "p")) == ["final", "succeeded", "", "42"]
    engine.advance(5)
    assert recall(engine, KEY) == [[]]


def test_storing_again_under_the_same_ids_changes_nothing(engine: Engine) -> None:
    engine.open("p")
    warm(engine, (KEY, "r1", b"42"))
    warm(engine, (KEY, "r2", b"43"))
    warm(engine, (KEY, "r1", b"42"))
    assert recall(engine, KEY) == [["r2", "5000", "43"]]


@reaches("forget", "ok")
def test_whoever_has_read_answers_is_told_when_they_go(engine: Engine) -> None:
    engine.open("p")
    engine.open("q")
    engine.open("bystander")
    warm(engine, (KEY, "r1", b"42"))
    recall(engine, KEY, session="p")
    recall(engine, KEY, session="q")
    assert forget(engine, KEY) == ""
    assert recall(engine, KEY) == [[]]
    assert engine.inbox("p") == engine.inbox("q") == [f"stale {KEY}"]
    assert engine.inbox("bystander") == []
    warm(engine, (KEY, "r2", b"43"))
    assert engine.inbox("p") == [f"stale {KEY}"]
    forget(engine, *(f"~answer/{n}" for n in range(17)))
    assert engine.inbox("p") == ["stale *"]


def test_very_many_are_told_in_pages_and_the_answer_goes_with_the_first(engine: Engine) -> None:
    for number in range(501):
        engine.raw.zadd(engine.key("SESSIONS"), {f"s{number:03}": engine.now + 10_000})
    engine.raw.zadd(engine.key("NEAR"), {f"s{number:03}": 0 for number in range(501)})
    last = forget(engine, KEY)
    assert last == "s499"
    warm_again = job("late", **FRESH)
    assert engine.submit(warm_again)[0][0] == "accepted"
    assert forget(engine, KEY, after=last) == ""
    assert engine.raw.exists(engine.key("DEDUP", KEY)), "the second page must not drop what is new"
    assert [len(engine.inbox(f"s{number:03}")) for number in (0, 499, 500)] == [1, 1, 1]
    for number in range(501):
        engine.raw.delete(engine.key("INBOX", f"s{number:03}"), engine.key("SESSION", f"s{number:03}"))


@reaches("recall", "session_lost")
def test_a_lapsed_session_reads_nothing_and_is_told_nothing(engine: Engine) -> None:
    engine.open("p")
    recall(engine, KEY)
    engine.advance(11)
    assert recall(engine, KEY) == ["session_lost"]
    engine.sweep_all()
    assert engine.raw.zcard(engine.key("NEAR")) == 0


def test_the_answer_of_a_worker_that_reports_twice_is_the_same(engine: Engine) -> None:
    engine.open("p")
    engine.worker("w")
    engine.put("j", **FRESH)
    [given] = engine.claim("w")
    for _ in range(2):
        assert engine.settle("w", Report(given.ident, given.fence, "succeeded", 0, "42")) == [["ok", ""]]
    assert recall(engine, KEY) == [["j", "5000", "42"]]
