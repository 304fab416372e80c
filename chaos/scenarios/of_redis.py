"""The scenarios in which the server itself is what fails."""

from __future__ import annotations

from chaos.scenarios import clock_steps, depth, partition, refusals, reshard, restarts, soak

SCENARIOS = (
    *restarts.SCENARIOS,
    *reshard.SCENARIOS,
    *partition.SCENARIOS,
    *clock_steps.SCENARIOS,
    *refusals.SCENARIOS,
    *depth.SCENARIOS,
    *soak.SCENARIOS,
)
