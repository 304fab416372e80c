"""Who gets into a queue that fills up, and who has to go for it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.policy import shed
from coordinator.policy.shed import Shedding
from coordinator.wire import calls
from tests.scripts.reach import reaches
from tests.support.engine import Engine, dedup, job

LIMIT = 10


def soften(engine: Engine, limit: int = LIMIT, policy: Shedding | None = None) -> None:
    """LOW is refused from 8 of 10 on until there are fewer than 7, NORMAL from 9 until there are fewer than 8."""
    chosen = policy or Shedding()
    begin, end = round(chosen.begin * 1000), round(chosen.end * 1000)
    engine.rules(max_queue=limit, shedding=1, shed_begin=begin, shed_end=end, max_events=10_000)


@pytest.fixture
def full(engine: Engine) -> Engine:
    """As many as there is room for: two LOW jobs `l0` and `l1`, seven NORMAL ones `n0` to `n6`, a HIGH one `h0`."""
    soften(engine)
    engine.submit(*(job(f"l{n}", priority=0) for n in range(2)), *(job(f"n{n}") for n in range(7)))
    engine.put("h0", priority=2)
    return engine


def words(answers: Sequence[Sequence[Any]]) -> list[str]:
    return [one[0] for one in answers]


def happened(engine: Engine, event: str) -> list[dict[bytes, bytes]]:
    """The events of a kind, the oldest first."""
    found = engine.raw.xrange(engine.key("EVENTS"))
    return [fields for _, fields in found if fields[b"event"] == event.encode()]


@reaches("submit", "overloaded")
def test_low_is_refused_first_then_normal_and_nobody_else(engine: Engine) -> None:
    soften(engine)
    engine.submit(*(job(f"j{n}", priority=0) for n in range(8)))
    engine.advance(10.001)
    assert engine.put("low", priority=0) == ["overloaded", "default", 8, LIMIT, 7, 10_000, 8]
    assert engine.put("normal")[0] == "accepted"
    assert engine.put("normal2") == ["overloaded", "default", 9, LIMIT, 8, 10_000, 1]
    assert engine.put("high", priority=2)[0] == "accepted"
    assert engine.put("elsewhere", priority=0, queue="other")[0] == "accepted"


def test_refusing_ends_at_a_lower_share_than_it_begins(engine: Engine) -> None:
    soften(engine)
    engine.worker("w")
    engine.submit(*(job(f"j{n}") for n in range(8)))
    assert engine.raw.hgetall(engine.key("SHEDDING")) == {b"default": b"1"}
    engine.claim("w", 1)
    assert engine.put("low", priority=0)[0] == "overloaded"
    engine.claim("w", 1)
    assert engine.put("l1", priority=0)[0] == "accepted"
    assert not engine.raw.exists(engine.key("SHEDDING"))
    assert engine.raw.hget(engine.key("META"), "shed") is None
    assert words(engine.submit(*(job(f"m{n}", priority=0) for n in range(3)))) == ["accepted", *["overloaded"] * 2]
    assert [one[b"level"] for one in happened(engine, "overload")] == [b"1", b"0", b"1"]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_scripts_decide_as_the_policy_does(engine: Engine, data: st.DataObject) -> None:
    policy = data.draw(st.sampled_from((Shedding(), Shedding(0.5, 0.3), Shedding(0.6, 0.6), Shedding(1, 0.1))))
    soften(engine, 20, policy)
    queue = f"q{engine.now_us}"
    engine.advance(1)
    worker = engine.worker(f"w{engine.now_us}", queue)
    bands, before, count = policy.bands(20), 0, 0
    for number in range(data.draw(st.integers(1, 40))):
        if data.draw(st.integers(0, 2)) == 0:
            count -= len(engine.claim(worker, data.draw(st.integers(1, 5)), queue))
            continue
        priority = data.draw(st.sampled_from((0, 0, 1, 1, 2)))
        at = shed.level(before, count, bands)
        answer = engine.put(f"{queue}-{number}", priority=priority, queue=queue)
        assert (answer[0] == "overloaded") == shed.refuses(at, priority)
        if answer[0] == "accepted":
            count = min(count + 1, 20)
            before = shed.level(at, count, bands)
    assert int(engine.raw.hget(engine.key("SHEDDING"), queue) or 0) == before


def test_a_full_queue_lets_a_more_urgent_job_in_for_the_last_that_is_less_so(full: Engine) -> None:
    full.advance(7.001)
    assert full.put("e", priority=4)[0] == "accepted"
    assert (full.state("l1"), full.state("l0")) == ("shed", "ready")
    [told] = happened(full, "shed")
    assert (told[b"id"], told[b"by"], told[b"shed"]) == (b"l1", b"e", b"10 10 7 7000 9")
    assert full.field("l1", "why") == "displaced by a more urgent job"
    assert full.raw.zcard(full.key("READY", "default")) == LIMIT
    assert full.payload("l1") is None
    full.open("s")
    assert full.call(calls.watch(full.scope, "l1", "s"))[3] == "10 10 7 7000 9 default"


def test_of_a_call_as_many_are_displaced_as_are_let_in(full: Engine) -> None:
    answers = full.submit(*(job(f"x{n}", priority=2 + n % 2) for n in range(12)))
    assert words(answers) == ["accepted"] * 9 + ["accepted"] + ["queue_full", "accepted"]
    gone = [one[b"id"] for one in happened(full, "shed")]
    assert len(gone) == 11
    assert gone[:9] == [b"l1", b"l0", *(f"n{n}".encode() for n in range(6, -1, -1))]
    assert full.raw.zcard(full.key("READY", "default")) == LIMIT


def test_equals_and_the_less_urgent_displace_nobody(engine: Engine) -> None:
    soften(engine)
    engine.submit(*(job(f"j{n}", priority=2) for n in range(LIMIT)))
    assert words(engine.submit(*(job(f"x{n}", priority=n) for n in range(3)))) == [
        "overloaded",
        "overloaded",
        "queue_full",
    ]
    assert {engine.state(f"j{n}") for n in range(LIMIT)} == {"ready"}


def test_a_job_that_waits_can_be_displaced_and_leaves_its_lines_and_its_key(engine: Engine) -> None:
    soften(engine)
    engine.worker("w")
    engine.hold("w", "r", "a")
    engine.submit(*(job(f"j{n}", priority=2) for n in range(6)))
    engine.put("low", "a", priority=0, **dedup("k"))
    engine.submit(*(job(f"h{n}", priority=2) for n in range(3)))
    assert engine.line("a") == ["low"]
    assert engine.put("e", "a", priority=4, **dedup("k", "reject")) == ["rejected", "low", "waiting"]
    assert engine.put("e", "a", priority=4)[0] == "accepted"
    assert (engine.state("low"), engine.line("a")) == ("shed", ["e"])
    assert not engine.raw.exists(engine.key("DEDUP", "k"))


def test_a_refused_job_displaces_nobody(full: Engine) -> None:
    with full.unchanged():
        assert full.put("e", "x9:a", priority=4)[0] == "over_capacity"
    assert full.state("l1") == "ready"


def test_a_repeated_call_displaces_no_second_one(full: Engine) -> None:
    for _ in range(2):
        assert full.put("e", priority=4)[0] == "accepted"
    assert len(happened(full, "shed")) == 1
    assert full.put("l1", priority=0) == ["accepted", "l1", "shed"]


def test_what_was_accepted_comes_back_however_full_it_is(engine: Engine) -> None:
    soften(engine)
    engine.worker("w")
    engine.submit(*(job(f"j{n}", priority=0) for n in range(2)))
    first, second = engine.claim("w", 2)
    engine.submit(*(job(f"n{n}") for n in range(9)))
    engine.put("h", priority=2)
    assert engine.put("low", priority=0)[0] == "overloaded"
    engine.report("w", first, "released")
    engine.report("w", second, "retry", 1000)
    engine.advance(2)
    engine.sweep_all()
    assert (engine.state("j0"), engine.state("j1")) == ("ready", "ready")
    assert words(engine.submit(job("l", priority=0), job("n"))) == ["overloaded", "overloaded"]
    assert not happened(engine, "shed")


def test_delayed_jobs_have_the_hard_limit_only(engine: Engine) -> None:
    soften(engine)
    answers = engine.submit(*(job(f"d{n}", priority=0, delay_ms=1000) for n in range(LIMIT + 1)))
    assert words(answers) == ["accepted"] * LIMIT + ["queue_full"]


def test_old_jobs_that_are_less_urgent_are_found_behind_the_new_ones(engine: Engine) -> None:
    """An hour has made the LOW ones as good as urgent: they stand before those that have just come."""
    soften(engine, 40)
    engine.submit(*(job(f"l{n}", priority=0) for n in range(5)))
    engine.advance(3600)
    engine.submit(*(job(f"e{n}", priority=4) for n in range(35)))
    assert engine.put("e", priority=4)[0] == "accepted"
    assert engine.state("l4") == "shed"


def test_who_was_passed_over_and_then_displaced_for_another_hides_nobody(engine: Engine) -> None:
    """The HIGH job `h` stands behind the older NORMAL ones. It is passed over for the first of the call, and displaced
    for another; for the last nobody must be passed over in its place."""
    engine.submit(job("n0"), job("n1"))
    engine.advance(61)  # a period of aging: who is as urgent as these comes behind the next more urgent level
    engine.submit(job("h", priority=2), *(job(f"u{n}", priority=4) for n in range(3)))
    soften(engine, 6)
    levels = (2, 4, 3, 2)
    assert words(engine.submit(*(job(f"j{n}", priority=level) for n, level in enumerate(levels)))) == ["accepted"] * 4
    assert [engine.state(one) for one in ("n0", "n1", "h", "j0")] == ["shed"] * 4


def test_looking_for_one_to_displace_is_bounded(engine: Engine) -> None:
    soften(engine, 400)
    engine.put("l", priority=0)
    engine.advance(3600)
    engine.submit(*(job(f"e{n}", priority=4) for n in range(399)))
    engine.raw.config_resetstat()
    assert engine.put("e", priority=4)[0] == "queue_full"
    assert engine.raw.info("commandstats")["cmdstat_hget"]["calls"] < 300


def test_what_a_call_displaces_is_bounded(engine: Engine) -> None:
    soften(engine, 200)
    engine.submit(*(job(f"l{n}", priority=0) for n in range(150)), *(job(f"h{n}", priority=2) for n in range(50)))
    answers = words(engine.submit(*(job(f"e{n}", priority=4) for n in range(100))))
    assert answers == ["accepted"] * 64 + ["queue_full"] * 36
    assert len(happened(engine, "shed")) == 64


def test_below_the_soft_limit_nothing_is_asked_for(raw: Any, namespace: str) -> None:
    commands = []
    for name in ("on", "off"):
        engine = Engine(raw, f"{namespace}-{name}", max_queue=100)
        if name == "on":
            soften(engine, 100)
        engine.raw.config_resetstat()
        engine.submit(*(job(f"{name}{n}") for n in range(20)))
        found = engine.raw.info("commandstats")
        commands.append({name: one["calls"] for name, one in found.items() if name[:9] in ("cmdstat_h", "cmdstat_z")})
    assert commands[0] == commands[1]


@pytest.mark.parametrize(
    "row", ["nnnnnnnn", "nnnnnnnnnnnn", "nnonnnlnNnlnnhnnh", "nnnonnnNnnnnnnnnhN", "noNonononononononon"]
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_call_lets_in_whom_as_many_calls_let_in(engine: Engine, row: str, at_once: bool) -> None:
    """LOW, NORMAL and HIGH jobs; `N` has another name, `o` an owner. Of those in a row the room is looked at once,
    and nobody can tell."""
    soften(engine)
    more: dict[str, dict[str, Any]] = {
        "l": {"priority": 0},
        "h": {"priority": 2},
        "N": {"name": "other"},
        "o": {"owner": "me"},
    }
    asks = [job(f"{kind}{n}", **more.get(kind, {})) for n, kind in enumerate(row)]
    answers = engine.submit(*asks) if at_once else [engine.submit(one)[0] for one in asks]
    room, said = 0, []
    for kind in row:
        let_in = room < {"l": 8, "h": LIMIT}.get(kind, 9) or kind == "h"
        said.append("accepted" if let_in else "overloaded")
        room = min(LIMIT, room + let_in)
    assert words(answers) == said
    assert engine.raw.zcard(engine.key("READY", "default")) == room
    level = {8: b"1", 9: b"2", 10: b"2"}
    assert engine.raw.hget(engine.key("SHEDDING"), "default") == level.get(room)
