"""Texts in buckets: who shares them, how long, and how many."""

from typing import Any

from coordinator.wire import calls
from tests.scripts.reach import reaches
from tests.support.engine import Engine


def enter(engine: Engine, ident: str, *buckets: str, ttl_ms: int = 5000) -> list[Any]:
    return engine.call(calls.index_text(engine.scope, ident, ttl_ms, f"text of {ident}", buckets))


def look(engine: Engine, *buckets: str, most: int = 8) -> list[Any]:
    reply = engine.call(calls.similar(engine.scope, most, buckets))
    assert reply[0] == "ok"
    return reply[1:]


def idents(found: list[Any]) -> list[str]:
    return [one[0] for one in found]


@reaches("similar", "ok")
@reaches("index_text", "ok")
def test_who_shares_most_buckets_comes_first(engine: Engine) -> None:
    for ident in ("j1", "j2", "j3"):
        engine.put(ident)
    assert look(engine, "a", "b", "c") == []
    enter(engine, "j1", "a", "x", "y")
    enter(engine, "j2", "a", "b", "z")
    assert enter(engine, "j3", "p", "q", "r") == ["ok"]
    assert look(engine, "a", "b", "c") == [["j2", "ready", "text of j2"], ["j1", "ready", "text of j1"]]
    assert idents(look(engine, "a", "b", "c", most=1)) == ["j2"]


@reaches("index_text", "gone")
def test_only_what_was_accepted_is_entered(engine: Engine) -> None:
    with engine.unchanged():
        assert enter(engine, "never", "a") == ["gone"]


def test_entering_twice_is_entering_once(engine: Engine) -> None:
    engine.put("j1")
    enter(engine, "j1", "a", "b")
    with engine.unchanged():
        assert enter(engine, "j1", "a", "b") == ["ok"]


def test_a_bucket_keeps_the_newest(engine: Engine) -> None:
    for number in range(20):
        engine.put(f"j{number:02}")
        enter(engine, f"j{number:02}", "a")
    assert idents(look(engine, "a", most=100)) == [f"j{number:02}" for number in range(4, 20)]


def test_texts_and_buckets_go_by_themselves(engine: Engine) -> None:
    engine.put("j1")
    engine.put("j2")
    enter(engine, "j1", "a", ttl_ms=60_000)
    engine.raw.pexpire(engine.key("GIST", "j1"), 1)
    while engine.raw.exists(engine.key("GIST", "j1")):
        pass
    enter(engine, "j2", "a", ttl_ms=5000)
    assert idents(look(engine, "a")) == ["j2"]
    assert 0 < engine.raw.pttl(engine.key("BAND", "a")) <= 5000


def test_a_job_whose_record_has_gone_is_not_found(engine: Engine) -> None:
    engine.put("j1")
    enter(engine, "j1", "a")
    engine.cancel("j1")
    assert look(engine, "a") == [["j1", "cancelled", "text of j1"]]
    engine.raw.delete(engine.key("REQ", "j1"))
    assert look(engine, "a") == []
