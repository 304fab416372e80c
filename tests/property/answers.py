"""Replies of scripts reduced to what the model answers too: the status, and what is essential behind it."""

from __future__ import annotations

from typing import Any

from tests.support.model_calls import Answer


def plainly(script: str, reply: list[Any]) -> Answer:
    """The essential part of a reply. Fences are compared as state, and counts of housekeeping work not at all."""
    word = reply[0]
    if script in ("beat", "sweep", "force", "replay", "close_session") and word == "ok":
        return ("ok",)
    if script == "request":
        return (word, reply[1], reply[3]) if word == "granted" else ("busy",) if word == "busy" else tuple(reply)
    if script == "cancel" and word == "held":
        return word, reply[2]
    if script == "watch":
        return tuple(reply[:2]) if word in ("final", "pending") else (word,)
    if script == "submit":
        return word, *(_submitted(one) for one in reply[1:])
    if script == "claim" and word == "ok":
        return word, sorted(_job(one) for one in reply[1:])
    if script == "settle" and word == "ok":
        return word, [_settled(one) for one in reply[1]], sorted(map(_job, *reply[2:] or [[]]))
    return tuple(reply)


def _submitted(one: list[str]) -> Answer:
    return tuple(one[:2]) if one[0] in ("accepted", "conflict", "rejected") else tuple(one)


def _settled(one: list[str]) -> Answer:
    if one[0] == "ok":
        return "ok", one[1] != ""
    return (one[0],)  # the state behind `stale` is that of now, also when the report is repeated


def _job(one: list[str]) -> Answer:
    ident, _fence, _name, queue, priority, attempts, deliveries, *_rest, payload = one
    return ident, queue, priority, attempts, deliveries, payload.encode()
