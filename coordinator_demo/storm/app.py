"""One application of the storm: it hands in what the plan says, and writes down what became of each ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from coordinator import AsyncCoordinator, Submission
from coordinator.errors import QueueFull
from coordinator_demo.history import Recorder, clock
from coordinator_demo.storm.plan import (
    ALARM,
    ALARMS_A_SECOND,
    APPS,
    BATCH,
    BEHIND,
    CALLERS,
    CHARGE,
    CHARGES_A_SECOND,
    DIGEST,
    DIGEST_PRIORITY,
    FLOODED,
    FLOODERS,
    HIGH_BURST,
    IN_FRONT,
    MAIL,
    MAIN,
    QUICK,
    REPORT,
    REPORTS_A_SECOND,
    STUCK,
    STUCK_FOR,
    Plan,
)

LONGEST_PAUSE = 0.1


class App:
    """One of `APPS` processes, each of which does its share."""

    def __init__(self, co: AsyncCoordinator, plan: Plan, index: int, recorder: Recorder) -> None:
        self._co, self._plan, self._index, self._recorder = co, plan, index, recorder

    async def run(self) -> None:
        """Everything, until nothing more is to be handed in."""
        plan = self._plan
        parts: list[Awaitable[None]] = [
            self._steadily(CHARGES_A_SECOND, self._one(CHARGE, MAIN, "normal")),
            self._steadily(REPORTS_A_SECOND, self._one(REPORT, MAIN, "high")),
            self._steadily(ALARMS_A_SECOND, self._one(ALARM, FLOODED, "emergency")),
            self._at(plan.identical, self._identical),
        ]
        parts += [self._at(plan.flood.begin, self._flood) for _ in range(FLOODERS)]
        if self._index == 0:
            parts += [self._at(moment, self._batch) for moment in plan.rounds]
        else:
            parts.append(self._at(plan.burst, self._burst))
        await asyncio.gather(*parts)

    async def _at(self, moment: float, what: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(moment - clock())
        await what()

    async def _steadily(self, a_second: float, what: Callable[[], Awaitable[object]]) -> None:
        pause = APPS / a_second
        due = self._plan.start + pause * self._index / APPS
        while due < self._plan.end:
            await asyncio.sleep(due - clock())
            await what()
            due += pause

    def _one(self, name: str, queue: str, priority: str) -> Callable[[], Awaitable[float]]:
        async def hand_in() -> float:
            try:
                ticket = await self._co.submit(name, None, queue=queue, priority=priority)
            except QueueFull as error:
                # Overloaded says when to try again; a queue that is full without shedding does not.
                self._recorder.note("refused", name=name, priority=priority, retry_after=error.retry_after)
                return LONGEST_PAUSE if error.retry_after is None else error.retry_after
            self._recorder.note("asked", name=name, priority=priority, id=ticket.ident)
            return 0.0

        return hand_in

    async def _flood(self) -> None:
        hand_in = self._one(MAIL, FLOODED, "low")
        due = clock()
        while due < self._plan.flood.end:
            # Far less patient than it is asked to be: it is a flood.
            due += min(LONGEST_PAUSE, await hand_in())
            await asyncio.sleep(due - clock())
            due = clock()

    async def _burst(self) -> None:
        hand_in = self._one(MAIL, FLOODED, "high")
        await asyncio.gather(*(hand_in() for _ in range(HIGH_BURST)))

    async def _batch(self) -> None:
        batch = [Submission(QUICK, None, queue=BATCH) for _ in range(IN_FRONT + BEHIND)]
        batch.insert(IN_FRONT, Submission(STUCK, {"seconds": STUCK_FOR}, queue=BATCH))
        for ticket, one in zip(await self._co.submit_many(batch), batch, strict=True):
            self._recorder.note("asked", name=one.name, priority="", id=ticket.ident)

    async def _identical(self) -> None:
        await asyncio.gather(*(self._call() for _ in range(CALLERS // APPS)))
        found = self._co.coalescing()
        hits = found.near_hits + found.far_hits
        self._recorder.note("counted", executed=found.executed, joined=found.joined, hits=hits)

    async def _call(self) -> None:
        answer = await self._co.coalesce(DIGEST, {"day": "2026-11-25"}, ttl=60, timeout=30, priority=DIGEST_PRIORITY)
        self._recorder.note("answered", by=answer["made_by"])
