"""Which of a fragment's names the others see, and where in a program it stands.

A function of Lua has at most 200 local names at a time, and all fragments together have more. So each stands in a
block that shows only what others use of it; and in a library one that serves only another fragment, or only one script,
stands inside that one's block, where its names count for nobody else. The blocks of a library are functions, of which
each has its own 200, and so is what stands around a script. Nothing is made anew in a call for that: all of it is gone
through once, when the server loads the library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

_DEFINES = re.compile(r"^local (function )?(\w+(?:, \w+)*)", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w*")
_NO_CODE = re.compile(r"--.*|'[^']*'")


@dataclass(frozen=True, slots=True)
class Nesting:
    """The fragments of a program in an order in which each comes before what uses it, what of each is shown, and with
    whom it stands: itself, or a fragment or body of this name. `apart`: each block is a function."""

    fragments: Mapping[str, str]
    shown: Mapping[str, set[str]]
    homes: Mapping[str, str]
    apart: bool = False

    def outermost(self) -> list[str]:
        """The blocks of the fragments that belong to nobody alone, each with those that are its own."""
        return [self._block(name) for name, home in self.homes.items() if home == name]

    def around(self, body: str, text: str) -> str:
        """The text that a body has become, with the fragments that are its own."""
        inner = self._inner(body)
        return "\n".join([";(function()", *inner, text, "end)()"]) if inner else text

    def _inner(self, home: str) -> list[str]:
        return [self._block(name) for name, at in self.homes.items() if at == home != name]

    def _block(self, name: str) -> str:
        names: list[str] = []

        def define(found: re.Match[str]) -> str:
            these = found.group(2).split(", ")
            if self.shown[name].isdisjoint(these):
                return found.group(0)
            names.extend(these)
            return found.group(0).removeprefix("local ")

        text = _DEFINES.sub(define, self.fragments[name])
        head = [f"local {', '.join(names)}"] if names else []
        begin, end = (";(function()", "end)()") if self.apart else ("do", "end")
        return "\n".join([*head, begin, *self._inner(name), text, end])


def flat(fragments: Mapping[str, str], body: str) -> list[str]:
    """The blocks of the fragments for one body, one after the other."""
    everything = {name: set(fragments) for name in [*fragments, ""]}
    found = nested(fragments, {"": body}, everything)
    return Nesting(fragments, found.shown, {name: name for name in fragments}).outermost()


def nested(
    fragments: Mapping[str, str], bodies: Mapping[str, str], included: Mapping[str, AbstractSet[str]]
) -> Nesting:
    """Every fragment with whoever alone uses it. `included` are the fragments that each fragment and body includes,
    directly or not: of the others it means nothing, whatever its words are."""
    own = {name: _defined(text) for name, text in fragments.items()}
    words = {name: _words(text) - own.get(name, set()) for name, text in [*fragments.items(), *bodies.items()]}
    shown: dict[str, set[str]] = {name: set() for name in fragments}
    homes = {body: body for body in bodies}
    for name in reversed(list(fragments)):
        users = {other for other in homes if name in included[other] and not own[name].isdisjoint(words[other])}
        shown[name] = set().union(*(own[name] & words[user] for user in users))
        owners = {homes[user] for user in users}
        homes[name] = owners.pop() if len(owners) == 1 else name
    return Nesting(fragments, shown, {name: homes[name] for name in fragments}, apart=True)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(_NO_CODE.sub("", text)))


def _defined(text: str) -> set[str]:
    return {one for _, names in _DEFINES.findall(text) for one in names.split(", ")}
