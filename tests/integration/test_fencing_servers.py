"""The fence of a row under concurrency, on database servers; skipped where they or their drivers are not installed."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coordinator.errors import InvalidInput, StaleFence
from coordinator.fencing import fenced_update
from tests.support.databases import Database, mariadb, postgresql
from tests.support.until import until

SERVERS = {"postgresql": postgresql, "mariadb": mariadb}
LEVELS = ["READ COMMITTED", "REPEATABLE READ"]
OLD, NEW = 1_764_081_234_567_890, 1_764_081_234_567_891
UPSERTS = {
    "postgresql": "INSERT INTO report (id, body, fence) VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE "
    "SET body = excluded.body, fence = excluded.fence WHERE report.fence <= excluded.fence",
    "mariadb": "INSERT INTO report (id, body, fence) VALUES (%s, %s, %s) ON DUPLICATE KEY UPDATE "
    "body = IF(fence <= VALUES(fence), VALUES(body), body), fence = GREATEST(fence, VALUES(fence))",
}
FIRST = [(7, "first", OLD), (8, "first", 0)]

Write = Callable[..., bool]


@pytest.fixture(scope="module", params=sorted(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[Database]:
    with SERVERS[request.param]() as running:
        yield running


@pytest.fixture
def database(server: Database) -> Database:
    with server.session() as one:
        cursor = one.cursor()
        cursor.execute("DROP TABLE IF EXISTS report")
        cursor.execute("CREATE TABLE report (id INTEGER PRIMARY KEY, body TEXT, fence BIGINT NOT NULL DEFAULT 0)")
        cursor.executemany("INSERT INTO report VALUES (%s, %s, %s)", FIRST)
        one.commit()
    return server


def write(database: Database, session: Any, text: str, fence: int, **where: Any) -> bool:
    style = database.paramstyle
    return fenced_update(session.cursor(), "report", {"body": text}, where or {"id": 7}, fence, paramstyle=style)


def refused(database: Database, session: Any, fence: int = OLD) -> bool:
    """By its fence, or because its transaction has seen what is no longer so."""
    try:
        write(database, session, "late", fence)
    except StaleFence as stale:
        return (stale.fence, stale.newest) == (fence, NEW)
    except Exception as error:
        return database.conflict(error)
    return False


def rows(database: Database) -> list[Any]:
    with database.session() as one:
        cursor = one.cursor()
        cursor.execute("SELECT id, body, fence FROM report ORDER BY id")
        return list(cursor.fetchall())


def look(session: Any) -> None:
    """From here on a transaction of REPEATABLE READ sees what is there now."""
    cursor = session.cursor()
    cursor.execute("SELECT fence FROM report")
    cursor.fetchall()


@pytest.mark.parametrize("level", LEVELS)
def test_one_that_was_paused_in_a_transaction_is_refused(database: Database, level: str) -> None:
    with database.session(level) as paused, database.session(level) as other:
        assert write(database, paused, "before", OLD)
        paused.commit()
        look(paused)
        assert write(database, other, "new", NEW)
        other.commit()
        assert refused(database, paused)
        paused.rollback()
        assert refused(database, paused)
        assert refused(database, paused, OLD - 5)
        paused.rollback()
    assert rows(database)[0] == (7, "new", NEW)


@pytest.mark.parametrize("level", LEVELS)
def test_those_who_write_in_the_same_moment_are_refused(database: Database, level: str) -> None:
    """The newer write is done and not committed when the older ones come, which wait for it, and not for each other."""
    sessions = [database.session(level) for _ in range(3)]
    with contextlib.ExitStack() as stack:
        other, *paused = [stack.enter_context(one) for one in sessions]
        watching = stack.enter_context(database.session())
        for one in paused:
            look(one)
        assert write(database, other, "new", NEW)
        found: list[bool] = []

        def late(session: Any) -> None:
            found.append(refused(database, session))
            session.rollback()

        def waiting() -> int:
            watching.rollback()
            cursor = watching.cursor()
            cursor.execute(database.waiting)
            return int(cursor.fetchone()[0])

        threads = [threading.Thread(target=late, args=(one,)) for one in paused]
        for one in threads:
            one.start()
        until(lambda: waiting() == len(threads))
        other.commit()
        for one in threads:
            one.join(10)
        assert found == [True, True]
    assert rows(database) == [(7, "new", NEW), FIRST[1]]


@pytest.mark.parametrize("level", LEVELS)
def test_many_who_write_at_once_leave_the_newest_and_wait_in_no_circle(database: Database, level: str) -> None:
    problems: list[Exception] = []

    def writes(first: int) -> None:
        with database.session(level) as session:
            for fence in range(first, first + 40, 4):
                try:
                    write(database, session, f"of {fence}", NEW + fence)
                    session.commit()
                except Exception as error:
                    session.rollback()
                    if not (isinstance(error, StaleFence) or database.conflict(error)):
                        problems.append(error)

    threads = [threading.Thread(target=writes, args=(first,)) for first in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert not problems
    [written, untouched] = rows(database)
    assert written[1] == f"of {written[2] - NEW}"
    assert untouched == FIRST[1]


@pytest.mark.parametrize("level", LEVELS)
def test_the_same_holder_writes_again_and_only_one_row_is_written(database: Database, level: str) -> None:
    with database.session(level) as session:
        # Some drivers count only rows that have become different.
        assert [write(database, session, "same", OLD) for _ in range(3)] == [True] * 3
        assert not write(database, session, "nobody", OLD, id=9)
        session.commit()
        assert write(database, session, "first", OLD)
        with pytest.raises(InvalidInput, match="2 match"):
            write(database, session, "x", NEW, body="first")
        session.commit()
    assert rows(database) == FIRST


def test_rows_that_may_not_be_there_are_written_as_the_docs_say(database: Database) -> None:
    with database.session("REPEATABLE READ") as session, contextlib.closing(session.cursor()) as cursor:
        changed = []
        for values in ((9, "new", NEW), (9, "late", OLD), (9, "newer", NEW + 1), (7, "new", NEW)):
            cursor.execute(UPSERTS[database.name], values)
            changed.append(cursor.rowcount > 0)
        session.commit()
    assert changed == [True, False, True, True]
    assert rows(database) == [(7, "new", NEW), FIRST[1], (9, "newer", NEW + 1)]
