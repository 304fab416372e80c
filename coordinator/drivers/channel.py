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
                raise reply

    def _in_time(self, ends: float) -> float:
        """By when a reply that comes in pieces has to be there: the socket counts anew with each. Most come in one."""
        now = clock.now()
        if 0 < ends <= now:
            raise redis.exceptions.TimeoutError(SILENT)
        return ends or now + self._seconds


class AsyncChannel:
    """As `Channel`, for one coroutine at a time.

    How long things may take is watched by one timer, which is looked after when it rings and not for each reply: to
    begin and to end a timeout costs a tenth of a call.
    """

    __slots__ = ("_due", "_feed", "_gets", "_loop", "_read", "_rings", "_silent", "_timer", "_writer", "connection")

    def __init__(self, connection: Any) -> None:
        self.connection, self._loop = connection, asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._rings = math.inf
        self._silent = False
        reader = replies_of(connection)
        self._gets, self._feed = reader.gets, reader.feed
        self._read, self._writer = connection._reader.read, connection._writer

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
        if self._writer.is_closing():
            raise self._over()
        try:
            self._writer.write(packed)
            await self._writer.drain()
        except OSError as error:
            raise self._over(error) from error

    async def receive(self) -> Any:
        """As that of `Channel`."""
        while True:
            while (reply := self._gets()) is NO_REPLY:
                try:
                    some = await self._read(CHUNK)
                except OSError as error:
                    raise self._over(error) from error
                if not some:
                    raise self._over()
                self._feed(some)
            if not isinstance(reply, UNUSUAL):
                return reply
            if isinstance(reply, Exception):
                raise reply

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
            self._writer.transport.abort()


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
