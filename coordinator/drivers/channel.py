"""One connection of redis-py's, without the layers around its socket and its parser.

redis-py makes, checks and ends it: hosts, TLS, passwords and what else is said in the beginning are its affair. In
between it wraps each command and each reply in calls that prepare for what does not happen here, such as error texts
made beforehand. Measured on a call of a short script: 30 % of the client's instructions.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

import hiredis
import redis

from coordinator.drivers import clock

CHUNK = 65536
NO_REPLY = object()
CLOSED, SILENT = "the server closed the connection", "the server was silent for too long"
# Errors, and what the server says unasked, which is no reply.
UNUSUAL = (Exception, *filter(None, [getattr(hiredis, "PushNotification", None)]))


class Channel:
    """A connection for one thread at a time. Whatever is raised but a `ResponseError`, nothing more is read of it."""

    __slots__ = ("_feed", "_gets", "_recv", "_seconds", "_sendall", "connection")

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        reader = replies_of(connection)
        self._gets, self._feed = reader.gets, reader.feed
        self._seconds = connection._sock.gettimeout() or math.inf
        _leave_waiting_to_the_kernel(connection._sock)
        self._sendall, self._recv = connection._sock.sendall, connection._sock.recv

    def send(self, packed: bytes) -> None:
        """Send a command. Raises redis-py's errors."""
        try:
            self._sendall(packed)
        except OSError as error:
            raise broken(error) from error

    def receive(self) -> Any:
        """The next reply. Raises redis-py's errors."""
        ends, begun = 0.0, False
        while True:
            while (reply := self._gets()) is NO_REPLY:
                if begun:
                    ends = self._in_time(ends)
                begun = True
                try:
                    some = self._recv(CHUNK)
                except OSError as error:
                    raise broken(error) from error
                if not some:
                    raise redis.exceptions.ConnectionError(CLOSED)
                self._feed(some)
            if not isinstance(reply, UNUSUAL):
                return reply
            if isinstance(reply, Exception):
                # Its traceback refers to this frame, and this frame to it: a cycle that would keep all outer frames,
                # and what is in them, alive until the collector runs.
                try:
                    raise reply
                finally:
                    del reply

    def _in_time(self, ends: float) -> float:
        """By when a reply that comes in pieces has to be there: the socket counts anew with each. Most come in one."""
        now = clock.now()
        if 0 < ends <= now:
            raise redis.exceptions.TimeoutError(SILENT)
        return ends or now + self._seconds


