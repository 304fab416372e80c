"""A proxy in front of Redis that loses, doubles, delays and cuts what it is told to.

It listens on a Unix socket (or TCP) and forwards to one. It knows where a message ends, so a fault hits exactly the
request that was chosen, whoever sent it. The faults:

- `drop_request`: nothing arrives; the connection breaks;
- `drop_reply`: the request is carried out, its answer is not delivered; the connection breaks;
- `swallow_reply`: the same, but the connection stays and the client goes on waiting;
- `late_reply`: the answer comes when `patience` seconds are over, usually to nobody;
- `duplicate`: the request arrives twice, and the client gets the second answer;
- `late_request`: the connection breaks, and the request arrives when `release_late` is called, after whatever the
  client has sent since on other connections;
- `cut_request`, `cut_reply`: half of it arrives; the connection breaks;
- `reset`: as `drop_reply`, with a TCP reset where there is TCP;
- `black_hole`: from here on nothing passes on this connection, and nobody is told.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import quote

from chaos.frames import Frames, words_of

Fault = Literal[
    "none",
    "drop_request",
    "drop_reply",
    "swallow_reply",
    "late_reply",
    "duplicate",
    "late_request",
    "cut_request",
    "cut_reply",
    "reset",
    "black_hole",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
Address = Path | tuple[str, int]
SCRIPTS = frozenset({b"EVALSHA", b"EVAL", b"EVALSHA_RO", b"EVAL_RO", b"FCALL", b"FCALL_RO"})
_SHOWN_WORDS = 6


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. `words` are its first ones."""

    raw: bytes
    words: tuple[bytes, ...]

    @property
    def command(self) -> bytes:
        """The command, in capitals."""
        return self.words[0].upper() if self.words else b""

    @property
    def runs_script(self) -> bool:
        """Whether it runs a script."""
        return self.command in SCRIPTS


Plan = Callable[[Request], Fault]


