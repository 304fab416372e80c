"""Replies of scripts reduced to what the model answers too: the status, and what is essential behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coordinator.ops.fleet import WORDS_PER_JOB
from tests.support.model_calls import Answer


def plainly(script: str, reply: list[Any]) -> Answer:
    """The essential part of a reply. Fences are compared as state, and counts of housekeeping work not at all."""
    word = reply[0]
    if script in _WORD_ONLY and word == "ok":
        return (word,)
    shape = _SHAPES.get((script, word)) or _SHAPES.get((script, "*"))
    return shape(reply) if shape else tuple(reply)


def _submitted(one: list[str]) -> Answer:
    return (
        tuple(one[:2])
        if one[0] in ("accepted", "conflict", "line_overloaded", "overloaded", "rejected")
        else tuple(one)
    )


def _settled(one: list[str]) -> Answer:
    if one[0] == "ok":
        return "ok", one[1] != ""
    return (one[0],)  # the state behind `stale` is that of now, also when the report is repeated


def _job(one: list[str]) -> Answer:
    ident, _fence, _name, queue, priority, attempts, deliveries, *_rest, payload, dedup, _waited = one[:WORDS_PER_JOB]
    return ident, queue, priority, attempts, deliveries, payload.encode(), dedup


_WORD_ONLY = ("beat", "release", "sweep", "force", "replay", "close_session")
_SHAPES: dict[tuple[str, str], Callable[[list[Any]], Answer]] = {
    ("define", "ok"): lambda reply: (reply[0], *sorted(zip(reply[1::2], reply[2::2], strict=True))),
    ("freeze", "ok"): lambda reply: (reply[0],),
    ("request", "granted"): lambda reply: (reply[0], reply[1], reply[3]),
    ("request", "line_overloaded"): lambda reply: tuple(reply[:2]),
    ("request", "ended"): lambda reply: tuple(reply[:3]),
    ("request", "busy"): lambda reply: (reply[0],),
    ("cancel", "held"): lambda reply: (reply[0], reply[2]),
    ("watch", "final"): lambda reply: tuple(reply[:2]),
    ("watch", "pending"): lambda reply: tuple(reply[:2]),
    ("watch", "*"): lambda reply: (reply[0],),
    ("submit", "*"): lambda reply: (reply[0], *map(_submitted, reply[1:])),
    ("claim", "ok"): lambda reply: (reply[0], sorted(map(_job, reply[1:]))),
    ("settle", "ok"): lambda reply: (
        reply[0],
        [_settled(one) for one in reply[1]],
        sorted(map(_job, *reply[2:] or [[]])),
    ),
}
