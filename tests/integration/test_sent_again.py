"""A try that was sent again, so that an earlier copy may still be on its way, leaves the record that tells it so."""

from typing import Any

import redis

from coordinator import AsyncCoordinator, Coordinator, Settings

LATE = "the first copy goes a long way"


def states(raw: redis.Redis, namespace: str) -> list[str]:
    return sorted(
        str(raw.hget(key, "state"), "ascii") for key in raw.scan_iter(match=f"co:{{{namespace}}}:req:*", count=1000)
    )


def test_of_a_client(redis_url: str, raw: redis.Redis, namespace: str) -> None:
    with Coordinator.connect(redis_url, settings=Settings.of(namespace=namespace)) as co, co.lock("a"):
        assert co.try_acquire("a") is None
        assert states(raw, namespace) == ["held"]
        store, copies = co._driver.store, []
        exchange = store._exchange

        def slow(*words: Any) -> Any:
            if "try" in words:
                copies.append(words)
                raise redis.ConnectionError(LATE)
            return exchange(*words)

        store._exchange = slow
        assert co.try_acquire("a") is None
        assert (len(copies), states(raw, namespace)) == (1, ["cancelled", "held"])


async def test_of_an_asyncio_client(redis_url: str, raw: redis.Redis, namespace: str) -> None:
    async with AsyncCoordinator.connect(redis_url, settings=Settings.of(namespace=namespace)) as co:
        held = await co.acquire("a")
        store, copies = co._driver.store, []
        exchange = store._exchange

        async def slow(*words: Any) -> Any:
            if "try" in words:
                copies.append(words)
                raise redis.ConnectionError(LATE)
            return await exchange(*words)

        store._exchange = slow
        assert await co.try_acquire("a") is None
        assert (len(copies), states(raw, namespace)) == (1, ["cancelled", "held"])
        await held.release()
