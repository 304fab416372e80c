"""What was measured, and the alerts about it, from the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from coordinator import Coordinator, Settings, Submission
from coordinator.keys import key
from tests.support.cli import Cli
from tests.support.until import until

RULES = """
[metrics.alerts.queue_depth]
figure = "fleet.depth"
warning = 5
hold = 0
"""


@pytest.fixture
def co(redis_url: str, namespace: str) -> Iterator[Coordinator]:
    depth = {"figure": "fleet.depth", "warning": 5, "hold": 0}
    metrics = {"interval": 0.05, "alerts_every": 0.05, "alerts": {"queue_depth": depth}}
    with Coordinator.connect(redis_url, settings=Settings.of(namespace=namespace, metrics=metrics)) as client:
        yield client


def test_stats_put_together_what_was_measured(cli: Cli, co: Coordinator) -> None:
    assert cli.json("stats")["measured"]["processes"] == []
    co.submit_many([Submission("work", priority="high") for _ in range(7)])
    until(lambda: co.survey() and cli.json("stats")["measured"]["counts"].get("queue.enqueued:high") == 7)
    # How long calls took may come with a later sample.
    until(lambda: co.survey() and "call.time" in cli.json("stats")["measured"]["distributions"])
    found = cli.json("stats", "--last", "60")
    assert found["counters"]["ask"] == 7
    measured = found["measured"]
    assert [one["kind"] for one in measured["processes"]] == ["app"]
    assert measured["gauges"]["fleet.depth:default"] == 7
    assert measured["distributions"]["call.time"]["p99"] >= measured["distributions"]["call.time"]["p50"] > 0
    shown = cli.call("stats").stdout
    assert "queue.enqueued:high" in shown
    assert "call.time" in shown
    assert "from 0 workers and 1 client" in shown


def test_top_shows_latency_and_alerts(cli: Cli, co: Coordinator, tmp_path: Path) -> None:
    file = tmp_path / "co.toml"
    file.write_text(RULES)
    co.submit_many([Submission("work") for _ in range(7)])
    until(lambda: co.survey() and "warning queue_depth 7" in cli.call("top", "--once", "--config", str(file)).stdout)
    # The alert is raised by what the server knows; how long calls took comes with a sample of the client.
    until(lambda: co.survey() and "call.time" in cli.call("top", "--once").stdout)
    assert "call.time" in cli.json("top")["measured"]["distributions"]


def test_alerts_are_listed_and_acknowledged(cli: Cli, co: Coordinator, tmp_path: Path) -> None:
    file = tmp_path / "co.toml"
    file.write_text(RULES)
    given = ("--config", str(file))
    nobody = "nobody has published at all: alerts stand as they stood then\n"
    assert cli.call("alerts").stdout == cli.call("alerts", "ls").stdout == f"no alerts\n{nobody}"
    co.submit_many([Submission("work") for _ in range(7)])
    until(lambda: co.survey() and cli.json("alerts", "ls", *given)["alerts"])
    [one] = cli.json("alerts", "ls", *given)["alerts"]
    assert (one["rule"], one["state"], one["level"], one["value"]) == ("queue_depth", "raised", "warning", 7)
    done = cli.call("alerts", "ack", "queue_depth", "--by", "anna", *given)
    assert done.stdout == "queue_depth is acknowledged by anna\n"
    [one] = cli.json("alerts", "ls", *given)["alerts"]
    assert (one["state"], one["acknowledged_by"]) == ("acknowledged", "anna")
    told = [one for one in cli.json("events")["events"] if one["event"] == "alert"]
    assert [one["fields"]["state"] for one in told] == ["raised", "acknowledged"]
    assert cli.call("alerts", "ack", "mean_wait", *given).returncode == 64
    assert cli.call("alerts", "ack", "nonesuch", *given).returncode == 64


def test_alerts_by_rules_that_were_set_for_the_fleet_are_listed_and_acknowledged(cli: Cli, co: Coordinator) -> None:
    with co.lock("a"):  # a process that takes settings over
        deep = '{"deep": {"figure": "fleet.depth", "warning": 3, "hold": 0}}'
        assert cli.call("config", "set", "metrics.alerts", deep).returncode == 0
        assert "deep" in [one["rule"] for one in cli.json("alerts", "rules")["rules"]]
        co.submit_many([Submission("work") for _ in range(7)])
        until(lambda: co.survey() and "deep" in [one["rule"] for one in cli.json("alerts")["alerts"]])
        assert cli.call("alerts", "ack", "deep", "--by", "anna").stdout == "deep is acknowledged by anna\n"


def test_when_nobody_publishes_any_more_that_is_said_and_the_depth_of_queues_is_looked_at(
    cli: Cli, co: Coordinator, redis_url: str, namespace: str
) -> None:
    raw = redis.Redis.from_url(redis_url)
    stream = key(namespace, "METRICS")
    now = int(co.survey().at * 1000)
    raw.xadd(stream, {"process": "p", "kind": "app", "number": "1", "ms": "1000"}, id=f"{now - 700}-0")
    assert not cli.json("alerts")["silent"]
    raw.delete(stream)
    raw.xadd(stream, {"process": "p", "kind": "app", "number": "1", "ms": "1000"}, id=f"{now - 35_000}-0")
    with Coordinator.connect(redis_url, namespace) as quiet:
        quiet.submit_many([Submission("work") for _ in range(120)])
    said = cli.call("alerts").stdout
    assert "nobody has published for 3" in said
    assert "queue_depth is warning as of now: fleet.depth is 120" in said
    found = cli.json("alerts")
    assert found["silent"]
    assert 35 <= found["last_sample_ago"] < 60
    assert found["unjudged"] == [{"rule": "queue_depth", "level": "warning", "value": 120}]
    for words in (("top", "--once"), ("stats", "--last", "2")):
        assert "nobody has published for 3" in cli.call(*words).stdout
        assert cli.json(*words)["silent"]


def test_rules_are_those_in_force_with_their_figures(cli: Cli, tmp_path: Path) -> None:
    rules = {one["rule"]: one for one in cli.json("alerts", "rules")["rules"]}
    assert (rules["queue_depth"]["warning"], rules["queue_depth"]["critical"]) == (100, 500)
    file = tmp_path / "co.toml"
    file.write_text(RULES + '[metrics.alerts.slow]\nfigure = "queue.run.p99"\ncritical = 30\n')
    own = {one["rule"]: one for one in cli.json("alerts", "rules", "--config", str(file))["rules"]}
    assert (own["queue_depth"]["warning"], own["queue_depth"]["critical"]) == (5, None)
    assert own["slow"]["now"] is None
    shown = cli.call("alerts", "rules").stdout
    assert ">= 5.0%" in shown
    assert "< 20.0%" in shown


def test_who_looks_is_not_measured(cli: Cli, co: Coordinator) -> None:
    for _ in range(3):
        cli.call("stats")
    co.submit("work")
    until(lambda: co.survey() and cli.json("stats")["measured"]["processes"])
    assert len(cli.json("stats")["measured"]["processes"]) == 1
