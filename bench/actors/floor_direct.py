"""No library: the scripts of `floor` over the connections that Coordinator's own client uses."""

from __future__ import annotations

import redis

from bench.actors.floor import GIVE, TAKE
from bench.actors.locker import Locker
from bench.actors.speech import said
from coordinator.drivers.direct import sync_exchange


class Actor(Locker):
    def __init__(self) -> None:
        super().__init__()
        client = redis.Redis.from_url(said("URL"))
        self._send = sync_exchange(client)
        self._take, self._give = (client.script_load(text) for text in (TAKE, GIVE))

    def acquire(self, name: str) -> str:
        self._send("EVALSHA", self._take, 1, name, "me")
        return name

    def release(self, held: str) -> None:
        self._send("EVALSHA", self._give, 1, held)
