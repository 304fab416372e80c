"""Reads the Lua files as text, for the tests that compare them with the Python side."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from coordinator.wire import loader

DEFINES = re.compile(r"^local (?:function )?(\w+)", re.MULTILINE)
LUA = {
    *("and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not"),
    *("or", "repeat", "return", "then", "true", "until", "while"),
    *(
        "error",
        "ipairs",
        "math",
        "next",
        "pairs",
        "redis",
        "select",
        "setmetatable",
        "string",
        "table",
        "tonumber",
        "tostring",
        "type",
        "unpack",
        "pcall",
        "cmsgpack",
    ),
    *("KEYS", "ARGV"),
}
INCLUDES = re.compile(r"^--@include (\S+)$", re.MULTILINE)


@cache
def fragments() -> tuple[str, ...]:
    """The names of all shared fragments."""
    folder = files("coordinator").joinpath("lua", "lib")
    return tuple(sorted(f"lib/{one.name[:-4]}" for one in folder.iterdir() if one.name.endswith(".lua")))


@cache
def every_source() -> dict[str, str]:
    """All scripts and fragments by name."""
    return {name: loader.source(name) for name in (*loader.names(), *fragments())}


def text_of(name: str) -> str:
    """A script, a fragment, or one that is rendered."""
    rendered = loader.RENDERED.get(name)
    return rendered() if rendered else loader.source(name)


def code(name: str) -> str:
    """A source without its comments."""
    return "\n".join(line.partition("--")[0] for line in loader.source(name).splitlines())


def words(lua: str) -> set[str]:
    """All identifiers in a piece of Lua, strings left out."""
    return set(re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "''", lua)))


def strings(lua: str) -> list[str]:
    """All string literals in a piece of Lua."""
    return re.findall(r"'([^']*)'", lua)


def statuses_answered(name: str) -> set[str]:
    """The status words that a script, or a fragment, builds replies with: `{ 'word', ...`."""
    return set(re.findall(r"\{ '([a-z_]+)'(?=[, ])", code(name)))


@cache
def reached_code(name: str) -> frozenset[str]:
    """A script and all fragments it pulls in."""
    found = {name}
    for one in INCLUDES.findall(text_of(name)):
        found |= reached_code(one)
    return frozenset(found)


def undefined(name: str) -> set[str]:
    """Names that a file calls or compares, and that neither it, nor what it includes, nor Lua defines."""
    whole = re.sub(r"'[^']*'", "''", "\n".join(line.partition("--")[0] for line in loader.resolve(name).splitlines()))
    known = set(DEFINES.findall(whole)) | LUA
    for pattern in (
        r"\blocal (?!function)([\w, ]+)",
        r"\bfunction ?[\w.]*\(([\w, .]*)\)",
        r"\bfor ([\w, ]+?) (?:in|=)",
    ):
        known |= words(" ".join(re.findall(pattern, whole)))
    known |= set(re.findall(r"[{,]\s*(\w+) =", whole))
    return {one for one in words(re.sub(r"\.\w+", "", whole)) if one not in known}
