"""The storm as people run it, short: real processes on a server of their own, and a verdict that is the exit code."""

from __future__ import annotations

import json

import pytest

from coordinator_demo.storm.scenes import STATES
from tests.acceptance.test_demo import demo

pytestmark = pytest.mark.no_redis


def test_a_fleet_weathers_a_short_storm(tmp_path) -> None:
    ran = demo("--storm", "--seconds", "2.5", folder=tmp_path)

    report = json.loads(ran.stdout)
    assert report["problems"] == []
    assert ran.returncode == 0
    assert report["held"]
    scenes = report["scenes"]
    assert set(scenes) == {"outage", "slowness", "flood", "stuck", "identical", "account"}
    assert all(one["held"] for one in scenes.values())
    assert scenes["outage"]["waited_at_breaker"] > 0
    assert scenes["outage"]["succeeded"] == scenes["outage"]["jobs"] > 30
    assert scenes["identical"]["executions"] == 1
    books = scenes["account"]
    parts = {state: count for state, count in books.items() if state in STATES}
    assert sum(parts.values()) == books["accepted"] == books["ends"]
    assert "jobs over" in ran.stderr
    assert not list(tmp_path.iterdir())
