"""One connection through the proxy, and what can become of the requests and answers on it.

Both ways pass at once, so what a client sends behind a command that blocks lies at the server, as it would without a
proxy. Answers come in the order of the requests: a list of what is expected says which fault is meant for which.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

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
# The request does not arrive, and the connection breaks.
_NOT_ARRIVING: frozenset[Fault] = frozenset({"drop_request", "late_request", "cut_request"})
_BREAKING: frozenset[Fault] = frozenset({"drop_reply", "cut_reply", "reset"})
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


class Referee(Protocol):
    """Who decides what happens to a request, and when: the proxy."""

    patience: float

    def choose(self, request: Request) -> Fault:
        """What is to happen to a request."""
        ...

    def delayed(self) -> bool:
        """Hold a request back. False if the proxy ends."""
        ...

    def thawed(self) -> bool:
        """Wait as long as everything is held up. False if the proxy ends."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass, unless the proxy ends."""
        ...


class Side:
    """One end of a conversation, read message by message."""

    def __init__(self, one: socket.socket) -> None:
        self.socket = one
        self._frames = Frames()

    def receive(self) -> bytes | None:
        """The next message; None at the end."""
        while (frame := self._frames.take()) is None:
            data = self.socket.recv(1 << 18)
            if not data:
                return None
            self._frames.feed(data)
        return frame


class Conversation:
    """One connection: requests go out in one thread, answers come back in another."""

    def __init__(self, referee: Referee, near: socket.socket, far: socket.socket) -> None:
        self._referee, self._near, self._far = referee, Side(near), Side(far)
        # The fault for each answer that is to come. None: its request was sent twice, so this answer is dropped, and
        # that to the second copy is handed over.
        self._expected: deque[Fault | None] = deque()
        self._deaf = self._over = False

    def go_on(self) -> None:
        """Until one side ends it, or a fault does."""
        answers = threading.Thread(target=self._until_the_end, args=(self._answers,), daemon=True)
        answers.start()
        self._until_the_end(self._requests)
        answers.join()

    def _until_the_end(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            work()
        self._over = True
        # If one direction ends, so does the other. Of the near side only reading is shut: to shut writing sends a FIN,
        # and whether it ends with that or with a reset is for whoever closes it.
        for side, how in ((self._near, socket.SHUT_RD), (self._far, socket.SHUT_RDWR)):
            with contextlib.suppress(OSError):
                side.socket.shutdown(how)

    def _requests(self) -> None:
        while (raw := self._near.receive()) is not None and not self._over:
            request = Request(raw, words_of(raw, _SHOWN_WORDS))
            if not self._referee.delayed():
                return
            fault = self._referee.choose(request)
            if fault in _NOT_ARRIVING:
                if fault == "cut_request":
                    self._far.socket.sendall(raw[: len(raw) // 2])
                return
            if fault == "black_hole":
                self._swallow_all()
                return
            self._send(raw, fault)

    def _send(self, raw: bytes, fault: Fault) -> None:
        # The answer may be there before this thread goes on.
        if fault == "duplicate":
            self._expected.append(None)
            self._far.socket.sendall(raw)
        self._expected.append(fault)
        self._far.socket.sendall(raw)

    def _swallow_all(self) -> None:
        self._deaf = True
        while self._near.receive() is not None:
            pass

    def _answers(self) -> None:
        while (reply := self._far.receive()) is not None:
            # What the server pushes unasked answers nothing.
            asked = not reply.startswith(b">") and bool(self._expected)
            fault = self._expected.popleft() if asked else "none"
            if fault is not None and not self._answer(reply, fault):
                return

    def _answer(self, reply: bytes, fault: Fault) -> bool:
        """Hand over one answer under one fault. False when that ends the connection."""
        near = self._near.socket
        if fault == "late_reply":
            self._referee.wait(self._referee.patience)
        # After an answer that is lost nothing more may arrive on this connection: TCP delivers no stream with a hole.
        self._deaf = self._deaf or fault == "swallow_reply"
        if self._deaf:
            return True
        if fault == "reset":
            reset_on_close(near)
        if fault == "cut_reply":
            near.sendall(reply[: max(1, len(reply) // 2)])
        if fault in _BREAKING or not self._referee.thawed():
            return False
        near.sendall(reply)
        return True


def reset_on_close(one: socket.socket) -> None:
    """Have a TCP connection end with a reset."""
    if one.family != socket.AF_UNIX:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
