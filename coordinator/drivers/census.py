"""Going over everything a namespace has, in bounded steps: the server is never kept from its work for long.

What is there all the time is seen; what comes and goes meanwhile may be, and may be seen twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redis.cluster import RedisCluster

from coordinator.drivers.store import Store, server_version

STEP = 500
# Entries of the payloads' hash come with their values on servers that cannot leave them out.
STEP_WITH_VALUES = 32
LEAVES_OUT_VALUES = (7, 4)
COMMANDS = {"hash": "HSCAN", "set": "SSCAN", "zset": "ZSCAN"}


class Census:
    """Reads on a store. Each may raise StoreUnavailable or UnknownOutcome."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        # In a cluster a namespace is on one node, the one that has `key`.
        cluster = isinstance(store.client, RedisCluster)
        self._on = {"target_nodes": store.client.get_node_from_key(key)} if cluster else {}
        self.info: dict[str, Any] = store.command("INFO", **self._on)
        self.version = server_version(self.info)

    def keys(self, beginning: str) -> Iterator[list[bytes]]:
        """All keys that begin so, some at a time."""
        pattern = "".join(f"\\{char}" if char in "*?[]^\\" else char for char in beginning) + "*"
        cursor: Any = 0
        while True:
            cursor, page = self._store.command("SCAN", cursor, "MATCH", pattern, "COUNT", STEP, **self._on)
            if isinstance(cursor, dict):
                (cursor,) = cursor.values()
            yield list(page)
            if int(cursor) == 0:
                return

    def members(self, key: bytes, kind: str) -> Iterator[bytes]:
        """The members of a set or sorted set, or the fields of a hash."""
        words: tuple[Any, ...] = ("COUNT", STEP)
        options = {}
        if kind == "hash" and self.version >= LEAVES_OUT_VALUES:
            words, options = (*words, "NOVALUES"), {"no_values": True}
        elif kind == "hash":
            words = ("COUNT", STEP_WITH_VALUES)
        cursor: Any = 0
        while True:
            cursor, page = self._store.command(COMMANDS[kind], key, cursor, *words, **options)
            # redis-py gives pairs with the scores for a sorted set, a dict for a hash.
            yield from (one[0] if isinstance(one, tuple | list) else one for one in page)
            if int(cursor) == 0:
                return

    def text(self, key: bytes) -> bytes | None:
        """The value of a string."""
        value: bytes | None = self._store.command("GET", key)
        return value
