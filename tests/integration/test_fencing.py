"""A holder that slept while its lease ran out is refused by everything that it writes to."""

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import redis
import redis.asyncio
import sqlalchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from coordinator import Coordinator, Lease, Settings, StaleFence
from coordinator.errors import Corrupt, InvalidInput
from coordinator.fencing import (
    FenceASGI,
    FenceWSGI,
    MemoryFences,
    RedisFences,
    afenced,
    checked,
    fenced,
    fenced_statement,
    fenced_update,
    header,
    update_statement,
)
from coordinator.fencing.redis import fence_key
from coordinator.fencing.sql import NEWEST

ROOT = Path(__file__).parents[2]
Holders = tuple[Lease, Lease]


@pytest.fixture
def sync_co(redis_url: str, settings: Settings) -> Iterator[Coordinator]:
    with Coordinator.connect(redis_url, settings=settings) as client:
        yield client


@pytest.fixture
def holders(sync_co: Coordinator) -> Holders:
    """One that slept for longer than its lease, and the one that has had the lock since."""
    asleep = sync_co.acquire("report", ttl=0.05)
    return asleep, sync_co.acquire("report", wait=5)


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE report (id INTEGER PRIMARY KEY, body TEXT, fence INTEGER NOT NULL DEFAULT 0)")
        made.execute("INSERT INTO report (id, body) VALUES (7, 'first')")
        yield made


@pytest.mark.parametrize("paramstyle", ["qmark", "named", "numeric"])
def test_a_database_refuses_it(database: sqlite3.Connection, holders: Holders, paramstyle: str) -> None:
    old, new = holders
    cursor = database.cursor()

    def write(body: str, lease: Lease, ident: int = 7) -> bool:
        return fenced_update(cursor, "report", {"body": body}, {"id": ident}, lease, paramstyle=paramstyle)

    assert write("of the old one", old)
    assert write("of the new one", new)
    assert write("of the new one", new)
    with pytest.raises(StaleFence) as caught:
        write("late", old)
    assert (caught.value.fence, caught.value.newest) == (old.fence, new.fence)
    assert cursor.execute("SELECT body, fence FROM report").fetchall() == [("of the new one", new.fence)]
    assert not write("nobody", new, 8)


def test_a_row_without_a_fence_is_said_to_be_so() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE report (id INTEGER, fence INTEGER)")
        database.execute("INSERT INTO report VALUES (7, NULL)")
        with pytest.raises(Corrupt):
            fenced_update(database.cursor(), "report", {}, {"id": 7}, 1)


@pytest.mark.parametrize("fence", [5, 50, 500])
@pytest.mark.parametrize("paramstyle", ["qmark", "named", "numeric"])
def test_of_several_rows_none_is_written(database: sqlite3.Connection, fence: int, paramstyle: str) -> None:
    """Whether all of them are older, or one is newer."""
    database.execute("DELETE FROM report")
    database.executemany("INSERT INTO report VALUES (?, 'first', ?)", [(1, 100), (2, 5)])
    with pytest.raises(InvalidInput, match="2 match"):
        fenced_update(database.cursor(), "report", {"body": "x"}, {"body": "first"}, fence, paramstyle=paramstyle)
    assert database.execute("SELECT body, fence FROM report").fetchall() == [("first", 100), ("first", 5)]


def test_the_statement_is_what_it_says() -> None:
    alone = f"SELECT matching FROM (SELECT COUNT(*) AS matching FROM a.b WHERE id = %s AND n = %s {NEWEST}) counted"
    sql = f"UPDATE a.b SET x = %s, fence = %s WHERE id = %s AND n = %s AND fence <= %s AND ({alone}) = 1"
    assert update_statement("a.b", {"x": 1}, {"id": 2, "n": 3}, 9, paramstyle="format") == (sql, [1, 9, 2, 3, 9, 2, 3])
    for wrong in (
        lambda: update_statement("a; DROP TABLE b", {}, {"id": 1}, 9),
        lambda: update_statement("a", {"x = 1 --": 1}, {"id": 1}, 9),
        lambda: update_statement(None, {}, {"id": 1}, 9),
        lambda: update_statement("a", {3: 1}, {"id": 1}, 9),
        lambda: update_statement("a", {}, {b"id": 1}, 9),
        lambda: update_statement("a", {}, {}, 9),
        lambda: update_statement("a", {}, {"id": 1}, -1),
        lambda: update_statement("a", {}, {"id": 1}, SimpleNamespace(fence="9")),
        lambda: update_statement("a", {}, {"id": 1}, 9, paramstyle="quark"),
    ):
        with pytest.raises(InvalidInput):
            wrong()


