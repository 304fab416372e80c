"""What the jobs of the storm depend on: a service of its own on a port of this machine, with a book of who asked when.

It runs in a thread of the process that stages the storm, and fails and slows down by the plan. Workers know only the
port.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from coordinator_demo import history
from coordinator_demo.storm.plan import CHARGE_TAKES, DIGEST_TAKES, REPORT_TAKES, Plan

PORT = "STORM_PORT"
HOST = "127.0.0.1"


class Refused(Exception):
    """The dependency does not answer."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody asked, at that time, and was answered or refused."""

    at: float
    kind: str
    job: str
    refused: bool


class Dependency:
    """The service. Entering the context starts it."""

    def __init__(self) -> None:
        self.port = 0
        self.plan: Plan | None = None
        self.book: list[Visit] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dependency", daemon=True)

    def count(self, kind: str) -> int:
        """How often it was asked for that."""
        return sum(one.kind == kind for one in self.book)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._serve, HOST, 0)
        server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline())
        now, kind = history.clock(), asked["kind"]
        refused = kind == "charge" and self.plan is not None and self.plan.failing.has(now)
        self.book.append(Visit(now, kind, asked["job"], refused))
        await asyncio.sleep(self._takes(kind, now))
        writer.write(b"no\n" if refused else b"yes\n")
        writer.close()

    def _takes(self, kind: str, now: float) -> float:
        if kind == "report":
            return REPORT_TAKES * (2 if self.plan is not None and self.plan.slow.begin <= now else 1)
        return CHARGE_TAKES if kind == "charge" else DIGEST_TAKES


async def ask(kind: str, job: str) -> None:
    """Ask the dependency for something. Raises Refused."""
    reader, writer = await asyncio.open_connection(HOST, int(os.environ[PORT]))
    try:
        writer.write(json.dumps({"kind": kind, "job": job}).encode() + b"\n")
        if await reader.readline() != b"yes\n":
            raise Refused(f"the dependency refused {kind}")
    finally:
        writer.close()
