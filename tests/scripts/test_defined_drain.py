"""Lines of all modes at once, and requests that stand in several: nobody has what another has, nobody could have what
they wait for, and everything comes to an end."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from coordinator.model.definition import MODES
from coordinator.model.states import State
from coordinator.wire import calls
from coordinator.wire.calls import Deed, Report
from tests.scripts.keyspace import Keyspace
from tests.support.engine import Engine, Job

# A short form in the suite; `COORDINATOR_PROPERTY_RUN=300x60` tries so many, of so many steps.
LONG = os.environ.get("COORDINATOR_PROPERTY_RUN")
EXAMPLES, MOST = map(int, (LONG or "4x30").split("x"))
PHASES = tuple(Phase) if LONG else (Phase.generate,)
CHECKED_EVERY = 3
RESOURCES = ("a", "b", "c")
CAPACITY = {"a": 1, "b": 1, "c": 3}
NEEDS = ("a", "b", "x2:c", "c", "s1:c", "a b", "b s1:c", "a x2:c", "a b x3:c")
number = st.integers(0, 99)
needs = st.sampled_from(NEEDS)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), needs, number),
        st.tuples(st.just("ask"), needs, number),
        st.tuples(st.just("put"), needs, number),
        st.tuples(st.just("claim"), st.just(""), st.integers(1, 3)),
        st.tuples(st.just("free"), st.just(""), number),
        st.tuples(st.just("free"), st.just(""), number),
        st.tuples(st.just("mode"), st.sampled_from(MODES), number),
        st.tuples(st.just("capacity"), st.just(""), number),
        st.tuples(st.just("change"), st.sampled_from(["cancel", "reprioritise", "front", "back"]), number),
        st.tuples(st.just("time"), st.just(""), st.sampled_from([0, 1, 40, 120])),
        st.tuples(st.just("die"), st.just(""), number),
    ),
    min_size=15,
    max_size=MOST,
)


class Life:
    """Locks and jobs on three resources, whose lines change their modes, and whatever comes over them."""

    def __init__(self, engine: Engine, modes: Sequence[str]) -> None:
        self.engine, self.count, self.calls = engine, 0, 0
        self.running: list[Job] = []
        for key in engine.raw.scan_iter(match=f"{engine.key('META')[:-4]}*"):
            engine.raw.delete(key)
        for session in ("s", "v", "w"):
            engine.open(session, queues="default")
        for resource, mode in zip(RESOURCES, modes, strict=True):
            self.define(resource, mode=mode, capacity=CAPACITY[resource])

    @property
    def idents(self) -> list[str]:
        return [f"r{n + 1}" for n in range(self.count)]

    def deed(self) -> Deed:
        self.calls += 1
        return Deed("ann", "so it must be", f"c{self.calls}")

    def define(self, resource: str, **terms: str | int) -> None:
        words = {name: "" if value == "priority" else value for name, value in terms.items()}
        self.engine.call(calls.define(self.engine.scope, resource, self.deed(), words))

    def ask(self, wanted: str, which: int) -> None:
        self.count += 1
        wanted = wanted.replace("x3:c", "x1:c") if self.capacity_of("c") < 3 else wanted
        # So that some wait for less than there is, and others for as much.
        self.engine.ask("sv"[which % 2], f"r{self.count}", wanted, priority=which % 5, writes=True)

    def put(self, wanted: str, which: int) -> None:
        self.count += 1
        self.engine.put(f"r{self.count}", wanted, priority=which % 5)

    def claim(self, _: str, wanted: int) -> None:
        self.running += self.engine.claim("w", wanted)

    def free(self, _: str, which: int) -> None:
        held = [one for one in self.idents if self.engine.state(one) == "held"]
        if held and which % 3:
            ident = held[which % len(held)]
            self.engine.release(ident, self.engine.field(ident, "fence") or "")
        elif self.running:
            job = self.running.pop(which % len(self.running))
            how = ("succeeded", "retry", "released")[which % 3]
            self.engine.settle("w", Report(job.ident, job.fence, how, 700, "x"))

    def mode(self, mode: str, which: int) -> None:
        self.define(RESOURCES[which % 3], mode=mode)

    def capacity(self, _: str, which: int) -> None:
        self.define("c", capacity=which % 3 + 1)

    def capacity_of(self, resource: str) -> int:
        return int(self.engine.raw.hget(self.engine.key("DEF", resource), "capacity") or 1)

    def change(self, what: str, which: int) -> None:
        ident = f"r{which % (self.count or 1) + 1}"
        if what == "cancel":
            self.engine.cancel(ident)
        elif what == "reprioritise":
            self.engine.call(calls.reprioritise(self.engine.scope, ident, which % 5), writes=True)
        else:
            self.engine.call(calls.reorder(self.engine.scope, ident, what, "", self.deed()), writes=True)

    def time(self, _: str, tenths: int) -> None:
        self.engine.keep_alive(tenths / 10, "s", "v", "w")
        self.engine.sweep_all()

    def die(self, _: str, which: int) -> None:
        """A session lapses, and another one of the same name comes."""
        session = "vw"[which % 2]
        self.engine.raw.zadd(self.engine.key("SESSIONS"), {session: 1})
        self.engine.sweep_all()
        self.engine.open(session, queues="default")
        if session == "w":
            self.running = []

    def check(self) -> None:
        engine = self.engine
        assert Keyspace(engine.namespace, engine.census(), engine.now).faults() == [], self.shown()
        for resource in RESOURCES:
            held = [value.split() for value in engine.raw.hvals(engine.key("HOLDERS", resource))]
            taken = sum(int(one[1]) for one in held if one[0] == b"x")
            assert taken <= CAPACITY[resource]
            found = engine.call(calls.audit_resource(engine.scope, resource, False, 0))
            assert found[1:] in ([], [[]]), (resource, found, self.shown())
        for ident in self.idents:
            found = engine.call(calls.audit_request(engine.scope, ident, False, 0))
            assert found[1:] in ([], [[]]), (ident, found, self.shown())

    def shown(self) -> str:
        """Everything that matters where something is wrong."""
        engine = self.engine
        lines = {one: (engine.line(one), engine.holders(one)) for one in RESOURCES}
        defined = {one: engine.raw.hgetall(engine.key("DEF", one)) for one in RESOURCES}
        records = {one: engine.raw.hgetall(engine.key("REQ", one)) for one in self.unfinished()}
        return f"{lines}\n{defined}\n{records}\n{engine.raw.hgetall(engine.key('META'))}"

    def unfinished(self) -> list[str]:
        return [one for one in self.idents if not State(self.engine.state(one) or "cancelled").final]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=PHASES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(modes=st.tuples(*[st.sampled_from(MODES)] * 3), steps=STEPS)
def test_with_all_modes_at_once_everything_comes_to_an_end(
    engine: Engine, modes: Sequence[str], steps: Sequence[tuple[str, str, int]]
) -> None:
    engine.rules(max_crashes=1000)
    life = Life(engine, modes)
    for n, (what, one, which) in enumerate(steps):
        getattr(life, what)(one, which)
        if n % CHECKED_EVERY == 0:
            life.check()
    life.define("c", capacity=3)
    for _ in range(200):
        if not life.unfinished():
            break
        life.time("", 10)
        life.claim("", 3)
        for job in life.running:
            engine.report("w", job, "succeeded")
        life.running = []
        for ident in [one for one in life.idents if engine.state(one) == "held"]:
            engine.release(ident, engine.field(ident, "fence") or "")
        life.check()
    assert life.unfinished() == [], life.shown()
