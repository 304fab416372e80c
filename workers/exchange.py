"""The worker's one line to the store: outcomes go in and jobs come out, in one round trip at a time.

Slots come first: no more jobs are claimed than slots are free, so nothing that was claimed waits behind something else.
It is the only writer of outcomes. While the store is away they are kept and sent again (a report under the same fence
answers as it did the first time) until the lease is over; then they are dropped, for the job is somebody else's. One
claim is on its way at a time, because the store remembers one batch: sent again under the same number it is handed out
again. While a round trip lasts outcomes gather, so a busy worker reports in batches without ever waiting for one to
fill.

A claim asks for half of the slots at most (for how many: `sizes`). So there are two batches: while one is run the other
is settled and replaced, and neither this process nor the store waits for the other. For the same reason a reply is read
only when the next call is on its way, if there is one.

A worker that found nothing parks its next claim behind the read of its inbox: the store carries it out when it rings,
so that the jobs come together with the bell. While a claim is parked none other is made, and the slots it asks for stay
free. Should its answer not come it is made in the usual way, under the same number. It is sent anew with
each read of the inbox, at most every `PARKED` part of a session's life, for what it brings is trusted from when it was
sent.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import threading
from functools import partial
from typing import Any, NamedTuple

from coordinator.drivers import failpoints
from coordinator.drivers.aio import AsyncDriver
from coordinator.errors import CoordinatorError, Corrupt, ProtocolError
from coordinator.ops import fleet
from coordinator.ops.fleet import Verdict
from coordinator.policy import steal
from coordinator.policy.resend import pause
from coordinator.wire import calls
from coordinator.wire.calls import Claim
from workers import measure
from workers.desk import Desk, Entry
from workers.executor import Executor
from workers.job import lease_end
from workers.service import Service
from workers.sizes import Sizes

log = logging.getLogger(__name__)

# What one script has to do is bounded, so that the store is never at work for long: no batch has more jobs than this,
# and where jobs need resources, each of which has a line to be moved on, no more than that.
MAX_BATCH, MAX_KEYED = 64, 24
MAX_BYTES = 4 * 1_048_576
# The share of a session's time to live, and of the longest hold, for which a claim may be parked at most.
PARKED = 0.25


class Parked(NamedTuple):
    """A claim that lies with the store."""

    ask: Claim
    session: str
    sent: float


class Exchange(Service):
    """Settles and claims until it is stopped; stopping waits until every outcome is recorded or void."""

    def __init__(self, driver: AsyncDriver, desk: Desk, executor: Executor, queues: tuple[str, ...]) -> None:
        super().__init__()
        self._driver, self._desk, self._executor, self._queues = driver, desk, executor, queues
        self._hold_ms = round(driver.settings.max_hold * 1000)
        # Held for a few steps by whoever takes what a claim brought: the loop, or the thread that offers it to others.
        self.lock = threading.Lock()
        # Claims whose jobs were offered before they were seen here.
        self._offered: set[int] = set()
        self._number = 0
        self.sizes = Sizes(driver, desk, executor, MAX_BATCH)
        # Whether the jobs that came last need resources. Those that come next are probably like them.
        self._keyed = False
        self._unread: tuple[list[Entry], fleet.Exchange] | None = None
        self._parked: Parked | None = None
        self._fault: Exception | None = None
        # The number of a claim that is made again. If it was carried out, its answer is of that time.
        self._repeats = 0
        self._session = ""
        self._parks = driver.settings.max_hold >= driver.settings.session_ttl
        # When the claim under way, and the one whose answer is not read yet, were first sent, on the clock of leases.
        self._sent_at = self._unread_at = math.inf
        self._task: asyncio.Task[None] | None = None
        self._claiming = True
        self._leaving = self._closing = False
        # How many outcomes are still to be handed in one at a time, because the store could not read what one of them
        # is about.
        self._singly = 0

    @property
    def asked_at(self) -> float:
        """When the oldest claim was sent whose jobs are not known here yet; infinite for none."""
        return min(self._sent_at, self._unread_at)

    def serve(self, queues: tuple[str, ...]) -> None:
        """Claim from these from now on, as a claim names them. From any thread."""
        self._queues = queues

    def unseen(self) -> tuple[list[tuple[str, str]], int]:
        """What this worker has claimed and the loop has not come round to, as of now on offer: ids and fences of what
        was read of the store, and the number of a claim on its way, or 0. With the lock, from any thread."""
        jobs: list[tuple[str, str]] = []
        if self._unread is not None and self._number not in self._offered:
            jobs = [(one.ident, str(one.fence)) for one in self._unread[1].jobs() if one.ident]
            self._offered.add(self._number)
        claim = self._number + 1 if self._sent_at < math.inf else 0
        if claim:
            self._offered.add(claim)
        return jobs, claim

    def stop_claiming(self) -> None:
        """Claim nothing from now on, and have the store no longer ring here."""
        if self._claiming:
            self._claiming, self._leaving = False, True
            self._desk.changed.set()

    async def failed(self) -> None:
        """Wait until the work ends by itself, which it only does by a fault; raises that."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _begin(self) -> None:
        self._desk.ring()
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def _end(self) -> None:
        self.stop_claiming()
        self._closing = True
        self._desk.changed.set()
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        try:
            await self._exchange()
        except Exception:
            log.exception("the exchange with the store ended by a fault")
            raise

    async def _exchange(self) -> None:
        tries = 0
        while not self._closing or self._desk.waiting:
            if not self._desk.changed.is_set():
                self.sizes.pause()
                await self._desk.changed.wait()
            self._desk.changed.clear()
            if self._fault is not None:
                raise self._fault
            while self._anything_to_do():
                if await self._round():
                    tries = 0
                else:
                    await asyncio.sleep(pause(tries, random.random()))
                    tries += 1
            self._desk.cramped = self._desk.hungry
            if not self._desk.hungry:
                self._park()

    def _anything_to_do(self) -> bool:
        desk = self._desk
        if self._parked and (desk.doubtful or self._leaving):
            self._unpark()
        looks = self._claiming and desk.hungry and not self._parked
        return bool(desk.waiting) or self._leaving or (looks and self.sizes.wanted() > 0)

    def _park(self) -> None:
        """Leave the next claim with the store. Only one that found less than it asked for comes here, so the store
        knows that this worker is idle, and rings. It is for one job: should this process be frozen when the bell rings,
        no more than that waits for the end of its session. If there are more, the store says so, and the next claim
        asks for them; else this worker is still idle there, and parks the next at once."""
        if self._parked or not (self.sizes.wanted() and self._claiming and self._parks and self._session):
            return
        ask = Claim(self._number + 1, 1, self._hold_ms, self._queues, self.sizes.spare, self._steals(1))
        parked = Parked(ask, self._session, self._driver.now())
        call = calls.claim(self._driver.scope, self._session, ask)
        if self._driver.park(call, partial(self._unparked, parked)):
            self._parked, self._desk.parked = parked, True
            self._sent_at = min(self._sent_at, parked.sent)

    def _unpark(self) -> None:
        """Count on the parked claim no longer: it is made in the usual way, under the same number. If it was carried
        out and found nothing then, that is also the answer now; so another claim comes after it."""
        self._parked, self._desk.parked, self._repeats = None, False, self._number + 1
        self._desk.ring()

    def _unparked(self, parked: Parked, reply: Any) -> None:
        if self._parked is not parked:
            return
        self._parked, self._desk.parked = None, False
        try:
            if isinstance(reply, CoordinatorError):
                raise reply
            found = fleet.parked(parked.session, parked.sent, reply)
        except CoordinatorError as error:
            log.debug("a parked claim was not answered: %s", error)
            self._unpark()
            return
        # What rang meanwhile rang before the store looked.
        idle = not (found.more or (found.raw_jobs and not parked.ask.roomy))
        self._desk.hungry = not idle
        try:
            with self.lock:
                self._moved_on(parked.ask)
                offered = self._were_offered()
            self._take(found, offered)
        except Exception as error:  # it is this service's, not that of whoever read the reply
            self._fault = error
        # After the jobs have begun, and before their outcomes are handed in, which else would look for more.
        asyncio.get_running_loop().call_soon(self._begun, parked.ask, found, self._desk.bells if idle else None)
        self._unread_at = math.inf
        self._desk.changed.set()

    def _begun(self, ask: Claim, found: fleet.Exchange, bells: int | None) -> None:
        """What a parked claim brought has begun. If that was all there is the next is parked, until the store has rung
        more than `bells` times or a claim goes along with outcomes: both would bring the same."""
        self._noted(ask, found)
        if self._desk.bells == bells and self._sent_at == math.inf:
            self._park()

    async def _round(self) -> bool:
        """One round trip. False if the store could not serve it."""
        batch = self._batch()
        ask = Claim(0, 0, self._hold_ms, self._queues) if self._singly and batch else self._ask()
        if not batch and not ask.number:
            self._read()
            return True
        if self._unread is not None:
            asyncio.get_running_loop().call_soon(self._read)
        try:
            found = await self._driver.run(fleet.exchange(self._driver.scope, ask, [one.report for one in batch]))
        except CoordinatorError as error:
            log.warning("the store did not take outcomes or give jobs: %s", error)
            self._repeats = ask.number or self._repeats
            if batch and isinstance(error, Corrupt | ProtocolError):
                self._refused(batch, error)
                return True
            self._desk.waiting.extendleft(reversed(batch))
            self._desk.hungry = True
            if self._closing:
                self._leaving = False  # a store that is away rings nobody
            return False
        self._singly = max(0, self._singly - 1)
        self._read()  # should this reply have come without the loop coming round
        self._noted(ask, found)
        with self.lock:
            self._moved_on(ask)
        self._session = found.session
        full = len(found.raw_jobs) >= ask.wanted or 0 < ask.steals <= found.stolen
        if ask.wanted and (full or ask.number == self._repeats):
            self._desk.hungry = True  # there may be more for the slots that are left
        with self.lock:
            self._unread = batch, found
        self._desk.coming = len(found.raw_jobs)
        if not self._anything_to_do():
            self._read()
        return True

    def _refused(self, batch: list[Entry], error: CoordinatorError) -> None:
        """Trying again does not help, and must not hold up the others: each goes alone, and the one in the way is
        dropped. Its job goes to another worker when this session ends."""
        self._desk.hungry = True
        if not self._singly:
            self._singly = len(batch)
            self._desk.waiting.extendleft(reversed(batch))
            return
        self._singly -= 1
        for entry in batch:
            self._drop(entry, f"the store cannot take it: {error}")

    def _read(self) -> None:
        """Act on the last reply."""
        if self._unread is None:
            return
        with self.lock:
            (batch, found), self._unread = self._unread, None
            offered = self._were_offered()
        self._desk.coming = 0
        verdicts = list(zip(batch, found.verdicts(), strict=True))
        self._settled(*[entry for entry, verdict in verdicts if verdict is fleet.COUNTS])
        for entry, verdict in verdicts:
            if verdict is not fleet.COUNTS:
                self._judged(entry, verdict, found.sent)
        self._take(found, offered)
        self._unread_at = math.inf

    def _batch(self) -> list[Entry]:
        """Outcomes for one call, leaving out those whose lease is over."""
        batch: list[Entry] = []
        size = keyed = 0
        waiting, now = self._desk.waiting, self._driver.now()
        while waiting and len(batch) < (1 if self._singly else MAX_BATCH):
            entry = waiting[0]
            size += len(entry.report.value)
            keyed += bool(entry.job.claimed.needs)
            if batch and (size > MAX_BYTES or keyed > MAX_KEYED):
                break
            waiting.popleft()
            if entry.job.lost_at(now):
                self._drop(entry, f"its lease is over: {entry.job.why_lost or 'not renewed in time'}")
            else:
                batch.append(entry)
        return batch

    def _ask(self) -> Claim:
        """The claim that goes along; number 0 is none. The number moves on when the reply is there, not before."""
        if failpoints.on:
            failpoints.reach("worker.before_exchange")
        now = self._driver.now()
        self.sizes.look(now, MAX_KEYED if self._keyed else MAX_BATCH)
        wanted = self.sizes.wanted() if self._claiming and not self._parked else 0
        if wanted:
            # Before the call: a bell that rings while it lasts must not be forgotten.
            self._desk.hungry = self._desk.doubtful = False
            self.sizes.sent(wanted)
        number = self._number + 1 if wanted or self._leaving else 0
        if number:
            self._sent_at = min(self._sent_at, now)
        return Claim(number, wanted, self._hold_ms, self._queues, steals=self._steals(wanted))

    def _steals(self, wanted: int) -> int:
        """How many of the jobs may be those of others."""
        reserve = self._executor.reserve
        idle = not (reserve.offered or reserve.processes)
        return steal.appetite(wanted, idle, reserve.places) if self._driver.settings.stealing.enabled else 0

    def _were_offered(self) -> bool:
        """Whether the jobs that are being read are on offer. The last claim is the one that is read."""
        offered = bool(self._offered) and self._number in self._offered
        self._offered -= {one for one in self._offered if one <= self._number}
        return offered

    def _noted(self, ask: Claim, found: fleet.Exchange) -> None:
        self.sizes.came(len(found.raw_jobs))
        measure.stolen(self._driver.meter, ask, found)
        measure.claimed(self._driver.meter, len(found.raw_jobs))

    def _moved_on(self, ask: Claim) -> None:
        if ask.number:
            self._number, self._sent_at, self._unread_at = ask.number, math.inf, self._sent_at
            self._leaving = self._leaving and ask.wanted > 0

    def _judged(self, entry: Entry, verdict: Verdict, sent: float) -> None:
        job = entry.job
        if job.spare:
            self._settled(entry)  # handed back with the rest, though it may have been taken over before
        elif verdict.word != "ok":
            self._drop(entry, f"the store says {verdict.word} {verdict.detail}".rstrip())
        elif verdict.fence is None:
            self._settled(entry)
        elif job.lost:
            self._drop(entry, f"its lease is over: {job.why_lost}")
        elif not self._claiming:
            self._settled(entry)
            self._executor.hand_back(job.claimed._replace(fence=verdict.fence))
        else:
            settings = self._driver.settings
            ends = lease_end(job.claimed, sent, settings.session_ttl, settings.max_hold)
            self._executor.again(job, verdict.fence, ends if job.claimed.run_ms else None)

    def _settled(self, *entries: Entry) -> None:
        self._executor.forget(*[entry.job for entry in entries])
        for entry in entries:
            if entry.keeps:
                self._desk.vacate()

    def _drop(self, entry: Entry, why: str) -> None:
        log.warning("the outcome %s of job %s is void: %s", entry.report.outcome, entry.job.ident, why)
        self._settled(entry)

    def _take(self, found: fleet.Exchange, offered: bool = False) -> None:
        if failpoints.on:
            failpoints.reach("worker.after_exchange")
        taken = []
        self._keyed = False
        settings = self._driver.settings
        for claimed in found.jobs():
            self._keyed = self._keyed or bool(claimed.needs)
            if not claimed.ident:
                log.error("the store gave a job that has no name: %s", claimed.problem)
            elif self._claiming:
                ends = lease_end(claimed, found.sent, settings.session_ttl, settings.max_hold)
                taken.append(self._executor.begin(claimed, ends, offered=offered))
            else:
                self._executor.hand_back(claimed)
        self._driver.keeper.hold_all(taken)
        if offered:
            self._executor.on_free()
        if taken and self._driver.keeper.session != found.session:
            for job in taken:  # it ended while the reply was on its way: nobody has told them
                job.lose("the session has lapsed")
