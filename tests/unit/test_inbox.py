"""The read of an inbox and what lies behind it, on a connection that is played by hand."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from coordinator.drivers.inbox import AsyncInbox, OutOfStep
from coordinator.errors import StoreUnavailable
from tests.support.resp import wire

INBOX = "co:{x}:inbox:s-1"


class Line:
    """A connection, and its own writer and transport: keeps what is sent, and gives the replies that are put in."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_connected = True
        self._writer = self.transport = self
        self._parser = SimpleNamespace(parse_error=redis.exceptions.ResponseError)
        self._protocol = asyncio.Protocol()

    def get_protocol(self) -> asyncio.Protocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol

    def is_closing(self) -> bool:
        return not self.is_connected

    def write(self, packed: bytes) -> None:
        self.sent.append(packed)

    def abort(self) -> None:
        self._protocol.connection_lost(None)

    def say(self, *replies: Any) -> None:
        self._protocol.data_received(b"".join(map(wire, replies)))

    def cut(self) -> None:
        self._protocol.connection_lost(ConnectionResetError("cut"))

    async def disconnect(self, nowait: bool) -> None:
        self.is_connected = False
        self.abort()


class Pool:
    """Gives one new connection after the other."""

    def __init__(self) -> None:
        self.connection_kwargs: dict[str, Any] = {"socket_timeout": 5}
        self.max_connections = 2
        self.lines: list[Line] = []

    async def get_connection(self) -> Line:
        self.lines.append(Line())
        return self.lines[-1]

    async def release(self, line: Line) -> None:
        assert not line.is_connected


class Reader:
    """An inbox and a read of it that goes on."""

    def __init__(self, patience: float = 5.0) -> None:
        self.pool = Pool()
        self.inbox = AsyncInbox(SimpleNamespace(connection_pool=self.pool), INBOX, 0.01, patience)
        self.answers: list[Any] = []

    @property
    def line(self) -> Line:
        return self.pool.lines[-1]

    def say(self, *replies: Any) -> None:
        for one in replies:
            self.line.say(one)

    def park(self, name: str) -> bool:
        return self.inbox.park(("FCALL", name), self.answers.append)

    async def begin(self) -> asyncio.Task[Any]:
        task = asyncio.create_task(self.inbox.read(self.answers.append))
        for _ in range(3):
            await asyncio.sleep(0)
        return task


def names(line: Line) -> list[bytes]:
    return [words.split(b"\r\n")[4 if words.split(b"\r\n")[2] == b"FCALL" else 2] for words in line.sent]


async def test_what_is_parked_goes_behind_the_read_and_is_answered_with_it() -> None:
    one = Reader()
    assert one.park("before")
    read = await one.begin()
    assert one.park("meanwhile")
    await asyncio.sleep(0)
    assert names(one.line) == [b"BLPOP", b"before", b"meanwhile"]
    one.say([INBOX.encode(), b"bell a"], [b"ok", 1], [b"ok", 2])
    assert await read
    assert one.answers == [b"bell a", [b"ok", 1], [b"ok", 2]]
    # Between two reads nothing is sent: it would be carried out at once.
    assert one.park("later")
    assert names(one.line) == [b"BLPOP", b"before", b"meanwhile"]
    await one.inbox.close()
    assert isinstance(one.answers[-1], StoreUnavailable)
    assert not one.park("after the end")


async def test_what_is_not_sent_when_a_message_comes_fails_since_there_may_be_no_other() -> None:
    one = Reader()
    read = await one.begin()
    # The message is read before the call can go out.
    assert one.park("late")
    one.say([INBOX.encode(), b"bell a"])
    assert one.answers[0] == b"bell a"
    assert [type(answer) for answer in one.answers[1:]] == [StoreUnavailable]
    assert await read
    assert names(one.line) == [b"BLPOP"]


async def test_what_is_parked_while_the_rest_is_fetched_fails_if_there_is_any() -> None:
    one = Reader()
    read = await one.begin()
    one.say([INBOX.encode(), b"bell a"], [b"bell b"], None)
    assert await read
    rest = asyncio.create_task(one.inbox.rest())
    assert one.park("between")
    assert await rest == [b"bell b"]
    assert [type(answer) for answer in one.answers[1:]] == [StoreUnavailable]
    assert one.park("after")
    assert await one.inbox.rest() is None
    assert len(one.answers) == 2
    again = await one.begin()
    assert names(one.line) == [b"BLPOP", b"LPOP", b"LPOP", b"BLPOP", b"after"]
    one.say([INBOX.encode(), b"bell c"], [b"ok"])
    assert await again
    assert one.answers[2:] == [b"bell c", [b"ok"]]
    await one.inbox.close()


async def test_a_read_that_found_nothing_has_the_call_carried_out_all_the_same() -> None:
    one = Reader()
    one.park("claim")
    read = await one.begin()
    one.say(None, [b"ok"])
    assert not await read
    assert one.answers == [[b"ok"]]


@pytest.mark.parametrize("reply", [[b"ok"], [b"ok", [b"j-1", b"7"]], b"OK", 7, [b"another", b"bell a"]], ids=str)
async def test_an_answer_to_something_else_ends_the_connection(reply: Any) -> None:
    one = Reader()
    one.park("claim")
    read = await one.begin()
    one.say(reply)
    with pytest.raises(OutOfStep):
        await read
    assert isinstance(one.answers[0], StoreUnavailable)
    assert not one.line.is_connected
    again = await one.begin()
    one.say([INBOX.encode(), b"bell a"])
    assert await again
    assert one.answers[1:] == [b"bell a"]
    assert len(one.pool.lines) == 2


async def test_a_refusal_of_the_call_is_its_answer_only() -> None:
    one = Reader()
    one.park("claim")
    read = await one.begin()
    one.say([INBOX.encode(), b"bell a"], redis.exceptions.ResponseError("Function not found"))
    assert await read
    assert one.answers[0] == b"bell a"
    assert isinstance(one.answers[1], StoreUnavailable)
    assert one.line.is_connected


async def test_a_broken_connection_fails_what_is_parked_and_nothing_more_is_sent_on_it() -> None:
    one = Reader()
    one.park("claim")
    read = await one.begin()
    line = one.line
    line.is_connected = False
    one.park("too late")
    await asyncio.sleep(0)
    assert names(line) == [b"BLPOP", b"claim"]
    line.cut()
    with pytest.raises(redis.exceptions.ConnectionError):
        await read
    assert [type(answer) for answer in one.answers] == [StoreUnavailable] * 2


async def test_a_server_that_says_nothing_is_given_up() -> None:
    one = Reader(patience=0.01)
    one.park("claim")
    read = await one.begin()
    with pytest.raises(redis.exceptions.TimeoutError):
        await read
    assert isinstance(one.answers[0], StoreUnavailable)
