"""One command and its reply, on redis-py's connections but without its generic client around them.

A client of redis-py takes a connection out of a pool for every command, looks whether it has data or was closed, wraps
the call in its retries and its measurements, and puts the connection back: measured, two thirds of the client's time of
a short script. Here connections that are free lie on a stack. One that broke shows it when it is used, and `store`
makes the call again, which is safe. It is made on a new connection: after a failover all that are free lead to the old
primary, and if that is cut off each takes a whole timeout to show it. Cluster clients keep the generic path, which
finds the node of a key.

Where an answer is to mean that replicas have it, a `Proof` goes along with every command. A connection on which
replicas do not answer is closed: the next one is to the primary of then.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import redis
from hiredis import pack_command

from coordinator.drivers.channel import AsyncChannel, Channel
from coordinator.drivers.demands import Proof, Words, no_cluster
from coordinator.drivers.trouble import leads_nowhere


class NotReplicated(redis.exceptions.ConnectionError):
    """Too few replicas have said in time that they have a write: it happened, and may still be lost."""


# Connections of a pool that are left to redis-py's client, for the few commands that are no scripts.
SPARE = 1
# Commands of a stream that are under way together: one at work and one waiting behind it.
AT_ONCE = 2


class Direct:
    """At most `most` connections of a sync pool. Safe for many threads."""

    # What goes along with every command.
    _behind = b""
    _receive = staticmethod(Channel.receive)

    def __init__(self, pool: Any, most: int) -> None:
        self._pool = pool
        self._free: list[Channel] = []
        self._rest = most
        self._freed = threading.Condition()
        self._waiting = 0

    def __call__(self, *words: Any) -> Any:
        """The reply to one command. Raises redis-py's errors."""
        try:
            channel = self._free.pop()
        except IndexError:
            channel = self._another()
        try:
            channel.send(pack(words) + self._behind)
            reply = self._receive(channel)
        except BaseException as error:
            self._failed(channel, error)
            raise
        self._give_back(channel)
        return reply

    def stream(self, commands: Iterable[Words]) -> list[Any]:
        """The replies to commands that are sent without waiting for each. Raises redis-py's errors; then it is not
        known how many of the commands have been carried out."""
        channel, sent = self._another(), 0
        replies: list[Any] = []
        try:
            for words in commands:
                channel.send(pack(words) + self._behind)
                sent += 1
                if sent - len(replies) >= AT_ONCE:
                    replies.append(self._receive(channel))
            while len(replies) < sent:
                replies.append(self._receive(channel))
        except BaseException as error:
            self._failed(channel, error, idle=False)
            raise
        self._give_back(channel)
        return replies

    def along(self, words: Words, proof: Proof) -> list[Any]:
        """The replies to a command and to what goes along with it. Errors that the server tells of stand among them;
        raises redis-py's others."""
        channel = self._another()
        try:
            channel.send(b"".join(map(pack, (words, *proof.words))))
            replies = [_outcome(channel.receive) for _ in range(1 + len(proof.words))]
        except BaseException as error:
            self._failed(channel, error, idle=False)
            raise
        self._give_back(channel)
        return replies

    def _another(self) -> Channel:
        """One that is free, a new connection, or the next that comes free when there are enough."""
        with self._freed:
            self._waiting += 1
            try:
                while not self._free and not self._rest:
                    self._freed.wait()
                if self._free:
                    return self._free.pop()
                self._rest -= 1
            finally:
                self._waiting -= 1
        try:
            return Channel(self._pool.get_connection())
        except BaseException:
            self._refund()
            raise

    def _give_back(self, channel: Channel) -> None:
        self._free.append(channel)
        if self._waiting:
            with self._freed:
                self._freed.notify()

    def _failed(self, channel: Channel, error: BaseException, idle: bool = True) -> None:
        """What becomes of the connections. `idle`: an error that the server told of was the last it had to say."""
        nowhere = leads_nowhere(error)
        if idle and not nowhere and isinstance(error, redis.exceptions.ResponseError):
            self._give_back(channel)
            return
        self._drop(channel)
        if nowhere:
            self._drop_free()

    def _drop(self, channel: Channel) -> None:
        # It may have a reply on its way that belongs to nobody any more.
        channel.connection.disconnect()
        self._pool.release(channel.connection)
        self._refund()

    def _drop_free(self) -> None:
        """Where one leads nowhere the others do: each would cost its caller a try, and a longer pause."""
        with contextlib.suppress(IndexError):
            while True:
                self._drop(self._free.pop())

    def _refund(self) -> None:
        with self._freed:
            self._rest += 1
            self._freed.notify()


