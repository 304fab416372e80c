"""Queues that are shared by weights among priorities, and workers that share their slots among queues."""

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.policy import share
from coordinator.policy.share import WEIGHTS
from coordinator.wire import calls
from coordinator.wire.calls import Deed, Report
from coordinator.wire.gates import Gates
from tests.support.engine import Engine, Job, job, script_text

SOME = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SHARED = "bulk 16:8:4:2:1"


def fill(engine: Engine, each: int, queue: str = "bulk", priorities: Sequence[int] = range(5)) -> None:
    engine.submit(*(job(f"{queue}{p}-{n}", priority=p, queue=queue) for n in range(each) for p in priorities))


def counted(jobs: Sequence[Job]) -> list[int]:
    """How many there are of each priority, from EMERGENCY to LOW."""
    return [sum(one.priority == priority for one in jobs) for priority in (4, 3, 2, 1, 0)]


def refill(engine: Engine, given: Sequence[Job], mark: str) -> None:
    engine.submit(*(job(f"{mark}-{one.ident}", priority=one.priority, queue=one.queue) for one in given))


def commands(engine: Engine, *queues: str, wanted: int) -> dict[str, int]:
    """What a claim sends to the store."""
    call = calls.claim(engine.scope, "w", engine._claim("w", wanted, queues, None))
    text = script_text("claim", engine._shebang, True)
    engine.raw.config_resetstat()
    engine.raw.eval(text, 1, call.key, *call.args)
    found = engine.raw.info("commandstats")
    return {name.removeprefix("cmdstat_"): one["calls"] for name, one in found.items()}


def test_every_priority_has_its_share_of_a_round(engine: Engine) -> None:
    engine.rules(max_queue=1000)
    engine.worker("w", "bulk")
    fill(engine, 20)
    assert counted(engine.claim("w", 31, SHARED)) == list(WEIGHTS)


def test_the_order_within_a_priority_is_that_of_arrival(engine: Engine) -> None:
    engine.worker("w", "bulk")
    fill(engine, 6)
    given = engine.claim("w", 20, SHARED)
    for priority in range(5):
        mine = [one.ident for one in given if one.priority == priority]
        assert mine == [f"bulk{priority}-{n}" for n in range(len(mine))]


def test_low_moves_while_the_urgent_never_end_and_strict_order_is_as_it_was(engine: Engine) -> None:
    engine.rules(max_queue=1000)
    engine.worker("w", "bulk")
    fill(engine, 20, priorities=(4, 4, 0))
    turns = 0
    for number in range(30):
        (given,) = engine.claim("w", 1, SHARED)
        refill(engine, [given], f"again{number}")
        turns = 0 if given.priority == 0 else turns + 1
        assert turns <= share.patience(WEIGHTS, 4)
    strict = engine.claim("w", 20, "bulk")
    assert {one.priority for one in strict} == {4}


@SOME
@given(data=st.data())
def test_the_scripts_decide_as_the_policy_does(engine: Engine, data: st.DataObject) -> None:
    """Random arrivals, claims of random sizes, jobs that go away, are put off or change their priority meanwhile."""
    weights = data.draw(st.sampled_from([WEIGHTS, (1, 1, 1, 1, 1), (7, 5, 3, 2, 1), (1, 2, 3, 4, 5)]))
    queue = f"q{engine.now_us}"
    word = f"{queue} {':'.join(map(str, weights))}"
    engine.advance(1)
    engine.rules(max_queue=1000)
    worker = engine.worker(f"w{engine.now_us}", queue)
    leads, there = share.at_rest(weights), dict[int, list[str]]((p, []) for p in range(5))
    for step in range(data.draw(st.integers(1, 5))):
        arrived = data.draw(st.lists(st.integers(0, 4), max_size=12))
        idents = [f"{queue}-{step}-{number}" for number in range(len(arrived))]
        engine.submit(*(job(one, priority=p, queue=queue) for one, p in zip(idents, arrived, strict=True)))
        for ident, priority in zip(idents, arrived, strict=True):
            there[priority].append(ident)
        if data.draw(st.booleans()) and there[2]:
            engine.cancel(there[2].pop())
        if data.draw(st.booleans()) and there[0]:
            moved = there[0].pop()
            engine.call(calls.reprioritise(engine.scope, moved, 3))
            there[3].append(moved)
            # Its place is that of its arrival.
            there[3].sort(key=lambda one: float(engine.raw.zscore(engine.key("READY", queue), one)))
        wanted = data.draw(st.integers(1, 9))
        expected = []
        while len(expected) < wanted:
            one = share.following(leads, [4 - p for p in there if there[p]])
            if one is None:
                break
            expected.append(there[4 - one].pop(0))
            leads = share.taken(leads, weights, one)
        assert [one.ident for one in engine.claim(worker, wanted, word)] == expected


