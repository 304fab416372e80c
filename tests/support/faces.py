"""Both faces of the client behind one: the same test body runs on the sync and on the asyncio client.

The asyncio client lives on a loop in a thread of its own; whatever a call returns is wrapped again, so tickets and
leases work the same way.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from coordinator import AsyncCoordinator, Coordinator, Settings

OURS = "coordinator.aclient"


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Face:
    """An asyncio object that is used with blocking calls."""

    def __init__(self, loop: Loop, target: Any) -> None:
        self._loop, self.target = loop, target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.target, name)
        return self._wrap_call(found) if callable(found) else found

    def __enter__(self) -> Any:
        return self._wrap(self._loop.run(self.target.__aenter__()))

    def __exit__(self, *error: Any) -> Any:
        return self._loop.run(self.target.__aexit__(*error))

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        try:
            return self._loop.run(self.target.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def _wrap_call(self, found: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            given = [one.target if isinstance(one, Face) else one for one in args]
            result = found(*given, **options)
            return self._wrap(self._loop.run(result) if inspect.isawaitable(result) else result)

        return call

    def _wrap(self, result: Any) -> Any:
        if isinstance(result, list):
            return [self._wrap(one) for one in result]
        ours = type(result).__module__ == OURS or hasattr(result, "__aenter__")
        return Face(self._loop, result) if ours else result


@contextmanager
def connected(kind: str, url: str, settings: Settings) -> Iterator[Any]:
    """A client of one kind, closed at the end."""
    if kind == "sync":
        with Coordinator.connect(url, settings=settings) as client:
            yield client
        return
    loop = Loop()
    try:

        async def connect() -> AsyncCoordinator:
            return AsyncCoordinator.connect(url, settings=settings)

        client = loop.run(connect())
        yield Face(loop, client)
        loop.run(client.close())
    finally:
        loop.close()
