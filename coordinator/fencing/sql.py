"""Fences in a database: a column beside the data, and `fence <= :fence` in every write.

The check and the write are one statement, so nothing comes between them. Each row has a fence of its own, so a write is
of one row: of several it would write those that are older, and leave the others. With DB-API connections of any
driver; for SQLAlchemy, which is not needed otherwise, `fenced_statement` adds the same to an `update()`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coordinator.errors import Corrupt, InvalidInput, StaleFence
from coordinator.fencing.fences import Fence, check, number
from coordinator.model.names import one_of

COLUMN = "fence"
# MySQL and MariaDB execute this, all others take it for a comment. Under REPEATABLE READ, their default, an update sees
# the newest row, but a plain SELECT sees the row as it was when the transaction began, so a refused writer would find
# its own fence there. In a subquery of an update it locks the row exclusively at once: so two updates cannot deadlock.
NEWEST = "/*! FOR UPDATE */"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_MARKS: dict[str, Callable[[int], str]] = {
    "qmark": lambda _at: "?",
    "format": lambda _at: "%s",
    "pyformat": lambda _at: "%s",
    "numeric": lambda at: f":{at}",
    "named": lambda at: f":p{at}",
}

Parameters = Sequence[Any] | dict[str, Any]


def update_statement(
    table: str, values: Mapping[str, Any], where: Mapping[str, Any], fence: Fence, *, paramstyle: str = "qmark"
) -> tuple[str, Parameters]:
    """`UPDATE table SET ..., fence = ? WHERE ... AND fence <= ?` with its parameters, in the `paramstyle` of a driver.
    Changes nothing unless `where` matches one row alone.

    Names of tables and columns must be plain ones; values may be anything that the driver takes. Raises InvalidInput.
    """
    limit = number(fence)
    if not where:
        raise InvalidInput("where", where, "must name the row")
    for name in values:
        # To a database it is the same column, and which of two values it writes is for each to say.
        if name != COLUMN and _name(name).rpartition(".")[2].lower() == COLUMN:
            raise InvalidInput("values", name, f"must leave the column `{COLUMN}` to the fence")
    setting, finding = {**values, COLUMN: limit}, list(where)
    at = 1 + len(setting) + len(finding)
    # A table in a table, for MySQL, which does not look otherwise into a table that it changes.
    alone = (
        f"SELECT matching FROM (SELECT COUNT(*) AS matching FROM {_name(table)} "  # noqa: S608 - the names are checked
        f"WHERE {_listed(finding, ' AND ', paramstyle, 1 + at)} {NEWEST}) counted"
    )
    sql = (
        f"UPDATE {_name(table)} SET {_listed(setting, ', ', paramstyle, 1)} "  # noqa: S608
        f"WHERE {_listed(finding, ' AND ', paramstyle, 1 + len(setting))} "
        f"AND {COLUMN} <= {_mark(paramstyle, at)} AND ({alone}) = 1"
    )
    return sql, _parameters([*setting.values(), *where.values(), limit, *where.values()], paramstyle)


def fenced_update(
    cursor: Any,
    table: str,
    values: Mapping[str, Any],
    where: Mapping[str, Any],
    fence: Fence,
    *,
    paramstyle: str = "qmark",
) -> bool:
    """Update one row unless it was written under a newer fence, which raises StaleFence. False: there is no such row.
    Raises InvalidInput if `where` matches several; nothing is written then.

    `cursor` is one of DB-API, `paramstyle` that of its module (`sqlite3.paramstyle`). The transaction is the caller's.
    """
    cursor.execute(*update_statement(table, values, where, fence, paramstyle=paramstyle))
    if cursor.rowcount > 0:
        return True
    names = _listed(where, " AND ", paramstyle, 1)
    found = f"SELECT COUNT(*), MAX({COLUMN}) FROM {_name(table)} WHERE {names} {NEWEST}"  # noqa: S608
    cursor.execute(found, _parameters(list(where.values()), paramstyle))
    rows, newest = cursor.fetchone()
    if rows > 1:
        raise InvalidInput("where", dict(where), f"must match one row; {rows} match, and nothing was written")
    if rows == 0:
        return False
    if newest is None:
        raise Corrupt(f"{table}.{COLUMN} is NULL; make the column NOT NULL DEFAULT 0")
    check(table, number(fence), int(newest))
    # Some drivers count only rows that have become different; ours is one if it has our fence.
    return int(newest) == number(fence)


def fenced_statement(statement: Any, column: Any, fence: Fence) -> Any:
    """An SQLAlchemy `update()` of one row that writes only if `column` is not above the fence, and sets it.

    `column` may be an attribute that is mapped to one."""
    return statement.where(column <= number(fence)).values({column: number(fence)})


def checked(result: Any, what: str, fence: Fence) -> None:
    """Raises StaleFence if an SQLAlchemy result of `fenced_statement` has changed no row: either its fence is newer, or
    there is none, which the result does not tell. InvalidInput if it has changed several: roll back."""
    if result.rowcount > 1:
        raise InvalidInput("statement", what, f"must change one row; it has changed {result.rowcount}: roll back")
    if result.rowcount == 0:
        raise StaleFence(what, number(fence), None)


def _name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput("name", name, "must be a plain name of a table or column")
    return name


def _mark(paramstyle: str, at: int) -> str:
    return _MARKS[one_of(paramstyle, "paramstyle", tuple(_MARKS))](at)


def _listed(names: Mapping[str, Any] | Sequence[str], separator: str, paramstyle: str, first: int) -> str:
    return separator.join(f"{_name(one)} = {_mark(paramstyle, at)}" for at, one in enumerate(names, first))


def _parameters(values: list[Any], paramstyle: str) -> Parameters:
    return {f"p{at}": one for at, one in enumerate(values, 1)} if paramstyle == "named" else values
