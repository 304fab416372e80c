"""Who needs what of Redis: one table of roles, and from it the rules of their users.

A role is a set of scripts and the few plain commands its processes send beside them. Redis holds a script to the rights
of its caller, so a role also has the commands that its scripts use, read from the scripts themselves, and on the keys
of its namespace it could send those without the script. What it can reach is bounded by that: no other namespace, no
script of another role, none that is not ours, no command that administrates the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from coordinator.keys import prefix, proof_channel
from coordinator.wire import loader

FUNCTIONS_SINCE = (7, 0)
# The client library says who it is where the server knows of that; these have no such subcommand, and no rule for it.
WITHOUT_SETINFO = ((7, 0), (7, 2))

# What everybody who works says of it, and with it looks at the alerts.
_PULSE = ("publish", "samples", "judge")
_SESSION = ("open_session", "close_session", "beat", "reconcile", "learn", "timeouts", "config", "tell")
_INBOX = ("blpop", "lpop", "rpush", "expire")
_TICKET = ("explain", "watch")
# `watch` is not among them: it may write, and on 6.2 it always does.
_LOOK = (
    "explain",
    "survey",
    "line",
    "holders",
    "held_by",
    "changes",
    "events",
    "audit",
    "freezes",
    "dead",
    "gates",
    "samples",
    "timeouts",
    "handlers",
    "config",
)
# How a watch waits for the next event.
_FOLLOW = ("xread",)
_REQUESTS = ("watch", "cancel", "reprioritise", "replay")
_AUDIT = ("audit_keys", "audit_request", "audit_resource")
# What every connection says first, and with `durability` replicated after every call. Redis allows AUTH and HELLO to
# everybody.
_CONNECT = ("client|setname", "info", "ping", "publish", "wait")
# How a client of a Cluster finds the node of a key, and what the scripts there begin with.
_TO_A_CLUSTER = ("cluster|slots", "command")
_ON_A_CLUSTER = "exists"
_CALL = re.compile(r"redis\.call\('([A-Z]+)'(?:, '(USAGE)')?")
# Commands that scripts look up in a table (lib/whereabouts) before they call them.
_LOOKED_UP = {"audit_request": ("HDEL", "HEXISTS", "SISMEMBER", "SREM", "ZREM", "ZSCORE")}
# Fragments bring functions along that the script does not use; one that only reads has no need of these.
_WRITES = frozenset(
    {"del", "expire", "hdel", "hincrby", "hset", "hsetnx", "persist", "pexpire", "rpush", "sadd", "set", "spop", "srem"}
    | {"unlink", "xadd", "xtrim", "zadd", "zpopmin", "zrem"}
)


@dataclass(frozen=True, slots=True)
class Role:
    """What a kind of process does. `reads`: it changes nothing, whatever its scripts could."""

    name: str
    purpose: str
    scripts: tuple[str, ...]
    commands: tuple[str, ...] = ()
    reads: bool = False


ROLES: tuple[Role, ...] = (
    Role(
        "producer",
        "hands in jobs, waits for their results or shares them, cancels and reprioritises",
        (
            *(*_SESSION, *_PULSE, *_TICKET, "submit", "cancel", "reprioritise", "recall", "forget", "warm"),
            *("similar", "index_text"),
        ),
        _INBOX,
    ),
    Role(
        "worker",
        "takes jobs from queues, runs them and reports their outcomes",
        (*_SESSION, *_PULSE, "claim", "settle", "spare", "retain", "note_progress", "explain", "handlers"),
        _INBOX,
    ),
    Role(
        "locker",
        "takes locks, waits for them and gives them back",
        (
            *_SESSION,
            *_PULSE,
            *_TICKET,
            "request",
            "release",
            "hand_over",
            "extend",
            "cancel",
            "reprioritise",
            "gather",
            "line",
            "held_by",
        ),
        _INBOX,
    ),
    Role("observer", "looks: ls, show, why, stats, events, top, alerts", _LOOK, _FOLLOW, reads=True),
    Role(
        "operator",
        "looks and intervenes: cancel, reprioritise, move, replay, release --force, transfer, define, breaker, config, "
        "doctor --fix",
        (
            *_LOOK,
            *_AUDIT,
            *_REQUESTS,
            "force",
            "transfer",
            "reorder",
            "freeze",
            "thaw",
            "let_pass",
            "define",
            "set_breaker",
            "configure",
            "sweep",
            "acknowledge",
        ),
        (
            *(*_FOLLOW, "scan", "type", "get", "hget", "hlen", "hscan", "sscan", "zscan"),
            *("hdel", "unlink", "persist", "pexpire", "zadd"),
        ),
    ),
    Role("loader", "loads the scripts, so that nobody else needs to be able to", ()),
)

NAMES = tuple(role.name for role in ROLES)


def role(name: str) -> Role:
    """The role of that name. Raises KeyError."""
    return _BY_NAME[name]


def rules(name: str, namespace: str, version: tuple[int, ...], database: int = 0) -> tuple[str, ...]:
    """The rules of a role's user for a server of that version, but for its name and password."""
    found = _BY_NAME[name]
    # Not `%R~` for who only reads: to call a script takes the right to write its keys. It has no command that writes.
    keys = (f"~{prefix(namespace)}*",) if found.scripts else ()
    channel = f"&{proof_channel(namespace)}"
    return (
        "resetkeys",
        *keys,
        "resetchannels",
        channel,
        "-@all",
        *(f"+{one}" for one in allowed(found, version, database)),
    )


def allowed(found: Role, version: tuple[int, ...], database: int = 0) -> list[str]:
    """Every command that a role's user may send, with the scripts as first arguments."""
    plain = {*_CONNECT, *_TO_A_CLUSTER, *found.commands, *(one for script in found.scripts for one in used_by(script))}
    if found.scripts:
        plain.add(_ON_A_CLUSTER)
    else:
        plain.add("function|load" if version >= FUNCTIONS_SINCE else "script|load")
    if found.reads:
        plain -= _WRITES
    if not WITHOUT_SETINFO[0] <= version < WITHOUT_SETINFO[1]:
        plain.add("client|setinfo")
    if database:
        plain.add(f"select|{database}")
    return sorted(plain) + address(found.scripts, version)


@cache
def used_by(script: str) -> frozenset[str]:
    """The commands that a script may send, in lower case."""
    called = {f"{command}|{part}" if part else command for command, part in _CALL.findall(loader.resolve(script))}
    return frozenset(one.lower() for one in {*called, *_LOOKED_UP.get(script, ())})


def address(scripts: Iterable[str], version: tuple[int, ...]) -> list[str]:
    """How scripts are called on a server of that version, alone or in a Cluster, as a rule says it."""
    names = sorted(scripts)
    if version >= FUNCTIONS_SINCE:
        return [f"fcall|{loader.library(kind).function(one)}" for kind in (False, True) for one in names]
    return [f"evalsha|{loader.program(one, False, kind).sha}" for kind in (False, True) for one in names]


_BY_NAME = {one.name: one for one in ROLES}
