"""A proxy in front of Redis that loses, doubles, delays and cuts what it is told to.

It listens on a Unix socket (or TCP) and forwards to one. It knows where a message ends and which answer is whose, so a
fault hits exactly the request that was chosen, whoever sent it and whatever else is under way. The faults:

- `drop_request`: nothing arrives; the connection breaks;
- `drop_reply`: the request is carried out, its answer is not delivered; the connection breaks;
- `swallow_reply`: the same, but the connection stays and the client goes on waiting: it is deaf from then on, for what
  has lost bytes has lost all that come after them, too;
- `late_reply`: the answer comes when `patience` seconds are over, usually to nobody, and those behind it after it;
- `duplicate`: the request arrives twice, and the client gets the second answer;
- `late_request`: the connection breaks, and the request arrives when `release_late` is called, after whatever the
  client has sent since on other connections;
- `cut_request`, `cut_reply`: half of it arrives; the connection breaks;
- `reset`: as `drop_reply`, with a TCP reset where there is TCP;
- `black_hole`: from here on nothing passes on this connection, and nobody is told.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from chaos.conversation import FAULTS, Conversation, Fault, Request, Side, reset_on_close

__all__ = ["FAULTS", "Address", "Fault", "Plan", "Proxy", "Request"]

Address = Path | tuple[str, int]
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
                Side(far).receive()
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

    def delayed(self) -> bool:
        """Hold a request back. False if the proxy ends."""
        if self.delay:
            self._closing.wait(self.delay)
        return self.thawed()

    def thawed(self) -> bool:
        """Wait as long as everything is held up. False if the proxy ends."""
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
                    Conversation(self, near, far).go_on()
                with self._lock:
                    self._open -= {near, far}


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
            reset_on_close(one)
        # Only its own reading is shut for a reset: shutting the writing says goodbye politely.
        one.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
