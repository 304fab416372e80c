"""A private Redis server for one measurement, and what it says about its own work."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import redis

from bench.model import Costs
from coordinator.drivers.embedded import EmbeddedServer

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, spoken to over TCP on the loopback by all libraries alike."""

    url: str
    client: redis.Redis

    def totals(self) -> Costs:
        """Its counters since it started; the difference of two is what lies between them.

        Commands include those that scripts call. A round trip is one write of answers to a client's socket: a
        pipeline counts once, an answer to a blocking call once, and so does a message that is pushed.
        """
        found = self.client.info("all")
        return Costs(
            commands=float(found["total_commands_processed"]),
            round_trips=float(found["total_writes_processed"]),
            redis=float(found["used_cpu_user"]) + float(found["used_cpu_sys"]),
        )

    def pid(self) -> int:
        """Its process."""
        return int(self.client.info("server")["process_id"])

    def used_memory(self) -> int:
        """Bytes that the data and the server's own tables take."""
        return int(self.client.info("memory")["used_memory"])


def between(before: Costs, after: Costs, client: float = 0.0) -> Costs:
    """What lies between two totals. The asking for the first one is not counted, the second does not count itself."""
    return Costs(
        after.commands - before.commands - 1,
        after.round_trips - before.round_trips - 1,
        after.redis - before.redis,
        client,
    )


@contextmanager
def fresh_server(aof: bool) -> Iterator[Server]:
    """A new, empty server: without persistence, or with an append-only file synced every second."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    lines = {"port": str(port), "bind": HOST, "appendonly": "yes" if aof else "no"}
    url = f"redis://{HOST}:{port}/0"
    with EmbeddedServer(config=lines), closing(redis.Redis.from_url(url)) as client:
        client.ping()
        yield Server(url, client)
