"""Database servers of a test's own: PostgreSQL and MariaDB, where their programs and drivers are installed.

Each in a folder of its own, on a socket in it, without a port; as user `nobody` where the tests run as root, for
neither does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.until import until

NOBODY = "nobody"
LEVEL = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {}"


@dataclass(frozen=True)
class Database:
    """A server that runs: how to connect to it, its driver's style, how a session sets its isolation level, how many
    wait for a lock there, and what its driver raises for a transaction that cannot go on."""

    name: str
    connect: Callable[[], Any]
    paramstyle: str
    level: str
    waiting: str
    conflict: Callable[[Exception], bool]

    @contextlib.contextmanager
    def session(self, level: str = "READ COMMITTED") -> Iterator[Any]:
        """A connection whose transactions are of that level."""
        with contextlib.closing(self.connect()) as made:
            made.cursor().execute(self.level.format(level))
            made.commit()
            yield made


@contextlib.contextmanager
def postgresql() -> Iterator[Database]:
    """Skips where there is none."""
    driver = pytest.importorskip("psycopg")
    initdb, server = _program("initdb"), _program("postgres")
    with _folder() as folder:
        data = str(folder / "data")
        made = [initdb, "-D", data, "-U", "postgres", "-A", "trust", "-N", "--no-instructions"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=folder, **_as_nobody())
        quick = [part for word in ("fsync=off", "listen_addresses=") for part in ("-c", word)]
        with _running([server, "-D", data, "-k", str(folder), *quick], folder):
            database = Database(
                "postgresql",
                lambda: driver.connect(host=str(folder), user="postgres", dbname="postgres"),
                driver.paramstyle,
                LEVEL,
                "SELECT COUNT(*) FROM pg_locks WHERE NOT granted",
                lambda error: isinstance(error, driver.errors.SerializationFailure),
            )
            yield _ready(database, folder / ".s.PGSQL.5432")


@contextlib.contextmanager
def mariadb() -> Iterator[Database]:
    """Skips where there is none. It has no users, and no tables of its own."""
    driver = pytest.importorskip("pymysql")
    server = _program("mariadbd")
    with _folder() as folder:
        path = folder / "socket"
        alone = ["--no-defaults", "--skip-networking", "--skip-grant-tables", "--innodb-buffer-pool-size=8M"]
        who = [f"--user={NOBODY}"] if _root() else []
        with _running([server, *alone, *who, f"--datadir={folder}", f"--socket={path}"], folder):
            database = Database(
                "mariadb",
                lambda: driver.connect(unix_socket=str(path), user="root"),
                driver.paramstyle,
                "SET SESSION TRANSACTION ISOLATION LEVEL {}",
                # INNODB_LOCK_WAITS stays as it is while it is asked for all the time.
                "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
                "WHERE VARIABLE_NAME = 'INNODB_ROW_LOCK_CURRENT_WAITS'",
                # Nor may a guard cause a deadlock.
                lambda _error: False,
            )
            with _ready(database, path).session() as one:
                one.cursor().execute("CREATE DATABASE fenced")
            yield replace(database, connect=lambda: driver.connect(unix_socket=str(path), database="fenced"))


def _ready(database: Database, path: Path) -> Database:
    def listens() -> bool:
        # Not by its driver, which leaves a socket open where nobody listens.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as one:
            one.connect(str(path))
            return True
        return False

    def answers() -> bool:
        with contextlib.suppress(Exception), contextlib.closing(database.connect()):
            return True
        return False

    until(listens, 30)
    until(answers, 30)
    return database


def _program(name: str) -> str:
    # Debian keeps those of PostgreSQL apart.
    found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _root() -> bool:
    return os.geteuid() == 0


def _as_nobody() -> dict[str, Any]:
    return {"user": NOBODY, "group": "nogroup", "extra_groups": []} if _root() else {}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # Not in the folder of the tests: nobody may look into that.
    with tempfile.TemporaryDirectory(prefix="coordinator-") as made:
        if _root():
            shutil.chown(made, NOBODY)
        yield Path(made)


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> Iterator[None]:
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **_as_nobody())
        try:
            yield
        finally:
            server.terminate()
            server.wait(30)
            Path(log.name).unlink()
