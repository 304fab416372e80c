"""The calls of scripts that look for what is held: one function for each, with its arguments by name."""

from __future__ import annotations

from coordinator.wire.calls import Scope
from coordinator.wire.step import Call


def holders(scope: Scope, pattern: str, after: str, most: int, named: int) -> Call:
    return scope.call("holders", pattern, after, most, named)


def held_by(scope: Scope, owner: str, after: str, most: int) -> Call:
    return scope.call("held_by", owner, after, most)


def changes(scope: Scope, after: str, most: int) -> Call:
    return scope.call("changes", after, most)
