"""The compatible lock against redis-py's own, on a real server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from coordinator import Coordinator, Settings
from coordinator.compat.redis import patch
from tests.property.machine_compat import MixedMachine, Site, TwinMachine
from tests.property.test_engine import EXAMPLES, PROFILE

SHORT = settings(PROFILE, max_examples=EXAMPLES // 2)


@pytest.fixture
def sites(redis_url: str, namespace: str) -> Iterator[tuple[Site, Site]]:
    """Two processes, as far as the server can tell. Nothing but the rules sweeps or lets a session lapse."""
    chosen = Settings.of(namespace=namespace, session_ttl=600.0, sweep_interval=60.0)
    with ExitStack() as stack:

        def site() -> Site:
            co = stack.enter_context(Coordinator.connect(redis_url, settings=chosen))
            ours, plain = (stack.enter_context(redis.Redis.from_url(redis_url)) for _ in range(2))
            return Site(co, patch(ours, co), plain, stack.enter_context(ThreadPoolExecutor(1)))

        yield site(), site()


@pytest.mark.timeout(180)
def test_the_same_calls_get_the_same_answers(sites: tuple[Site, Site], namespace: str) -> None:
    names = (f"lock:{namespace}:theirs", f"lock:{namespace}:ours")
    run_state_machine_as_test(type("Played", (TwinMachine,), {"site": sites[0], "names": names}), settings=SHORT)


@pytest.mark.timeout(180)
def test_both_kinds_exclude_each_other(sites: tuple[Site, Site], namespace: str) -> None:
    played = type("Played", (MixedMachine,), {"sites": sites, "name": f"lock:{namespace}"})
    run_state_machine_as_test(played, settings=SHORT)
