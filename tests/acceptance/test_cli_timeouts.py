"""Adaptive timeouts from the command line."""

from typing import Any

import pytest

from coordinator import Coordinator
from coordinator.keys import key
from coordinator.model.histogram import bucket
from coordinator.wire import calls
from coordinator.wire.calls import Lesson, Lessons
from tests.support.cli import Cli
from tests.support.hand import run_one, scope_of


def learn(co: Coordinator, *things: Lesson) -> None:
    """Report what was seen, as another process would."""
    session = co._driver.keeper.ensure()
    co._driver.store.call(calls.learn(scope_of(co), session, Lessons(1, 10, 0, things)))


SEEN: dict[str | int, int] = {"ok": 99, "late": 1, bucket(2.0): 99, bucket(60.0): 1}


def test_timeouts_are_listed_with_what_they_follow_from(cli: Cli, co: Coordinator, raw: Any) -> None:
    assert cli.call("timeouts").stdout == "nothing was seen yet\n"
    learn(
        co,
        Lesson("operation/deploy.apply", 60_000, "quantile", -1, 0, 57_000, 2000, SEEN),
        Lesson("lock/infra/prod", 30_000, "", -1, 0, 0, 0, {"ok": 1, 0: 1}),
        Lesson("lock/~other", 30_000, "", -1, 0, 0, 0, {}),
    )
    handler = key(co.settings.namespace, "HANDLER", "deploy.apply")
    raw.hset(handler, mapping={"level": 2, "late": 0})
    raw.pexpire(handler, 60_000)
    lines = cli.call("timeouts").stdout.splitlines()
    assert lines[0].split() == ["TYPE", "NAME", "BASE", "NOW", "P50", "P99", "OK", "CUT", "OFF", "LEVEL", "STRATEGY"]
    assert lines[1].split() == ["lock", "(all", "others)", "30s", "30s", "-", "-", "0", "0", "-", "-"]
    assert lines[2].split() == ["lock", "infra/prod", "30s", "30s", "1us", "1us", "1", "0", "-", "-"]
    assert lines[3].split()[:4] == ["operation", "deploy.apply", "1m", "57s"]
    assert lines[3].split()[-5:] == ["99", "1", "2", "(x2.25)", "quantile"]
    [shown] = cli.json("timeouts", "--type", "operation")["timeouts"]
    assert (shown["type"], shown["name"], shown["base"], shown["current"]) == ("operation", "deploy.apply", 60.0, 57.0)
    assert (shown["successes"], shown["timeouts"], shown["strategy"], shown["moves"]) == (99, 1, "quantile", 1)
    assert shown["level"] == 2
    assert shown["p50"] == pytest.approx(2.0, rel=0.05)
    assert cli.json("timeouts", "--type", "lock")["timeouts"][0]["name"] is None
    assert cli.call("timeouts", "--type", "locks").returncode == 64


def test_why_says_which_timeout_was_chosen_and_from_what(cli: Cli, co: Coordinator) -> None:
    learn(co, Lesson("lock/a", 30_000, "quantile", -1, 0, 0, 0, SEEN))
    with co.lock("a"):
        ticket = co.request("a", wait="adaptive")
        said = cli.json("why", ticket.ident)
    assert "It may wait 30s, which is adaptive." in said["sentences"]
    basis = "Waits for a may take 30s now (adaptive, base 30s): by quantile toward p99 2.01 s x 1.5 within its bounds, "
    assert f"{basis}99 successes and 1 timeout in 24 hours." in said["sentences"]
    assert [one["name"] for one in said["timeouts"]] == ["a"]


def test_why_says_it_of_jobs_too(cli: Cli, co: Coordinator) -> None:
    learn(
        co,
        Lesson("queue/default", 300_000, "quantile", -1, 0, 0, 0, SEEN),
        Lesson("operation/deploy.apply", 60_000, "success_rate", -1, 0, 50_000, 0, SEEN),
    )
    ticket = co.submit("deploy.apply", wait_timeout="adaptive")
    said = cli.json("why", ticket.ident)["sentences"]
    assert "It may wait 5m, which is adaptive." in said
    assert any(one.startswith("Waits in queue default may take 5m now") for one in said)
    run_one(co)
    said = cli.json("why", ticket.ident)["sentences"]
    basis = "by success_rate from a rate of 0.990, 99 successes and 1 timeout in 24 hours."
    assert f"Runs of deploy.apply may take 50s now (adaptive, base 1m): {basis}" in said
    plain = co.submit("deploy.apply", run_timeout=20, queue="other")
    run_one(co, queue="other")
    said = cli.json("why", plain.ident)["sentences"]
    assert "Its run may take 20s: whoever submitted it said so." in said
