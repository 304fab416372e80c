"""What the fleet learns of a handler from how its runs end: timeouts in a row, and how retries fare by their delay."""

import random

import pytest

from coordinator.policy.backoff import HALF_LIFE, octave
from coordinator.policy.escalation import HIGHEST, Escalation
from coordinator.wire import calls
from coordinator.wire.calls import Report
from tests.scripts.reach import reaches
from tests.support.engine import Engine, Job, job


@pytest.fixture
def fleet(engine: Engine) -> Engine:
    engine.rules(max_queue=10_000)
    engine.worker("w")
    engine.worker("v")
    return engine


def ran(engine: Engine, ident: str, worker: str = "w") -> Job:
    """A job of the handler that is run."""
    engine.submit(job(ident)._replace(name="apply"))
    [given] = engine.claim(worker)
    return given


def known(engine: Engine) -> dict[str, str]:
    reply = engine.call(calls.handlers(engine.scope, ["apply"]))
    return dict(zip(reply[2][::2], reply[2][1::2], strict=True))


def level(engine: Engine) -> Escalation:
    found = known(engine)
    return Escalation(int(found.get("level", 0)), int(found.get("late", 0)))


def escalations(engine: Engine) -> list[tuple[str, str, str, str]]:
    """All changes of a level, the oldest first."""
    found = []
    for _, raw in engine.raw.xrange(engine.key("EVENTS")):
        fields = {name.decode(): value.decode() for name, value in raw.items()}
        if fields["event"] == "escalate":
            found.append((fields["id"], fields["from"], fields["to"], fields["by"]))
    return found


@reaches("handlers", "ok")
def test_what_is_not_known_is_empty(fleet: Engine) -> None:
    assert fleet.call(calls.handlers(fleet.scope, ["apply", "plan"])) == ["ok", str(fleet.now), [], []]


@pytest.mark.parametrize("floor", [0, 10_000])
def test_three_timeouts_in_a_row_from_any_worker_raise_the_level_and_a_success_ends_it(
    fleet: Engine, floor: int
) -> None:
    fleet.rules(retry_floor=floor, retry_share=100, retry_window_ms=10_000)
    for n, outcome in enumerate(("retry@0", "failed@0", "retry@0")):
        assert level(fleet) == Escalation(0, n)
        worker = "wv"[n % 2]
        fleet.report(worker, ran(fleet, f"j{n}", worker), outcome, 1000, "timed out")
    assert level(fleet) == Escalation(1)
    assert escalations(fleet) == [("apply", "0", "1", "timeouts")]
    assert (fleet.state("j0"), fleet.state("j1")) == ("scheduled", "failed")
    fleet.report("v", ran(fleet, "g", "v"), "succeeded")
    assert level(fleet) == Escalation()
    assert escalations(fleet)[1:] == [("apply", "1", "0", "success")]
    assert fleet.raw.hget(fleet.key("STATS"), "escalate") == b"2"


def test_the_numbers_are_those_of_the_caller_and_of_the_fleet(fleet: Engine) -> None:
    fleet.rules(escalate_after=1, escalate_most=2)
    for n in range(3):
        fleet.report("w", ran(fleet, f"j{n}"), f"failed@{min(n, 2)}")
    assert level(fleet) == Escalation(2, 1)
    # What is above a highest level that is lowered goes down with the next timeout that counts.
    changed = fleet.call(calls.configure(fleet.scope, "b", 0, "ops", "escalate_most=1", {"escalation.most": "1"}))
    fleet.report("w", ran(fleet, "e"), "failed@0")
    assert level(fleet) == Escalation(2, 1)
    for ident in "xyz":
        fleet.report("w", ran(fleet, ident), "failed@1")
        assert level(fleet) == Escalation(1, 1)
    assert escalations(fleet)[2:] == [("apply", "2", "1", "settings")]
    version = int(changed[1])
    fleet.call(calls.configure(fleet.scope, "c", version, "ops", "escalate_most=0", {"escalation.most": "0"}))
    fleet.report("w", ran(fleet, "g"), "succeeded")
    fleet.report("w", ran(fleet, "h"), "failed@0")
    assert level(fleet) == Escalation(0, 1)


