"""Every scenario there is. A new one is a module here and one line below."""

from __future__ import annotations

from chaos.scenario import Scenario, named

SCENARIOS: dict[str, Scenario] = named(())
