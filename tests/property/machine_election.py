"""Elections under random candidates, on a server and in a model.

A campaign is a task of the asyncio client, on a loop that runs only while a rule does: until the candidate leads or
stands in line, or has heard that it does so no more. So nothing happens between two rules, and nobody sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coordinator import AsyncCoordinator, AsyncElection, Priority
from coordinator.drivers.keeper import Keeper
from coordinator.errors import CoordinatorError, LeaseLost, WaitTimeout
from coordinator.keys import key
from coordinator.model.lease import Person
from coordinator.recipes.aelection import AsyncLeadership
from coordinator.wire import calls
from tests.support.model_election import Elected

T = TypeVar("T")

PATIENCE = 30.0
# Of a longer line the head alone is told.
MOST = 8
which = st.integers(0, 30)
priorities = st.sampled_from((Priority.NORMAL, Priority.NORMAL, Priority.LOW, Priority.HIGH))


@dataclass
class Candidate:
    """One campaign of a client. `told`: what `on_lost` was called with."""

    name: str
    at: int
    campaign: asyncio.Task[AsyncLeadership]
    told: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    leads: AsyncLeadership | None = None


class Fleet:
    """The clients of one namespace, and one more that only looks and gives orders."""

    def __init__(self, connect: Callable[[], AsyncCoordinator], loop: asyncio.AbstractEventLoop) -> None:
        self.connect, self.loop = connect, loop
        self.clients = [connect() for _ in range(3)]
        self.observer = connect()
        self.elections = 0

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, PATIENCE))

    def close(self) -> None:
        for one in (*self.clients, self.observer):
            self.run(one.close())


class ElectionMachine(RuleBasedStateMachine):
    """One election among three processes, each of which may have several candidates."""

    fleet: ClassVar[Fleet]

    @initialize()
    def begin(self) -> None:
        self.fleet.elections += 1
        self.name, self.names, self.newest = f"e{self.fleet.elections}", 0, 0
        self.model = Elected()
        self.candidates: dict[str, Candidate] = {}
        self.seen = AsyncElection(self.fleet.observer, self.name)

    def teardown(self) -> None:
        self.fleet.run(self.all_go())

    async def all_go(self) -> None:
        left = list(getattr(self, "candidates", {}).values())
        for one in left:
            one.campaign.cancel()
        for found in await asyncio.gather(*(one.campaign for one in left), return_exceptions=True):
            if isinstance(found, AsyncLeadership):
                with contextlib.suppress(CoordinatorError):
                    await found.resign()

    # --- what the rules share

    def run(self, work: Awaitable[T]) -> T:
        return self.fleet.run(work)

    def election(self, at: int, name: str, told: Callable[[str], object]) -> AsyncElection:
        return AsyncElection(self.fleet.clients[at], self.name, name, told)

    def comes(self, n: int, priority: Priority, instead_of: AbstractSet[str] = frozenset()) -> None:
        """A candidate, who finds that some are dead: it is in line when that is seen."""
        self.names += 1
        name, at, told = f"c{self.names:03}", n % len(self.fleet.clients), asyncio.Queue[str]()
        campaign = self.election(at, name, told.put_nowait).campaign(priority=priority)
        one = self.candidates[name] = Candidate(name, at, self.fleet.loop.create_task(campaign), told)
        self.model.stand(name, priority)
        self.model.go(instead_of)
        self.leads()
        if one.leads is None:
            self.run(self.stands(name))

    def leads(self) -> None:
        """Whoever should lead hears of it, with a fence above those of all before."""
        one = self.candidates.get(self.model.leader)
        if one is not None and one.leads is None:
            one.leads = self.run(one.campaign)
            assert one.leads.fence > self.newest
            self.newest = one.leads.fence

    def gone(self, names: set[str], heir: str = "") -> list[Candidate]:
        """They are candidates no more; the next leads."""
        self.model.go(names, heir)
        self.leads()
        return [self.candidates.pop(name) for name in sorted(names)]

    def ident(self, name: str) -> str:
        return next(one.ident for one in self.run(self.seen.candidates()) if one.owner == name)

    def is_deposed(self, one: Candidate) -> None:
        """A leader that was not asked has heard of it, once."""
        assert one.leads is not None
        assert self.run(one.told.get())
        assert not one.leads.leading
        with pytest.raises(LeaseLost):
            one.leads.check()

    def ends(self, names: set[str]) -> None:
        """Their process is no more, or was taken for dead."""
        for one in self.gone(names):
            if one.leads:
                self.is_deposed(one)
            else:
                with pytest.raises(CoordinatorError):
                    self.run(one.campaign)

    def waiter(self, n: int) -> str:
        return self.model.order[n % len(self.model.line)]

    def keeper(self, name: str) -> Keeper:
        return self.fleet.clients[self.candidates[name].at]._driver.keeper

    def of_client(self, at: int) -> set[str]:
        return {one.name for one in self.candidates.values() if one.at == at}

    async def stands(self, name: str) -> None:
        while name not in [one.owner for one in await self.seen.candidates()]:
            pass

    # --- the rules

    @rule(n=which, priority=priorities)
    @precondition(lambda self: len(self.candidates) < MOST)
    def campaign(self, n: int, priority: Priority) -> None:
        self.comes(n, priority)

    @rule(n=which, priority=priorities, wait=st.sampled_from((0.0, 0.0, 0.005)))
    @precondition(lambda self: self.model.leader)
    def campaign_in_vain(self, n: int, priority: Priority, wait: float) -> None:
        """Somebody leads already, and whoever does not wait for it to end leaves nothing behind."""
        election = self.election(n % len(self.fleet.clients), "in vain", lambda _why: None)
        with pytest.raises(WaitTimeout):
            self.run(election.campaign(wait, priority=priority))

    @rule(n=which)
    @precondition(lambda self: self.model.line)
    def withdraw(self, n: int) -> None:
        self.withdraw_one(self.waiter(n))

    def withdraw_one(self, name: str) -> None:
        campaign = self.candidates[name].campaign
        campaign.cancel()
        with pytest.raises(asyncio.CancelledError):
            self.run(campaign)
        self.gone({name})

    @rule(n=which, priority=priorities)
    @precondition(lambda self: self.model.line)
    def reprioritise(self, n: int, priority: Priority) -> None:
        name = self.waiter(n)
        self.run(self.fleet.observer.reprioritise(self.ident(name), priority))
        self.model.reprioritise(name, priority)

    @rule(by_leaving=st.booleans())
    @precondition(lambda self: self.model.leader)
    def resign(self, by_leaving: bool) -> None:
        leads = self.candidates[self.model.leader].leads
        assert leads is not None
        self.run(leads.__aexit__(None, None, None) if by_leaving else leads.resign())
        [one] = self.gone({self.model.leader})
        assert not leads.leading
        self.run(leads.resign())
        assert one.told.empty(), "it has resigned, and is told that it was deposed"

    @rule(n=which, known=st.booleans(), for_somebody=st.booleans())
    @precondition(lambda self: self.model.leader)
    def depose(self, n: int, known: bool, for_somebody: bool) -> None:
        """An operator does, for the next or for another; the leader hears of it before it asks, or by that."""
        leads = self.candidates[self.model.leader].leads
        assert leads is not None
        keeper = self.keeper(self.model.leader)
        hears = keeper.lose
        if not known:
            keeper.lose = lambda *_: None  # type: ignore[method-assign]
        heir = self.waiter(n) if for_somebody and self.model.line else ""
        if heir:
            self.run(self.fleet.observer.transfer(leads.lease.ident, self.ident(heir), "test"))
        else:
            self.run(self.fleet.observer.force_release(leads.lease.ident, "test"))
        [one] = self.gone({self.model.leader}, heir)
        if known:
            self.is_deposed(one)
        with pytest.raises(LeaseLost):
            self.run(leads.resign())
        if not known:
            keeper.lose = hears  # type: ignore[method-assign]
            self.is_deposed(one)
        assert one.told.empty(), "it is told twice"

    @rule(n=which)
    @precondition(lambda self: self.candidates)
    def close(self, n: int) -> None:
        """A process ends in good order, and another one takes its place."""
        at = n % len(self.fleet.clients)
        self.run(self.fleet.clients[at].close())
        self.fleet.clients[at] = self.fleet.connect()
        self.ends(self.of_client(at))

    @rule(n=which, swept=st.booleans(), by_asking=st.booleans(), priority=priorities)
    @precondition(lambda self: self.model.leader)
    def die(self, n: int, swept: bool, by_asking: bool, priority: Priority) -> None:
        """The session of a process lapses, and is swept away or in the way of somebody; then the process comes back,
        and hears of it from a heartbeat or when it asks for something."""
        at = self.candidates[self.model.leader].at if n % 2 else n % len(self.fleet.clients)
        keeper, observer = self.fleet.clients[at]._driver.keeper, self.fleet.observer
        dead = self.of_client(at)
        if not (keeper.session and dead):
            return
        self.run(self.lapse(keeper.session))
        if swept or self.model.leader not in dead:
            self.run(observer._driver.store.call(calls.sweep(observer._driver.scope)))
            self.model.go(dead)
            self.leads()
        else:
            self.comes(at + 1, priority, instead_of=dead)
        self.comes(at, priority) if by_asking else keeper.beat_soon()
        self.ends(dead)

    async def lapse(self, session: str) -> None:
        observer = self.fleet.observer
        sessions = key(observer.settings.namespace, "SESSIONS")
        await observer._driver.store.client.zadd(sessions, {session: 1})

    @invariant()
    def all_see_it(self) -> None:
        if not hasattr(self, "model"):
            return
        leader, line = self.run(self.look())
        assert (leader and leader.owner) == (self.model.leader or None)
        assert line == self.model.order
        for one in self.candidates.values():
            assert one.told.empty(), f"{one.name} is told that it was deposed"
            assert one.campaign.done() == (one.name == self.model.leader)
            assert one.leads is None or (one.leads.leading and leader is not None and leader.fence == one.leads.fence)

    async def look(self) -> tuple[Person | None, list[str]]:
        return await self.seen.leader(), [one.owner for one in await self.seen.candidates() if one.live]
