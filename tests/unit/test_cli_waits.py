"""What `top` says of waits by priority."""

from __future__ import annotations

from coordinator.cli import frame
from coordinator.cli.measured import Measured
from coordinator.metrics.window import Window
from tests.unit.test_cli_render import a_survey, printed


def test_top_says_how_long_each_priority_waits() -> None:
    counts = {"queue.started:low": 2, "queue.waited_ms:low": 3000, "queue.started:emergency": 1}
    found = Window(10.0, counts=counts, gauges={"queue.since_run": 4.0})
    text = printed(frame.frame("prod", frame.Moment(a_survey(), (), Measured(found, ())), None))
    assert "mean wait  emergency 0us  low 1.5s  last run 4.0s ago" in text
