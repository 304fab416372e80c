"""One execution for identical calls of several real processes, run by a real worker."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator import Coordinator
from tests.support.until import until

ROOT = Path(__file__).parents[2]
PROCESSES, CALLS = 5, 20

TASKS = """
from pathlib import Path

from tests.support.until import until
from workers import GiveUp, Registry

jobs = Registry()


@jobs.handler("slow")
def slow(ctx, payload):
    place = Path(payload["place"])
    (place / f"run-{ctx.id}").write_text("x")
    until((place / "go").exists, 40)
    if payload.get("fails"):
        raise GiveUp("it cannot be done")
    return {"by": ctx.id}
"""

CALLER = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from coordinator import Coordinator
from coordinator.errors import CoordinatorError
from tests.support.until import until

url, namespace, place, calls, fails = sys.argv[1:6]
payload = {"place": place, "fails": bool(int(fails))}
me = Path(place) / f"asked-{sys.argv[6]}"


def call(co, _):
    try:
        return co.coalesce("slow", payload, ttl=30, timeout=50)
    except CoordinatorError as error:
        return [type(error).__name__, str(error)]


with Coordinator.connect(url, namespace) as co, ThreadPoolExecutor(int(calls)) as threads:
    asked = [threads.submit(call, co, n) for n in range(int(calls))]
    until(lambda: co.coalescing().calls == int(calls), 30)
    me.write_text("x")
    answers = [one.result() for one in asked]
    stats = co.coalescing()
    after = [call(co, 0), call(co, 1)]
    later = co.coalescing()
print(json.dumps({
    "answers": answers, "after": after, "executed": stats.executed, "joined": stats.joined,
    "near": later.near_hits, "far": later.far_hits,
}))
"""


@pytest.fixture
def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("fails", [0, 1])
def test_a_hundred_identical_calls_are_one_execution(
    redis_url: str, namespace: str, tmp_path: Path, environment: dict[str, str], fails: int
) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "caller.py").write_text(CALLER)
    environment["PYTHONPATH"] += f"{os.pathsep}{tmp_path}"
    worker = [sys.executable, "-m", "workers", "run", "tasks:jobs", "--url", redis_url, "--namespace", namespace]
    caller = [sys.executable, str(tmp_path / "caller.py"), redis_url, namespace, str(tmp_path), str(CALLS), str(fails)]
    running = [subprocess.Popen([*worker, "--grace", "2"], env=environment, stderr=subprocess.DEVNULL)]
    try:
        callers = [
            subprocess.Popen([*caller, str(n)], env=environment, stdout=subprocess.PIPE, text=True)
            for n in range(PROCESSES)
        ]
        running += callers
        until(lambda: len(list(tmp_path.glob("asked-*"))) == PROCESSES, 40, "everybody has asked")
        (tmp_path / "go").write_text("x")
        told = [json.loads(one.communicate(timeout=50)[0]) for one in callers]
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait(20)
    answers = [answer for one in told for answer in one["answers"]]
    assert len(answers) == PROCESSES * CALLS
    assert all(answer == answers[0] for answer in answers)
    assert sum(one["executed"] for one in told) == 1
    assert sum(one["joined"] for one in told) == PROCESSES * CALLS - 1
    runs = list(tmp_path.glob("run-*"))
    if fails:
        assert answers[0][0] == "JobFailed"
        assert answers[0][1].endswith("it cannot be done")
        assert len(runs) > 1, "nothing of a failure is kept"
    else:
        assert [one.name for one in runs] == [f"run-{answers[0]['by']}"]
        assert {(one["near"], one["far"]) for one in told} == {(1, 1)}
        with Coordinator.connect(redis_url, namespace) as co:
            assert co.coalesce("slow", {"fails": False, "place": str(tmp_path)}) == answers[0]