class AsyncChannel(asyncio.Protocol):
    """As `Channel`, for one coroutine at a time.

    The loop hands what arrives straight to the parser: behind redis-py's stream it would be copied into a buffer, and
    read there in a turn of its own. How long things may take is watched by one timer, which is looked after when it
    rings and not for each reply: to begin and to end a timeout costs a tenth of a call.
    """

    __slots__ = (
        *("_due", "_feed", "_full", "_gets", "_gone", "_loop", "_rings", "_silent", "_step", "_stream", "_timer"),
        *("_transport", "_waiter", "_why", "_writer", "connection"),
    )

    def __init__(self, connection: Any) -> None:
        self.connection, self._loop = connection, asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._rings = math.inf
        self._silent = self._gone = self._full = False
        self._why: OSError | None = None
        # Who waits for replies, and is told each of them at once.
        self._waiter: asyncio.Future[None] | None = None
        self._step: Callable[[Any], bool] | None = None
        reader = replies_of(connection)
        self._gets, self._feed = reader.gets, reader.feed
        self._writer = connection._writer
        self._transport = self._writer.transport
        # It goes on to look after what is sent, and after the end.
        self._stream = self._transport.get_protocol()
        self._transport.set_protocol(self)

    def allow(self, seconds: float) -> None:
        """Give the connection up if it is not `done` by then. Whoever sends or receives has redis-py's TimeoutError."""
        self._due = self._loop.time() + seconds
        if self._due < self._rings:
            self._ring_at(self._due)

    def done(self) -> None:
        """Nothing is waited for any more."""
        self._due = math.inf

    async def end(self, pool: Any) -> None:
        """Close the connection, and let its pool have another in its place."""
        if self._timer is not None:
            self._timer.cancel()
        await self.connection.disconnect(nowait=True)
        await pool.release(self.connection)

    async def send(self, packed: bytes) -> None:
        """As that of `Channel`."""
        if self._gone or self._transport.is_closing():
            raise self._over()
        try:
            self._transport.write(packed)
            if self._full:
                await self._writer.drain()
        except OSError as error:
            raise self._over(error) from error

    async def receive(self) -> Any:
        """As that of `Channel`."""
        while (reply := self._next()) is NO_REPLY:
            await self._wait()
        return reply

    async def each(self, step: Callable[[Any], bool]) -> None:
        """Tell `step` of each reply, and of each error of the server, as soon as it is there, while it returns True.
        Raises what it raises, and redis-py's errors."""
        self._step = step
        try:
            if self._stepped():
                await self._wait()
        finally:
            self._step = None

    # --- called by the transport

    def data_received(self, data: bytes) -> None:
        """Some of a reply, or of several."""
        self._feed(data)
        if self._waiter is None or self._waiter.done():
            return
        try:
            if self._step is None or not self._stepped():
                self._wake()
        except Exception as error:  # it is for the one who waits
            self._waiter.set_exception(error)

    def eof_received(self) -> None:
        """The server says no more: the transport closes by itself."""
        self._gone = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, or broke."""
        self._gone = True
        self._why = exc if isinstance(exc, OSError) else None
        self._wake()
        self._stream.connection_lost(exc)

    def pause_writing(self) -> None:
        """The server does not take as fast as is sent."""
        self._full = True
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._full = False
        self._stream.resume_writing()

    # --- in between

    def _next(self) -> Any:
        """The next reply that is here, or NO_REPLY."""
        while isinstance(reply := self._gets(), UNUSUAL):
            if isinstance(reply, Exception):
                try:
                    raise reply
                finally:
                    del reply  # as there
        return reply

    def _stepped(self) -> bool:
        """Tell of all replies that are here. Whether there are to be more."""
        step = self._step
        while step is not None:
            try:
                reply = self._next()
            except redis.exceptions.ResponseError as error:
                reply = error.with_traceback(None)
            if reply is NO_REPLY:
                return True
            if not step(reply):
                return False
        return False

    async def _wait(self) -> None:
        """Until something has happened."""
        if self._gone:
            raise self._over(self._why)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if self._step is not None and self._gone:
            self._waiter.set_exception(self._over(self._why))
        else:
            self._waiter.set_result(None)

    def _over(self, error: OSError | None = None) -> Exception:
        if self._silent:
            return redis.exceptions.TimeoutError(SILENT)
        return broken(error) if error else redis.exceptions.ConnectionError(CLOSED)

    def _ring_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings, self._timer = when, self._loop.call_at(when, self._rung)

    def _rung(self) -> None:
        self._rings, self._timer = math.inf, None
        if self._due <= self._loop.time():
            # Where it was the loop that took so long, what came meanwhile is read first.
            self._loop.call_soon(self._give_up)
        elif self._due < math.inf:
            self._ring_at(self._due)

    def _give_up(self) -> None:
        if self._due <= self._loop.time():
            self._silent = True
            self._transport.abort()


def replies_of(connection: Any) -> hiredis.Reader:
    """A parser that makes redis-py's errors of those that a server answers."""
    return hiredis.Reader(
        protocolError=redis.exceptions.InvalidResponse,
        replyError=connection._parser.parse_error,
        notEnoughData=NO_REPLY,
    )


def broken(error: OSError) -> Exception:
    """The error of redis-py for one of a socket."""
    if isinstance(error, TimeoutError | BlockingIOError):
        return redis.exceptions.TimeoutError(SILENT)
    return redis.exceptions.ConnectionError(f"the connection broke: {error}")


def _leave_waiting_to_the_kernel(sock: socket.socket) -> None:
    """Python asks the kernel before each read and each write with a timeout whether it can be done, which costs as much
    as doing it. Not with TLS, where a read that was cut short is begun again."""
    seconds = sock.gettimeout()
    if seconds and type(sock) is socket.socket and sys.platform == "linux":
        whole, rest = divmod(round(seconds * 1_000_000), 1_000_000)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", whole, rest))
        sock.settimeout(None)
