"""Builds the Lua programs: includes resolved, key names and the state table rendered in, header parsed.

A script's file begins with its contract in comments (`KEYS[n]`, `ARGV[n]`, `reply:`, `status:`, `Keeps:`), which the
tests compare with the Python side. `--@include lib/x` pulls in a fragment once; `--@flags` names the flags of servers
from 7.0 on, where the `#!lua` line makes Redis refuse keys of another slot. 6.2 does not know that line, so it is left
out; there a script that may run when memory is full begins with a write that takes nothing, because 6.2 refuses
commands for want of memory only until a script has written.

On a cluster every script begins by looking for a key that never exists. While a slot is moved some of its keys are on
one node and some on the other, and a script would run on what it finds there: new keys would come into being beside the
old ones. Looking for a missing key is what makes either node refuse then, before anything was written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from coordinator import keys
from coordinator.errors import ProtocolError
from coordinator.model import states
from coordinator.wire.nesting import flat, nested

_INCLUDE = re.compile(r"^--@include (\S+)$", re.MULTILINE)
_FLAGS = re.compile(r"^--@flags (\S+)$", re.MULTILINE)
_KEY_NAME = re.compile(r"\bK_([A-Z_]+)\b")
_FIRST_WRITE = "redis.call('HDEL', KEYS[1], '')"
_WHOLE_SLOT = "redis.call('EXISTS', KEYS[1], KEYS[1] .. ':never')"
_HEADER = re.compile(r"^-- (KEYS\[\d+\]|ARGV\[\d+(?:\.\.\.)?\]|reply:|status:) ?(.*)$", re.MULTILINE)

RENDERED: Mapping[str, Callable[[], str]] = {"states": states.render, "lives": states.render_lives}


@dataclass(frozen=True, slots=True)
class Header:
    """The contract at the top of a script's file."""

    keys: int
    args: int
    variadic: bool
    replies: tuple[str, ...]
    statuses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A script ready to send."""

    name: str
    text: str
    sha: str
    header: Header


@dataclass(frozen=True, slots=True)
class Library:
    """All scripts as functions of one library, for servers from 7.0 on."""

    name: str
    text: str

    def function(self, script: str) -> str:
        """The name a script is called by."""
        return f"{self.name}_{script}"


def source(name: str) -> str:
    """The text of `lua/{name}.lua`. Raises ProtocolError if there is none."""
    path = files("coordinator").joinpath("lua", *f"{name}.lua".split("/"))
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ProtocolError(f"no script {name!r}") from None


def names() -> tuple[str, ...]:
    """The names of all scripts."""
    folder = files("coordinator").joinpath("lua")
    return tuple(sorted(one.name[:-4] for one in folder.iterdir() if one.name.endswith(".lua")))


def resolve(name: str, replace: Mapping[str, str] | None = None) -> str:
    """The script with its fragments, each once and before what uses it. Raises ProtocolError on a cycle.

    `replace` gives other texts for some fragments; tests put another clock in place that way.
    """
    done: dict[str, str] = {}
    body = _collect(name, replace or {}, done, ())
    # Key names go in as literals. As locals they would be upvalues of nearly every function, and a script builds its
    # functions anew in every call: measured for `submit`, 16 instead of 18 us of fixed cost.
    return _KEY_NAME.sub(_literal, "\n".join([*flat(done, body), body]))


@cache
def library(cluster: bool = False) -> Library:
    """All scripts as one library: every fragment once, then one function for each script."""
    done: dict[str, str] = {}
    bodies = {name: _guarded(_collect(name, {}, done, ()), cluster) for name in names()}
    digest = hashlib.sha256("\n".join([*done.values(), *bodies.values()]).encode()).hexdigest()[:8]
    made = Library(f"coordinator_{digest}", "")
    nesting = nested(done, bodies, {name: _reach(name) for name in [*done, *bodies]})
    parts = [f"#!lua name={made.name}", *nesting.outermost()]
    for name, body in bodies.items():
        flags = f"flags={{'{_flags(name)}'}}, " if _flags(name) else ""
        head = f"redis.register_function{{function_name='{made.function(name)}', {flags}callback="
        parts.append(nesting.around(name, f"{head}\nfunction(KEYS, ARGV)\n{body}\nend}}"))
    return Library(made.name, _KEY_NAME.sub(_literal, "\n".join(parts)))


@cache
def function(script: str, cluster: bool) -> str:
    """The name by which a script of the library is called."""
    return library(cluster).function(script)


def header(name: str) -> Header:
    """The contract of a script."""
    entries = _HEADER.findall(source(name))
    args = [int(re.findall(r"\d+", what)[0]) for what, _ in entries if what.startswith("ARGV")]
    return Header(
        keys=sum(what.startswith("KEYS") for what, _ in entries),
        args=max(args, default=0),
        variadic=any(what.endswith("...]") for what, _ in entries),
        replies=tuple(text.split()[0] for what, text in entries if what == "reply:"),
        statuses=tuple(text.split()[0] for what, text in entries if what == "status:"),
    )


@cache
def program(name: str, shebang: bool, cluster: bool = False) -> Program:
    """The script for a server from 7.0 on (`shebang`) or an older one."""
    body, flags = _guarded(resolve(name), cluster), _flags(name)
    if shebang:
        body = f"#!lua flags={flags}\n{body}"
    elif flags == "allow-oom":
        body = f"{_FIRST_WRITE}\n{body}"
    # Not a matter of security: SHA-1 is how Redis addresses scripts.
    sha = hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()
    return Program(name, body, sha, header(name))


def _guarded(body: str, cluster: bool) -> str:
    return f"{_WHOLE_SLOT}\n{body}" if cluster else body


def _flags(name: str) -> str:
    found = _FLAGS.search(source(name))
    return found.group(1) if found else ""


def _literal(match: re.Match[str]) -> str:
    try:
        return f"'{keys.suffix(match.group(1))}'"
    except KeyError:
        raise ProtocolError(f"no key family {match.group(1)!r}") from None


@cache
def _reach(name: str) -> frozenset[str]:
    """The fragments that a script or a fragment includes, directly or not."""
    text = RENDERED[name]() if name in RENDERED else source(name)
    direct = _INCLUDE.findall(text)
    return frozenset(direct).union(*map(_reach, direct))


def _collect(name: str, replace: Mapping[str, str], done: dict[str, str], path: tuple[str, ...]) -> str:
    if name in path:
        raise ProtocolError(f"scripts include each other: {' -> '.join([*path, name])}")
    rendered = RENDERED.get(name)
    text = rendered() if rendered else replace.get(name) or source(name)
    for wanted in _INCLUDE.findall(text):
        if wanted not in done:
            fragment = _collect(wanted, replace, done, (*path, name))
            done[wanted] = fragment
    return _INCLUDE.sub("", text)
