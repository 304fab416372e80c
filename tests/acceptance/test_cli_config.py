"""Settings of the running fleet from the command line, and a worker process that takes them over."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from coordinator import Coordinator, Settings, State
from coordinator.cli.answers import NO_WORKER
from coordinator.keys import key
from tests.support.cli import Cli
from tests.support.until import until

ROOT = Path(__file__).parents[2]
SECRET = "redis://:secret@there"
TASKS = """
from coordinator import RetryPolicy
from workers import Registry

jobs = Registry()


@jobs.handler("job")
def job(ctx, payload):
    return payload


@jobs.handler("fails", retry=RetryPolicy.none())
def fails(ctx, payload):
    raise ValueError(payload)
"""


def test_a_setting_is_set_got_listed_and_taken_back(cli: Cli) -> None:
    assert cli.call("config", "get").stdout == "nothing was changed\n"
    done = cli.call("config", "set", "timeouts.most", "4", "timeouts.strategy", "success_rate", "--by", "ops")
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            "timeouts.most: 4 (was as each process was started)",
            'timeouts.strategy: "success_rate" (was as each process was started)',
            NO_WORKER,
        ],
    )
    assert cli.call("config", "set", "timeouts.most", "4").stdout == f"that is so already\n{NO_WORKER}\n"
    assert cli.call("config", "get", "timeouts.most").stdout == "4.0\n"
    assert cli.json("config", "get")["values"] == {"timeouts.most": 4, "timeouts.strategy": "success_rate"}
    listed = cli.call("config", "ls").stdout.splitlines()
    assert listed[0].split() == ["NAME", "VALUE", "DEFAULT", "FROM"]
    rows = {line.split()[0]: line.split()[1:] for line in listed}
    assert rows["timeouts.most"] == ["4.0", "3.0", "fleet"]
    assert rows["timeouts.least"] == ["0.5", "0.5", "default"]
    event = next(one for one in cli.json("events")["events"] if one["event"] == "configure")
    assert (event["fields"]["by"], event["fields"]["value"]) == ("ops", "4")
    unset = cli.call("config", "unset", "timeouts.most").stdout
    assert unset == f"timeouts.most: as each process was started (was 4)\n{NO_WORKER}\n"
    assert cli.json("config", "get", "timeouts.most")["value"] == 3


def test_every_complaint_about_a_change_comes_at_once_and_nothing_is_changed(cli: Cli) -> None:
    refused = cli.call(
        "config", "set", "breaker.open_for", "NaN", "rate.burst", "-Infinity", "max_line", "0", "nope", "3"
    )
    assert refused.returncode == os.EX_CONFIG
    assert all(f"{one}: " in refused.stderr for one in ("breaker.open_for", "rate.burst", "max_line", "nope"))
    assert "rate.burst: must be a finite number" in refused.stderr
    twice = cli.call("config", "set", "max_line", "3", "max_line", "4")
    assert (twice.returncode, twice.stderr) == (os.EX_CONFIG, "coordinator: max_line: is given twice\n")
    assert cli.call("config", "get").stdout == "nothing was changed\n"


def test_where_a_setting_comes_from(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "co.toml"
    file.write_text("max_line = 9\nmax_queue = 9\n[timeouts]\nlock = 20\nqueue = 20\n")
    cli.call("config", "set", "max_queue", "8")
    cli.env["COORDINATOR_TIMEOUTS__RENEWAL"] = "7"
    found = cli.json("config", "ls", "--changed", "--config", str(file))["settings"]
    assert {one["name"]: (one["value"], one["from"]) for one in found if one["name"] != "namespace"} == {
        "url": ("(not shown)", "environment"),
        "max_line": (9, "file"),
        "max_queue": (8, "fleet"),
        "timeouts.lock": (20, "file"),
        "timeouts.queue": (20, "file"),
        "timeouts.renewal": (7, "environment"),
    }
    assert cli.json("config", "get", "namespace", "--namespace", "other")["from"] == "option"


def test_what_is_wrong_is_refused_with_every_complaint(cli: Cli) -> None:
    done = cli.call("config", "set", "timeouts.mots", "4", "max_line", "-1", "url", SECRET)
    assert done.returncode == os.EX_CONFIG
    assert "timeouts.mots: no such setting; did you mean timeouts.most?" in done.stderr
    assert "max_line: Input should be greater than or equal to 1 (got -1)" in done.stderr
    assert "url: cannot be changed while the fleet runs" in done.stderr
    assert "secret" not in done.stderr
    assert cli.json("config", "get")["values"] == {}
    assert cli.call("config", "set", "max_line").returncode == os.EX_USAGE
    assert cli.call("config", "get", "max_lin").returncode == os.EX_CONFIG


def test_a_table_loses_no_entry_that_nobody_has_agreed_to(cli: Cli, co: Coordinator) -> None:
    two = '{"bulk": {"sharing": "weighted"}, "mail": {"sharing": "weighted"}}'
    assert cli.call("config", "set", "queues", two).returncode == 0
    refused = cli.call("config", "set", "queues", '{"mail": {}, "new": {}}', "max_line", "7")
    assert refused.returncode == os.EX_NOPERM
    assert "--yes" in refused.stderr
    assert co.configuration().values == {"queues": two}
    # Entries that are added or changed take no yes, nor does what is refused anyway.
    assert cli.call("config", "set", "queues", '{"mail": {}, "bulk": {}, "new": {}}').returncode == 0
    assert cli.call("config", "set", "queues", '{"mail": {"weights": 1}}').returncode == os.EX_CONFIG
    assert cli.call("config", "set", "queues", "{}", "--yes").returncode == 0
    assert co.configuration().values == {"queues": "{}"}


def test_who_is_at_a_terminal_is_shown_what_a_table_would_lose_and_asked(cli: Cli, co: Coordinator) -> None:
    co.configure({"metrics.alerts": {"deep": {"figure": "fleet.depth", "warning": 5}}})
    asked = cli.start("config", "set", "metrics.alerts", "{}", terminal=True)
    out, _ = asked.communicate("n\n", timeout=30)
    assert "metrics.alerts loses deep" in out
    assert asked.returncode == os.EX_NOPERM
    assert "deep" in co.configuration().values["metrics.alerts"]


def test_a_file_is_checked_and_all_complaints_are_listed(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "co.toml"
    file.write_text("max_line = 0\n[timeouts]\nmost = 0\nmots = 1\n")
    done = cli.call("config", "check", str(file))
    assert done.returncode == os.EX_CONFIG
    assert done.stdout.splitlines()[0] == f"{file}: 3 complaints"
    assert len(done.stdout.splitlines()) == 4
    assert "  timeouts.mots: no such setting; did you mean timeouts.most?" in done.stdout.splitlines()
    file.write_text("max_line = 5\n")
    assert cli.call("config", "check", str(file)).stdout == f"{file}: valid\n"
    assert cli.json("config", "check", str(file)) == {"file": str(file), "valid": True, "problems": []}


def test_who_cannot_take_a_change_over_is_named_until_it_is_taken_back(
    cli: Cli, redis_url: str, namespace: str
) -> None:
    settings = Settings.of(sweep_interval=0.1, retry={"base": 0.1, "cap": 5})
    with Coordinator.connect(redis_url, namespace, settings) as app, app.lock("a"):
        taken = cli.json("config", "set", "retry.base", "2", "--wait", "10")
        assert (taken["taken"], taken["refused"], taken["silent"], taken["workers"]) == (1, [], 0, 0)
        refused = cli.call("config", "set", "retry.base", "10", "rate.burst", "20", "--wait", "10")
        assert refused.returncode == os.EX_CONFIG
        *changes, last, none = refused.stdout.splitlines()
        assert none == NO_WORKER
        assert changes == ["retry.base: 10 (was 2)", "rate.burst: 20 (was as each process was started)"]
        assert re.fullmatch(r"refused by app \S+:\d+ \(\S+\): retry: base \(10\) must be at most cap \(5\)", last)
        assert app.settings.rate.burst == 20
        listed = cli.call("config", "ls")
        assert (listed.returncode, listed.stdout.splitlines()[-1]) == (0, last)
        [known] = cli.json("config", "ls")["refused"]
        assert (known["kind"], known["pid"]) == ("app", str(os.getpid()))
        assert known["version"] == app.configuration().version
        doctor = cli.call("doctor", "--json")
        assert doctor.returncode == 1
        assert [one["kind"] for one in json.loads(doctor.stdout)["problems"]] == ["settings"]
        mended = cli.call("config", "unset", "retry.base", "--wait", "10")
        assert (mended.returncode, mended.stdout.splitlines()[-2]) == (0, "taken over by 1 process")
        assert cli.call("doctor").returncode == 0


def test_who_has_not_answered_yet_is_not_waited_for_longer_than_one_says(
    cli: Cli, redis_url: str, namespace: str
) -> None:
    with (
        Coordinator.connect(redis_url, namespace, Settings.of(session_ttl=200, sweep_interval=60)) as app,
        app.lock("a"),
    ):
        done = cli.call("config", "set", "max_line", "9", "--wait", "0")
        assert (done.returncode, done.stdout.splitlines()[-1]) == (
            0,
            "not heard of 1 process yet: `coordinator config ls` tells who refuses",
        )


@pytest.fixture
def worker(cli: Cli, tmp_path: Path) -> Iterator[None]:
    """A worker process of its own."""
    (tmp_path / "tasks_here.py").write_text(TASKS)
    env = {**cli.env, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "workers", "run", "tasks_here:jobs"]
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    yield
    process.terminate()
    process.wait(30)


@pytest.mark.usefixtures("worker")
def test_a_running_worker_has_a_change_within_two_seconds(
    cli: Cli, co: Coordinator, namespace: str, raw: redis.Redis
) -> None:
    """How long results are kept is decided by the worker that reports them."""

    def kept() -> float:
        ticket = co.submit("job", 1)
        ticket.result(30)
        return float(raw.pttl(key(namespace, "RESULT", ticket.ident))) / 1000

    assert kept() > 3000
    assert cli.call("config", "set", "result_ttl", "60").returncode == 0
    begun = time.monotonic()
    until(lambda: kept() <= 60, 10)
    assert time.monotonic() - begun < 2
    # What is not valid changes nothing, is told of, and can be taken away.
    raw.hset(key(namespace, "CONFIG"), mapping={"result_ttl": '"long"', ":version": "9" * 14})
    until(lambda: "config_refused" in {one["event"] for one in cli.json("events")["events"]}, 5)
    cli.call("config", "unset", "result_ttl")
    until(lambda: kept() > 3000, 2)


@pytest.mark.usefixtures("worker")
def test_the_gates_of_a_running_worker_follow_a_change_within_two_seconds(
    cli: Cli, co: Coordinator, namespace: str, raw: redis.Redis
) -> None:
    """Five failures open a breaker, unless the fleet is told that one does."""
    co.submit("job", 1).result(30)
    cli.call("config", "set", "breaker.failures", "1", "breaker.open_for", "60")
    until(lambda: b"breaker/fails:1:3:60000:" in (raw.hget(key(namespace, "GATES"), "fails") or b""), 2)
    first = co.submit("fails", 1)
    until(lambda: first.state() is State.FAILED)
    second = co.submit("fails", 1)
    until(lambda: second.state() is State.WAITING)
    assert "breaker" in cli.call("why", second.ident).stdout
