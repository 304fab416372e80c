"""Every scenario there is. A new one is a module here and one line below."""

from __future__ import annotations

from chaos.scenario import Scenario, named
from chaos.scenarios import kill_storm, wake_ups

SCENARIOS: dict[str, Scenario] = named(
    (
        kill_storm.SCENARIO,
        wake_ups.SCENARIO,
    )
)