class AsyncDirect:
    """As `Direct`, for one event loop. `seconds` for one command and its reply."""

    _behind = b""
    _receive = staticmethod(AsyncChannel.receive)

    def __init__(self, pool: Any, most: int, seconds: float) -> None:
        self._pool, self._seconds = pool, seconds
        self._free: list[AsyncChannel] = []
        self._rest = most
        self._waiters: deque[asyncio.Future[None]] = deque()

    async def __call__(self, *words: Any) -> Any:
        """The reply to one command. Raises redis-py's errors."""
        channel = self._free.pop() if self._free else await self._another()
        channel.allow(self._seconds)
        try:
            await channel.send(pack(words) + self._behind)
            reply = await self._receive(channel)
        except BaseException as error:
            await self._failed(channel, error)
            raise
        self._give_back(channel)
        return reply

    async def stream(self, commands: Iterable[Words]) -> list[Any]:
        """The replies to commands that are sent without waiting for each. Raises redis-py's errors; then it is not
        known how many of the commands have been carried out."""
        channel = self._free.pop() if self._free else await self._another()
        replies: list[Any] = []
        sent = 0
        try:
            for words in commands:
                channel.allow(self._seconds)
                await channel.send(pack(words) + self._behind)
                sent += 1
                if sent - len(replies) >= AT_ONCE:
                    replies.append(await self._receive(channel))
            while len(replies) < sent:
                channel.allow(self._seconds)
                replies.append(await self._receive(channel))
        except BaseException as error:
            await self._failed(channel, error, idle=False)
            raise
        self._give_back(channel)
        return replies

    async def along(self, words: Words, proof: Proof) -> list[Any]:
        """As that of `Direct`."""
        channel = self._free.pop() if self._free else await self._another()
        channel.allow(self._seconds)
        try:
            await channel.send(b"".join(map(pack, (words, *proof.words))))
            replies = [await _async_outcome(channel.receive) for _ in range(1 + len(proof.words))]
        except BaseException as error:
            await self._failed(channel, error, idle=False)
            raise
        self._give_back(channel)
        return replies

    async def _another(self) -> AsyncChannel:
        while not self._free and not self._rest:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except BaseException:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # it was our turn, but we were cancelled: wake the next in line
                raise
        if self._free:
            return self._free.pop()
        self._rest -= 1
        try:
            async with asyncio.timeout(self._seconds):
                return AsyncChannel(await self._pool.get_connection())
        except TimeoutError:
            self._refund()
            raise redis.exceptions.TimeoutError("Timeout connecting to server") from None
        except BaseException:
            self._refund()
            raise

    def _give_back(self, channel: AsyncChannel) -> None:
        channel.done()
        self._free.append(channel)
        self._wake()

    async def _failed(self, channel: AsyncChannel, error: BaseException, idle: bool = True) -> None:
        """As that of `Direct`."""
        nowhere = leads_nowhere(error)
        if idle and not nowhere and isinstance(error, redis.exceptions.ResponseError):
            self._give_back(channel)
            return
        await self._drop(channel)
        while nowhere and self._free:
            await self._drop(self._free.pop())

    async def _drop(self, channel: AsyncChannel) -> None:
        await channel.end(self._pool)
        self._refund()

    def _refund(self) -> None:
        self._rest += 1
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class Acknowledged(Direct):
    """As `Direct`, and so many replicas have said that they have what a command wrote or found. Raises
    NotReplicated."""

    def __init__(self, pool: Any, most: int, proof: Proof) -> None:
        super().__init__(pool, most)
        self._proof, self._behind = proof, b"".join(map(pack, proof.words))

    def _receive(self, channel: Channel) -> Any:
        replies = [_outcome(channel.receive) for _ in range(1 + len(self._proof.words))]
        return _proven(replies, self._proof)


