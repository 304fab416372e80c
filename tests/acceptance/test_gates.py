"""Breakers and limits over several worker processes, as they are really started."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator import Coordinator, Settings
from coordinator.ops import history
from tests.support.cli import Cli
from tests.support.until import until

ROOT = Path(__file__).parents[2]
FAST = {"session_ttl": 2.0, "sweep_interval": 0.2, "operation_timeout": 2.0}
WORKERS, PROBES, BURST, RATE = 3, 2, 5, 25

# The dependency is down while the file `down` is there. Each run notes when it begins and ends, and how.
TASKS = f"""
import os
import time
from pathlib import Path

from coordinator import BreakerPolicy, RateLimit, RetryPolicy
from workers import Registry

jobs = Registry()
PATIENT = RetryPolicy(max_attempts=50, base=0.1, cap=0.1)


def note(*words):
    with open("runs", "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")


@jobs.handler(
    "call",
    retry=PATIENT,
    breaker="github",
    breaker_policy=BreakerPolicy(open_for=0.5, probes={PROBES}),
    breaker_ignores=(ValueError,),
)
def call(ctx, payload):
    began = time.time()
    time.sleep(0.03)
    down = Path("down").exists()
    note(ctx.id, began, time.time(), "bad" if down else "good")
    if down:
        raise ConnectionError("github does not answer")
    return payload


@jobs.handler("other")
async def other(ctx, payload):
    return payload


@jobs.handler("bad-input", retry=RetryPolicy.none(), breaker_ignores=(ValueError,))
async def bad_input(ctx, payload):
    raise ValueError(payload)


@jobs.handler("paced", rate=RateLimit(burst={BURST}, per_second={RATE}))
async def paced(ctx, payload):
    return payload


@jobs.handler("told")
def told(ctx, payload):
    if not Path("was-told").exists():
        Path("was-told").touch()
        ctx.rate_limited(1.0)
    return ctx.attempt
