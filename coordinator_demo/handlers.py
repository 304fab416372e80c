"""What the workers of the demonstration run: holding for as long as the pull did, and writing down when.

The worker process is an ordinary one (`python -m workers run coordinator_demo.handlers:jobs`). Its history is kept in
the folder that `DEMO_HISTORY` names.
"""

from __future__ import annotations

import asyncio
import os
from functools import cache
from pathlib import Path
from typing import Any

from coordinator_demo.history import FOLDER, Recorder
from coordinator_demo.instance import JOB
from workers import Context, Registry

jobs = Registry()


@cache
def _recorder(pid: int) -> Recorder:
    # One file for each process, also when a worker forks after this module was imported.
    return Recorder(Path(os.environ.get(FOLDER, "history")), f"worker-{os.uname().nodename}-{pid}")


@jobs.handler(JOB)
async def apply(ctx: Context, payload: dict[str, Any]) -> dict[str, Any]:
    """Hold everything the pull needs for `hold` seconds."""
    recorder, fence = _recorder(os.getpid()), ctx.fence()
    facts = {"pull": payload["pull"], "request": ctx.id, "fence": fence}
    recorder.note("holding", **facts, resources=payload["resources"], attempt=ctx.attempt)
    await asyncio.sleep(payload["hold"])
    recorder.note("done", **facts)
    return {"applied": payload["pull"]}
