"""The connection of a sync client that is blocked on its session's inbox, read by whichever thread has the turn.

Nothing here blocks but `sleep`, and that ends when its nudge is rung: so a thread that reads can be told of something
else, and the turn can pass to another one in the middle of a read. One thread at a time, the one whose turn it is,
calls `connect`, `ask`, `take` and `drop`; `hall` sees to that.
"""

from __future__ import annotations

import math
import os
import select
import ssl
from collections.abc import Callable
from typing import Any

import redis

from coordinator.drivers import clock, failpoints
from coordinator.drivers.channel import CHUNK, CLOSED, NO_REPLY, UNUSUAL, replies_of
from coordinator.drivers.demands import Words
from coordinator.drivers.direct import pack
from coordinator.drivers.inbox import OutOfStep
from coordinator.drivers.messages import BATCH, BURST_SECONDS, READ_SECONDS

NOT_YET = (BlockingIOError, ssl.SSLWantReadError)


class Nudge:
    """Wakes a thread that sleeps on a connection. Everything but `fileno` under one lock."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        self._rung = self._closed = False

    def fileno(self) -> int:
        """What becomes readable when it is rung."""
        return self._out

    def ring(self) -> None:
        """Wake the sleeper, now or when it falls asleep; once, however often it is rung until it was answered."""
        if not self._rung and not self._closed:
            self._rung = True
            os.write(self._in, b"!")

    def answer(self) -> None:
        """Called by who was woken."""
        if self._rung and not self._closed:
            self._rung = False
            os.read(self._out, 1)

    def close(self) -> None:
        """Nobody sleeps by it any more."""
        if not self._closed:
            self._closed = True
            os.close(self._in)
            os.close(self._out)


class Tap:
    """One session's inbox. `seconds`: how long the server holds up one read; `patience`: how much longer a reply may
    take. `heard` is told each message."""

    def __init__(self, pool: Any, name: str, seconds: float, patience: float, heard: Callable[[object], None]) -> None:
        self._pool, self._name, self._heard = pool, name, heard
        self._read, self._rest = ("BLPOP", name, seconds), ("LPOP", name, BATCH)
        self._longest, self._patience = seconds + patience, patience
        self._connection: Any = None
        self._asked: Words | None = None
        self._asked_at = self._due = 0.0
        self._hurried = False
        # Whether a connection was lost, and maybe messages with it. For the thread in the background to see to.
        self.torn = False
        self.watch, self.turn = Nudge(), Nudge()

    @property
    def ready(self) -> bool:
        """Whether there is a connection that any thread may read from."""
        return self._connection is not None

    def connect(self) -> None:
        """Have a connection. Raises redis-py's errors."""
        if self._connection is not None:
            return
        self.torn = True
        connection = self._pool.get_connection()
        self._socket = connection._sock
        self._socket.settimeout(0)
        self._reader = replies_of(connection)
        self._polls = {one: select.poll() for one in (self.watch, self.turn)}
        for nudge, poll in self._polls.items():
            poll.register(nudge.fileno(), select.POLLIN)
            poll.register(self._socket.fileno(), select.POLLIN)
        self._fileno = self._socket.fileno()
        self._asked, self._connection, self.torn = None, connection, False

    def ask(self) -> None:
        """Ask for messages, unless that has been done and not been answered. Raises redis-py's errors."""
        if self._asked is not None:
            return
        asked, longest = (self._rest, self._patience) if self._hurried else (self._read, self._longest)
        try:
            if failpoints.on:
                failpoints.reach("listener.before_read")
            self._socket.sendall(pack(asked))
        except BaseException as error:
            self._give_up(error)
            raise
        self._asked_at = clock.now()
        self._asked, self._due = asked, self._asked_at + longest

    def sleep(self, nudge: Nudge, seconds: float | None) -> bool:
        """Sleep until there is something to `take`, the nudge is rung, or so many seconds are over. True: `take` has
        something to do. Needs no turn."""
        left = self._due - clock.now()
        shorter = left if seconds is None else min(left, seconds)
        found = self._polls[nudge].poll(max(0, math.ceil(shorter * 1000)))
        return any(fd == self._fileno for fd, _ in found) if found else self._due <= clock.now()

    def take(self) -> None:
        """Take what has come of the answer; when that is whole, `heard` is told what is in it. Raises redis-py's
        errors, TimeoutError when the answer is overdue."""
        try:
            reply = self._received()
            asked, self._asked = self._asked, None
            messages = self._messages(asked, reply)
            if failpoints.on:
                failpoints.reach("listener.after_read")
            for one in messages:
                self._heard(one)
        except NOT_YET:
            if self._due <= clock.now():
                self.drop()
                raise redis.exceptions.TimeoutError("no reply in time on the connection to the inbox") from None
        except BaseException as error:
            self._give_up(error)
            raise

    def drop(self) -> None:
        """Give up the connection."""
        connection, self._connection, self._asked = self._connection, None, None
        if connection is not None:
            self.torn = True
            self._hurried = False
            connection.disconnect()
            self._pool.release(connection)

    def _give_up(self, error: BaseException) -> None:
        """Of a connection on which something went wrong nothing more is read."""
        self.drop()
        if isinstance(error, OSError):
            raise redis.exceptions.ConnectionError(f"the connection to the inbox is gone: {error}") from error

    def _received(self) -> Any:
        while True:
            while (reply := self._reader.gets()) is NO_REPLY:
                some = self._socket.recv(CHUNK)
                if not some:
                    raise redis.exceptions.ConnectionError(CLOSED)
                self._reader.feed(some)
            if not isinstance(reply, UNUSUAL):
                return reply
            if isinstance(reply, Exception):
                try:
                    raise reply
                finally:
                    del reply  # as in a channel

    def _messages(self, asked: Words | None, reply: Any) -> list[Any]:
        if asked is self._rest:
            self._hurried = False
            if reply is None or isinstance(reply, list):
                return reply or []
        elif asked is not None:
            match reply:
                case None:
                    return []
                case [bytes(name), message] if name == self._name.encode():
                    # Where one came at once there are more.
                    self._hurried = clock.now() - self._asked_at < BURST_SECONDS
                    return [message]
        raise OutOfStep("a read of the inbox was answered with something else")


