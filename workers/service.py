"""The one shape of everything that lives as long as a worker: start, started, stop."""

from __future__ import annotations


class Service:
    """Starts once, stops once. Stopping twice, or before the start, does nothing; there is no second start."""

    def __init__(self) -> None:
        self.started = False
        self._over = False

    async def start(self) -> None:
        """Begin to work."""
        if not self.started and not self._over:
            self.started = True
            await self._begin()

    async def stop(self) -> None:
        """End in good order."""
        begun, self.started, self._over = self.started, False, True
        if begun:
            await self._end()

    async def _begin(self) -> None:
        return

    async def _end(self) -> None:
        return
