"""More of what is measured at depth: a line in which very many stand, and sessions with thousands of locks that end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from chaos.deep import Deep, Phase
from coordinator.drivers.ids import new_id
from coordinator.keys import key
from coordinator.ops import inspect
from coordinator.wire import calls
from coordinator.wire.calls import Deed

# So many stand in the line, and so many locks has a session that ends.
WAITERS, LOCKS = 1200, 2000
HOT = "hot"


def phases(deep: Deep) -> Iterator[Phase]:
    """As `deep.phases`."""
    yield from _sessions(deep)
    yield from _line(deep)


class _Line:
    """One resource, who has it, and who waits for it: so many lock requests, and later jobs, too."""

    def __init__(self, deep: Deep) -> None:
        self._deep, self._chance = deep, random.Random(WAITERS)
        self._holder = deep.lock(HOT)
        self.ids = [deep.lock(HOT)[0] for _ in range(WAITERS)]

    def join(self, jobs: int) -> None:
        """Jobs come to the end of the line."""
        self.ids += [self._deep.one_job("crowd", resources=[HOT]) for _ in range(jobs)]

    def one(self) -> str:
        """One of those who wait. The first ones come and go."""
        return self.ids[self._at_random()]

    def _at_random(self) -> int:
        return self._chance.randrange(len(self.ids) // 4, len(self.ids))

    def pass_on(self) -> None:
        """The next of the line has it, and the end of the line gets one more."""
        deep, first = self._deep, self.ids.pop(0)
        deep.done(calls.release(deep.scope, *self._holder))
        self.ids.append(deep.lock(HOT)[0])
        self._holder = first, int(deep.node.ask("HGET", key(deep.scope.namespace, "REQ", first), "fence"))

    def replace(self) -> None:
        """One leaves the line, and another comes to its end."""
        at = self._at_random()
        self._deep.call(calls.cancel(self._deep.scope, self.ids[at], "cancel", "no"))
        self.ids[at] = self._deep.lock(HOT)[0]

    def define(self, permits: int) -> None:
        """So many may have it at once."""
        self._deep.call(calls.define(self._deep.scope, HOT, _deed(), {"capacity": permits}))

    def let_in(self, permits: int) -> None:
        """So many have it, or are offered it."""
        self.define(permits)
        while self._deep.call(calls.sweep(self._deep.scope))[1]:
            pass

    def widen(self) -> None:
        """As many permits as let a quarter of the line in, and as few as before."""
        self.define(WAITERS // 4)
        self.define(1)

    def urge(self) -> None:
        """One gets another priority."""
        self._deep.call(calls.reprioritise(self._deep.scope, self.one(), self._chance.randrange(5)))

    def put_first(self) -> None:
        """One gets to the front."""
        self._deep.call(calls.reorder(self._deep.scope, self.one(), "front", "", _deed()))


def _line(deep: Deep) -> Iterator[Phase]:
    call, scope, line = deep.call, deep.scope, _Line(deep)
    yield f"the next of {WAITERS}", "release", line.pass_on
    yield f"the last of {WAITERS}", "request", line.replace
    yield f"one of {WAITERS} in a line", "cancel", line.replace
    line.join(WAITERS // 2)
    many = f"one of {len(line.ids)} in a line"
    yield many, "reprioritise", line.urge
    yield many, "reorder", line.put_first
    yield many, "explain", lambda: call(calls.explain(scope, line.one(), inspect.MOST_NAMED))
    yield from _looks(deep, line, f"a line of {len(line.ids)}")
    yield f"a line of {len(line.ids)}", "define", line.widen
    line.let_in(WAITERS)
    yield from _looks(deep, line, f"a line of {len(line.ids)} with {WAITERS} permits")


def _looks(deep: Deep, line: _Line, what: str) -> Iterator[Phase]:
    call, scope, seen = deep.call, deep.scope, (f"line:{HOT}",)
    yield what, "line", lambda: call(calls.line(scope, HOT, inspect.MOST_NAMED))
    yield what, "audit_resource", lambda: call(calls.audit_resource(scope, HOT, False, 0))
    yield f"one in {what}", "audit_request", lambda: call(calls.audit_request(scope, line.one(), False, 0, seen))


def _deed() -> Deed:
    return Deed("depth", "by hand", new_id())


@dataclass
class _Doomed:
    """A session with very many locks, for each of which somebody waits; a new one when it has ended."""

    deep: Deep
    heir: str
    session: str = ""

    def one(self) -> str:
        """The session that is to end."""
        deep = self.deep
        if not self.session or not deep.node.ask("EXISTS", key(deep.scope.namespace, "OWNS", self.session)):
            self.session = deep.another_session()
            for _ in range(LOCKS):
                resource = f"doomed/{next(deep.numbers)}"
                deep.lock(resource, self.session)
                deep.lock(resource, self.heir)
        return self.session


def _sessions(deep: Deep) -> Iterator[Phase]:
    scope, call = deep.scope, deep.call
    doomed = _Doomed(deep, deep.another_session())

    def reaped() -> None:
        deep.lapse(doomed.one())
        call(calls.sweep(scope))

    yield (
        f"of {LOCKS} locks that others wait for",
        "close_session",
        lambda: call(calls.close_session(scope, doomed.one())),
    )
    yield f"a dead session with {LOCKS} locks that others wait for", "sweep", reaped
