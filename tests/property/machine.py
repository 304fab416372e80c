"""Drives the same random calls against the engine and its model, and compares after every step.

Time only moves when a rule moves it, so every run is determined by its steps. A session lives by its calls; one that
was killed makes no more of them and lapses.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from coordinator.model.names import SUBTREE
from coordinator.model.terms import Terms
from coordinator.wire import calls
from coordinator.wire.calls import Claim, Deed, LockAsk, Scope
from coordinator.wire.copies import sent_again
from coordinator.wire.step import Call
from tests.property.answers import plainly
from tests.property.bells import Bells
from tests.property.engine import Engine, differences, expected
from tests.support.engine import per_job
from tests.support.model import ACTIVE, QUEUED, Request, overlap
from tests.support.model_calls import Answer, Model

# Aging is no multiple of the grain of time: then no two requests of different priority have the same rank, and how many
# numbers the engine draws in between does not matter.
GRAIN_US = 100_000
TERMS = Terms(
    aging_us=60_020_000,
    max_line=12,
    max_queue=6,
    result_ms=3_600_000,
    dead_ms=3_600_000,
    max_crashes=2,
    session_ms=10_000,
    max_events=20,
    shedding=1,
    shed_begin=666,  # 4 and 5 of 6, again below 2 and 3
    shed_end=333,
)
START_US = 1_800_000_000_000_000
RESOURCES = ("a", "b", "c", "d", "e")
CAPACITY = {"d": 2, "e": 3}
QUEUES = ("qa", "qb")
SERVED = (QUEUES, ("qa",), QUEUES, ("qb",))  # the queues of one session after the other
KEYS = ("k1", "k2")
MAX_SESSIONS = 4
OWNER = "pr-1498"

which = st.integers(0, 99)
ONES = ("x1", "x1", "s1")
SOME = {"a": ONES, "b": ONES, "c": ONES, "d": ("x1", "x2", "s1"), "e": ("x1", "x2", "x3", "s1")}


@st.composite
def _needs(draw: st.DrawFn) -> str:
    wanted = draw(st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=4, unique=True))
    return " ".join(f"{draw(st.sampled_from(SOME[resource]))}:{resource}" for resource in sorted(wanted))


needs_of = _needs()
priorities = st.sampled_from((1, 1, 0, 2, 3, 4))
short_ms = st.sampled_from((100, 1000, 3000, 5000))
preempts = st.sampled_from(("", "", "ask", "cancel 1000"))
maybe_ms = st.none() | short_ms


def serves(session: str) -> tuple[str, ...]:
    """The queues of a session."""
    return SERVED[int(session[1:]) % len(SERVED)]


class EngineMachine(RuleBasedStateMachine):
    """One namespace under random calls. Subclasses say which server, and may give the resources other names."""

    names_of: ClassVar[Mapping[str, str]] = {name: name for name in RESOURCES}
    terms: ClassVar[Terms] = TERMS

    def modelled(self, us: int) -> Model:
        return Model(self.terms, us)

    def connect(self, namespace: str) -> Engine:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        namespace = f"p-{secrets.token_hex(6)}"
        self.scope = Scope.of(namespace, self.terms)
        self.engine = self.connect(namespace)
        self.model = self.modelled(START_US)
        self.engine.set_clock(START_US)
        self.names = 0
        self.silent: set[str] = set()
        self.bells = Bells()
        self.repeatable: tuple[Any, ...] | None = None
        for resource, capacity in CAPACITY.items():
            self.define(resource, capacity)
        self.open()
        self.open()

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.purge()

    # --- what every rule does

    def step(self, call: Call, act: Callable[[], Answer], subjects: Iterable[str] = ()) -> Answer:
        """Make a call on the engine and the model, and compare answers and states. `subjects` are the requests that the
        call itself is about: what it does to them is not the passing of time."""
        self.raw = self.engine.call(call)
        if call.script == "submit":
            self.raw = [self.raw[0], *per_job(call, self.raw)]
        reply = plainly(call.script, self.raw)
        note(f"{call.script} {' '.join(map(str, call.args[1:]))} -> {reply}")
        keys = [f"~dedup/{one}" for one in KEYS]
        look = self.engine.look(self.model, [*self.names_of.values(), *keys], QUEUES, KEYS)
        self.model.facts, self.model.took_back = look.facts, False
        self.model.follow(skip=set(subjects))
        answer = act()
        self.model.follow()
        self.model.admit()
        assert reply == answer, f"answered {reply}, not {answer}"
        wrong = differences(look.view(), expected(self.model, look))
        assert not wrong, "the engine and its model differ in " + "; ".join(wrong)
        fences = [fact.fence for fact in look.facts.values() if fact.fence]
        assert len(set(fences)) == len(fences), "two grants have the same fence"
        self.model.newest_fence = max([*fences, self.model.newest_fence])
        # What ran out of time within the call is over when the call is repeated, and so the answer another.
        self.repeatable = None if self.model.took_back else (call, act, tuple(subjects), reply)
        self.look, self.model.crowded = look, look.crowded
        self.bells.hear(call, look, self.model)
        return reply

    def new(self, letter: str) -> str:
        self.names += 1
        return f"{letter}{self.names:03}"

    def named(self, needs: str) -> str:
        """Needs by the names that resources have here, without those in a subtree, or around one, named before."""
        kept: dict[str, str] = {}
        for word in needs.split():
            how, name = word.split(":")
            resource = self.names_of[name]
            if not any(overlap(resource, other) for other in kept):
                kept[resource] = how
        return " ".join(f"{how}:{resource}" for resource, how in sorted(kept.items()))

    def live_sessions(self) -> list[str]:
        return [name for name in self.model.sessions if self.model.live(name) and name not in self.silent]

    def pick(self, n: int, states: Iterable[str], kind: str = "") -> Request | None:
        """A request in one of some states; the newest ones first, as small numbers are tried more often."""
        found = [r for r in self.model.requests.values() if r.state in states and kind in ("", r.kind)]
        return found[-1 - n % len(found)] if found else None

    def session(self, n: int) -> str:
        """Any session that there ever was; mostly a live one."""
        names = self.live_sessions() if n < 90 else sorted(self.model.inbox)
        return names[n % len(names)] if names else "s0"

    # --- sessions and time

    @rule()
    @precondition(lambda self: len(self.live_sessions()) < MAX_SESSIONS)
    def open(self) -> None:
        session = f"s{len(self.model.inbox) + 1}"
        call = calls.open_session(self.scope, session, {"queues": " ".join(serves(session))})
        self.step(call, lambda: self.model.open_session(session))

    @rule(n=which)
    @precondition(lambda self: len(self.live_sessions()) > MAX_SESSIONS - 2)
    def kill(self, n: int) -> None:
        self.silent.add(self.session(n))

    @rule(n=which)
    @precondition(lambda self: len(self.live_sessions()) > MAX_SESSIONS - 2)
    def close(self, n: int) -> None:
        session = self.session(n)
        owned = [r.ident for r in self.model.requests.values() if r.session == session]
        self.step(calls.close_session(self.scope, session), lambda: self.model.close_session(session), owned)

    @rule(grains=st.sampled_from((1, 1, 10, 30, 60, 110, 250, 610)))
    def advance(self, grains: int) -> None:
        """Whoever is not silent makes a call that does not sweep every few seconds."""
        while grains > 0:
            part = min(grains, 60)
            grains -= part
            self.model.us += part * GRAIN_US
            self.engine.set_clock(self.model.us)
            for session in self.live_sessions():
                idle = Claim(0, 0, 1000, ())
                self.step(calls.settle(self.scope, session, idle, ()), partial(self.model.settle, session, idle, ()))

    @rule(n=which, started=st.lists(which, max_size=2))
    def beat(self, n: int, started: list[int]) -> None:
        session = self.session(n)
        jobs = [job for one in started if (job := self.pick(one, ("running",)))]
        pairs = [(job.ident, str(job.fence)) for job in jobs]
        call = calls.beat(self.scope, session, 1000, pairs)
        self.step(call, lambda: self.model.beat(session, pairs), [ident for ident, _ in pairs])

    @rule()
    def sweep(self) -> None:
        self.step(calls.sweep(self.scope), self.model.sweep)
        while self.raw[1] != "0":
            self.step(calls.sweep(self.scope), self.model.sweep)
        assert self.model.overdue() == []
        assert set(self.look.scores("SESSIONS")) == set(self.model.sessions)
        over = [r.ident for r in self.model.requests.values() if r.state not in (*ACTIVE, *QUEUED, "scheduled")]
        assert self.engine.kept_for_ever(over, OWNER) == []

    # --- locks

    @rule(n=which, asks=st.lists(st.tuples(needs_of, priorities, maybe_ms, short_ms, preempts), min_size=1, max_size=4))
    def request(self, n: int, asks: list[tuple[str, int, int | None, int, str]]) -> None:
        """Asking others to yield changes nothing but what they are told."""
        for number, (needs, priority, wait, hold, preempt) in enumerate(asks, n):
            self.ask(number, LockAsk(self.new("r"), priority, needs, False, wait, hold * 3, preempt=preempt))

    @rule(n=which, needs=needs_of, priority=priorities, hold=short_ms, again=st.booleans())
    def try_request(self, n: int, needs: str, priority: int, hold: int, again: bool) -> None:
        """`again`: its first answer was lost, and nobody knows what it was."""
        self.ask(n, LockAsk(self.new("r"), priority, needs, True, None, hold * 3, OWNER, "a plan"), again)

    def ask(self, n: int, ask: LockAsk, again: bool = False) -> None:
        session, ask = self.session(n), ask._replace(needs=self.named(ask.needs))
        call = calls.request(self.scope, session, ask)
        self.step(sent_again(call) if again else call, lambda: self.model.request(session, ask, again))

    @rule(n=which, other=which, same=st.booleans())
    def ask_again(self, n: int, other: int, same: bool) -> None:
        """An old request is sent once more, at times under another session or for something else."""
        r = self.pick(n, ("waiting", "held", "released", "cancelled", "lost"), "lock")
        if r:
            session = r.session if same else self.session(other)
            needs = (
                " ".join(f"{ask.mode}{ask.permits}:{name}" for name, ask in r.needs.items())
                if other
                else self.named("x1:a")
            )
            ask = LockAsk(r.ident, r.priority, needs, False, None, r.hold_ms)
            self.step(calls.request(self.scope, session, ask), lambda: self.model.request(session, ask), [r.ident])

    @rule(n=which, stale=st.integers(0, 9))
    def release(self, n: int, stale: int) -> None:
        states = ("held",) if stale < 8 else ("held", "waiting", "released", "lost", "running")
        r = self.pick(n, states)
        if r:
            fence = r.fence - (stale == 9)
            self.step(calls.release(self.scope, r.ident, fence), lambda: self.model.release(r.ident, fence), [r.ident])

    @rule(n=which, lease=short_ms, any_state=st.booleans())
    def extend(self, n: int, lease: int, any_state: bool) -> None:
        r = self.pick(n, ("held", "waiting", "released", "lost") if any_state else ("held",))
        if r:
            call = calls.extend(self.scope, r.ident, r.fence, lease)
            self.step(call, lambda: self.model.extend(r.ident, r.fence, lease), [r.ident])

    # --- both kinds

    @rule(n=which, event=st.sampled_from(("cancel", "expire")), over=st.integers(0, 9))
    def cancel(self, n: int, event: str, over: int) -> None:
        states = ("waiting", "ready", "scheduled", "running") if over else ("held", "succeeded", "cancelled", "dead")
        r = self.pick(n, states)
        if r:
            call = calls.cancel(self.scope, r.ident, event, "why not")
            self.step(call, lambda: self.model.cancel(r.ident, event), [r.ident])

    @rule(n=which, priority=priorities)
    def reprioritise(self, n: int, priority: int) -> None:
        r = self.pick(n, (*QUEUED, "scheduled", "running"))
        if r:
            call = calls.reprioritise(self.scope, r.ident, priority)
            self.step(call, lambda: self.model.reprioritise(r.ident, priority), [r.ident])

    @rule(n=which, exact=st.booleans())
    def force(self, n: int, exact: bool) -> None:
        r = self.pick(n, (*ACTIVE, "waiting"))
        if r:
            fence = str(r.fence) if exact else ""
            call_id = self.new("c")
            call = calls.force(self.scope, r.ident, fence, Deed("op", "so it must be", call_id))
            self.step(call, lambda: self.model.force(r.ident, fence, call_id), [r.ident])

    @rule(n=which, watcher=which)
    def watch(self, n: int, watcher: int) -> None:
        r = self.pick(n, (*ACTIVE, *QUEUED, "scheduled", "succeeded"))
        if r:
            session = self.session(watcher)
            call = calls.watch(self.scope, r.ident, session)
            self.step(call, lambda: self.model.watch(r.ident, session), [r.ident])

    @rule(resource=st.sampled_from(RESOURCES), capacity=st.integers(1, 3))
    def define(self, resource: str, capacity: int) -> None:
        name = self.names_of[resource]
        if not name.endswith(SUBTREE):
            deed = Deed("op", "so it must be", self.new("c"))
            call = calls.define(self.scope, name, deed, {"capacity": capacity})
            self.step(call, lambda: self.model.define(name, capacity))

    @rule()
    @precondition(lambda self: self.repeatable is not None)
    def again(self) -> None:
        """A call whose reply was lost: the second answer is the first one. A refusal is judged anew: of a batch, one
        that was accepted may now stand in the way of one that was not."""
        assert self.repeatable is not None
        call, act, subjects, reply = self.repeatable
        for first, second in zip(reply, self.step(call, act, subjects), strict=True):
            refused = isinstance(first, tuple) and first[0] not in ("accepted", "duplicate")
            assert refused or second == first, f"answered {first}, and repeated {second}"
