"""Every scenario there is. A new one is a module here and one line below."""

from __future__ import annotations

from chaos.scenario import Scenario, named
from chaos.scenarios import (
    deaths,
    failpoint_storm,
    forks,
    kill_storm,
    lock_storm,
    network,
    of_redis,
    replies,
    sigterm,
    subtree_storm,
    wake_ups,
)

SCENARIOS: dict[str, Scenario] = named(
    (
        kill_storm.SCENARIO,
        failpoint_storm.SCENARIO,
        lock_storm.SCENARIO,
        subtree_storm.SCENARIO,
        replies.SCENARIO,
        deaths.SCENARIO,
        wake_ups.SCENARIO,
        sigterm.SCENARIO,
        forks.SCENARIO,
        network.SCENARIO,
        *of_redis.SCENARIOS,
    )
)