class AsyncAcknowledged(AsyncDirect):
    """As `AsyncDirect`; see `Acknowledged`."""

    def __init__(self, pool: Any, most: int, seconds: float, proof: Proof) -> None:
        super().__init__(pool, most, seconds)
        self._proof, self._behind = proof, b"".join(map(pack, proof.words))

    async def _receive(self, channel: AsyncChannel) -> Any:
        replies = [await _async_outcome(channel.receive) for _ in range(1 + len(self._proof.words))]
        return _proven(replies, self._proof)


def pack(words: Words) -> bytes:
    """A command as it goes over the wire."""
    if " " in words[0]:
        # redis-py's clients know `FUNCTION LOAD` as one word.
        words = (*words[0].split(), *words[1:])
    packed: bytes = pack_command(words)
    return packed


def _outcome(receive: Callable[[], Any]) -> Any:
    """The next reply, or the error that it is."""
    try:
        return receive()
    except redis.exceptions.ResponseError as error:
        return error.with_traceback(None)


async def _async_outcome(receive: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await receive()
    except redis.exceptions.ResponseError as error:
        return error.with_traceback(None)


def _proven(replies: list[Any], proof: Proof) -> Any:
    """The first reply, if the last says that enough replicas have it. All are read before an error among them is
    raised: a connection with a reply on its way would give it to the next command. An error behind the first does not
    mean that nothing was done."""
    if isinstance(replies[0], Exception):
        try:
            raise replies[0]
        finally:
            replies.clear()  # as in a channel
    refused = proof.refusal(replies[1:])
    if refused:
        raise NotReplicated(f"the server does not prove that replicas have it: {refused}")
    if replies[-1] < proof.replicas:
        raise NotReplicated(f"only {replies[-1]} of {proof.replicas} replicas have it")
    return replies[0]


def sync_exchange(client: Any, proof: Proof | None = None) -> Callable[..., Any]:
    """What sends a command for a client of `connect.sync_client`, and returns the reply. `proof` goes along with each.
    Raises ConfigError."""
    pool = _pool(client)
    if pool is None:
        _refuse_cluster(proof)
        return client.execute_command  # type: ignore[no-any-return]
    most = pool.max_connections - SPARE
    return Acknowledged(pool, most, proof) if proof else Direct(pool, most)


def _refuse_cluster(proof: Proof | None) -> None:
    if proof:
        raise no_cluster()


def async_exchange(client: Any, proof: Proof | None = None) -> tuple[Callable[..., Awaitable[Any]], float | None]:
    """As `sync_exchange`, for a client of `connect.async_client`; and how many seconds its caller has to allow other
    commands of the client, None if the client does that itself. Raises ConfigError."""
    pool = _pool(client)
    if pool is None:
        _refuse_cluster(proof)
        return client.execute_command, None
    # A timeout for the whole exchange is set here; redis-py's own cost it a task for every command. Where nothing is
    # said it has one of five seconds, which would end every read of the inbox before its time.
    seconds = pool.connection_kwargs["socket_timeout"]
    pool.connection_kwargs["socket_timeout"] = None
    most = pool.max_connections - SPARE
    if proof:
        return AsyncAcknowledged(pool, most, seconds, proof), seconds
    return AsyncDirect(pool, most, seconds), seconds


def _pool(client: Any) -> Any:
    """The pool of connections to the one server a client talks to; None if it talks to many."""
    return getattr(client, "connection_pool", None)
