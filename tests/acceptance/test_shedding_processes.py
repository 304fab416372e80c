"""Several processes flood a queue while a real worker empties it: what is urgent gets in, and waits no longer."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import redis

from coordinator import Coordinator, Settings
from coordinator.keys import key
from tests.support.until import until

ROOT = Path(__file__).parents[2]
LIMIT, PROCESSES, URGENT, HANDED_BACK = 400, 4, 30, 64

TASKS = """
import time

from workers import Registry

jobs = Registry()


@jobs.handler("slow")
def slow(ctx, payload):
    time.sleep(0.02)
"""

FLOOD = """
import json, sys
from pathlib import Path

from coordinator import Coordinator, Settings, Submission
from coordinator.errors import BatchRefused

url, namespace, limit, stop, priority = sys.argv[1:6]
settings = Settings.of(namespace=namespace, max_queue=int(limit))
done = {"in": 0, "refused": 0, "errors": []}
with Coordinator.connect(url, settings=settings) as co:
    while not Path(stop).exists():
        try:
            done["in"] += len(co.submit_many([Submission("slow", n, priority=int(priority)) for n in range(20)]))
        except BatchRefused as refused:
            done["in"] += sum(one is not None for one in refused.tickets)
            done["refused"] += len(refused.errors)
            done["errors"] = sorted({*done["errors"], *(type(one).__name__ for one in refused.errors.values())})
print(json.dumps(done))
"""


def test_an_emergency_gets_in_and_its_wait_stays_flat_while_others_flood(
    redis_url: str, raw: redis.Redis, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "flood.py").write_text(FLOOD)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    command = [sys.executable, "-m", "workers", "run", "tasks:jobs", "--url", redis_url, "--namespace", namespace]
    flood = [sys.executable, str(tmp_path / "flood.py"), redis_url, namespace, str(LIMIT), str(tmp_path / "stop")]
    running = [
        subprocess.Popen([*command, "--concurrency", "4", "--grace", "1"], env=environment, stderr=subprocess.DEVNULL)
    ]
    longest = 0

    with Coordinator.connect(redis_url, settings=Settings.of(namespace=namespace, max_queue=LIMIT)) as co:

        def urgent() -> float:
            """How long one job takes from its submission to its end."""
            nonlocal longest
            began = time.monotonic()
            co.submit("slow", priority="emergency").result(20)
            longest = max(longest, co.survey().queues[0].ready)
            return time.monotonic() - began

        try:
            until(lambda: co.survey().sessions, 20)
            calm = [urgent() for _ in range(URGENT)]
            # One of the processes is more urgent than the rest, so that the queue is full to its limit.
            floods = [
                subprocess.Popen([*flood, "2" if n == 0 else "0"], env=environment, stdout=subprocess.PIPE, text=True)
                for n in range(PROCESSES)
            ]
            running += floods
            until(lambda: co.survey().queues[0].ready >= LIMIT, 20, "the queue is full")
            pressed = [urgent() for _ in range(URGENT)]
            (tmp_path / "stop").write_text("x")
            first, *others = [json.loads(one.communicate(timeout=30)[0]) for one in floods]
        finally:
            for one in running:
                one.terminate()
            for one in running:
                one.wait(20)
    assert len(pressed) == URGENT
    assert median(pressed) < 1 + 5 * median(calm), f"{median(calm):.3f} s, and under load {median(pressed):.3f} s"
    # What workers hand back has always room.
    assert longest <= LIMIT + HANDED_BACK
    assert int(raw.hget(key(namespace, "STATS"), "shed") or 0) > 0
    assert first["in"] > 0
    assert all(one["refused"] > 0 and one["errors"] == ["Overloaded"] for one in others)