@pytest.mark.parametrize("name", ["FENCE", "Fence", "report.fence"])
def test_the_column_of_the_fence_in_other_letters_is_refused_before_anything_is_sent(name: str) -> None:
    cursor = MagicMock()
    with pytest.raises(InvalidInput, match="must leave the column `fence` to the fence"):
        fenced_update(cursor, "report", {name: 0}, {"id": 7}, 8)
    assert cursor.mock_calls == []


def test_why_nothing_was_written_is_asked_of_the_newest_row() -> None:
    """And not of what the transaction saw first, as under REPEATABLE READ of MySQL: its own fence."""
    cursor = MagicMock(rowcount=0)
    cursor.fetchone.return_value = (1, 9)
    with pytest.raises(StaleFence):
        fenced_update(cursor, "report", {}, {"id": 7}, 8, paramstyle="format")
    found = ("SELECT COUNT(*), MAX(fence) FROM report WHERE id = %s /*! FOR UPDATE */", [7])
    assert cursor.execute.call_args.args == found


def test_sqlalchemy_refuses_it(holders: Holders) -> None:
    old, new = holders
    report = sqlalchemy.table("report", sqlalchemy.column("id"), sqlalchemy.column("body"), sqlalchemy.column("fence"))
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.StaticPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE report (id INTEGER, body TEXT, fence INTEGER NOT NULL)"))
        connection.execute(sqlalchemy.insert(report).values(id=7, body="first", fence=0))

        def write(body: str, lease: Lease) -> None:
            change = sqlalchemy.update(report).where(report.c.id == 7).values(body=body)
            checked(connection.execute(fenced_statement(change, report.c.fence, lease)), "report 7", lease)

        write("of the old one", old)
        write("of the new one", new)
        with pytest.raises(StaleFence):
            write("late", old)
        assert connection.execute(sqlalchemy.select(report.c.body, report.c.fence)).all() == [
            ("of the new one", new.fence)
        ]
    engine.dispose()


class Base(DeclarativeBase): ...


class Report(Base):
    __tablename__ = "report"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]
    newest: Mapped[int] = mapped_column("fence", default=0)


def test_an_attribute_may_be_called_otherwise_than_its_column() -> None:
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Report(id=7, body="first"), Report(id=8, body="first")])
        session.commit()

        def write(where: Any, body: str, fence: int) -> None:
            change = sqlalchemy.update(Report).where(where).values(body=body)
            checked(session.execute(fenced_statement(change, Report.newest, fence)), "report", fence)

        write(Report.id == 7, "new", 10)
        for late in (lambda: write(Report.id == 7, "late", 9), lambda: write(Report.id == 9, "nobody", 11)):
            with pytest.raises(StaleFence, match="or there is no such row"):
                late()
        assert session.execute(sqlalchemy.select(Report.body, Report.newest)).all() == [("new", 10), ("first", 0)]
        with pytest.raises(InvalidInput, match="changed 2"):
            write(Report.id > 0, "all", 11)
    engine.dispose()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda client, key: fenced(client, 9, "RENAME", key, f"{key}2"),
        lambda client, key: fenced(client, 9, "DEL", key, f"{key}2"),
        lambda client, key: fenced(client, 9, "nonsense", key),
        lambda client, key: fenced(client, 9, "SET", "", "x"),
        lambda client, key: fenced(client, 9, "SET", 7, "x"),
        lambda client, key: fenced(client, 9, "SET", key, "x", keep=0),
        lambda client, key: fenced(client, 9, "SET", key, "x", keep=-5),
        lambda client, key: fenced(client, None, "SET", key, "x"),
        lambda client, key: fenced(client, 1.5, "SET", key, "x"),
    ],
)
def test_what_redis_could_not_guard_is_refused(raw: redis.Redis, namespace: str, wrong: Any) -> None:
    with pytest.raises(InvalidInput):
        wrong(raw, namespace)
    assert not raw.exists(namespace, fence_key(namespace))


def test_a_client_that_does_not_answer_the_call_itself_is_refused(raw: redis.Redis, namespace: str) -> None:
    later, cluster = redis.asyncio.Redis(), redis.asyncio.RedisCluster("localhost", 1)
    for wrong in (raw.pipeline(), later.pipeline(), cluster.pipeline(), None, "redis://"):
        with pytest.raises(InvalidInput, match="client: must be a client of redis-py, not a pipeline"):
            fenced(wrong, 9, "SET", namespace, "x")
        with pytest.raises(InvalidInput, match="not a pipeline"):
            asyncio.run(afenced(wrong, 9, "SET", namespace, "x"))
    with pytest.raises(InvalidInput, match="`await afenced"):
        fenced(later, 9, "SET", namespace, "x")
    with pytest.raises(InvalidInput, match="takes a blocking one"):
        asyncio.run(afenced(raw, 9, "SET", namespace, "x"))
    assert not raw.exists(namespace, fence_key(namespace))


