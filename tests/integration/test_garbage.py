"""An error of the server goes as soon as nobody has it any more, and with it whatever it has passed: an application has
the collector come seldom, and its frames may hold much."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

import pytest
import redis

from coordinator.drivers.connect import async_client, locate, sync_client
from coordinator.drivers.demands import Demands, Proof
from coordinator.drivers.store import AsyncStore, Store
from coordinator.errors import CoordinatorError
from coordinator.wire.step import Call, Stream

PROOF = Proof(0, (("PUBLISH", "co:{garbage}:proof", ""), ("WAIT", 0, 1)))
WORDS = ("LPUSH", "without-values")
Watched = Callable[[], AbstractContextManager[None]]
NAMELESS = Stream([Call("cancel", "no key of ours", ())], confirmed=True)


@pytest.fixture
def _uncollected() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@contextmanager
def sync_store(url: str, demands: Demands) -> Iterator[Store]:
    store = Store(sync_client(locate(url, False), 5, 1), demands)
    try:
        yield store
    finally:
        store.close()


@asynccontextmanager
async def async_store(url: str, demands: Demands) -> AsyncIterator[AsyncStore]:
    store = AsyncStore(async_client(locate(url, False), 5, 1), demands)
    try:
        yield store
    finally:
        await store.close()


def told(url: str, demands: Demands, watched: Watched) -> None:
    with sync_store(url, demands) as store, watched():
        store._exchange(*WORDS)


def confirmed(url: str, demands: Demands, watched: Watched) -> None:
    with sync_store(url, demands) as store:
        store.load()
        with watched():
            store.stream(NAMELESS)


def async_told(url: str, demands: Demands, watched: Watched) -> None:
    async def ask() -> None:
        async with async_store(url, demands) as store:
            with watched():
                await store._exchange(*WORDS)

    asyncio.run(ask())


def async_confirmed(url: str, demands: Demands, watched: Watched) -> None:
    with sync_store(url, demands) as loading:
        loading.load()

    async def ask() -> None:
        async with async_store(url, demands) as store:
            store.programs.learn(await store.client.info())
            with watched():
                await store.stream(NAMELESS)

    asyncio.run(ask())


@pytest.mark.usefixtures("_uncollected")
@pytest.mark.parametrize("demands", [Demands(1, confirmed_by=PROOF), Demands(1, proof=PROOF)], ids=["plain", "proven"])
@pytest.mark.parametrize("ask", [told, confirmed, async_told, async_confirmed])
def test_an_error_of_the_server_leaves_nothing_to_the_collector(
    ask: Callable[[str, Demands, Watched], None], demands: Demands, redis_url: str
) -> None:
    errors = []

    @contextmanager
    def watched() -> Iterator[None]:
        try:
            yield
        except (redis.ResponseError, CoordinatorError) as error:
            said = error.__cause__ or error
            assert isinstance(said, redis.ResponseError)
            errors.append(weakref.ref(said))
            del said

    ask(redis_url, demands, watched)
    assert [error() for error in errors] == [None]
