"""Where one connection leads nowhere, others that are free are not tried after it: each may take a whole timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from coordinator.drivers.direct import AsyncDirect, Direct, NotReplicated
from tests.support.resp import wire

FREE = 4
WORDS = ("FCALL", "f", 1, "k")
SILENT = redis.exceptions.TimeoutError("Timeout reading from socket")
NOWHERE = (
    SILENT,
    redis.exceptions.ConnectionError("Connection closed by server."),
    NotReplicated("only 0 of 1 replicas have it"),
    redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
    redis.exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."),
    redis.exceptions.ResponseError("MASTERDOWN Link with MASTER is down"),
)
OF_THE_CALL = (
    redis.exceptions.ResponseError("WRONGTYPE Operation against a key"),
    redis.exceptions.NoScriptError("No matching script."),
    redis.exceptions.ResponseError("BUSY Redis is busy running a script."),
)


class Server:
    """Where connections lead, and a pool of them. `trouble` is what the first `FREE` get instead of a reply."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.given_up: list[Any] = []
        self.trouble: Exception | None = None
        self.tries = 0

    def connected(self, line: Any) -> Any:
        """A new connection."""
        self.made.append(line)
        return line

    def reply(self, line: Any) -> bytes:
        """What comes on a connection."""
        assert line not in self.given_up
        self.tries += 1
        if self.trouble is not None and line in self.made[:FREE]:
            raise self.trouble
        return f"from {self.made.index(line)}".encode()


class Line:
    """A connection, its socket, its parser, and the pool it comes from."""

    def __init__(self, server: Server, first: Callable[[], Any]) -> None:
        self._server, self._first = server, first
        self._sock = self._parser = self

    def get_connection(self) -> Any:
        return self._server.connected(Line(self._server, self._first))

    def release(self, line: Any) -> None:
        self._server.given_up.append(line)

    def gettimeout(self) -> None:
        pass

    def sendall(self, _packed: bytes) -> None:
        pass

    def recv(self, _most: int) -> bytes:
        if len(self._server.made) < FREE:
            self._first()  # another call meanwhile, on a connection of its own
        try:
            return wire(self._server.reply(self))
        except redis.exceptions.ResponseError as error:
            return wire(error)

    def parse_error(self, _text: str) -> Exception | None:
        return self._server.trouble

    def disconnect(self) -> None:
        pass


class AsyncLine:
    """As `Line`, for asyncio: there the caller has the clock, and what is silent just never answers."""

    def __init__(self, server: Server, first: Callable[[], Any]) -> None:
        self._server, self._first = server, first
        self._writer = self._parser = self.transport = self
        self._protocol = asyncio.Protocol()
        self._answering: asyncio.Task[None] | None = None
        self._over = False

    async def get_connection(self) -> Any:
        return self._server.connected(AsyncLine(self._server, self._first))

    async def release(self, line: Any) -> None:
        self._server.given_up.append(line)

    def get_protocol(self) -> asyncio.Protocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol

    def is_closing(self) -> bool:
        return False

    def write(self, _packed: bytes) -> None:
        # One after the other: what is behind a reply that ends the connection never comes.
        self._answering = asyncio.create_task(self._answer(self._answering))

    async def _answer(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        if self._over:
            return
        if len(self._server.made) < FREE:
            await self._first()
        try:
            self._protocol.data_received(wire(self._server.reply(self)))
        except Exception as error:
            self._over = error in NOWHERE
            if isinstance(error, redis.exceptions.ResponseError | NotReplicated):
                self._protocol.data_received(wire(error))
            elif error is not SILENT:
                self._protocol.connection_lost(None)

    def abort(self) -> None:
        self._protocol.connection_lost(None)

    def parse_error(self, _text: str) -> Exception | None:
        return self._server.trouble

    async def disconnect(self, nowait: bool) -> None:
        pass


Run = Callable[..., Any]


@contextmanager
def sync_face(server: Server) -> Iterator[Run]:
    direct = Direct(Line(server, lambda: direct(*WORDS)), 2 * FREE)
    yield lambda name, *words: getattr(direct, name)(*words)


@contextmanager
def async_face(server: Server) -> Iterator[Run]:
    # All but a server that never answers is there at once: the time is for a test that would hang.
    direct = AsyncDirect(AsyncLine(server, lambda: direct(*WORDS)), 2 * FREE, 2.0)
    with asyncio.Runner() as runner:
        yield lambda name, *words: runner.run(getattr(direct, name)(*words))


@pytest.fixture(params=[sync_face, async_face])
def face(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Run]]:
    server = Server()
    with request.param(server) as run:
        run("__call__", *WORDS)
        assert len(server.made) == FREE
        server.tries = 0
        yield server, run


@pytest.mark.parametrize("trouble", NOWHERE, ids=str)
@pytest.mark.parametrize("how", ["call", "stream"])
def test_after_one_try_that_led_nowhere_the_next_is_on_a_new_connection(
    face: tuple[Server, Run], how: str, trouble: Exception
) -> None:
    server, run = face
    server.trouble = trouble
    with pytest.raises(type(trouble)):
        run("__call__", *WORDS) if how == "call" else run("stream", [WORDS, WORDS])
    assert server.given_up[0] in server.made
    assert set(server.given_up) == set(server.made), "one leads where all the others do"
    assert run("__call__", *WORDS) == f"from {FREE}".encode()
    assert server.tries == 2


@pytest.mark.parametrize("refused", OF_THE_CALL, ids=str)
def test_a_call_that_is_refused_costs_no_connection(face: tuple[Server, Run], refused: Exception) -> None:
    server, run = face
    server.trouble = refused
    for _ in range(2):
        with pytest.raises(type(refused)):
            run("__call__", *WORDS)
    assert not server.given_up
    assert len(server.made) == FREE


def test_a_stream_that_is_refused_costs_the_one_that_has_replies_on_their_way(face: tuple[Server, Run]) -> None:
    server, run = face
    server.trouble = OF_THE_CALL[0]
    with pytest.raises(redis.exceptions.ResponseError):
        run("stream", [WORDS, WORDS])
    assert len(server.given_up) == 1
