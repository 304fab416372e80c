"""A TCP or Unix-socket proxy in front of Redis that loses what it is told to lose."""

import contextlib
import socket
import threading
from pathlib import Path
from typing import Literal

Fault = Literal["none", "drop_reply", "drop_request"]


class Proxy:
    """Forwards connections to a Unix socket. `fail_next(n, fault)` spoils the next `n` calls of scripts.

    `drop_reply`: the request arrives, the answer does not, the connection breaks. `drop_request`: nothing arrives.
    `sever()` breaks all connections at once; `refuse` has new ones refused.
    """

    def __init__(self, target: Path, folder: Path) -> None:
        self._target = str(target)
        self.path = folder / "proxy.sock"
        self.url = f"unix://{self.path}"
        self.refuse = False
        self.spoiled = 0
        self._fault: Fault = "none"
        self._left = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(128)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def fail_next(self, count: int, fault: Fault) -> None:
        """Spoil the next exchanges that run a script."""
        with self._lock:
            self._left, self._fault = count, fault

    def sever(self) -> None:
        """Break all connections."""
        with self._lock:
            doomed = list(self._open)
        for one in doomed:
            _shut(one)

    def close(self) -> None:
        """Stop."""
        self.refuse = True
        _shut(self._listener)
        self._listener.close()
        self.sever()
        for thread in self._threads:
            thread.join(5)

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
            self._threads.append(thread)
            thread.start()

    def _serve(self, near: socket.socket) -> None:
        far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with near, far:
            try:
                far.connect(self._target)
            except OSError:
                return
            with self._lock:
                self._open |= {near, far}
            lost = _Loss()
            back = threading.Thread(target=self._pump_back, args=(far, near, lost), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                self._pump_requests(near, far, lost)
            _shut(near)
            _shut(far)
            back.join(5)
            with self._lock:
                self._open -= {near, far}

    def _pump_requests(self, near: socket.socket, far: socket.socket, lost: "_Loss") -> None:
        while data := near.recv(1 << 20):
            fault = self._take_fault() if b"EVALSHA" in data or b"FCALL" in data else "none"
            if fault == "drop_request":
                return
            if fault == "drop_reply":
                lost.wanted.set()
            far.sendall(data)
            if fault == "drop_reply":
                lost.done.wait(5)
                return

    def _take_fault(self) -> Fault:
        with self._lock:
            if self._left <= 0:
                return "none"
            self._left -= 1
            self.spoiled += 1
            return self._fault

    def _pump_back(self, far: socket.socket, near: socket.socket, lost: "_Loss") -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(1 << 20):
                if lost.wanted.is_set():
                    lost.done.set()
                    break
                near.sendall(data)
        _shut(near)


class _Loss:
    """A reply that is to be lost, and that it has come and was."""

    def __init__(self) -> None:
        self.wanted = threading.Event()
        self.done = threading.Event()


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
