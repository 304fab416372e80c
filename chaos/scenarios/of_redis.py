"""The scenarios in which the server itself is what fails."""

from __future__ import annotations

from chaos.scenarios import partition, reshard, restarts

SCENARIOS = (*restarts.SCENARIOS, *reshard.SCENARIOS, *partition.SCENARIOS)