def test_a_success_between_them_begins_the_count_anew_and_other_failures_do_not(fleet: Engine) -> None:
    for n, outcome in enumerate(("retry@0", "retry@0", "succeeded", "retry@0", "failed", "retry@0")):
        fleet.report("w", ran(fleet, f"j{n}"), outcome, 1000)
    assert level(fleet) == Escalation(0, 2)


def test_a_report_that_is_repeated_counts_once(fleet: Engine) -> None:
    given = ran(fleet, "j")
    fleet.report("w", given, "retry@0", 1000)
    with fleet.unchanged():
        fleet.report("w", given, "retry@0", 1000)


@pytest.mark.parametrize("seed", range(4))
def test_the_script_escalates_as_the_policy_does(fleet: Engine, seed: int) -> None:
    chance, state = random.Random(seed), Escalation()
    for n in range(50):
        fleet.keep_alive(1, "w")
        if chance.random() < 0.08:
            fleet.report("w", ran(fleet, f"j{n}"), "succeeded")
            state = state.succeeded()
        else:
            begun = chance.randint(max(0, state.level - 1), HIGHEST)
            fleet.report("w", ran(fleet, f"j{n}"), f"failed@{begun}")
            state = state.timed_out(begun)
        assert level(fleet) == state


def again(engine: Engine, ident: str, delay_ms: int, outcome: str) -> None:
    """A job that fails, waits, and then ends so."""
    engine.report("w", ran(engine, ident), "retry", delay_ms)
    engine.keep_alive(delay_ms / 1000 + 0.01, "w")
    engine.sweep()
    [given] = engine.claim("w")
    engine.report("w", given, outcome, 60_000)


def test_retries_are_counted_by_what_they_waited(fleet: Engine) -> None:
    again(fleet, "a", 1000, "succeeded")
    again(fleet, "b", 1000, "failed")
    again(fleet, "c", 4000, "retry")
    found = known(fleet)
    tries, good, _ = (int(one) for one in found[f"after:{octave(1000)}"].split())
    assert (tries / 1000, good / 1000) == (pytest.approx(2, abs=0.01), pytest.approx(1, abs=0.01))
    assert found[f"after:{octave(4000)}"].split()[:2] == ["1000", "0"]
    assert len([one for one in found if one.startswith("after:")]) == 2


def test_what_was_counted_fades(fleet: Engine) -> None:
    again(fleet, "a", 1000, "succeeded")
    fleet.keep_alive(HALF_LIFE, "w")
    again(fleet, "b", 1000, "failed")
    tries, good, _ = (int(one) for one in known(fleet)[f"after:{octave(1000)}"].split())
    assert (tries, good) == (pytest.approx(1500, abs=5), pytest.approx(500, abs=5))


@pytest.mark.parametrize("waited", [1, 2, 3, 1023, 1024, 1025, 2**31, 2**45])
def test_the_script_finds_the_octave_that_the_policy_finds(fleet: Engine, waited: int) -> None:
    given = ran(fleet, "a")
    fleet.raw.hset(fleet.key("REQ", "a"), "waited", waited)
    fleet.report("w", given, "succeeded")
    assert [one for one in known(fleet) if one.startswith("after:")] == [f"after:{octave(waited)}"]


def test_a_snooze_and_a_retry_at_once_are_no_delays(fleet: Engine) -> None:
    given = ran(fleet, "a")
    fleet.report("w", given, "retry", 1000)
    fleet.keep_alive(1.01, "w")
    fleet.sweep()
    [given] = fleet.claim("w")
    fleet.report("w", given, "snooze", 500)
    fleet.keep_alive(0.51, "w")
    fleet.sweep()
    [given] = fleet.claim("w")
    [[_, fence]] = fleet.settle("w", Report(given.ident, given.fence, "retry", 0))
    fleet.settle("w", Report(given.ident, fence, "succeeded"))
    assert [one for one in known(fleet) if one.startswith("after:")] == []