class ClusterTap:
    """As `Tap`, where redis-py finds the node of the inbox for every command: read by one thread alone, which cannot be
    woken but by a message."""

    ready = False

    def __init__(
        self, exchange: Callable[..., Any], name: str, seconds: float, heard: Callable[[object], None]
    ) -> None:
        self._exchange, self.name, self._seconds, self._heard = exchange, name, seconds, heard
        self._found: list[Any] = []
        self.torn = False
        self.watch, self.turn = Nudge(), Nudge()

    def connect(self) -> None:
        """Whatever went wrong, the next command goes by a connection that works."""

    def ask(self) -> None:
        """As `Tap.ask`; nothing is sent yet."""
        if failpoints.on:
            failpoints.reach("listener.before_read")

    def sleep(self, _nudge: Nudge, _seconds: float | None) -> bool:
        """Wait for the next message. Raises redis-py's errors."""
        self.torn = True
        asked = clock.now()
        found = self._exchange("BLPOP", self.name, self._seconds)
        self._found = [found[1]] if found else []
        if found and clock.now() - asked < BURST_SECONDS:
            self._found += self._exchange("LPOP", self.name, BATCH) or ()
        self.torn = False
        return bool(found)

    def take(self) -> None:
        """Tell `heard` what was read."""
        if failpoints.on:
            failpoints.reach("listener.after_read")
        found, self._found = self._found, []
        for one in found:
            self._heard(one)

    def drop(self) -> None:
        """There is nothing to give up."""


def tap_of(client: Any, name: str, patience: float, heard: Callable[[object], None]) -> Tap | ClusterTap:
    """What reads an inbox over a client of `connect.sync_client`."""
    pool = getattr(client, "connection_pool", None)  # a Cluster has many
    if pool is None:
        return ClusterTap(client.execute_command, name, READ_SECONDS, heard)
    return Tap(pool, name, READ_SECONDS, patience, heard)
