"""The fleet's side of Coordinator: handlers, and the worker that takes jobs and runs them.

from workers import Registry

jobs = Registry()

@jobs.handler("deploy.apply")
async def apply(ctx, payload):
    ctx.progress(0.4, "planning")
    return {"applied": True}
"""

from coordinator import __version__
from workers.context import Context, ProcessContext
from workers.control import GiveUp, JobCancelled, RateLimited, RetryLater, SnoozeFor
from workers.registry import Registry
from workers.shards import Shards
from workers.worker import Worker, WorkerOptions

__all__ = [
    "Context",
    "GiveUp",
    "JobCancelled",
    "ProcessContext",
    "RateLimited",
    "Registry",
    "RetryLater",
    "Shards",
    "SnoozeFor",
    "Worker",
    "WorkerOptions",
    "__version__",
]
