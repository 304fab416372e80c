"""The inbox of a sync client on connections that are played by hand, and threads that wait for its messages."""

import socket
import threading
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import redis

from coordinator.drivers.hall import Hall, Listener, Slot
from coordinator.drivers.messages import RESYNC, Postman, Words
from coordinator.drivers.tap import Tap
from tests.support.until import until

INBOX = "co:{x}:inbox:s-1"
READ, REST = b"BLPOP", b"LPOP"


class Line:
    """A connection, and the server at its other end."""

    def __init__(self) -> None:
        self._sock, self._far = socket.socketpair()
        self._parser = SimpleNamespace(parse_error=redis.exceptions.ResponseError)
        self._far.settimeout(10)
        self._unread = b""
        self.gone = False

    def disconnect(self) -> None:
        self.gone = True
        self._sock.close()

    def asked(self) -> bytes:
        """The next command, which has to come."""
        while self._unread.count(b"\r\n") < (want := 1 + 2 * int(self._unread[1:2] or b"9")):
            self._unread += self._far.recv(4096)
        parts = self._unread.split(b"\r\n", want)
        self._unread = parts[want]
        return parts[2]

    @property
    def quiet(self) -> bool:
        """Whether nothing more was asked."""
        self._far.setblocking(False)
        try:
            self._unread += self._far.recv(4096)
        except BlockingIOError:
            return not self._unread
        finally:
            self._far.settimeout(10)
        return False

    def say(self, *messages: str) -> None:
        """Answer each read with one message; there is never more than that one, if it is asked for."""
        for one in messages:
            while self.asked() == REST:
                self.raw(b"$-1\r\n")
            self.raw(b"*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(INBOX), INBOX.encode(), len(one), one.encode()))

    def raw(self, reply: bytes) -> None:
        self._far.sendall(reply)

    def cut(self) -> None:
        self._far.close()

    def close(self) -> None:
        self._far.close()
        self._sock.close()


class Pool:
    """Gives one new connection after the other."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def get_connection(self) -> Line:
        self.lines.append(Line())
        return self.lines[-1]

    def release(self, line: Line) -> None:
        assert line.gone


class Owned(Tap):
    """Complains of a thread that touches the connection and has not the turn."""

    listener: Listener
    sleeps = 0

    def connect(self) -> None:
        self._mine()
        super().connect()

    def ask(self) -> None:
        self._mine()
        super().ask()

    def take(self) -> None:
        self._mine()
        super().take()

    def sleep(self, *args: Any) -> bool:
        self.sleeps += 1
        return super().sleep(*args)

    def drop(self) -> None:
        self._mine()
        super().drop()

    def _mine(self) -> None:
        turn = self.listener.turn
        owner = turn.ident if isinstance(turn, Listener) else getattr(turn, "thread", None)
        if owner != threading.get_ident():
            FAULTS.append(f"{threading.current_thread().name} has not the turn")


FAULTS: list[str] = []


class Scene:
    """A hall, its listener, and threads that wait in it."""

    def __init__(self) -> None:
        FAULTS.clear()
        self.hall, self.postman = Hall(), Postman(lambda *lost: self.told.append(lost))
        self.told: list[Any] = []
        self.readers: list[str] = []
        self.got: dict[str, list[Words | None]] = {}
        self.threads: list[threading.Thread] = []
        self.listeners: list[Listener] = []
        self.pools: list[Pool] = []
        self.listen()

    def listen(self) -> None:
        self.pools.append(Pool())
        tap = Owned(self.pools[-1], INBOX, 20, 5, self.hear)
        client = SimpleNamespace(close=lambda: None)
        listener = tap.listener = Listener(self.hall, client, tap, self.postman)
        self.listeners.append(listener)
        self.hall.listen(listener)
        until(lambda: self.pools[-1].lines and tap._asked)

    def hear(self, message: object) -> None:
        self.readers.append(threading.current_thread().name)
        self.postman.deliver(message)

    @property
    def line(self) -> Line:
        return self.pools[-1].lines[-1]

    @property
    def tap(self) -> Any:
        return self.listeners[-1].tap

    def slot(self, ident: str) -> Slot:
        self.postman.keep(ident, Slot(self.hall), False)
        slot = self.postman.slot(ident, "")
        assert isinstance(slot, Slot)
        return slot

    def wait(self, name: str, seconds: float | None = 60, *, found: Callable[[], bool] | None = None) -> Slot:
        """Have a thread of that name wait for messages about it until it is told something else than `resync`."""
        slot, got = self.slot(name), self.got.setdefault(name, [])

        def work() -> None:
            while not got or got[-1] == RESYNC:
                got.append(slot.get(seconds))

        self.threads.append(threading.Thread(target=work, name=name))
        self.threads[-1].start()
        until(found or (lambda: slot.places or got))
        return slot

    @property
    def turn(self) -> str:
        """Who has the turn."""
        turn = self.listeners[-1].turn
        names = {one.ident: one.name for one in threading.enumerate()}
        return "" if turn is None else names[turn.ident if isinstance(turn, Listener) else turn.thread] or ""

    @property
    def watched(self) -> bool:
        return self.listeners[-1]._watching and self.listeners[-1].turn is None

    def _ended(self, thread: threading.Thread) -> bool:
        self.postman.tell_all(("ended",))
        return not thread.is_alive()

    def end(self) -> None:
        self.hall.retire()
        for one in self.threads:
            until(partial(self._ended, one))
        for one in (*self.threads, *self.listeners):
            one.join(10)
            assert not one.is_alive()
        for pool in self.pools:
            for line in pool.lines:
                assert line.gone
                line.close()
        assert not FAULTS
        assert not self.hall._waiting


def granted(name: str) -> str:
    return f"granted {name} 7"