"""


class Fleet:
    """A directory with an application, and the worker processes started there."""

    def __init__(self, folder: Path, url: str, namespace: str) -> None:
        self.folder = folder
        (folder / "tasks_here.py").write_text(TASKS)
        environment = {f"COORDINATOR_{name.upper()}": str(value) for name, value in FAST.items()}
        self.environment = {**os.environ, **environment, "PYTHONPATH": str(ROOT), "COORDINATOR_URL": url}
        self.command = [sys.executable, "-m", "workers", "run", "tasks_here:jobs", "--namespace", namespace]
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, count: int, concurrency: int = 4) -> None:
        for _ in range(count):
            with (self.folder / f"log-{len(self.started)}").open("wb") as log:
                command = [*self.command, "--concurrency", str(concurrency)]
                self.started.append(
                    subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
                )

    def runs(self) -> list[tuple[str, float, float, str]]:
        """Id, begin, end and outcome of each run of `call`."""
        file = self.folder / "runs"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(ident, float(begin), float(end), how) for ident, begin, end, how in map(str.split, lines)]

    def stop(self) -> None:
        for one in self.started:
            one.send_signal(signal.SIGTERM)
        for one in self.started:
            try:
                one.wait(20)
            except subprocess.TimeoutExpired:
                one.kill()


@pytest.fixture
def fleet(tmp_path: Path, redis_url: str, namespace: str) -> Iterator[Fleet]:
    made = Fleet(tmp_path, redis_url, namespace)
    yield made
    made.stop()


@pytest.fixture
def co(redis_url: str, namespace: str) -> Iterator[Coordinator]:
    with Coordinator.connect(redis_url, settings=Settings.of(namespace=namespace, **FAST)) as client:
        yield client


def states(co: Coordinator) -> dict[str, str]:
    return {one.name: one.state for one in co.breakers()}


def changes(co: Coordinator) -> list[history.Happening]:
    """What the stream says of the breaker of github, oldest first."""
    found: list[history.Happening] = []
    after = "0-1"
    while page := co.run(history.events(co._driver.scope, after, history.MOST_EVENTS)):
        found, after = [*found, *page], page[-1].ident
    return [one for one in found if one.subject == "breaker/github"]


def fields(co: Coordinator, ident: str) -> dict[str, str]:
    return co.explain(ident).fields


def test_a_breaker_opens_and_closes_for_the_whole_fleet_and_no_job_is_lost(co: Coordinator, fleet: Fleet) -> None:
    fleet.start(WORKERS)
    (fleet.folder / "down").touch()
    tickets = [co.submit("call", number) for number in range(40)]
    until(lambda: states(co).get("github") == "open", 30)
    assert co.submit("other", 7).result(10) == 7  # the others flow meanwhile
    until(lambda: len(changes(co)) >= 3, 20, "probes that fail open it again")
    (fleet.folder / "down").unlink()
    assert [one.result(40) for one in tickets] == list(range(40))
    assert states(co)["github"] == states(co)["call"] == "closed"

    seen = changes(co)
    words = [one.event.removeprefix("breaker_") for one in seen]
    assert words[0] == "open"
    assert words[-2:] == ["half_open", "close"]
    assert seen[0].fields["failures"] == "5"
    assert seen[0].fields["by"] == "failures"
    assert seen[-1].fields["passed"] == "3"
    assert_probes(seen, fleet)
    # Who had not begun when it opened goes on in the order of arrival.
    records = {one.ident: fields(co, one.ident) for one in tickets}
    patient = [ident for ident, one in records.items() if one["attempts"] == "1" and not int(one.get("excused") or 0)]
    fences = [int(fields(co, ident)["fence"]) for ident in patient]
    assert len(patient) >= 20
    assert fences == sorted(fences)


def assert_probes(seen: list[history.Happening], fleet: Fleet) -> None:
    """While it was open no run began, and while it was half open never more than the probes were at work."""
    runs = fleet.runs()
    for change, following in itertools.pairwise(seen):
        begun = [one for one in runs if change.at + 0.1 < one[1] < following.at]
        if change.event == "breaker_open":
            assert begun == []
        elif change.event == "breaker_half_open":
            ends = [(one[1], 1) for one in begun] + [(one[2], -1) for one in begun]
            at_work = [sum(step for _, step in sorted(ends)[: n + 1]) for n in range(len(ends))]
            assert max(at_work, default=0) <= PROBES


def test_a_limit_holds_over_all_processes_and_takes_no_slot(co: Coordinator, fleet: Fleet) -> None:
    fleet.start(WORKERS, concurrency=2)
    tickets = [co.submit("paced", number) for number in range(60)]
    assert [co.submit("other", number).result(20) for number in range(10)] == list(range(10))
    assert any(one.state() == "waiting" for one in tickets)
    assert [one.result(40) for one in tickets] == list(range(60))
    began = sorted(int(fields(co, one.ident)["since"]) for one in tickets)
    for first, begin in enumerate(began):
        for count, end in enumerate(began[first:], 1):
            assert count <= BURST + RATE * (end - begin + 1) / 1000
    assert began[-1] - began[0] < 1.5 * 1000 * (60 - BURST) / RATE  # and it is used


def test_a_handler_that_was_told_to_come_back_later_holds_its_kind_back(co: Coordinator, fleet: Fleet) -> None:
    tickets = [co.submit("told") for _ in range(5)]
    fleet.start(1, concurrency=1)
    until((fleet.folder / "was-told").exists, 20)
    told = until(lambda: [one for one in co.limits() if one.name == "told"], 10)
    assert told[0].until is not None
    assert [one.result(20) for one in tickets] == [1] * 5
    began = [int(fields(co, one.ident)["since"]) / 1000 for one in tickets]
    assert min(began) >= told[0].until - 0.001


def test_failures_that_are_the_callers_fault_open_nothing(co: Coordinator, fleet: Fleet) -> None:
    fleet.start(1)
    for ticket in [co.submit("bad-input", number) for number in range(8)]:
        until(lambda ticket=ticket: ticket.state().final, 20)
    assert states(co)["bad-input"] == "closed"


def test_the_command_line_opens_explains_and_closes(
    co: Coordinator, fleet: Fleet, redis_url: str, namespace: str
) -> None:
    fleet.start(1)
    cli = Cli(redis_url, namespace)
    try:
        until(lambda: "github" in states(co), 20)
        unknown = cli.call("breaker", "open", "githbu", "--reason", "maintenance")
        assert unknown.returncode == os.EX_USAGE
        assert "there are github, " in unknown.stderr
        assert cli.json("breaker", "close", "to-come", "--undeclared")["state"] == "closed"
        said: Any = cli.json("breaker", "open", "github", "--for", "3600", "--reason", "maintenance")
        assert said == {"breaker": "github", "state": "open", "seconds": 3600.0}
        ticket = co.submit("call", 1)
        until(lambda: co.explain(ticket.ident).gate is not None)
        why = cli.call("why", ticket.ident).stdout
        assert "at breaker github: first of 1 there" in why
        assert '"maintenance"' in why
        found = {one["name"]: one for one in cli.json("breaker", "ls")["breakers"]}
        assert (found["github"]["state"], found["github"]["waiting"]) == ("open", 1)
        assert "maintenance" in cli.call("breaker", "ls").stdout
        assert cli.json("why", ticket.ident)["gate"]["name"] == "github"
        assert cli.call("doctor").returncode == 0
        cli.call("breaker", "close", "github")
        assert ticket.result(20) == 1
        paced = {one["name"]: one for one in cli.json("limits")["limits"]}
        assert paced["paced"]["per_second"] == RATE
        assert "paced" in cli.call("limits").stdout
        assert json.dumps(cli.json("breaker", "close", "github")) == '{"breaker": "github", "state": "closed"}'
    finally:
        cli.close()
