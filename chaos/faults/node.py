"""One redis-server or Sentinel on a TCP port, that can be killed, paused and started again with its data."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from coordinator.drivers.embedded import find_server

START_SECONDS = 120.0  # a large append-only file takes its time to load
BUS = 10_000  # the cluster bus listens so far above the port
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def free_port(host: str = "127.0.0.1") -> int:
    """A free port that leaves room for the cluster bus."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, socket.socket() as bus:
            try:
                probe.bind((host, port))
                bus.bind((host, port + BUS))
            except OSError:
                continue
        return port


class Node:
    """A server of the run's own. `lines` are those of its configuration, `environment` is added to its own.

    It ends with the process that started it, whatever becomes of that.
    """

    def __init__(
        self,
        folder: Path,
        lines: Sequence[str] = (),
        *,
        host: str = "127.0.0.1",
        environment: Mapping[str, str] | None = None,
        binary: Path | None = None,
    ) -> None:
        self.folder, self.host, self.port = folder.absolute(), host, free_port(host)
        self._lines, self._environment = tuple(lines), dict(environment or {})
        self._binary = binary or find_server()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://{self.host}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def client(self, **options: Any) -> redis.Redis:
        """A plain client that never sends twice; the caller closes it."""
        chosen: dict[str, Any] = {"socket_timeout": 10.0, "socket_connect_timeout": 2.0} | options
        return redis.Redis(host=self.host, port=self.port, retry=Retry(NoBackoff(), 0), **chosen)

    def ask(self, *words: Any) -> Any:
        """One command on a connection of its own."""
        with contextlib.closing(self.client(decode_responses=True)) as client:
            run: Any = client.execute_command
            return run(*words)

    def start(self) -> None:
        """Start it and return as soon as it takes commands. Raises RuntimeError."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start it without waiting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "redis.conf"
        sentinel = any(line.startswith("sentinel ") for line in self._lines)
        if not (sentinel and config.exists()):  # a Sentinel keeps what it knows in its configuration
            start = (f"port {self.port}", f"bind {self.host}", "protected-mode no", f"dir {self.folder}", "save ''")
            config.write_text("\n".join((*start, *self._lines)) + "\n", encoding="utf-8")
        words = [str(self._binary), str(config), *(["--sentinel"] if sentinel else [])]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
                preexec_fn=_end_with_parent,  # noqa: PLW1509  (it calls nothing that could wait for a thread)
            )

    def await_ready(self) -> None:
        """Return as soon as it takes commands. Raises RuntimeError."""
        ends = time.monotonic() + START_SECONDS
        with contextlib.closing(self.client(socket_timeout=1.0)) as client:
            while not _answers(client):
                if self._process is None or self._process.poll() is not None or time.monotonic() > ends:
                    tail = (self.folder / "redis.log").read_text(errors="replace").splitlines()[-10:]
                    raise RuntimeError("\n".join(["redis-server does not answer; the end of its log:", *tail]))
                time.sleep(0.002)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it in good order, or else at once. Safe to call twice."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _end_with_parent() -> None:
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