def test_workers_take_turns_together(engine: Engine) -> None:
    """Each claims one job at a time: the turns are those of the fleet."""
    for name in ("a", "b", "c"):
        engine.worker(name, "bulk")
    fill(engine, 18)
    given = [engine.claim(name, 1, SHARED)[0] for _ in range(5) for name in ("a", "b", "c")]
    leads, expected = share.at_rest(WEIGHTS), []
    for _ in given:
        one = share.following(leads, range(5))
        assert one is not None
        expected.append(4 - one)
        leads = share.taken(leads, WEIGHTS, one)
    assert [one.priority for one in given] == expected


def test_what_was_there_before_is_shared_too(engine: Engine) -> None:
    """More than one look puts into the index; the urgent come first."""
    engine.rules(max_queue=1000)
    engine.worker("w", "bulk")
    for part in range(4):
        engine.submit(*(job(f"m{part}-{n}", queue="bulk") for n in range(100)))
    engine.put("low", priority=0, queue="bulk")
    assert "low" not in [one.ident for one in engine.claim("w", 2, SHARED)]
    assert engine.raw.zcard(engine.key("CLASS", "bulk:1")) == 126
    for _ in range(3):
        last = engine.claim("w", 1, SHARED)
    assert [one.ident for one in last] == ["low"]
    assert engine.raw.zcard(engine.key("CLASS", "bulk:1")) == 396


def test_an_index_that_was_lost_comes_back(engine: Engine) -> None:
    engine.worker("w", "bulk")
    fill(engine, 5)
    engine.claim("w", 2, SHARED)
    engine.raw.delete(engine.key("CLASS", "bulk:0"), engine.key("CLASS", "bulk:4"))
    engine.raw.hdel(engine.key("META"), "shares")
    engine.put("late", priority=0, queue="bulk")
    given = engine.claim("w", 24, SHARED)
    assert len(given) == 24
    assert "late" in [one.ident for one in given]


def test_a_job_at_a_gate_costs_its_priority_no_turn(engine: Engine) -> None:
    engine.open("w", queues="bulk", **{"gates shut": Gates(("shut",)).to_wire("shut")})
    engine.call(calls.set_breaker(engine.scope, "shut", "open", 60_000, Deed("me", "test", "c1")))
    engine.submit(*(job(f"s{n}", name="shut", priority=4, queue="bulk") for n in range(6)))
    fill(engine, 4, priorities=(2, 0))
    given = engine.claim("w", 5, SHARED)
    assert counted(given) == [0, 0, 4, 0, 1]
    assert engine.state("s0") == "waiting"


def test_a_job_of_a_line_keeps_its_place_there(engine: Engine) -> None:
    engine.worker("w", "bulk")
    for number in range(3):
        engine.put(f"n{number}", "a", priority=1, queue="bulk")
    engine.put("h", "a", priority=3, queue="bulk")
    fill(engine, 3, priorities=(4,))
    given = engine.claim("w", 9, SHARED)
    assert [one.ident for one in given if one.needs] == ["h"]
    assert engine.line("a") == ["n0", "n1", "n2"]


def test_queues_have_their_shares_of_a_worker(engine: Engine) -> None:
    engine.worker("w", "default", "bulk")
    fill(engine, 40, "default", (1,))
    fill(engine, 40, "bulk", (4,))
    given = engine.claim("w", 40, "default=3", "bulk=1")
    assert [sum(one.queue == name for one in given) for name in ("default", "bulk")] == [30, 10]
    # An empty queue costs the other nothing.
    assert len(engine.claim("w", 40, "default=3", "bulk=1")) == 40


