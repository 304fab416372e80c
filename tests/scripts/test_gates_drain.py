"""Whatever happens to jobs at gates, all is where it should be after each step, and nothing stands still in the end."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.drivers.ids import new_id
from coordinator.model.states import State
from coordinator.policy.breaker import BreakerPolicy
from coordinator.policy.rate import AdaptiveLimit, RateLimit
from coordinator.wire import calls
from coordinator.wire.calls import Deed, Report
from coordinator.wire.gates import Gates
from tests.scripts.keyspace import Keyspace
from tests.support.engine import Engine, Job

SHORT = BreakerPolicy(failures=2, successes=2, open_for=3, window=5, probes=2)
HANDLERS = {
    "plain": Gates(("plain", "shared"), SHORT),
    "limited": Gates(("limited", "shared"), SHORT, RateLimit(burst=2, per_second=1)),
    "paced": Gates(("paced",), SHORT, AdaptiveLimit(initial=2, least=1, most=3)),
}
NAMES = (*HANDLERS, "untold")
OUTCOMES = ("succeeded", "failed", "failed-", "retry", "retry-", "limited", "snooze", "released", "cancelled")
number = st.integers(0, 99)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(NAMES), st.sampled_from(["", "a", "a s1:b"]), number),
        st.tuples(st.just("put"), st.sampled_from(NAMES), st.sampled_from(["", "a", "a s1:b"]), number),
        st.tuples(st.just("claim"), st.sampled_from(["v", "w"]), st.just(""), st.integers(1, 4)),
        st.tuples(st.just("claim"), st.sampled_from(["v", "w"]), st.just(""), st.integers(1, 4)),
        st.tuples(st.just("settle"), st.sampled_from(OUTCOMES), st.just(""), number),
        st.tuples(st.just("breaker"), st.sampled_from(["plain", "shared"]), st.sampled_from(["open", "close"]), number),
        st.tuples(st.just("change"), st.sampled_from(["cancel", "reprioritise"]), st.just(""), number),
        st.tuples(st.just("time"), st.sampled_from(["sweep", "beat"]), st.just(""), st.sampled_from([0, 1, 40, 120])),
        st.tuples(st.just("die"), st.just("v"), st.just(""), st.just(0)),
    ),
    min_size=10,
    max_size=50,
)


class Life:
    """Jobs of several handlers, two workers, and whatever comes over them."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.count = engine, 0
        self.running: list[tuple[str, Job]] = []
        for key in engine.raw.scan_iter(match=f"{engine.key('META')[:-4]}*"):
            engine.raw.delete(key)
        for session in ("v", "w"):
            self.open(session)

    def open(self, session: str) -> None:
        told = {f"gates {name}": one.to_wire(name) for name, one in HANDLERS.items()}
        self.engine.open(session, queues="default", **told)

    def put(self, name: str, needs: str, priority: int) -> None:
        self.count += 1
        self.engine.put(f"j{self.count}", needs, name=name, priority=priority % 5)

    def claim(self, session: str, _: str, wanted: int) -> None:
        self.running += [(session, one) for one in self.engine.claim(session, wanted)]

    def settle(self, outcome: str, _: str, which: int) -> None:
        if self.running:
            session, given = self.running.pop(which % len(self.running))
            delay = 500 if outcome in ("retry", "retry-", "limited", "snooze") else 0
            self.engine.settle(session, Report(given.ident, given.fence, outcome, delay, "x"))

    def breaker(self, name: str, event: str, _: int) -> None:
        self.engine.call(
            calls.set_breaker(self.engine.scope, name, event, 60_000, Deed("me", "test", new_id())), writes=True
        )

    def change(self, what: str, _: str, which: int) -> None:
        ident = f"j{which % (self.count or 1) + 1}"
        if what == "cancel":
            self.engine.cancel(ident)
        else:
            self.engine.call(calls.reprioritise(self.engine.scope, ident, which % 5), writes=True)

    def time(self, how: str, _: str, tenths: int) -> None:
        self.engine.keep_alive(tenths / 10, "v", "w")
        if how == "sweep":
            self.engine.sweep_all()
        else:
            self.engine.beat("w")

    def die(self, session: str, _: str, __: int) -> None:
        """Its session lapses, and another worker of the same name comes."""
        self.engine.raw.zadd(self.engine.key("SESSIONS"), {session: 1})
        self.engine.sweep_all()
        self.open(session)
        self.running = [one for one in self.running if one[0] != session]

    def check(self) -> None:
        assert Keyspace(self.engine.namespace, self.engine.census(), self.engine.now).faults() == []

    def unfinished(self) -> list[str]:
        idents = [f"j{n + 1}" for n in range(self.count)]
        return [one for one in idents if not State(self.engine.state(one) or "cancelled").final]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_everything_comes_to_an_end_once_handlers_succeed(
    engine: Engine, steps: Sequence[tuple[str, str, str, int]]
) -> None:
    engine.rules(max_queue=1000, max_crashes=100)
    life = Life(engine)
    for what, one, two, which in steps:
        getattr(life, what)(one, two, which)
        life.check()
    for name in ("plain", "shared"):
        life.breaker(name, "close", 0)
    for _ in range(60):
        while life.running:
            life.settle("succeeded", "", 0)
        if not life.unfinished():
            break
        life.time("sweep", "", 20)
        life.claim("w", "", 4)
        life.check()
    assert life.unfinished() == []
