"""Latches and barriers under random visitors, on a server and in a model.

A visitor is the operation itself, as the clients run it, which stands still wherever it waits: the rules say who goes
on, with which message or none, what becomes of the answer to a call, and when time passes. So there is one thread and
no waiting, and a failure can be played again.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coordinator.errors import CoordinatorError, InvalidInput, StoreUnavailable, UnknownOutcome, WaitTimeout
from coordinator.keys import key
from coordinator.ops import gathering
from coordinator.wire import calls
from coordinator.wire.calls import Gathering, Scope
from coordinator.wire.step import Abandon, Call, Expect, Now, Operation, Session, Step, Wait
from tests.property.engine import Engine
from tests.property.machine import START_US, TERMS
from tests.support.model_gather import Gathered

which = st.integers(0, 30)
# What becomes of a call: nothing; its answer is lost and it is sent again; or it gets none, done or not.
fates = st.sampled_from(("", "", "", "", "", "again", "unknown", "away"))
waits = st.sampled_from((None, 0.0, 5.0, 30.0))


class Interruption(BaseException):
    """Somebody is stopped from outside."""


@dataclass
class Process:
    """One process: its session, if any, whether it gets to do anything, and what to do when the store is back."""

    session: str = ""
    silent: bool = False
    undone: list[Call] = field(default_factory=list)


@dataclass
class Visitor:
    """One operation of a process: what it waits for and has been told, and how it ended."""

    process: Process
    doing: Operation[Any]
    ident: str = ""
    waits: Wait | None = None
    told: list[tuple[str, ...]] = field(default_factory=list)
    reader: bool = False
    ended: bool = False
    value: Any = None
    failure: BaseException | None = None


class GatherMachine(RuleBasedStateMachine):
    """One latch or barrier, used by two or three processes. Subclasses say which, and who visits it."""

    kind: ClassVar[str]

    def connect(self, namespace: str) -> Engine:
        raise NotImplementedError

    @initialize(needed=st.integers(1, 4))
    def begin(self, needed: int) -> None:
        namespace = f"p-{secrets.token_hex(6)}"
        self.scope, self.engine, self.us = Scope.of(namespace, TERMS), self.connect(namespace), START_US
        self.engine.set_clock(self.us)
        self.thing = gathering.gathering(self.kind, "the one", needed, 60.0)
        self.lapses: dict[str, int] = {}
        self.model = Gathered(self.thing, self.live)
        self.names, self.fate = 0, ""
        self.processes = [Process() for _ in range(3)]
        self.visitors: list[Visitor] = []

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            try:
                self.all_is_settled()
            finally:
                for visitor in self.visitors:
                    bury(visitor)
                self.engine.purge()

    def all_is_settled(self) -> None:
        self.store_is_back()
        for visitor in [one for one in self.waiting() if self.model.passed(one.ident)]:
            self.go_on(visitor, None)
            assert visitor.ended, f"{visitor.ident} does not go on"

    # --- what a driver does

    def live(self, session: str) -> bool:
        return self.lapses.get(session, 0) > self.us // 1000

    def renew(self, session: str) -> None:
        self.lapses[session] = self.us // 1000 + TERMS.session_ms

    def new(self, letter: str) -> str:
        self.names += 1
        return f"{letter}{self.names:03}"

    def enter(self, n: int, doing: Operation[Any], fate: str, ident: str = "") -> Visitor | None:
        awake = [one for one in self.processes if not one.silent]
        if not awake:
            return None
        visitor = Visitor(awake[n % len(awake)], doing, ident)
        self.visitors.append(visitor)
        self.fate = fate
        self.go_on(visitor, None)
        return visitor

    def go_on(self, visitor: Visitor, words: Any, failure: BaseException | None = None) -> None:
        """Until it waits or ends."""
        visitor.waits = None
        try:
            while True:
                step = visitor.doing.send(words) if failure is None else visitor.doing.throw(failure)
                if isinstance(step, Wait):
                    visitor.waits = step
                    return
                words, failure = self.answer(visitor, step)
        except StopIteration as done:
            visitor.value = done.value
        except (CoordinatorError, Interruption) as error:
            visitor.failure = error
        visitor.ended = True
        self.judge(visitor)
        note(f"{visitor.ident or 'visitor'} ends: {visitor.value} {visitor.failure!r}")

    def judge(self, visitor: Visitor) -> None:
        """Whether it has ended as it should."""

    def answer(self, visitor: Visitor, step: Step) -> tuple[Any, BaseException | None]:
        now = self.us / 1_000_000
        if isinstance(step, Session):
            return (self.session(visitor.process, step.lost), now), None
        if isinstance(step, Call):
            return self.carried_out(step)
        if isinstance(step, Abandon):
            assert step.undo is not None
            visitor.process.undone.append(step.undo)
        if isinstance(step, Expect):
            visitor.reader = True
        return now if isinstance(step, Now) else "reader", None

    def session(self, process: Process, lost: str) -> str:
        if process.session == lost:
            process.session = self.new("s")
            self.renew(process.session)
            self.engine.call(calls.open_session(self.scope, process.session, {}))
            for one in self.waiting():
                if one.process is process:
                    one.told.append(("session_lost",))
        return process.session

    def carried_out(self, call: Call) -> tuple[Any, BaseException | None]:
        fate, self.fate = self.fate, ""
        if fate == "away":
            return None, StoreUnavailable("it is away")
        reply = self.gather(call)
        if fate == "again":
            reply = self.gather(call)
        return (None, UnknownOutcome("no answer")) if fate == "unknown" else (reply, None)

    def gather(self, call: Call) -> Any:
        """A call on the engine and on the model; who was told by it hears of it."""
        name, kind, needed, ttl, act, session, ident, came_in = (str(word) for word in call.args[1:])
        asked = Gathering(name, kind, int(needed), int(ttl))
        reply, wanted = tuple(self.engine.call(call)), self.model.call(asked, act, session, ident, came_in)
        note(f"{act} {ident} of {session} in {came_in or 'any'} -> {reply}")
        compared = reply
        if wanted[0] == "open" and reply[0] == "open":
            assert self.model.numbered(ident, reply[2]), f"{ident} is not the one of number {reply[2]!r}"
            # Of which round does not matter to who leaves.
            compared = wanted if act == "leave" else reply[:2]
        assert compared == wanted, f"answered {reply}, not {wanted}"
        told, self.model.told = Counter(self.model.told), []
        assert Counter(self.mail()) == told, "others were told, or not as often"
        return list(reply)

    def mail(self) -> list[str]:
        """The sessions that have a message, which is handed to all who wait there."""
        sessions = [name for name in self.lapses if self.live(name)]
        boxes = [key(self.engine.namespace, "INBOX", name) for name in sessions]
        found = self.engine.read([("LRANGE", box, "0", "-1") for box in boxes])
        if any(found):
            self.engine.client.delete(*boxes)
        told = []
        for session, messages in zip(sessions, found, strict=True):
            for message in messages:
                words = tuple(message.decode().split())
                assert words == ("ended", self.thing.ident, "open"), words
                told.append(session)
                for one in self.visitors:
                    if one.reader and not one.ended and one.process.session == session:
                        one.told.append(words)
        return told

    def waiting(self) -> list[Visitor]:
        return [one for one in self.visitors if one.waits and not one.process.silent]

    # --- the rules of both

    @rule(n=which, fate=fates)
    @precondition(lambda self: any(one.told for one in self.waiting()))
    def hear(self, n: int, fate: str) -> None:
        """A message arrives."""
        told = [one for one in self.waiting() if one.told]
        visitor, self.fate = told[n % len(told)], fate
        self.go_on(visitor, visitor.told.pop(0))

    @rule(n=which, fate=fates, late=st.booleans())
    @precondition(lambda self: self.waiting())
    def look_again(self, n: int, fate: str, late: bool) -> None:
        """A wait that ends without a message: it is time to look, or all that it had is over."""
        waiting = self.waiting()
        visitor, self.fate = waiting[n % len(waiting)], fate
        if late and visitor.waits and visitor.waits.seconds is not None and visitor.waits.seconds < 60:
            self.pass_time(visitor.waits.seconds)
        if visitor.waits:
            self.go_on(visitor, None)

    @rule(n=which, fate=fates)
    @precondition(lambda self: self.waiting())
    def interrupt(self, n: int, fate: str) -> None:
        waiting = self.waiting()
        visitor, self.fate = waiting[n % len(waiting)], fate
        self.go_on(visitor, None, Interruption())
        assert isinstance(visitor.failure, Interruption)

    @rule(seconds=st.sampled_from((0.001, 1.0, 4.0, 9.0, 10.0, 30.0)))
    def pass_time(self, seconds: float) -> None:
        """Processes beat every few seconds, unless they are silent."""
        while seconds > 0:
            part = min(seconds, 5.0)
            seconds -= part
            self.us += round(part * 1_000_000)
            self.engine.set_clock(self.us)
            for process in self.processes:
                if not process.silent and self.live(process.session):
                    self.renew(process.session)
                    self.engine.call(calls.beat(self.scope, process.session, 1000))

    @rule(n=which)
    def stall(self, n: int) -> None:
        """A process that is stopped, or dead: that shows when it comes back, or does not."""
        self.processes[n % len(self.processes)].silent = True

    @rule(n=which)
    @precondition(lambda self: any(one.silent for one in self.processes))
    def come_back(self, n: int) -> None:
        silent = [one for one in self.processes if one.silent]
        self.wake(silent[n % len(silent)])

    def wake(self, process: Process) -> None:
        process.silent = False
        if process.session and not self.live(process.session):
            self.session(process, process.session)

    @rule(n=which, anew=st.booleans())
    def leave_for_good(self, n: int, anew: bool) -> None:
        """A process ends in good order, or dies; another one takes its place."""
        process = self.processes[n % len(self.processes)]
        if not anew and process.session and self.live(process.session):
            self.engine.call(calls.close_session(self.scope, process.session))
            self.lapses.pop(process.session)
        for one in [one for one in self.visitors if one.process is process]:
            bury(one)
            self.visitors.remove(one)
        self.processes[n % len(self.processes)] = Process()

    @rule()
    def store_is_back(self) -> None:
        """What was left undone in an outage is done."""
        for process in self.processes:
            while process.undone and not process.silent:
                self.gather(process.undone.pop())

    @rule(n=which, more=st.booleans())
    @precondition(lambda self: self.model.begun)
    def mistake(self, n: int, more: bool) -> None:
        """Another number, or another kind: it is refused and changes nothing."""
        other = "barrier" if self.kind == "latch" else "latch"
        thing = self.thing._replace(needed=self.thing.needed + 1) if more else self.thing._replace(kind=other)
        visitor = self.enter(n, gathering.count_down(self.scope, thing, self.new("m")), "")
        assert visitor is None or isinstance(visitor.failure, InvalidInput)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        """Whoever may go on has a message, unless its process lost its session or a look is on its way."""
        for one in getattr(self, "visitors", []):
            if one.waits and self.live(one.process.session) and self.model.passed(one.ident):
                assert one.told, f"{one.ident} may go on and has not been told"


class LatchMachine(GatherMachine):
    """Some count, and others wait."""

    kind = "latch"

    @rule(n=which, fate=fates)
    def count_down(self, n: int, fate: str) -> None:
        ident = self.new("c")
        visitor = self.enter(n, gathering.count_down(self.scope, self.thing, ident), fate)
        if visitor and not visitor.failure:
            assert visitor.value == self.missing()
            assert ident in self.model.came or self.model.rounds

    @rule(n=which)
    def look(self, n: int) -> None:
        visitor = self.enter(n, gathering.missing(self.scope, self.thing), "")
        assert visitor is None or visitor.value == self.missing()

    @rule(n=which, seconds=waits, fate=fates)
    def wait(self, n: int, seconds: float | None, fate: str) -> None:
        self.enter(n, gathering.await_open(self.scope, self.thing, seconds), fate, ident="")

    def missing(self) -> int:
        return 0 if self.model.rounds else self.thing.needed - len(self.model.came)

    def judge(self, visitor: Visitor) -> None:
        if visitor.reader and not isinstance(visitor.failure, Interruption | StoreUnavailable | UnknownOutcome):
            assert isinstance(visitor.failure, WaitTimeout) == (not self.model.rounds), repr(visitor.failure)


class BarrierMachine(GatherMachine):
    """All wait for each other, round after round."""

    kind = "barrier"

    @rule(n=which, seconds=waits, fate=fates)
    def meet(self, n: int, seconds: float | None, fate: str) -> None:
        ident = self.new("v")
        self.enter(n, gathering.meet(self.scope, self.thing, ident, seconds), fate, ident)

    @rule(n=which, count=st.integers(2, 9))
    def meet_in_numbers(self, n: int, count: int) -> None:
        """Enough for a round or several, while others who were in them have not looked yet."""
        for at in range(count):
            self.meet(n + at, None, "")

    @rule(n=which, others=st.integers(0, 4), wakes=st.booleans())
    def die_there(self, n: int, others: int, wakes: bool) -> None:
        """One comes, its process dies or is stopped, and others come after that is known, or before."""
        self.meet(n, None, "")
        if not (self.visitors and self.visitors[-1].waits):
            return
        visitor = self.visitors[-1]
        at = self.processes.index(visitor.process)
        self.stall(at) if wakes else self.leave_for_good(at, anew=True)
        self.pass_time(10.0 if n % 3 else 4.0)
        for other in range(others):
            self.meet(n + other, None, "")
        if wakes:
            self.wake(visitor.process)
            self.go_on(visitor, None)

    def judge(self, visitor: Visitor) -> None:
        if not visitor.ident:
            return
        if visitor.failure is None or isinstance(visitor.failure, WaitTimeout):
            # Of one that was left out as dead, and asks two rounds later, nobody knows any more.
            known = self.model.passed(visitor.ident) or (
                visitor.failure is None and visitor.ident in self.model.left_out
            )
            assert known == (visitor.failure is None), repr(visitor.failure)
        if visitor.failure is None:
            assert visitor.value == int(self.model.number(visitor.ident) or gathering.UNKNOWN)
        if visitor.failure is not None and not visitor.process.undone:
            assert visitor.ident not in self.model.came, f"{visitor.ident} has gone and is still counted"

    def all_is_settled(self) -> None:
        super().all_is_settled()
        gone = {one.ident for one in self.visitors if one.failure and not one.process.silent}
        assert not gone & self.model.came.keys(), "who has gone is still counted"


def bury(visitor: Visitor) -> None:
    """Its process is no more: nothing of what it would still do is done."""
    failure: BaseException = Interruption()
    while not visitor.ended:
        try:
            step = visitor.doing.throw(failure)
            while not isinstance(step, Call):
                step = visitor.doing.send("")
            failure = StoreUnavailable("never more")
        except (StopIteration, CoordinatorError, Interruption):
            visitor.ended, visitor.waits = True, None
