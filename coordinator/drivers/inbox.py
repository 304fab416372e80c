"""The inbox of a session, read on one connection that is blocked on it, and calls that lie in wait behind the read.

Redis carries out what a client has sent one after the other, and holds up what was sent behind a blocking command until
that is answered. A worker that has found nothing uses this: it *parks* its next claim behind the read of its inbox.
When it is rung the server carries the claim out at once, and the bell and the jobs arrive together. Bell, claim and
answer are one way then instead of three: measured, a fifth to a quarter off the time from a submission to the handler.

Nothing rests on it. A parked call that got no answer (the connection broke, the server was replaced, the function is
not known) fails, and its owner makes it again in the usual way; a claim answers as it did the first time. So does one
that had not been sent when a message came: that was the bell it is there for, and there may be no other. An answer
that is not the expected one means that the two ends no longer agree on what was asked: the connection is given up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import redis

from coordinator.drivers.channel import AsyncChannel
from coordinator.drivers.demands import Words
from coordinator.drivers.direct import async_exchange, pack
from coordinator.drivers.messages import BATCH
from coordinator.errors import StoreUnavailable

T = TypeVar("T")
# Told the reply of a parked call, or the error why there is none.
Answered = Callable[[Any], None]


class OutOfStep(redis.exceptions.ConnectionError):
    """What was read is no answer to what was asked."""


class AsyncInbox:
    """One session's inbox, for one event loop. `seconds`: how long one read blocks; `patience`: how much longer a reply
    may take."""

    def __init__(self, client: Any, name: str, seconds: float, patience: float) -> None:
        self._name, self._seconds, self._patience = name, seconds, patience
        self._label = name.encode()
        self._pool: Any = getattr(client, "connection_pool", None)  # a Cluster has many, and nothing is parked there
        self._exchange, _ = async_exchange(client)
        self._channel: AsyncChannel | None = None
        # found: whether the read that went on last brought a message.
        self._blocked = self._closed = self._found = False
        self._waiting: deque[tuple[Words, Answered]] = deque()
        self._sent: deque[Answered] = deque()
        self._sending: set[asyncio.Task[None]] = set()

    async def read(self, heard: Callable[[Any], None]) -> bool:
        """Wait for the next message and hand it to `heard`, before what was parked is answered: a message that a job is
        lost comes before the next run of it. False: none came within `seconds`. Raises redis-py's errors."""
        if self._pool is not None:
            return await self._whole(self._read(heard))
        found = await self._exchange("BLPOP", self._name, self._seconds)
        if found:
            heard(found[1])
        return bool(found)

    async def rest(self) -> Any:
        """What else is there, at most `BATCH` messages, or None. Raises redis-py's errors."""
        if self._pool is None:
            return await self._exchange("LPOP", self._name, BATCH)
        found = await self._whole(self._ask("LPOP", self._name, BATCH))
        if found:
            self._give_up_waiting()
        return found

    def park(self, words: Words, answered: Answered) -> bool:
        """Have the server carry out a command when the read that goes on is over. `answered` is told its reply, or what
        went wrong: then nobody knows whether it was carried out. False: nothing can be parked here."""
        if self._pool is None or self._closed:
            return False
        self._waiting.append((words, answered))
        if self._blocked:
            task = asyncio.get_running_loop().create_task(self._send_waiting())
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return True

    async def close(self) -> None:
        """Give up the connection; what is parked fails. Safe to call twice."""
        self._closed = True
        await self._drop()

    async def _whole(self, work: Awaitable[T]) -> T:
        """Of a connection on which something went wrong nothing more is read."""
        try:
            return await work
        except TimeoutError:
            await self._drop()
            raise redis.exceptions.TimeoutError("no reply in time on the connection to the inbox") from None
        except BaseException:
            await self._drop()
            raise

    async def _read(self, heard: Callable[[Any], None]) -> bool:
        channel = await self._connected()
        channel.allow(self._seconds + self._patience)
        await channel.send(pack(("BLPOP", self._name, self._seconds)))
        self._blocked, self._found = True, False
        await self._send_waiting()
        await channel.each(partial(self._arrived, channel, heard))
        channel.done()
        return self._found

    def _arrived(self, channel: AsyncChannel, heard: Callable[[Any], None], reply: Any) -> bool:
        """A reply is there: the message, or what is said to a parked call. Whether there are to be more. Done as soon
        as it comes and not when a task comes round to it: a job that comes along begins a turn of the loop earlier."""
        if not self._blocked:
            self._answer(reply)
        elif isinstance(reply, Exception):
            raise reply
        else:
            self._blocked, self._found = False, reply is not None
            if self._found:
                heard(self._message(reply))
                self._give_up_waiting()
        if self._sent:
            channel.allow(self._patience)
        return bool(self._sent)

    def _give_up_waiting(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for _, answered in waiting:
            answered(StoreUnavailable("a message came before it was sent"))

    def _message(self, found: Any) -> Any:
        match found:
            case [bytes(name), message] if name == self._label:
                return message
        raise OutOfStep("a read of the inbox was answered with something else")

    def _answer(self, reply: Any) -> None:
        if isinstance(reply, redis.exceptions.ResponseError):
            reply = StoreUnavailable(f"Redis refuses what was parked: {reply}")
        self._sent.popleft()(reply)

    async def _send_waiting(self) -> None:
        """Send what waits, in order; it runs when the read that was sent before it is over."""
        while self._waiting and self._blocked and self._channel is not None:
            words, answered = self._waiting.popleft()
            self._sent.append(answered)
            try:
                await self._channel.send(pack(words))
            except redis.RedisError:
                await self._drop()

    async def _ask(self, *words: Any) -> Any:
        channel = await self._connected()
        channel.allow(self._patience)
        await channel.send(pack(words))
        reply = await channel.receive()
        channel.done()
        return reply

    async def _connected(self) -> AsyncChannel:
        if self._channel is None:
            async with asyncio.timeout(self._patience):
                self._channel = AsyncChannel(await self._pool.get_connection())
        return self._channel

    async def _drop(self) -> None:
        channel, self._channel, self._blocked = self._channel, None, False
        unanswered = [*self._sent, *(answered for _, answered in self._waiting)]
        self._sent.clear()
        self._waiting.clear()
        for answered in unanswered:
            answered(StoreUnavailable("the connection to the inbox was given up"))
        if channel is not None:
            await channel.end(self._pool)
