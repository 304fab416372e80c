"""A process of owners who enter locks that they hold already, and write down what they see for the judge of histories.

`python -m tests.support.reentering URL NAMESPACE FOLDER OPTIONS`. An acquire and a release are written where a lock is
entered first and left last; in between are `again` and `left`, and `upgrade` for what must be refused. Half of the
processes have threads with the sync client, the others tasks with that of asyncio. Where a session lapses inside, to
enter again asks anew: that is written down as the acquire that it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from chaos.clock import now_ns
from chaos.history import Recorder
from coordinator import AsyncCoordinator, Coordinator, Need, Settings
from coordinator.errors import CoordinatorError, LeaseLost, UpgradeRefused
from coordinator.model.need import Mode

RESOURCES, OWNERS, DEEPEST = ("report/1", "report/2"), 2, 3
# Seconds for which a lock is held at each depth, at most.
PAUSE = 0.002
OTHER: dict[Mode, Mode] = {"exclusive": "shared", "shared": "exclusive"}


class Owner:
    """One owner at work, with either client."""

    def __init__(self, co: Any, recorder: Recorder, name: str, options: dict[str, Any]) -> None:
        self._co, self._recorder, self._name, self._options = co, recorder, name, options
        self._entered = 0

    async def play(self) -> None:
        """Until the time is over, and once at least."""
        ends = time.monotonic() + self._options["seconds"]
        while not self._entered or time.monotonic() < ends:
            need = Need(random.choice(RESOURCES), random.choice(("exclusive", "exclusive", "shared")))
            # Of a machine that stands still a session may lapse; what the judge says of the rest holds all the same.
            with contextlib.suppress(CoordinatorError):
                await self._hold(need)

    async def _hold(self, need: Need) -> None:
        with self._recorder.doing("acquire", resource=need.resource, mode=need.mode) as pending:
            lease = await self._acquire(need, wait=60)
            pending.fence, pending.args["request"] = lease.fence, lease.ident
        await self._enter_again(lease, need, random.randint(1, DEEPEST))
        with self._recorder.doing("release", lease.fence, resource=need.resource, request=lease.ident):
            await done(lease.release())

    async def _enter_again(self, lease: Any, need: Need, depth: int) -> None:
        inner = await self._again(lease, need)
        self._recorder.note("again", inner.fence, of=lease.fence)
        self._entered += 1
        if need.mode == "exclusive" and self._entered >= self._options["dies_after"]:
            os.kill(os.getpid(), signal.SIGKILL)
        await self._upgrade(lease, Need(need.resource, OTHER[need.mode]))
        if depth > 1:
            await self._enter_again(lease, need, depth - 1)
        await asyncio.sleep(random.uniform(0, PAUSE))
        await done(inner.release())
        self._recorder.note("left", lease.fence, held=lease.held, why=why_lost(lease))
        await asyncio.sleep(random.uniform(0, PAUSE))

    async def _upgrade(self, lease: Any, need: Need) -> None:
        how = "granted"
        try:
            await done((await self._again(lease, need)).release())
        except CoordinatorError as error:
            how = type(error).__name__
        self._recorder.note("upgrade", lease.fence, how=how, held=lease.held, why=why_lost(lease))

    async def _again(self, lease: Any, need: Need) -> Any:
        """Ask inside, which asks nobody while the lease is held. Raises LeaseLost where it had been lost by then."""
        began = now_ns()
        try:
            inner = await self._acquire(need, wait=0.5)
        except CoordinatorError as error:
            if not lease.held and not isinstance(error, UpgradeRefused):
                self._note_anew(need, began, None)
            raise
        if lease.held or inner.fence == lease.fence:
            return inner
        self._note_anew(need, began, inner)
        with self._recorder.doing("release", inner.fence, resource=need.resource, request=inner.ident):
            await done(inner.release())
        raise LeaseLost(lease.ident, "it was lost, and had anew")

    def _note_anew(self, need: Need, began: int, got: Any) -> None:
        pending = self._recorder.begin("acquire", began=began, resource=need.resource, mode=need.mode)
        if got is None:
            pending.outcome = "unknown"
        else:
            pending.fence, pending.args["request"] = got.fence, got.ident
        self._recorder.end(pending)

    async def _acquire(self, need: Need, wait: float) -> Any:
        return await done(self._co.acquire(need, wait=wait, owner=self._name, reentrant=True))


def why_lost(lease: Any) -> str:
    """Why it is not held, be it that nobody has been told yet; empty if it is, or was given back."""
    try:
        lease.check()
    except LeaseLost as error:
        return "" if error.why == "released" else error.why
    return ""


async def done(answer: Any) -> Any:
    """What either client answers."""
    return await answer if inspect.isawaitable(answer) else answer


def main(url: str, namespace: str, folder: str, given: str) -> None:
    """Play as the options say: `process` (its number), `seconds`, `session_ttl`, `dies_after` so many entries."""
    options = json.loads(given)
    settings = settings_of(namespace, options["session_ttl"])
    recorder = Recorder(Path(folder), f"p{options['process']}")
    names = [f"{options['process']}-{n}" for n in range(OWNERS)]
    if options["process"] % 2 == 0:
        with Coordinator.connect(url, settings=settings) as co:
            owners = [Owner(co, recorder, name, options) for name in names]
            threads = [threading.Thread(target=lambda one=one: asyncio.run(one.play())) for one in owners]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
        return

    async def tasks() -> None:
        async with AsyncCoordinator.connect(url, settings=settings) as co:
            await asyncio.gather(*(Owner(co, recorder, name, options).play() for name in names))

    asyncio.run(tasks())


def settings_of(namespace: str, session_ttl: float) -> Settings:
    """Those of all processes, but for how soon one is taken for dead. Nothing is thrown away before it is judged."""
    return Settings.of(
        namespace=namespace,
        session_ttl=session_ttl,
        operation_timeout=session_ttl,
        sweep_interval=0.2,
        aging_after=None,
        max_events=1_000_000,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
