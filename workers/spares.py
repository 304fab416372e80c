"""Offers claimed jobs that cannot begin to other workers, and takes back what nobody took.

A thread looks, because it is the loop that may be kept; it speaks to the store on the connections that the keeper of
the session uses. What it offers it takes off the shelf first (`reserve`), so nothing that is on offer begins here: only
the loop brings it back, by asking the store which of it is still ours (`retain`). The two kinds of calls are counted
together, and the store refuses an offer that comes after the call that took it back.

A worker whose loop is kept may also have claimed what it does not know of: the reply has come and was not read, or is
on its way, or the claim lies with the store until a bell rings. Those go by the number of the claim: the store offers
what that has brought, or has it bring nothing any more. When the loop reads such a reply, its jobs are on offer.

What is offered, and when, is in `coordinator/policy/steal.py`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Iterable
from functools import partial

from coordinator.drivers import failpoints
from coordinator.drivers.aio import AsyncDriver
from coordinator.drivers.keeper import TAKEN_BACK
from coordinator.errors import CoordinatorError
from coordinator.ops import fleet
from coordinator.policy import steal
from coordinator.policy.resend import pause
from coordinator.wire import calls, replies
from coordinator.wire.calls import Offer
from workers.desk import Desk
from workers.exchange import Exchange
from workers.executor import Executor
from workers.job import Job, Stop
from workers.lag import Lag
from workers.reserve import Shelf
from workers.service import Service

log = logging.getLogger(__name__)
LONGEST_WAIT = 1.0


class Spares(Service):
    """The jobs of one worker that are on offer."""

    def __init__(self, driver: AsyncDriver, desk: Desk, executor: Executor, exchange: Exchange) -> None:
        super().__init__()
        self._driver, self._desk, self._executor, self._exchange = driver, desk, executor, exchange
        self._reserve = executor.reserve
        self._number = 0
        self._over_now = threading.Event()
        self._thread: threading.Thread | None = None
        # Since when the loop has not answered; None: it has.
        self._asked: float | None = None
        self._lag: Lag | None = None
        # The claim that was offered while the loop was kept; once is enough.
        self._claim = 0
        self._task: asyncio.Task[None] | None = None

    async def _begin(self) -> None:
        self._executor.on_free = self.look_back
        self._lag = Lag(self._executor.jobs.values, self._executor.runs.long, asyncio.get_running_loop())
        self._thread = threading.Thread(target=self._watch, args=(self._lag,), name="coordinator-spares", daemon=True)
        self._thread.start()

    async def _end(self) -> None:
        """From here on nothing more is offered; what is on offer is handed back by whoever stops the worker."""
        with self._exchange.lock:
            self._over_now.set()

    # --- in the thread

    def _watch(self, lag: Lag) -> None:
        # A change of the interval is to count soon.
        while not lag.pause(self._over_now, min(self._driver.settings.stealing.interval / steal.LOOKS, LONGEST_WAIT)):
            try:
                # The jobs are of this session, or void.
                session = self._driver.keeper.session
                offer = self.look(self._driver.now()) if session else None
                if offer is not None:
                    self._tell(session, offer)
                    lag.mark()
            except Exception:
                log.exception("looking for jobs that cannot begin failed by a fault")

    def look(self, now: float) -> Offer | None:
        """What is to be offered now, which from here on does not begin. `now` by the clock of leases."""
        settings = self._driver.settings.stealing
        stuck = self._stuck(now, settings.interval / steal.LOOKS)
        if not settings.enabled:
            return None
        with self._exchange.lock:
            if self._over_now.is_set():
                return None
            found = [*self._lying(self._reserve.loop, stuck), *self._lying(self._reserve.processes, False)]
            unread, claim = self._exchange.unseen() if stuck else ([], 0)
            news = claim if claim != self._claim else 0
            self._claim = claim
            if not (found or unread or news):
                return None
            for job in found:
                self._reserve.offered[job.ident] = job
            self._number += 1
            jobs = [*((job.ident, str(job.fence)) for job in found), *unread]
            before = len(self._reserve.loop) + len(self._reserve.processes)
            offer = Offer(self._number, stuck, claim, before, jobs)
        self._driver.in_loop(self._noted, found, stuck)
        return offer

    def _stuck(self, now: float, patience: float) -> bool:
        """Whether the loop has not come round for so long. It is only asked while jobs are here that could keep it."""
        if self._asked is not None:
            if self._lag is not None:
                self._lag.kept(now - self._asked)
            return now - self._asked >= patience * 0.9
        if self._desk.taken:
            self._asked = now
            self._driver.in_loop(self._came_round)
        return False

    @staticmethod
    def _lying(shelf: Shelf, stuck: bool) -> list[Job]:
        lying, begun = shelf.look()
        jobs = shelf.tail(steal.surplus(len(shelf), 0) if stuck else steal.surplus(lying, begun))
        for job in jobs:
            job.spare = True
        return jobs

    def _tell(self, session: str, offer: Offer) -> None:
        """One try. Whether it came or not: what is on offer is asked for before it begins."""
        if failpoints.on:
            failpoints.reach("worker.before_spare")
        try:
            raw = self._driver.call_aside(calls.spare(self._driver.scope, session, offer))
            replies.expect(raw, "ok", "overtaken", "session_lost")
        except CoordinatorError as error:
            log.warning("jobs that cannot begin could not be offered: %s", error)
            self._claim = 0
        if failpoints.on:
            failpoints.reach("worker.after_spare")

    # --- on the loop

    def _came_round(self) -> None:
        self._asked = None
        if self._lag is not None:
            self._lag.came_round()

    def _noted(self, jobs: Iterable[Job], stuck: bool) -> None:
        """The loop has come round to what was offered without it."""
        for job in jobs:
            waits, job.interrupt = job.interrupt, partial(self._interrupted, job)
            if waits is not None:
                waits(None)  # it waits for a process, and would not begin any more
            if job.lost:
                self._gone(job)
        if stuck:
            # The store no longer rings here, and a claim that was on its way may bring nothing.
            self._desk.doubt()
        self.look_back()

    def _interrupted(self, job: Job, how: Stop | None) -> None:
        if how is None:
            self._gone(job)

    def _gone(self, job: Job) -> None:
        if self._reserve.offered.get(job.ident) is job:
            del self._reserve.offered[job.ident]
        if not job.finished:
            if job.why_lost in ("", TAKEN_BACK):
                self._driver.meter.count("steal.given")
            self._executor.surrender(job)

    def look_back(self) -> None:
        """There may be room for what is on offer."""
        if self.started and (self._task is None or self._task.done()) and self._due():
            self._task = asyncio.get_running_loop().create_task(self._retain())

    def _due(self) -> list[Job]:
        """What could begin: all that the loop runs once it has nothing else, and as much as there are processes."""
        reserve = self._reserve
        room = 0 if reserve.places is None else max(0, reserve.places - len(reserve.processes))
        if reserve.loop and not room:
            return []
        due: list[Job] = []
        # In the order in which they were claimed.
        for job in sorted(reserve.offered.values(), key=lambda job: job.fence):
            if job.finished:
                del reserve.offered[job.ident]
            elif reserve.shelf(job) is reserve.loop:
                due += () if reserve.loop else (job,)
            elif room:
                due.append(job)
                room -= 1
        return due

    async def _retain(self) -> None:
        tries = 0
        while self.started and (jobs := self._due()):
            if failpoints.on:
                failpoints.reach("worker.before_retain")
            with self._exchange.lock:
                self._number += 1
                number = self._number
            pairs = [(job.ident, str(job.fence)) for job in jobs]
            try:
                session = self._driver.keeper.session
                kept = await self._driver.run(fleet.retain(self._driver.scope, session, number, pairs))
            except CoordinatorError as error:
                log.warning("jobs that were offered could not be taken back yet: %s", error)
                await asyncio.sleep(pause(tries, random.random()))
                tries += 1
                continue
            if failpoints.on:
                failpoints.reach("worker.after_retain")
            tries = 0
            for job in jobs:
                self._retained(job, job.ident in kept)

    def _retained(self, job: Job, ours: bool) -> None:
        if job.finished:
            return
        if not ours or job.lost:
            self._gone(job)
        else:
            del self._reserve.offered[job.ident]
            self._executor.regain(job)
