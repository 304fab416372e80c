"""Whatever somebody else writes into our keys: an error of ours and never another, no hang, no harm to the rest."""

import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import redis

from coordinator import Coordinator, Settings
from coordinator.doctor import examine
from coordinator.errors import CoordinatorError
from coordinator.keys import FAMILIES, Family
from tests.security.hostile import Populated, attempts, plants, present, untouched
from tests.support.scene import Scene

# One operation, with the time for a server that is busy with others.
SLOW = 5.0
RAW_WORDS = ("user_script", "user_function", "WRONGTYPE", "attempt to", "value is not", "Traceback")


@pytest.mark.plants_faults
@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.name)
def test_every_operation_survives_it(family: Family, redis_url: str, raw: redis.Redis, namespace: str) -> None:
    complaints: list[str] = []
    for at, (way, spoil) in enumerate(plants(family).items()):
        settings = Settings.of(namespace=f"{namespace}-{at}", session_ttl=600.0, sweep_interval=60.0, retry_for=0.1)
        with Coordinator.connect(redis_url, settings=settings) as client:
            scene = Scene(client, raw)
            made = Populated(scene)
            keys = [place for one, place in present(scene, made) if one is family]
            assert keys, "the namespace has nothing of this family"
            for place in keys:
                spoil(raw, place)
            for name, attempt in {**attempts(scene, made), "doctor": lambda client=client: examine(client)}.items():
                complaints += complaint(f"{way}, {name}", attempt)
            for place in keys:
                raw.delete(place)
            complaints += complaint(f"{way}, mending", lambda client=client: examine(client, fix=True, grace=0))
            complaints += complaint(f"{way}, others", lambda scene=scene: untouched(scene), allowed=())
        assert raw.dbsize() < 10_000
    assert complaints == []


Allowed = tuple[type[Exception], ...]


def complaint(what: str, attempt: Callable[[], Any], allowed: Allowed = (CoordinatorError,)) -> list[str]:
    """What is to be said against how an operation went."""
    began, said = time.monotonic(), ""
    try:
        attempt()
    except allowed as error:
        said = str(error)
    except Exception as error:
        return [f"{what}: {error!r} {traceback.extract_tb(error.__traceback__)[-1]}"]
    found = [f"{what}: {said}"] if any(word in said for word in RAW_WORDS) else []
    return found + ([f"{what}: slow"] if time.monotonic() - began > SLOW else [])
