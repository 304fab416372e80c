"""Settings of the running fleet: changed all or none, over no change that was not seen, and told with every beat."""

from __future__ import annotations

import itertools
from typing import Any

from coordinator.wire import calls
from tests.scripts.reach import reaches
from tests.support.engine import EPOCH_US, HOUR, Engine

EPOCH_MS = EPOCH_US // 1000


def configure(engine: Engine, call_id: str, version: int, terms: str = "", **changes: str) -> list[Any]:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return engine.call(calls.configure(engine.scope, call_id, version, "ops", terms, named))


def config(engine: Engine) -> tuple[int, dict[str, str]]:
    _, version, words, *_ = engine.call(calls.config(engine.scope))
    return int(version), dict(zip(words[::2], words[1::2], strict=True))


@reaches("configure", "ok", "changed")
@reaches("config", "ok")
def test_a_change_is_made_only_over_the_version_it_was_checked_against(engine: Engine) -> None:
    assert config(engine) == (0, {})
    word, first = configure(engine, "c1", 0, a__x="1", b="2")
    assert word == "ok"
    assert config(engine) == (int(first), {"a.x": "1", "b": "2"})
    assert configure(engine, "c2", 0, b="3") == ["changed", first]
    word, second = configure(engine, "c3", int(first), b="", c="4")
    assert int(second) > int(first)
    assert config(engine) == (int(second), {"a.x": "1", "c": "4"})


def test_a_repeated_change_answers_as_the_first_did(engine: Engine) -> None:
    first = configure(engine, "c1", 0, a="1")
    events = len(engine.raw.xrange(engine.key("EVENTS")))
    assert configure(engine, "c1", 0, a="1") == first
    assert len(engine.raw.xrange(engine.key("EVENTS"))) == events


def test_versions_are_never_behind_the_clock_so_that_none_comes_twice_after_a_loss(engine: Engine) -> None:
    _, first = configure(engine, "c1", 0, a="1")
    assert int(first) >= EPOCH_MS
    engine.raw.delete(engine.key("CONFIG"))
    engine.advance(HOUR)
    _, second = configure(engine, "c2", 0, a="2")
    assert int(second) > int(first)


def test_every_change_is_an_event_with_who_and_what(engine: Engine) -> None:
    _, version = configure(engine, "c1", 0, a__x="1", b="7")
    configure(engine, "c2", int(version), a__x="2", b="7")
    events = [fields for _, fields in engine.raw.xrange(engine.key("EVENTS"))]
    told = [{name.decode(): value.decode() for name, value in one.items()} for one in events]
    found = [(one["event"], one["id"], one["was"], one["value"], one["by"]) for one in told]
    assert found == [
        ("configure", "a.x", "", "1", "ops"),
        ("configure", "b", "", "7", "ops"),
        ("configure", "a.x", "1", "2", "ops"),
    ]


@reaches("tell", "ok", "session_lost")
def test_a_live_worker_tells_of_its_gates_anew(engine: Engine) -> None:
    engine.open("w", **{"gates job": "breaker/job:5:3:30000:60000:1"})
    changed = {"job": "breaker/job:1:3:30000:60000:1 rate/job:1:1000"}
    assert engine.call(calls.tell(engine.scope, "w", changed)) == ["ok"]
    assert engine.raw.hget(engine.key("GATES"), "job") == changed["job"].encode()
    assert engine.raw.hget(engine.key("META"), "limits") == b"1"
    engine.advance(11)
    assert engine.call(calls.tell(engine.scope, "w", {"job": ""})) == ["session_lost"]
    assert engine.raw.hget(engine.key("GATES"), "job") == changed["job"].encode()


def test_what_a_process_cannot_take_over_is_one_event(engine: Engine) -> None:
    engine.open("w", host="there", pid="7")
    for refused in ("5 retry: no", "5 retry: no", "", "6 retry: no", "7"):
        assert engine.call(calls.tell(engine.scope, "w", {}, refused)) == ["ok"]
    events = [fields for _, fields in engine.raw.xrange(engine.key("EVENTS"))]
    found = [one for one in events if one[b"event"] == b"config_refused"]
    assert [(one[b"id"], one[b"host"], one[b"pid"], one[b"said"]) for one in found] == [
        (b"w", b"there", b"7", b"5 retry: no"),
        (b"w", b"there", b"7", b"6 retry: no"),
    ]


def test_live_processes_say_which_version_they_go_by_and_what_they_refuse(engine: Engine) -> None:
    def answers(most: int = 9) -> tuple[int, list[list[str]]]:
        found = engine.call(calls.config(engine.scope, most))
        return found[3], sorted(found[4])

    assert answers() == (0, [])
    engine.open("gone", kind="worker")
    engine.advance(11)
    engine.open("new", kind="app", config="4")
    engine.open("w", kind="worker", host="there", pid="7")
    engine.raw.set(engine.key("SESSION", "odd"), "no hash")
    engine.raw.zadd(engine.key("SESSIONS"), {"odd": EPOCH_MS + HOUR * 1000})
    assert engine.call(calls.tell(engine.scope, "w", {}, "5 retry: no")) == ["ok"]
    refused = ["w", "worker", "there", "7", "5 retry: no"]
    assert answers() == (3, [["new", "app", "", "", "4"], refused])
    assert answers(0) == (3, [])
    pages = [engine.call(calls.config(engine.scope, 1, start))[4] for start in range(3)]
    assert sorted(one[0] for one in itertools.chain(*pages)) == ["new", "w"]
    assert engine.call(calls.tell(engine.scope, "w", {}, "6")) == ["ok"]
    assert answers()[1][1] == ["w", "worker", "there", "7", "6"]
    engine.raw.delete(engine.key("SESSION", "odd"))
    engine.raw.zrem(engine.key("SESSIONS"), "odd")


def test_terms_of_the_fleet_hold_for_whoever_calls_next(engine: Engine) -> None:
    engine.worker("s")
    engine.hold("s", "r", "a")
    _, version = configure(engine, "c1", 0, "max_queue=2 max_line=1", max_queue="2", max_line="1")
    assert [engine.put(f"j{n}")[0] for n in range(3)] == ["accepted", "accepted", "queue_full"]
    assert [engine.ask("s", f"r{n}", "a")[0] for n in range(2)] == ["waiting", "line_full"]
    engine.rules(max_queue=1)
    assert engine.put("j3") == ["queue_full", "default", 2]
    configure(engine, "c2", int(version), "shedding=1 max_queue=10 shed_begin=300 shed_end=200", max_queue="10")
    assert [engine.put(f"l{n}", priority=0)[0] for n in range(2)] == ["accepted", "overloaded"]
    configure(engine, "c3", int(config(engine)[0]), max_queue="")
    engine.rules(max_queue=3)
    assert engine.put("j4") == ["queue_full", "default", 3]


def test_shares_that_do_not_go_together_with_the_callers_are_not_taken_over(engine: Engine) -> None:
    engine.rules(max_queue=10, shedding=1, shed_begin=300, shed_end=250)
    configure(engine, "c1", 0, "shed_end=400", shed__end="0.4")
    assert [engine.put(f"l{n}", priority=0)[0] for n in range(4)] == [*["accepted"] * 3, "overloaded"]


def test_each_beat_tells_the_version(engine: Engine) -> None:
    engine.open("s")
    assert engine.call(calls.beat(engine.scope, "s", 1000))[5] == "0"
    _, version = configure(engine, "c1", 0, a="1")
    assert engine.call(calls.beat(engine.scope, "s", 1000))[5] == version
