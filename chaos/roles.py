"""What the children of a run are: workers whose handlers write history. Each is an entry of `chaos.processes.Nursery`.

A handler notes `start` as its first act and `done` as its last, both with its fence, so the history has every run there
was, whatever became of it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from pathlib import Path
from typing import Any

from chaos.history import Recorder
from coordinator import Settings
from workers import Registry, Worker

STEP, STEP_IN_THREAD = "chaos.step", "chaos.step_in_thread"
QUEUE = "default"


def handlers(recorder: Recorder) -> Registry:
    """The handlers of a run. Both take `{"ms": ...}` and work that long, one on the loop and one in a thread."""
    jobs = Registry()

    @jobs.handler(STEP)
    async def step(ctx: Any, payload: Any) -> str:
        recorder.note("start", ctx.fence(), job=ctx.id, attempt=ctx.attempt)
        await asyncio.sleep(payload["ms"] / 1000)
        recorder.note("done", ctx.fence(), job=ctx.id)
        return str(ctx.id)

    @jobs.handler(STEP_IN_THREAD)
    def step_in_thread(ctx: Any, payload: Any) -> str:
        recorder.note("start", ctx.fence(), job=ctx.id, attempt=ctx.attempt)
        time.sleep(payload["ms"] / 1000)
        recorder.note("done", ctx.fence(), job=ctx.id)
        return str(ctx.id)

    return jobs


def worker(url: str, settings: dict[str, Any], history: str, process: str, options: dict[str, Any]) -> None:
    """A worker process until SIGTERM. `options` are those of `Worker`."""
    logging.basicConfig(format=f"{process} %(asctime)s %(levelname)s %(name)s: %(message)s")
    recorder = Recorder(Path(history), process)
    asyncio.run(_work(Worker(handlers(recorder), url, None, Settings.of(**settings), **options)))
    recorder.close()


async def _work(made: Worker) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, made.stop_soon)
    await made.run()
