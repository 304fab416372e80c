"""What is read of a connection: replies, errors of redis-py's, and nothing that the server says unasked."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.drivers.channel import AsyncChannel, Channel
from coordinator.drivers.store import FAILED, STRANGE
from tests.support.fleet import until_async
from tests.support.resp import wire

PIECES = st.sampled_from(
    (
        b"*1\r\n",
        b"*-1\r\n",
        b"$3\r\n",
        b"abc",
        b"\r\n",
        b"+ok\r\n",
        b"-ERR x\r\n",
        b":9",
        b">1\r\n",
        b"%1\r\n",
        b"_\r\n",
    )
)
PUSH = b">2\r\n+moving\r\n:1\r\n"


class Far:
    """The other end of a connection, and a channel on this one."""

    def __init__(self, near: socket.socket, far: socket.socket, run: Callable[[str, bytes], Any]) -> None:
        self.near, self.far, self.send = near, far, lambda packed: run("send", packed)
        self.receive: Callable[[], Any] = lambda: run("receive", b"")

    def say(self, *said: bytes) -> None:
        for one in said:
            self.far.sendall(one)


def connection(near: socket.socket, **ends: Any) -> Any:
    return SimpleNamespace(_sock=near, _parser=redis.connection.DefaultParser, **ends)


@contextmanager
def sync_face() -> Iterator[Far]:
    near, far = socket.socketpair()
    near.settimeout(0.05)
    channel = Channel(connection(near))
    with near, far:
        yield Far(near, far, lambda name, packed: channel.send(packed) if name == "send" else channel.receive())


def test_a_reply_that_never_comes_to_its_end_is_given_up() -> None:
    """Each piece comes in time; all of them together do not."""
    near, far = socket.socketpair()
    near.settimeout(0.2)
    channel, over = Channel(connection(near)), threading.Event()

    def drip() -> None:
        far.sendall(b"$100000\r\n")
        while not over.wait(0.02):
            far.sendall(b"x")

    with near, far:
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(redis.exceptions.TimeoutError):
                channel.receive()
        finally:
            over.set()
            thread.join()


async def opened(near: socket.socket) -> AsyncChannel:
    reader, writer = await asyncio.open_connection(sock=near)
    return AsyncChannel(connection(near, _reader=reader, _writer=writer))


@contextmanager
def async_face() -> Iterator[Far]:
    near, far = socket.socketpair()
    with asyncio.Runner() as runner, near, far:
        channel = runner.run(opened(near))

        async def act(name: str, packed: bytes) -> Any:
            return await (channel.send(packed) if name == "send" else asyncio.wait_for(channel.receive(), 5))

        yield Far(near, far, lambda name, packed: runner.run(act(name, packed)))
        channel._writer.transport.abort()


FACES = (sync_face, async_face)


@pytest.fixture(params=FACES)
def far(request: pytest.FixtureRequest) -> Iterator[Far]:
    with request.param() as made:
        yield made


def test_what_is_sent_arrives_and_each_reply_is_read_by_itself(far: Far) -> None:
    far.send(b"a command")
    assert far.far.recv(100) == b"a command"
    far.say(wire([b"ok", 7]) + wire(None), wire(b"x" * 50_000))
    assert [far.receive() for _ in range(3)] == [[b"ok", 7], None, b"x" * 50_000]


def test_a_reply_in_pieces_is_waited_for(far: Far) -> None:
    whole = wire([b"ok", b"granted"])
    far.say(whole[:9])
    late = threading.Timer(0.01, far.say, [whole[9:]])
    late.start()
    assert far.receive() == [b"ok", b"granted"]
    late.join()


def test_what_the_server_says_unasked_is_no_reply(far: Far) -> None:
    far.say(PUSH + wire([b"ok"]) + PUSH, PUSH + wire(b"next"))
    assert far.receive() == [b"ok"]
    assert far.receive() == b"next"


def test_an_error_is_that_of_redis_py_and_the_reply_behind_it_is_read(far: Far) -> None:
    far.say(b"-READONLY it is a replica\r\n-ERR no such thing\r\n" + wire(b"ok"))
    with pytest.raises(redis.exceptions.ReadOnlyError):
        far.receive()
    with pytest.raises(redis.exceptions.ResponseError, match="no such thing"):
        far.receive()
    assert far.receive() == b"ok"


def test_a_connection_that_has_ended_or_broken_is_told_as_such(far: Far) -> None:
    far.say(wire([b"ok"])[:5])
    far.far.close()
    with pytest.raises(redis.exceptions.ConnectionError):
        far.receive()
    with pytest.raises(redis.exceptions.ConnectionError):
        [far.send(b"x") for _ in range(3)]


def test_a_silent_server_and_one_that_takes_nothing_are_waited_for_as_long_as_the_connection_says() -> None:
    with sync_face() as far:
        with pytest.raises(redis.exceptions.TimeoutError):
            far.receive()
        with pytest.raises(redis.exceptions.TimeoutError):
            far.send(b"x" * 10_000_000)


@pytest.mark.parametrize("face", FACES)
@settings(deadline=None, max_examples=60)
@given(st.lists(PIECES | st.binary(max_size=6), max_size=12).map(b"".join))
def test_whatever_a_server_says_is_a_reply_or_an_error_that_callers_know(
    face: Callable[[], contextlib.AbstractContextManager[Far]], said: bytes
) -> None:
    with face() as far:
        far.say(said)
        far.far.close()
        with contextlib.suppress(*FAILED, *STRANGE):
            for _ in range(len(said) + 1):
                far.receive()
            pytest.fail("more replies than bytes")


async def waiting(seconds: float) -> tuple[AsyncChannel, socket.socket]:
    """A channel that waits for a reply, at most so long, and the other end."""
    near, far = socket.socketpair()
    channel = await opened(near)
    channel.allow(seconds)
    return channel, far


async def test_who_is_told_nothing_in_time_gives_the_connection_up() -> None:
    channel, far = await waiting(0.01)
    with far:
        with pytest.raises(redis.exceptions.TimeoutError):
            await channel.receive()
        with pytest.raises(redis.exceptions.TimeoutError):
            await channel.send(b"x")
        assert far.recv(10) == b""


async def test_a_server_that_takes_nothing_is_given_up_too() -> None:
    channel, far = await waiting(0.01)
    with far:
        with contextlib.suppress(redis.exceptions.TimeoutError):
            await channel.send(b"x" * 10_000_000)
        with pytest.raises(redis.exceptions.TimeoutError):
            await channel.receive()


async def test_time_that_nobody_waits_in_does_not_count() -> None:
    channel, far = await waiting(0.01)
    with far:
        channel.done()
        rung = asyncio.get_running_loop().time() + 0.02
        await until_async(lambda: asyncio.get_running_loop().time() > rung)
        channel.allow(5)
        far.sendall(wire(b"ok"))
        assert await channel.receive() == b"ok"
        channel._writer.close()


async def test_a_reply_that_came_while_the_loop_was_busy_is_not_late() -> None:
    channel, far = await waiting(0.01)

    async def read() -> Any:
        reply = await channel.receive()
        channel.done()
        return reply

    with far:
        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        far.sendall(wire(b"ok"))
        busy = asyncio.get_running_loop().time() + 0.02
        while asyncio.get_running_loop().time() < busy:
            pass
        assert await reading == b"ok"
        assert not channel._writer.is_closing()
        channel._writer.close()


async def test_many_calls_have_one_timer() -> None:
    channel, far = await waiting(60)
    with far:
        timer = channel._timer
        for _ in range(100):
            channel.done()
            channel.allow(60)
        assert channel._timer is timer
        channel.allow(1)
        assert timer is not None
        assert timer.cancelled(), "this one is over sooner"
        channel.done()
        channel._writer.close()
