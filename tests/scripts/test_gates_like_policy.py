"""The server's gates do what the policies say: both are driven with the same histories, and compared at each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from coordinator.policy import breaker, rate
from coordinator.policy.breaker import CLOSED, Breaker, BreakerPolicy
from coordinator.policy.rate import AdaptiveLimit, Bucket, Pace, RateLimit
from coordinator.wire.calls import Report
from coordinator.wire.gates import Gates
from tests.support.engine import Engine, Job

SOME = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BREAKERS = st.builds(
    BreakerPolicy,
    failures=st.integers(1, 4),
    successes=st.integers(1, 3),
    open_for=st.sampled_from([0.5, 3.0]),
    window=st.sampled_from([1.0, 4.0]),
    probes=st.integers(1, 3),
)
HISTORIES = st.lists(
    st.tuples(st.sampled_from([0, 1, 300, 2500]), st.sampled_from(["claim", "claim", "good", "bad", "bad", "back"])),
    min_size=5,
    max_size=30,
)
OUTCOMES = {"good": "succeeded", "bad": "failed", "back": "snooze"}


class Fleet:
    """One worker that claims one job at a time of an endless supply."""

    def __init__(self, engine: Engine, gates: Gates) -> None:
        self.engine, self.running, self.count = engine, [], 0
        self.running: list[Job]
        for key in engine.raw.scan_iter(match=f"{engine.key('META')[:-4]}*"):
            engine.raw.delete(key)
        engine.open("w", queues="default", **{"gates work": gates.to_wire("work")})

    def pass_time(self, ms: int) -> None:
        self.engine.advance(ms / 1000)
        self.engine.raw.zadd(self.engine.key("SESSIONS"), {"w": self.engine.now + 10_000})

    def claim(self, wanted: int = 1) -> list[Job]:
        for _ in range(wanted):
            self.count += 1
            self.engine.put(f"j{self.count}")
        given = self.engine.claim("w", wanted)
        self.running += given
        return given

    def end(self, what: str) -> Job | None:
        if not self.running:
            return None
        given = self.running.pop(0)
        self.engine.settle("w", Report(given.ident, given.fence, OUTCOMES[what], 3_600_000))
        return given

    def gate(self, name: str) -> dict[str, str]:
        found = self.engine.raw.hgetall(self.engine.key("GATE", name))
        return {field.decode(): value.decode() for field, value in found.items()}


@SOME
@given(policy=BREAKERS, history=HISTORIES)
def test_breakers(engine: Engine, policy: BreakerPolicy, history: Sequence[tuple[int, str]]) -> None:
    engine.rules(max_queue=1000)
    fleet, model = Fleet(engine, Gates(("work",), policy)), CLOSED
    began: dict[str, int] = {}
    for pause, what in history:
        fleet.pass_time(pause)
        if what == "claim":
            model = breaker.looked_at(model, engine.now)
            given = fleet.claim()
            assert bool(given) == (breaker.room(policy, model, engine.now) != 0)
            model = breaker.begun(model, given[0].fence, engine.now) if given else model
            began |= {one.fence: engine.now for one in given}
        elif given_back := fleet.end(what):
            model = breaker.looked_at(model, engine.now)
            excused = what == "bad" and breaker.excused(model, given_back.fence, 0)
            assert (engine.field(given_back.ident, "excused") is not None) == excused
            model = after(policy, model, what, given_back.fence, engine.now, began[given_back.fence])
        compare(model, policy, fleet.gate("breaker/work"), engine.now)


def after(policy: BreakerPolicy, model: Breaker, what: str, run: str, now: int, began: int) -> Breaker:
    if what == "back":
        return breaker.ended(model, run)
    return (breaker.succeeded if what == "good" else breaker.failed)(policy, model, run, now, began)


def compare(model: Breaker, policy: BreakerPolicy, found: dict[str, str], now: int) -> None:
    assert (
        breaker.looked_at(model, now).state
        == breaker.looked_at(
            Breaker(found.get("state", "closed"), until=int(found.get("until", 0))),  # type: ignore[arg-type]
            now,
        ).state
    )
    if model.state == found.get("state") == "half_open":
        known = [one.rpartition(":")[2].split("@") for one in found.get("probing", "").split()]
        assert [(fence, int(began)) for fence, began in known] == [*model.probing]
        assert int(found.get("passed", 0)) == model.passed
    elif model.state == "closed":
        counted = [int(one) for one in found.get("failed", "").split()]
        since = now - round(policy.window * 1000)
        assert [one for one in counted if one > since] == [one for one in model.failed if one > since]


@SOME
@given(
    limit=st.builds(RateLimit, burst=st.integers(1, 5), per_second=st.sampled_from([0.3, 1.0, 1.001, 7.7])),
    asks=st.lists(st.tuples(st.sampled_from([0, 1, 120, 333, 2500]), st.integers(1, 4)), max_size=20),
)
# Together just a second: a sum of parts of it may miss it.
@example(limit=RateLimit(1, 1.0), asks=[(0, 1), (333, 1), (333, 1), (333, 1), (1, 1)])
def test_buckets(engine: Engine, limit: RateLimit, asks: Sequence[tuple[int, int]]) -> None:
    engine.rules(max_queue=1000)
    fleet, model = Fleet(engine, Gates(rate=limit)), None
    for pause, wanted in asks:
        fleet.pass_time(pause)
        model = rate.filled(limit.speed, model, engine.now_us)
        given = fleet.claim(wanted)
        assert len(given) == min(wanted, rate.available(model))
        for _ in given:
            model = rate.taken(model)
        if given:
            assert int(fleet.gate("rate/work")["tokens"]) == model.tokens


@SOME
@given(history=HISTORIES)
def test_adaptive_limits(engine: Engine, history: Sequence[tuple[int, str]]) -> None:
    engine.rules(max_queue=1000)
    limit = AdaptiveLimit(initial=3, least=1, most=5)
    fleet, pace = Fleet(engine, Gates(rate=limit)), Pace(limit.initial)
    bucket: Bucket | None = None
    began: dict[str, int] = {}
    for pause, what in history:
        fleet.pass_time(pause)
        bucket = rate.filled(pace.speed, bucket, engine.now_us)
        if what == "claim":
            due = engine.raw.zscore(engine.key("CLOCKS"), "default adaptive/work") or 0
            given = fleet.claim()
            # Who waits is looked at when it was said at the pace of then, also if it has become faster since.
            assert bool(given) == (rate.available(bucket) > 0) or (not given and due > engine.now)
            bucket = rate.taken(bucket) if given else bucket
            began |= {one.ident: engine.now for one in given}
        elif (ended := fleet.end(what)) and what != "back":
            pace = (
                rate.faster(limit, pace) if what == "good" else rate.slower(limit, pace, began[ended.ident], engine.now)
            )
            bucket = Bucket(min(bucket.tokens, pace.speed.full), bucket.at)
            assert same(fleet.gate("adaptive/work"), pace)


def same(found: dict[str, Any], pace: Pace) -> bool:
    return float(found.get("pace", pace.rate)) == pace.rate
