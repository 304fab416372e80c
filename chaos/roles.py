"""What the children of a run are: workers whose handlers write history. Each is an entry of `chaos.processes.Nursery`.

A handler notes `start` as its first act and `done` as its last, both with its fence, so the history has every run there
was, whatever became of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaos.history import Recorder
from coordinator import Settings
from coordinator.drivers import clock, failpoints
from coordinator.wire import loader
from workers import Registry, Worker

STEP, STEP_IN_THREAD, STEP_IN_PROCESS = "chaos.step", "chaos.step_in_thread", "chaos.step_in_process"
QUEUE = "default"
# Built here, once: children are forked from a process that has imported this.
loader.library()
# By which a process of a worker's pool is told where the history is.
HISTORY = "CHAOS_HISTORY"
NAP = 0.01


def handlers(recorder: Recorder) -> Registry:
    """The handlers of a run. All take `{"ms": ...}` and work that long: on the loop, in a thread, in a process."""
    jobs = Registry()

    @jobs.handler(STEP)
    async def step(ctx: Any, payload: Any) -> str:
        _begin(recorder, ctx)
        with _raising(recorder, ctx):
            if payload.get("keep"):
                time.sleep(_seconds(ctx, payload))  # noqa: ASYNC251 (it keeps the loop, as bad handlers do)
            else:
                await asyncio.sleep(_seconds(ctx, payload))
            if payload.get("progress"):
                ctx.progress(1.0, "done")
            if payload.get("fails") and ctx.attempt == 1:
                raise ValueError("fails the first time")
        recorder.note("done", ctx.fence(), job=ctx.id)
        return result_of(ctx)

    @jobs.handler(STEP_IN_THREAD)
    def step_in_thread(ctx: Any, payload: Any) -> str:
        _begin(recorder, ctx)
        ends = time.monotonic() + _seconds(ctx, payload)
        with _raising(recorder, ctx):
            while (rest := ends - time.monotonic()) > 0:
                ctx.check()
                time.sleep(min(NAP, rest))
        recorder.note("done", ctx.fence(), job=ctx.id)
        return result_of(ctx)

    jobs.handler(STEP_IN_PROCESS, executor="process")(step_in_process)
    return jobs


def _begin(recorder: Recorder, ctx: Any) -> None:
    """Note that a handler begins, and until when its worker may trust its session: on one machine the server's clock is
    ours."""
    at = time.time()
    trusted = at + ctx._job._driver.keeper.trusted_until - clock.now()
    times = {"server_us": round(at * 1e6), "trusted_us": round(trusted * 1e6)}
    recorder.note("start", ctx.fence(), job=ctx.id, attempt=ctx.attempt, **times)


def step_in_process(ctx: Any, payload: Any) -> str:
    """The same in a process of its own, which has a history of its own."""
    recorder = Recorder(Path(os.environ[HISTORY]), f"pool-{os.getpid()}-{time.monotonic_ns()}")
    recorder.note("start", ctx.fence(), job=ctx.id, attempt=ctx.attempt, pid=os.getpid())
    time.sleep(_seconds(ctx, payload))
    recorder.note("done", ctx.fence(), job=ctx.id)
    recorder.close()
    return result_of(ctx)


def result_of(ctx: Any) -> str:
    """What a handler returns: the job, and the fence under which it did it, which must be the one that is settled."""
    return f"{ctx.id} {ctx.fence()}"


@contextlib.contextmanager
def _raising(recorder: Recorder, ctx: Any) -> Iterator[None]:
    """Note that a handler gave up with an error: only then may its job fail."""
    try:
        yield
    except Exception:
        recorder.note("raised", ctx.fence(), job=ctx.id)
        raise


def _seconds(ctx: Any, payload: Any) -> float:
    """How long a run takes; the first one may be another case."""
    first = ctx.deliveries == 1 and ctx.attempt == 1
    return float(payload.get("first_ms", payload["ms"]) if first else payload["ms"]) / 1000


def worker(url: str, settings: dict[str, Any], history: str, process: str, options: dict[str, Any]) -> None:
    """A worker process until SIGTERM. `options` are those of `Worker`."""
    logging.basicConfig(format=f"{process} %(asctime)s %(levelname)s %(name)s: %(message)s")
    os.environ[HISTORY] = history
    recorder = Recorder(Path(history), process)
    failpoints.switch_on(
        options.pop("failpoints", ""), lambda place, how: recorder.note("failpoint", place=place, how=how)
    )
    asyncio.run(_work(Worker(handlers(recorder), url, None, Settings.of(**settings), **options), recorder))
    recorder.close()


async def _work(made: Worker, recorder: Recorder) -> None:
    def end() -> None:
        # On one machine the server's clock is ours.
        recorder.note("told_to_end", server_us=time.time_ns() // 1000, session=made.session)
        made.stop_soon()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    await made.run()
