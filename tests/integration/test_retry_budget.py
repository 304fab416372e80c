"""The retry budget of a whole fleet: several worker processes, one handler that always fails."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coordinator import Coordinator, RetryPolicy, Settings
from tests.support.until import until

ROOT = Path(__file__).parents[2]
WORKER = """
import asyncio, os, sys, time
from coordinator import Settings
from workers import Registry, Worker
url, namespace, log, budget = sys.argv[1:]
jobs = Registry()
out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

@jobs.handler("broken", breaker=False)
async def broken(ctx, payload):
    os.write(out, f"{time.time()} {ctx.attempt}\\n".encode())
    raise ConnectionError("it is down")

retries = {"budget": budget == "on", "floor": 20, "window": 1}
settings = Settings.of(namespace=namespace, sweep_interval=0.05, retries=retries)
asyncio.run(Worker(jobs, url, None, settings, concurrency=8).run())
"""
FLOOR, RESERVE, JOBS, LOOKED_AT = 20.0, 20.0, 30, 80


@contextmanager
def workers(url: str, namespace: str, log: Path, budget: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Three worker processes."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, url, namespace, str(log), budget], env={"PYTHONPATH": str(ROOT)}
        )
        for _ in range(3)
    ]
    try:
        yield running
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait(30)


@pytest.mark.any_version
@pytest.mark.parametrize("budget", ["on", "off"])
def test_three_processes_together_keep_to_one_budget(
    redis_url: str, settings: Settings, tmp_path: Path, budget: str
) -> None:
    """Without the budget the same fleet exceeds the bound many times over: so the test would notice."""
    log = tmp_path / "runs"
    log.touch()
    again = RetryPolicy(max_attempts=1000, base=0.001, cap=0.001, strategy="fixed")
    with Coordinator.connect(redis_url, settings=settings) as co:
        with workers(redis_url, settings.namespace, log, budget):
            tickets = [co.submit("broken", n, retry=again) for n in range(JOBS)]
            until(lambda: log.read_text().count("\n") >= JOBS + LOOKED_AT, 60)
            for one in tickets:
                one.cancel()
        postponed = co.survey().counters.get("postponed", 0)
    runs = [line.split() for line in log.read_text().splitlines()]
    first = min(float(at) for at, _ in runs)
    retries = sorted(float(at) - first for at, attempt in runs if attempt != "1")
    excess = max(n - (RESERVE + FLOOR * at) for n, at in enumerate(retries, 1))
    if budget == "on":
        assert excess <= 1
        assert postponed > 0
    else:
        assert excess > 20
        assert postponed == 0