def test_a_key_may_be_bytes(raw: redis.Redis, namespace: str) -> None:
    key = f"{namespace}\xe9".encode()
    assert fenced(raw, 9, "set", key, "x")
    with pytest.raises(StaleFence):
        fenced(raw, 8, "SET", key.decode(), "late")
    assert raw.delete(key, fence_key(key)) == 2


def test_redis_refuses_it(raw: redis.Redis, redis_url: str, namespace: str, holders: Holders) -> None:
    old, new = holders
    key = f"report:{namespace}"
    assert fenced(raw, old, "SET", key, "of the old one")
    assert fenced(raw, new, "SET", key, "of the new one", keep=60)
    with pytest.raises(StaleFence) as caught:
        fenced(raw, old, "DEL", key)
    assert caught.value.newest == new.fence
    assert raw.get(key) == b"of the new one"
    assert 0 < raw.pttl(fence_key(key)) <= 60_000

    async def late() -> None:
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            assert await afenced(client, new, "APPEND", key, "!") == 15
            await afenced(client, old, "SET", key, "late")

    with pytest.raises(StaleFence):
        asyncio.run(late())
    # A command that fails has not used its fence.
    with pytest.raises(redis.ResponseError):
        fenced(raw, new.fence + 1, "LPUSH", key, "x")
    assert raw.get(fence_key(key)) == str(new.fence).encode()
    raw.delete(key, fence_key(key))


def test_no_two_keys_share_a_fence(raw: redis.Redis, namespace: str) -> None:
    tagged = f"{{{namespace}}}"
    assert fenced(raw, 9, "SET", tagged, "x")
    assert fenced(raw, 8, "SET", namespace, "x")
    assert raw.delete(namespace, tagged, fence_key(namespace), fence_key(tagged)) == 4
    found: dict[str, str] = {}
    for parts in itertools.product(("", "{", "}", "q", ":fence", "d"), repeat=5):
        key = "".join(parts)
        with contextlib.suppress(InvalidInput):
            assert found.setdefault(fence_key(key), key) == key
    assert found["{q}:fence"] == "q", "where it has always been"


def test_the_fence_of_a_key_is_in_its_slot() -> None:
    slot = redis.cluster.key_slot
    for key in ("report", "a{b}c", "{user}:1", "{user}", "x:{}"[:2]):
        assert slot(fence_key(key).encode()) == slot(key.encode())
    for key in ("{", "a}b", "{}x", "a{b"):
        with pytest.raises(InvalidInput):
            fence_key(key)


@pytest.mark.parametrize("remembered", ["memory", "redis"])
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_a_service_refuses_it(
    interface: str, remembered: str, raw: redis.Redis, redis_url: str, namespace: str, holders: Holders
) -> None:
    old, new = holders
    done: list[str] = []
    send = {"asgi": through_asgi, "wsgi": through_wsgi}[interface]
    fences: Any = MemoryFences() if remembered == "memory" else RedisFences(raw, f"fence:{namespace}:")
    assert send(fences, done, "PUT", "/reports/7", header(old)) == 200
    assert send(fences, done, "PUT", "/reports/7", header(new)) == 200
    assert send(fences, done, "PUT", "/reports/7", header(old)) == 412
    assert send(fences, done, "PUT", "/reports/8", header(old)) == 200
    assert send(fences, done, "DELETE", "/reports/7", {}) == 428
    assert send(fences, done, "GET", "/reports/7", {}) == 200
    for word in ("-1", "1.5", "x", "9" * 17, "\u0663"):
        assert send(fences, done, "PUT", "/reports/7", {"If-Fence": word}) == 400
    assert done == ["PUT /reports/7", "PUT /reports/7", "PUT /reports/8", "GET /reports/7"]
    for key in raw.scan_iter(f"fence:{namespace}:*"):
        raw.delete(key)


def through_asgi(fences: Any, done: list[str], method: str, path: str, headers: dict[str, str]) -> int:
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        done.append(f"{scope['method']} {scope['path']}")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> None: ...

    pairs = [(name.lower().encode(), value.encode("utf-8")) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": pairs}
    asyncio.run(FenceASGI(app, fences)(scope, receive, send))
    return int(sent[0]["status"])


def through_wsgi(fences: Any, done: list[str], method: str, path: str, headers: dict[str, str]) -> int:
    said: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        done.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        start_response("200 OK", [])
        return []

    environ = {"REQUEST_METHOD": method, "PATH_INFO": path}
    environ.update({f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()})
    FenceWSGI(app, fences)(environ, lambda status, _headers: said.append(status))
    return int(said[0].split()[0])
