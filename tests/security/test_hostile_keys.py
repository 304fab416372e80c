"""Whatever somebody else writes into our keys: an error of ours and never another, no hang, no harm to the rest."""

import asyncio
import contextlib
import os
import random
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
from tests.security.hostile import Populated, Spoil, attempts, plants, present, untouched
from tests.support.cli import Cli
from tests.support.scene import Scene
from workers import Registry, Worker

# What Python makes of an answer is the same for every server.
pytestmark = pytest.mark.any_version

# One operation, with the time for a server that is busy with others.
SLOW = 5.0
RAW_WORDS = ("user_script", "user_function", "WRONGTYPE", "attempt to", "value is not", "Traceback")


@pytest.mark.plants_faults
@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.name)
def test_every_operation_survives_it(family: Family, redis_url: str, raw: redis.Redis, namespace: str) -> None:
    complaints: list[str] = []
    for at, (way, spoil) in enumerate(some(family)):
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
    assert complaints == []


def some(family: Family) -> list[tuple[str, Spoil]]:
    """The wrong type, and every fourth of the values, others for the next family; all of them in the long form."""
    every = list(plants(family).items())
    return every if os.environ.get("COORDINATOR_TEST_LONG") else every[:1] + every[1 + FAMILIES.index(family) % 4 :: 4]


def some_of(idents: list[str]) -> list[str]:
    """Four requests, others in each run; all of them in the long form."""
    return idents if os.environ.get("COORDINATOR_TEST_LONG") else random.sample(idents, 4)


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


WAYS = ("another type", "value 7")
COMMANDS = (
    ("ls",),
    ("ls", "--queues"),
    ("ls", "--sessions"),
    ("ls", "--dead"),
    ("show", "a"),
    ("stats",),
    ("alerts", "ls"),
    ("alerts", "rules"),
    ("top",),
    ("events",),
    ("doctor",),
    ("replay", "--all-dead"),
)


@pytest.mark.plants_faults
@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.name)
def test_every_command_survives_it(family: Family, redis_url: str, scene: Scene, namespace: str) -> None:
    cli, made = Cli(redis_url, namespace), Populated(scene)
    for way in WAYS:
        commands = [*COMMANDS, *((verb, ident) for verb in ("show", "why") for ident in some_of(made.idents))]
        kept = {place: scene.raw.dump(place) for one, place in present(scene, made) if one is family}
        for place in kept:
            plants(family)[way](scene.raw, place)
        for at, words in enumerate(commands):
            done = cli.call(*words, *(("--json",) if at % 2 else ()))
            said = done.stdout + done.stderr
            assert not any(word in said for word in RAW_WORDS), (way, words, said)
            assert "\x1b" not in said
        for place, dump in kept.items():
            scene.raw.delete(place)
            if dump is not None:
                scene.raw.restore(place, 0, dump)


@pytest.mark.plants_faults
@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.name)
async def test_a_worker_survives_it(family: Family, redis_url: str, scene: Scene) -> None:
    jobs, seen = Registry(), []

    async def note(ctx: Any, payload: Any) -> None:
        seen.append(payload)

    for name in ("job", "ready", "blocked", "later", "running", "failed", "done"):
        jobs.handler(name)(note)
    made = await asyncio.to_thread(Populated, scene)
    settings = scene.co.settings.model_copy(update={"session_ttl": 2.0, "sweep_interval": 0.1, "retry_for": 0.1})
    for way in WAYS:
        worker = Worker(jobs, redis_url, settings=settings, queues=("hostile", "bystander"), poll=0.05)
        with contextlib.suppress(CoordinatorError):
            await worker.start()
        await asyncio.to_thread(_spoil, scene, made, family, way)
        await _work_for(worker, 0.2)
    for place in {place for one, place in present(scene, made) if one is family}:
        scene.raw.delete(place)
    await asyncio.to_thread(lambda: examine(scene.co, fix=True, grace=0))
    async with Worker(jobs, redis_url, settings=scene.co.settings, queues=("bystander",), poll=0.05):
        ticket = await asyncio.to_thread(lambda: scene.co.submit("job", "by", queue="bystander"))
        await asyncio.to_thread(lambda: ticket.result(10))
    assert "by" in seen


def _spoil(scene: Scene, made: Populated, family: Family, way: str) -> None:
    for place in {place for one, place in present(scene, made) if one is family}:
        scene.raw.delete(place)
        plants(family)[way](scene.raw, place)


async def _work_for(worker: Worker, seconds: float) -> None:
    """Let a worker work; it ends with an error of ours at most, and when it is told."""
    await asyncio.sleep(seconds)
    worker.stop_soon()
    worker.stop_soon()
    with contextlib.suppress(CoordinatorError):
        await asyncio.wait_for(worker.stop(), 20)
