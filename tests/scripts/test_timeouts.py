"""What the fleet has seen of how long things take, counted over a moving day, and the timeouts that follow from it."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Lesson, Lessons
from tests.scripts.reach import reaches
from tests.support.engine import HOUR, Engine

PACE = 1800
THING = "operation/apply"


@pytest.fixture
def fleet(engine: Engine) -> Engine:
    for session in ("s", "t"):
        engine.open(session)
    return engine


def learn(engine: Engine, number: int, *things: Lesson, session: str = "s", most: int = 100) -> list[Any]:
    return engine.call(calls.learn(engine.scope, session, Lessons(number, most, PACE, things)))


def lesson(name: str = THING, counts: dict[str | int, int] | None = None, **changed: Any) -> Lesson:
    plain = Lesson(name, 60_000, "", -1, 0, 0, 0, counts or {})
    return plain._replace(**changed)


def window(engine: Engine, name: str = THING) -> dict[str, int]:
    return {one.decode(): int(count) for one, count in engine.raw.hgetall(engine.key("TIMINGS", name)).items()}


def kept(engine: Engine, name: str = THING) -> dict[str, str]:
    return {one.decode(): value.decode() for one, value in engine.raw.hgetall(engine.key("TIMEOUT", name)).items()}


@reaches("learn", "ok", "session_lost")
def test_what_several_processes_see_adds_up(fleet: Engine) -> None:
    assert learn(fleet, 1, session="nobody") == ["session_lost"]
    assert learn(fleet, 1, lesson(counts={"ok": 2, 96: 2})) == [
        "ok",
        [THING, "60000", "0", "2", ["ok", "2", "96", "2"]],
    ]
    [_, [*_head, total, counts]] = learn(fleet, 1, lesson(counts={"ok": 1, "late": 1, 96: 1, 200: 1}), session="t")
    assert total == "4"
    assert dict(zip(counts[::2], counts[1::2], strict=True)) == {"ok": "3", "late": "1", "96": "3", "200": "1"}


def test_whoever_knows_the_total_is_not_told_again(fleet: Engine) -> None:
    learn(fleet, 1, lesson(counts={"ok": 2, 96: 2}))
    assert learn(fleet, 1, lesson(total=2), session="t") == ["ok", [THING, "60000", "0", "2", []]]
    assert learn(fleet, 2, lesson(total=1), session="t")[1][4] != []


def test_a_report_that_is_repeated_counts_once(fleet: Engine) -> None:
    told = lesson(counts={"ok": 1, 96: 1}, next_ms=50_000)
    first = learn(fleet, 1, told)
    assert learn(fleet, 1, told) == first
    assert window(fleet) == {"ok": 1, "96": 1}
    assert kept(fleet)["version"] == "1"
    learn(fleet, 2, told)
    assert window(fleet) == {"ok": 2, "96": 2}


def test_a_timeout_moves_from_the_version_that_was_looked_at_and_at_its_pace(fleet: Engine) -> None:
    assert learn(fleet, 1, lesson(next_ms=57_000))[1][1:3] == ["57000", "1"]
    # Somebody else had the same wish from the same figures; and the next is too soon.
    assert learn(fleet, 1, lesson(next_ms=57_000), session="t")[1][1:3] == ["57000", "1"]
    assert learn(fleet, 2, lesson(version=1, next_ms=54_000))[1][1:3] == ["57000", "1"]
    fleet.advance(2)
    assert learn(fleet, 2, lesson(version=0, next_ms=54_000), session="t")[1][1:3] == ["57000", "1"]
    assert learn(fleet, 3, lesson(version=1, next_ms=54_000))[1][1:3] == ["54000", "2"]


def test_a_move_by_more_than_a_fifth_is_told_of(fleet: Engine) -> None:
    for number, wish in enumerate((55_000, 49_000, 47_000, 40_000, 38_000), 1):
        learn(fleet, number, lesson(version=number - 1, next_ms=wish, p99_ms=20_000))
        fleet.advance(2)
    events = [entry for _id, entry in fleet.call(calls.events(fleet.scope, "", 10))[2]]
    told = [dict(zip(one[::2], one[1::2], strict=True)) for one in events if one[1] == "timeout"]
    assert [(one["id"], one["from"], one["to"], one["p99"]) for one in told] == [(THING, "60000", "47000", "20000")]


def test_the_window_leaves_behind_what_is_older_than_a_day(fleet: Engine) -> None:
    learn(fleet, 1, lesson(counts={"ok": 5, 96: 5}))
    fleet.keep_alive(12 * HOUR, "s")
    learn(fleet, 2, lesson(counts={"ok": 1, 100: 1}))
    assert window(fleet) == {"ok": 6, "96": 5, "100": 1}
    fleet.keep_alive(12 * HOUR, "s")
    assert learn(fleet, 3, lesson(counts={"late": 1, 200: 1}))[1][3] == "2"
    assert window(fleet) == {"ok": 1, "100": 1, "late": 1, "200": 1}


def test_a_timeout_that_nobody_asks_about_is_forgotten(fleet: Engine) -> None:
    learn(fleet, 1, lesson(counts={"ok": 5, 96: 5}))
    assert all(kept.has_ttl for key, kept in fleet.census().items() if ":tim" in key and not key.endswith("timeouts"))
    fleet.keep_alive(26 * HOUR, "s")
    learn(fleet, 2, lesson("operation/other"))
    assert fleet.raw.zrange(fleet.key("TIMEOUTS"), 0, -1) == [b"operation/other"]


def test_beyond_so_many_things_all_others_of_a_type_are_one(fleet: Engine) -> None:
    learn(fleet, 1, lesson("lock/a", {"ok": 1, 1: 1}), lesson("lock/b", {"ok": 1, 1: 1}), most=2)
    reply = learn(
        fleet,
        2,
        *(lesson(name, {"ok": 1, 1: 1}) for name in ("lock/c", "lock/d", "operation/x", "lock/a")),
        most=2,
    )
    assert [one[0] for one in reply[1:]] == ["lock/~other", "lock/~other", "operation/~other", "lock/a"]
    assert window(fleet, "lock/~other") == {"ok": 2, "1": 2}
    assert fleet.raw.zcard(fleet.key("TIMEOUTS")) == 4


def test_how_long_locks_are_held_is_listed_apart_and_takes_no_room(fleet: Engine) -> None:
    seen = {"ok": 1, 1: 1}
    reply = learn(fleet, 1, *(lesson(f"hold/{name}", seen) for name in "abc"), lesson("lock/a", seen), most=2)
    assert [one[0] for one in reply[1:]] == ["hold/a", "hold/b", "hold/~other", "lock/a"]
    listed = fleet.call(calls.timeouts(fleet.scope, 10))
    assert [one[0] for one in listed[2:]] == ["lock/a"]
    named = fleet.call(calls.timeouts(fleet.scope, 10, ["hold/a", "hold/~other"]))
    assert [one[0] for one in named[2:]] == ["hold/a", "hold/~other"]
    fleet.keep_alive(26 * HOUR, "s")
    learn(fleet, 2, lesson("lock/a"))
    assert fleet.raw.exists(fleet.key("HOLDS")) == 0


def test_one_call_puts_together_a_bounded_number_of_windows(fleet: Engine) -> None:
    names = [f"lock/{number}" for number in range(12)]
    learn(fleet, 1, *(lesson(name, {"ok": 1, 1: 1}) for name in names))
    fleet.keep_alive(HOUR, "s")
    for number, wanted in ((2, 8), (3, 12)):
        before = {name: kept(fleet, name)["hour"] for name in names}
        learn(fleet, number, *(lesson(name) for name in names))
        assert sum(kept(fleet, name)["hour"] > min(before.values()) for name in names) == wanted
    assert all(window(fleet, name) == {"ok": 1, "1": 1} for name in names)


@reaches("timeouts", "ok")
def test_timeouts_are_listed_newest_first_or_by_name(fleet: Engine) -> None:
    learn(fleet, 1, lesson("lock/a", {"ok": 1, 1: 1}))
    fleet.advance(1)
    learn(fleet, 2, lesson(strategy="quantile"))

    def listed(most: int, *names: str) -> list[str]:
        return [one[0] for one in fleet.call(calls.timeouts(fleet.scope, most, names))[2:]]

    assert listed(10) == [THING, "lock/a"]
    assert listed(1) == [THING]
    assert listed(10, "lock/a", "lock/nothing") == ["lock/a"]
    [name, seen, fields, counts] = fleet.call(calls.timeouts(fleet.scope, 10, ["lock/a"]))[2]
    assert (name, int(seen), counts) == ("lock/a", fleet.now - 1000, ["ok", "1", "1", "1"])
    assert dict(zip(fields[::2], fields[1::2], strict=True))["now"] == "60000"
