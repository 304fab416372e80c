"""How many bytes of Redis a queued job takes."""

from __future__ import annotations

from collections.abc import Mapping

from bench.model import Figure
from bench.scene import Scene
from bench.workloads.base import Sizes, Workload

PAYLOAD = "x" * 100
WARM = 1_000


def per_job(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """The growth of `used_memory`, for jobs with 100 bytes of payload; what the first thousand cost is not counted."""
    actor = scene.actor()
    actor.ask("fill", rows=[(PAYLOAD,)] * WARM, limit=sizes.limit)
    before = scene.server.used_memory()
    filled = actor.ask("fill", rows=[(PAYLOAD,)] * sizes.memory, limit=sizes.fill_limit)["count"]
    return {"bytes": (scene.server.used_memory() - before) / filled}


WORKLOADS = (
    Workload(
        "memory",
        "Redis bytes per queued job, 100-byte payload",
        "jobs",
        (Figure("bytes", "bytes", ""),),
        per_job,
        once=True,
    ),
)
