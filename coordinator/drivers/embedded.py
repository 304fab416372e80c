"""A private, real Redis server that lives and dies with this process.

What it is for: `embedded://` in development, installations on one machine, and the tests. It is the program
that runs in production, started as a subprocess that listens on a Unix socket only its user can open; so
there is no port to collide with and no imitation to distrust.

Who owns a directory is decided by a file lock that the *server* holds, not the process that started it: a
lock that went with the starter would be free while a server orphaned by `kill -9` still wrote its last
commands, and the next one would open the same append-only file. A second process that finds the directory
locked uses the server that is there. It ends with the process that started it; `start()` after that takes the
directory over.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from coordinator.drivers import warden
from coordinator.drivers.redis_server import (
    ServerKind,
    answers,
    check_usable,
    configuration,
    find_server,
    process_id,
    socket_folder,
    socket_url,
    write_whole,
)
from coordinator.errors import ServerStartError

__all__ = ["EmbeddedServer", "ServerKind", "find_server", "release_server", "shared_server"]

START_SECONDS = 30.0  # a large append-only file takes its time to load


class EmbeddedServer:
    """One redis-server subprocess, or a share in the one that already serves the same directory.

    Without a directory the data is in memory only, and the temporary folder goes when the server stops. With
    one, every write is in an append-only file there, synced each second. `config` adds or overrides
    redis.conf lines, written as they would be there. `start` and `stop` may be repeated; they are not for
    several threads at once.
    """

    def __init__(
        self,
        directory: Path | None = None,
        binary: Path | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = Path(directory).absolute() if directory is not None else None
        self._binary = binary
        self._config = dict(config or {})
        self._forget()

    def _forget(self) -> None:
        self._warden: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._socket: Path | None = None
        self._pid = 0
        self._scraps: list[Path] = []

    @property
    def url(self) -> str:
        """The address of the running server. Raises ServerStartError if it does not run."""
        if self._socket is None:
            raise ServerStartError("the embedded server is not running: call start() first")
        return socket_url(self._socket)

    @property
    def pid(self) -> int:
        """The process id of the redis-server itself. Raises ServerStartError if it does not run."""
        if not self._pid:
            raise ServerStartError("the embedded server is not running: call start() first")
        return self._pid

    @property
    def owned(self) -> bool:
        """Whether this process started the server and so will stop it; false for one that is shared."""
        return self._warden is not None and self._owner == os.getpid()

    def start(self, timeout: float = START_SECONDS) -> None:
        """Return once a server answers: the one already running, the directory's, or a new one."""
        if self._socket is not None and answers(self._socket):
            return
        self.stop()  # what is left of a server that died
        try:
            self._obtain(self._binary or find_server(), time.monotonic() + timeout)
        except BaseException:
            self.stop()
            raise

    def _obtain(self, binary: Path, deadline: float) -> None:
        home = self._home()
        check_usable(binary, home)
        while not (self._try_own(home, binary, deadline) or self._try_share(home)):
            if time.monotonic() > deadline:
                raise ServerStartError(f"{home} is locked by a server that does not answer")
            time.sleep(0.02)

    def _home(self) -> Path:
        if self._directory is None:
            self._scraps.append(Path(tempfile.mkdtemp(prefix="coordinator-")))
            return self._scraps[0]
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ServerStartError(f"cannot keep the server's data in {self._directory}: {error}") from error
        return self._directory

    def _try_own(self, home: Path, binary: Path, deadline: float) -> bool:
        lock = os.open(home / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            socket = self._launch(home, binary, lock)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)  # the server has inherited it; a copy kept here would go to every fork of this process
        self._await_ready(home, socket, deadline)
        return True

    def _launch(self, home: Path, binary: Path, lock: int) -> Path:
        folder = socket_folder(home)
        if folder != home:
            self._scraps.append(folder)
        socket = folder / "redis.sock"
        write_whole(home / "address", os.fsencode(socket))
        persistent = self._directory is not None
        write_whole(home / "redis.conf", configuration(home, socket, persistent, self._config))
        log = home / "redis.log"
        if log.exists():
            log.replace(home / "redis.log.1")  # kept once: it says why the last server ended
        command = [sys.executable, "-I", "-S", warden.__file__, str(os.getpid()), str(lock)]
        command += [*map(str, self._scraps), "--", str(binary), str(home / "redis.conf")]
        with log.open("wb") as output:
            self._warden = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C is for the application, which then stops the server
            )
        self._owner = os.getpid()
        _running.add(self)
        return socket

    def _await_ready(self, home: Path, socket: Path, deadline: float) -> None:
        pause = 0.005
        while not answers(socket):
            status = self._warden.poll() if self._warden else 0
            if status is not None or time.monotonic() > deadline:
                ended = "did not answer in time" if status is None else f"ended with status {status}"
                tail = "\n".join((home / "redis.log").read_text(errors="replace").splitlines()[-15:])
                raise ServerStartError(f"the embedded redis-server {ended}; the end of its log:\n{tail}")
            time.sleep(pause)
            pause = min(pause * 2, 0.1)
        self._use(socket)

    def _try_share(self, home: Path) -> bool:
        with contextlib.suppress(OSError):
            socket = Path(os.fsdecode((home / "address").read_bytes()))
            if answers(socket):
                self._use(socket)
                return True
        return False

    def _use(self, socket: Path) -> None:
        self._pid = process_id(socket)
        self._socket = socket

    def stop(self) -> None:
        """Stop the server and remove what was temporary, if this process started it; else only let go."""
        process, scraps = self._warden, self._scraps
        if process is not None and not self.owned:
            process.returncode = 0  # a fork's copy of its parent's child: not to be waited for or warned about
            scraps = []
        elif process is not None:
            process.terminate()
            try:
                process.wait(warden.STOP_SECONDS + 2)
            except subprocess.TimeoutExpired:
                process.kill()  # the kernel tells the server
                process.wait()
        _running.discard(self)
        for scrap in scraps:
            shutil.rmtree(scrap, ignore_errors=True)
        self._forget()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


_running: set[EmbeddedServer] = set()


def _stop_all() -> None:
    for server in list(_running):
        server.stop()


# Registered at import and so before the clients' own, for what is registered last runs first: a client that was not
# closed says goodbye to a server that is still there.
atexit.register(_stop_all)

_EACH_WRITE = {"appendfsync": "always"}
_registry_lock = threading.Lock()
_registry: dict[Path | None, tuple[EmbeddedServer, int]] = {}


def shared_server(directory: Path | None, durable: bool = False) -> EmbeddedServer:
    """The one running server this process has for a directory, or for none; pair with `release_server`. `durable`:
    if it is started now, it syncs each write."""
    key = Path(directory).resolve() if directory is not None else None
    with _registry_lock:
        server, users = _registry.get(key) or (EmbeddedServer(key, config=_EACH_WRITE if durable else None), 0)
        server.start()
        _registry[key] = (server, users + 1)
        return server


def release_server(server: EmbeddedServer) -> None:
    """Give back one use of a shared server; the last one stops it."""
    with _registry_lock:
        for key, (known, users) in list(_registry.items()):
            if known is server and users > 1:
                _registry[key] = (known, users - 1)
            elif known is server:
                del _registry[key]
                server.stop()


def _renew_registry_lock() -> None:
    # A fork taken while another thread held the lock would find it locked for ever.
    global _registry_lock  # noqa: PLW0603
    _registry_lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_registry_lock)
