"""Worker processes as they are really started: signals, sudden death, long sleep, the supervisor."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from coordinator import Coordinator, RetryPolicy, Settings, State, Submission
from tests.support.server import gone
from tests.support.until import until

ROOT = Path(__file__).parents[2]
SESSION_TTL = 2.0
SWEEP = 1.0

# Handlers speak through files in the directory that the payload names: `begun-<pid>`, `ended-<pid>` and so on.
TASKS = '''
import os
import time
from pathlib import Path

from workers import Registry

jobs = Registry()


def note(payload, word, text="x"):
    path = Path(payload) / f"{word}-{os.getpid()}"
    path.with_suffix(".tmp").write_text(text)
    path.with_suffix(".tmp").rename(path)


def wait(payload, ctx=None, seconds=40):
    ends = time.monotonic() + seconds
    while not (Path(payload) / "go").exists() and time.monotonic() < ends:
        time.sleep(0.01)
        if ctx is not None:
            ctx.check()


@jobs.handler("job")
def job(ctx, payload):
    note(payload, "begun")
    wait(payload)
    note(payload, "ended")
    return [ctx.attempt, ctx.deliveries]


@jobs.handler("asleep")
def asleep(ctx, payload):
    """Notes what it was told about its lease when it is woken."""
    note(payload, "begun")
    wait(payload)
    note(payload, "lost" if ctx.lost else "held", ctx.id)
    return [ctx.attempt, ctx.fence()]


@jobs.handler("polite")
def polite(ctx, payload):
    note(payload, "begun")
    try:
        wait(payload, ctx)
    finally:
        note(payload, "told", ctx.cancel_reason)


@jobs.handler("keeps")
async def keeps(ctx, payload):
    """Keeps the loop from everything else."""
    note(payload, "begun")
    wait(payload)
    return [ctx.attempt, os.getpid()]


@jobs.handler("quick")
async def quick(ctx, payload):
    return [ctx.attempt, os.getpid()]


@jobs.handler("process", executor="process")
def process(ctx, payload):
    note(payload, "begun")
    wait(payload)
    return os.getpid()
'''


class Place:
    """A directory with an application in it, and the worker processes started there."""

    def __init__(self, folder: Path, url: str, namespace: str) -> None:
        self.folder, self.namespace = folder, namespace
        (folder / "tasks_here.py").write_text(TASKS)
        self.notes = folder / "notes"
        self.notes.mkdir()
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "COORDINATOR_URL": url,
            "COORDINATOR_SESSION_TTL": str(SESSION_TTL),
            "COORDINATOR_SWEEP_INTERVAL": str(SWEEP),
            "COORDINATOR_OPERATION_TIMEOUT": "2",
        }
        self.started: list[subprocess.Popen[bytes]] = []

    def worker(self, *words: str, target: str = "tasks_here:jobs") -> subprocess.Popen[bytes]:
        log = self.folder / f"log-{len(self.started)}"
        command = [sys.executable, "-m", "workers", "run", target, "--namespace", self.namespace, *words]
        with log.open("wb") as to:
            made = subprocess.Popen(command, cwd=self.folder, env=self.environment, stderr=to, stdout=to)
        self.started.append(made)
        return made

    def log(self, number: int = 0) -> str:
        return (self.folder / f"log-{number}").read_text()

    def noted(self, word: str) -> dict[int, str]:
        """What was noted, by pid."""
        found = {int(path.name.partition("-")[2]): path for path in self.notes.glob(f"{word}-*") if not path.suffix}
        return {pid: path.read_text() for pid, path in found.items()}

    def wait_for(self, word: str, count: int = 1, seconds: float = 20) -> dict[int, str]:
        return until(
            lambda: (found := self.noted(word)) and len(found) >= count and found, seconds, f"{word}\n{self.logs()}"
        )

    def logs(self) -> str:
        return "\n".join(self.log(number) for number in range(len(self.started)))

    def go(self) -> None:
        (self.notes / "go").touch()

    def end(self) -> None:
        self.go()
        for one in self.started:
            with contextlib.suppress(psutil.NoSuchProcess):
                family = [psutil.Process(one.pid), *psutil.Process(one.pid).children(recursive=True)]
                for each in family:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.kill()
            one.wait(10)


@pytest.fixture
def place(tmp_path: Path, redis_url: str, namespace: str) -> Iterator[Place]:
    made = Place(tmp_path, redis_url, namespace)
    yield made
    made.end()


@pytest.fixture
def co(redis_url: str, namespace: str) -> Iterator[Coordinator]:
    settings = Settings.of(namespace=namespace, session_ttl=SESSION_TTL, sweep_interval=SWEEP, operation_timeout=2)
    with Coordinator.connect(redis_url, settings=settings) as client:
        yield client


def test_sigterm_lets_a_running_job_finish(place: Place, co: Coordinator) -> None:
    worker = place.worker()
    ticket = co.submit("job", str(place.notes))
    place.wait_for("begun")
    worker.send_signal(signal.SIGTERM)
    until(lambda: co.survey().queues[0].idle_workers == 0)
    late = co.submit("job", str(place.notes))
    place.go()
    assert worker.wait(20) == 0, place.logs()
    assert ticket.result(5) == [1, 1]
    assert late.state() == State.READY
    assert not co.survey().sessions or all(one.fields["kind"] != "worker" for one in co.survey().sessions)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_wait_for_a_running_job(place: Place, co: Coordinator, number: signal.Signals) -> None:
    worker = place.worker("--grace", "600")
    ticket = co.submit("polite", str(place.notes))
    place.wait_for("begun")
    worker.send_signal(number)
    until(lambda: co.survey().queues[0].idle_workers == 0)
    assert worker.poll() is None
    worker.send_signal(number)
    assert worker.wait(20) == 0, place.logs()
    assert set(place.noted("told").values()) == {"the worker shuts down"}
    assert ticket.state() == State.READY
    assert co.explain(ticket.ident).fields.get("attempts", "0") == "0"


def test_the_grace_ends_by_itself(place: Place, co: Coordinator) -> None:
    worker = place.worker("--grace", "0.2")
    ticket = co.submit("job", str(place.notes))
    place.wait_for("begun")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0, place.logs()
    assert ticket.state() == State.READY


def test_a_killed_workers_job_runs_elsewhere_within_seconds(place: Place, co: Coordinator) -> None:
    first = place.worker()
    ticket = co.submit("job", str(place.notes), resources="infra/vpc")
    place.wait_for("begun")
    until(lambda: co.explain(ticket.ident).fields.get("attempts") == "1")
    place.worker()
    until(lambda: sum(one.fields["kind"] == "worker" for one in co.survey().sessions) == 2)
    first.kill()
    place.wait_for("begun", 2, SESSION_TTL + SWEEP + 1)
    place.go()
    assert ticket.result(10) == [2, 2]


def test_a_process_handler_dies_with_its_worker(place: Place, co: Coordinator) -> None:
    worker = place.worker()
    co.submit("process", str(place.notes))
    (pid,) = place.wait_for("begun")
    assert pid != worker.pid
    worker.kill()
    until(lambda: gone(pid), 5)


def test_what_a_worker_offered_is_done_elsewhere_while_it_is_frozen(place: Place, co: Coordinator) -> None:
    notes = str(place.notes)
    # Whatever is done here is done before anybody is taken for dead.
    place.environment["COORDINATOR_SESSION_TTL"] = "30"
    # A first claim would else be for a few of them only.
    place.environment["COORDINATOR_BATCHING__ENABLED"] = "false"
    front, *rest = co.submit_many([Submission("keeps", notes), *(Submission("quick", notes) for _ in range(30))])
    victim = place.worker()
    place.wait_for("begun")
    until(lambda: all("spare" in co.explain(one.ident).fields for one in rest))
    victim.send_signal(signal.SIGSTOP)
    until(lambda: psutil.Process(victim.pid).status() == psutil.STATUS_STOPPED)
    thief = place.worker()
    assert [one.result(10) for one in rest] == [[1, thief.pid]] * 30
    place.go()
    victim.send_signal(signal.SIGCONT)
    assert front.result(20) == [1, victim.pid]
    assert co.survey().counters["stolen"] == 30


def test_a_worker_that_slept_past_its_lease_learns_that_it_lost_it(place: Place, co: Coordinator) -> None:
    sleeper = place.worker()
    ticket = co.submit("asleep", str(place.notes), resources="infra/vpc")
    place.wait_for("begun")
    sleeper.send_signal(signal.SIGSTOP)
    other = place.worker()
    place.wait_for("begun", 2)
    place.go()
    attempt, fence = ticket.result(20)
    sleeper.send_signal(signal.SIGCONT)
    lost = place.wait_for("lost")
    assert list(lost) == [sleeper.pid]
    assert list(place.noted("held")) == [other.pid]
    until(lambda: f"the outcome succeeded of job {ticket.ident} is void" in place.log(0), what="the late outcome")
    assert ticket.result(5) == [attempt, fence]
    assert co.explain(ticket.ident).fields["fence"] == str(fence)
    # It has a new session, and works on.
    until(lambda: sum(one.fields["kind"] == "worker" for one in co.survey().sessions) == 2)


def pids(place: Place) -> list[int]:
    return [int(pid) for pid in re.findall(r"worker process \d+ started: pid (\d+)", place.log())]


def test_the_supervisor_replaces_a_killed_child(place: Place, co: Coordinator) -> None:
    supervisor = place.worker("--processes", "2")
    first, _ = until(lambda: len(found := pids(place)) == 2 and found)
    until(lambda: sum(one.fields["kind"] == "worker" for one in co.survey().sessions) == 2, 20)
    os.kill(first, signal.SIGKILL)
    third = until(lambda: len(found := pids(place)) == 3 and found)[-1]
    until(lambda: any(one.fields.get("pid") == str(third) for one in co.survey().sessions), 20)
    children = pids(place)[1:]
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(20) == 0, place.logs()
    assert all(gone(pid) for pid in children)


def test_the_supervisor_passes_signals_on_and_waits(place: Place, co: Coordinator) -> None:
    supervisor = place.worker("--processes", "2", "--grace", "600", "--concurrency", "1")
    tickets = [co.submit("polite", str(place.notes)) for _ in range(2)]
    place.wait_for("begun", 2)
    supervisor.send_signal(signal.SIGINT)
    # Signals that come together count once, so the first must have arrived.
    until(lambda: place.log().count("asked to stop:") == 2)
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(20) == 0, place.logs()
    assert [one.state() for one in tickets] == [State.READY, State.READY]
    assert set(place.noted("told").values()) == {"the worker shuts down"}


def test_children_do_not_outlive_a_killed_supervisor(place: Place, co: Coordinator) -> None:
    supervisor = place.worker("--processes", "2", "--concurrency", "1")
    co.submit("job", str(place.notes), retry=RetryPolicy.none())
    place.wait_for("begun")
    children = until(lambda: len(found := pids(place)) == 2 and found)
    supervisor.kill()
    until(lambda: all(gone(pid) for pid in children), 5)


def test_a_supervisor_gives_up_on_what_cannot_work(place: Place) -> None:
    supervisor = place.worker("--processes", "2", target="no_such_tasks:jobs")
    assert supervisor.wait(30) == os.EX_CONFIG
    assert "no_such_tasks" in place.log()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["no_such_tasks:jobs"], os.EX_CONFIG, "there is no module 'no_such_tasks'"),
        (["tasks_here"], os.EX_CONFIG, "is not module:registry"),
        (["tasks_here:job"], os.EX_CONFIG, "did you mean tasks_here:jobs?"),
        (["tasks_here:jobs", "--queues", "a b"], os.EX_USAGE, "queue"),
        (["tasks_here:jobs", "--url", "http://x"], os.EX_CONFIG, "unknown scheme 'http'"),
        (["tasks_here:jobs", "--log-level", "loud"], os.EX_USAGE, "log-level"),
    ],
)
def test_mistakes_are_said_in_one_line(place: Place, words: list[str], code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workers", "run", *words],
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_help_shows_an_example() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    words = [sys.executable, "-m", "workers", "run", "--help"]
    shown: Any = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30, check=True)
    assert "coordinator worker run app.tasks:jobs --queues default,bulk --processes 2" in shown.stdout


def test_log_lines_are_json_and_cannot_be_forged(place: Place, co: Coordinator) -> None:
    place.worker()
    co.submit("no.such", None)
    until(lambda: "set aside" in place.log(), 20)
    lines = place.log().splitlines()
    assert all(line.startswith("{") for line in lines)