class Proxy:
    """Forwards connections to `target`. `plan` is asked about every request; `fail_next` sets a simple one.

    `spoiled` counts the faults so far, `delay` holds every request back by so many seconds, `refuse` has new
    connections refused, `frozen` lets nothing pass in either direction while connections stay open.
    """

    def __init__(self, target: Address, folder: Path | None = None) -> None:
        self._target = target
        self.refuse = self.frozen = False
        self.delay, self.patience = 0.0, 1.0
        self.spoiled = 0
        self.plan: Plan = _pass
        self._late: list[bytes] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closing = threading.Event()
        self._listener, self.url = _listen(folder)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for a proxy that listens on TCP."""
        host, port = self._listener.getsockname()
        return host, port

    def fail_next(self, count: int, fault: Fault) -> None:
        """Spoil the next `count` requests that run a script."""
        left = count

        def plan(request: Request) -> Fault:
            nonlocal left
            if left <= 0 or not request.runs_script:
                return "none"
            left -= 1
            return fault

        self.plan = plan

    def sever(self, *, reset: bool = False) -> None:
        """Break all connections, with a TCP reset if wanted and there is TCP."""
        with self._lock:
            doomed = list(self._open)
        for one in doomed:
            _end(one, reset)

    def release_late(self) -> int:
        """Have every `late_request` carried out now; nobody gets the answers. How many there were."""
        with self._lock:
            late, self._late = self._late, []
        with self._connect() as far:
            for request in late:
                far.sendall(request)
                _Side(far).receive()
        return len(late)

    def close(self) -> None:
        """Stop."""
        self.refuse = True
        self._closing.set()
        _end(self._listener)
        self._listener.close()
        self.sever()
        for thread in list(self._threads):
            thread.join(5)

    def choose(self, request: Request) -> Fault:
        """What is to happen to a request. One at a time, so that a plan may count."""
        with self._lock:
            fault = self.plan(request)
            self.spoiled += fault != "none"
            if fault == "late_request":
                self._late.append(request.raw)
        return fault

    def hold_up(self) -> bool:
        """Wait as long as everything is held up. False if the proxy ends."""
        if self.delay:
            self._closing.wait(self.delay)
        while self.frozen and not self._closing.wait(0.01):
            pass
        return not self._closing.is_set()

    def wait(self, seconds: float) -> None:
        """Let time pass, unless the proxy ends."""
        self._closing.wait(seconds)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                near.close()
                continue
            thread = threading.Thread(target=self._serve, args=(near,), daemon=True)
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
            thread.start()

    def _connect(self) -> socket.socket:
        if isinstance(self._target, tuple):
            return socket.create_connection(self._target)
        far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        far.connect(str(self._target))
        return far

    def _serve(self, near: socket.socket) -> None:
        with near:
            try:
                far = self._connect()
            except OSError:
                return
            with far:
                with self._lock:
                    self._open |= {near, far}
                with contextlib.suppress(OSError):
                    _Conversation(self, near, far).go_on()
                with self._lock:
                    self._open -= {near, far}


class _Side:
    """One end of a conversation, read message by message."""

    def __init__(self, one: socket.socket) -> None:
        self.socket = one
        self._frames = Frames()

    def received(self) -> bytes | None:
        """The next message if it has come already."""
        return self._frames.take()

    def receive(self) -> bytes | None:
        """The next message; None at the end."""
        while (frame := self.received()) is None:
            if not self.more():
                return None
        return frame

    def more(self) -> bool:
        """Read what has come. False at the end."""
        data = self.socket.recv(1 << 18)
        self._frames.feed(data)
        return bool(data)


class _Conversation:
    """One connection: a request goes out, its answer comes back, and then the next."""

    def __init__(self, proxy: Proxy, near: socket.socket, far: socket.socket) -> None:
        self._proxy, self._near, self._far = proxy, _Side(near), _Side(far)

    def go_on(self) -> None:
        """Until one side ends it, or a fault does."""
        while (raw := self._near.receive()) is not None:
            request = Request(raw, words_of(raw, _SHOWN_WORDS))
            if not (self._proxy.hold_up() and self._exchange(request, self._proxy.choose(request))):
                return

    def _exchange(self, request: Request, fault: Fault) -> bool:
        """One request under one fault. False when that ends the connection."""
        if fault in ("drop_request", "late_request", "cut_request", "black_hole"):
            self._lose(request, fault)
            return False
        reply = self._ask(request)
        if fault == "duplicate" and reply is not None:
            reply = self._ask(request)
        return reply is not None and self._answer(reply, fault)

    def _lose(self, request: Request, fault: Fault) -> None:
        if fault == "cut_request":
            self._far.socket.sendall(request.raw[: len(request.raw) // 2])
        elif fault == "black_hole":
            while self._near.more():
                pass

    def _ask(self, request: Request) -> bytes | None:
        self._far.socket.sendall(request.raw)
        return self._reply()

    def _answer(self, reply: bytes, fault: Fault) -> bool:
        near = self._near.socket
        if fault == "reset":
            _reset_on_close(near)
        if fault == "cut_reply":
            near.sendall(reply[: max(1, len(reply) // 2)])
        if fault in ("drop_reply", "reset", "cut_reply"):
            return False
        if fault == "late_reply":
            self._proxy.wait(self._proxy.patience)
        if fault != "swallow_reply" and self._proxy.hold_up():
            near.sendall(reply)
        return True

    def _reply(self) -> bytes | None:
        """The answer; None if either side ends first. What the server pushes unasked goes on to the client."""
        while (frame := self._far.received()) is None:
            if not self._client_waits():
                return None
            if not self._far.more():
                return None
        if not frame.startswith(b">"):
            return frame
        self._near.socket.sendall(frame)
        return self._reply()

    def _client_waits(self) -> bool:
        """Wait until the server says something. False if the client goes before that."""
        near, far = self._near.socket, self._far.socket
        watched = [near, far]
        while True:
            ready = select.select(watched, [], [])[0]
            if far in ready:
                return True
            if not near.recv(1, socket.MSG_PEEK):
                return False
            watched = [far]  # it has sent its next request already


def _pass(_request: Request) -> Fault:
    return "none"


def _listen(folder: Path | None) -> tuple[socket.socket, str]:
    if folder is None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        return listener, f"redis://127.0.0.1:{listener.getsockname()[1]}"
    path = folder / f"proxy-{time.monotonic_ns():x}.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(128)
    return listener, f"unix://{quote(str(path))}"


def _end(one: socket.socket, reset: bool = False) -> None:
    """Have the thread that serves a connection end it."""
    with contextlib.suppress(OSError):
        if reset:
            _reset_on_close(one)
        # Only its own reading is shut for a reset: shutting the writing says goodbye politely.
        one.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)


def _reset_on_close(one: socket.socket) -> None:
    if one.family != socket.AF_UNIX:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