def test_queues_without_weights_are_served_by_rank_whatever_is_shared_within_one(engine: Engine) -> None:
    engine.worker("w", "default", "bulk")
    fill(engine, 4, "bulk", (4, 0))
    fill(engine, 4, "default", (2,))
    given = engine.claim("w", 12, "default", SHARED)
    assert len(given) == 12
    # As long as bulk has the most urgent job the turn is its own, also that of its LOW.
    assert [one.queue for one in given[:5]] == ["bulk"] * 5
    assert 0 in [one.priority for one in given[:5]]


def test_queues_and_priorities_share_at_once(engine: Engine) -> None:
    engine.worker("w", "default", "bulk")
    fill(engine, 10, "bulk", (4, 0))
    fill(engine, 20, "default", (1,))
    given = engine.claim("w", 24, "default=1", f"bulk=1{SHARED[4:]}")
    assert [sum(one.queue == name for one in given) for name in ("default", "bulk")] == [12, 12]
    assert counted([one for one in given if one.queue == "bulk"]) == [10, 0, 0, 0, 2]


def test_strict_order_costs_no_more_than_ever(engine: Engine) -> None:
    engine.worker("w", "bulk")
    fill(engine, 10)
    strict = commands(engine, "bulk", wanted=4)
    assert strict["zrange"] == 1
    assert "zcard" not in strict
    assert not {"hexists", "hlen"} & set(strict)


def test_a_look_at_a_shared_queue_is_bounded(engine: Engine) -> None:
    engine.rules(max_queue=10_000)
    engine.worker("w", "bulk")
    for part in range(6):
        engine.submit(*(job(f"m{part}-{n}", queue="bulk", priority=n % 5) for n in range(150)))
    engine.claim("w", 1, SHARED)
    found = commands(engine, SHARED, wanted=8)
    assert found["zrange"] == 5
    assert found["zrangebyscore"] == 1
    assert found["hget"] <= 128 + 8


def test_what_nobody_shares_any_more_is_forgotten(engine: Engine) -> None:
    engine.worker("w", "bulk", "default")
    fill(engine, 3)
    engine.claim("w", 2, SHARED, "default")
    engine.claim("w", 2, "bulk=2", "default=1")
    assert engine.raw.hlen(engine.key("SHARES")) == 2
    engine.keep_alive(3601, "w")
    engine.sweep_all()
    assert not engine.raw.exists(engine.key("SHARES"), *(engine.key("CLASS", f"bulk:{p}") for p in range(5)))
    assert engine.raw.hget(engine.key("META"), "shares") is None
    assert counted(engine.claim("w", 4, "bulk")) == [0, 2, 2, 0, 0]


def test_too_much_that_is_shared_is_served_in_strict_order(engine: Engine) -> None:
    engine.worker("w", "bulk")
    engine.raw.hset(engine.key("SHARES"), mapping={f"q{n}": f"{engine.now} 1:1:1:1:1 0:0:0:0:0" for n in range(256)})
    fill(engine, 3)
    assert counted(engine.claim("w", 4, SHARED)) == [3, 1, 0, 0, 0]
    assert engine.raw.hlen(engine.key("SHARES")) == 256


def test_a_record_that_somebody_else_has_written_does_no_harm(engine: Engine) -> None:
    engine.worker("w", "bulk")
    fill(engine, 3)
    for word in ("", "x", "1 2 3", "9" * 400, f"{engine.now} 1:1 99999999999999999999:5 (nonsense"):
        engine.raw.hset(engine.key("SHARES"), "bulk", word)
        assert len(engine.claim("w", 1, SHARED)) == 1


def test_outcomes_bring_the_next_turn(engine: Engine) -> None:
    engine.worker("w", "bulk")
    fill(engine, 3)
    first = engine.claim("w", 1, SHARED)[0]
    report = Report(first.ident, first.fence, "succeeded", 0, b"")
    ask = engine._claim("w", 2, (SHARED,), None)
    reply = engine.call(calls.settle(engine.scope, "w", ask, [report]))
    assert [first.priority, *(int(one[4]) for one in reply[2])] == [4, 3, 2]
