"""What an error of Redis means that trying again does not help against: no right, or something that is not ours.

Scripts check what they are given and not what they have written themselves. One that fails in the middle has therefore
met a key that somebody else has changed. Redis's words name the line at most; the line tells the family of the key.
"""

from __future__ import annotations

import re

from coordinator.errors import AccessDenied, CoordinatorError, Corrupt, ProtocolError
from coordinator.keys import FAMILIES

_DENIED = ("NOPERM", "can't run this command", "can't access at least one of the keys", "No permissions to")
# 7.0 and newer end with `script: <name>, on @user_script:12.`, 6.2 begins with `... @user_script:12: ...`.
_LINE = re.compile(r"@?user_(?:script|function):(\d+)")
# The same places with all that is said there: numbers and names that nobody can do anything with.
_BEFORE = re.compile(r"^.*@user_script:\s*\d+:\s*-?")
_BEHIND = re.compile(r"\s*script: \w+, on @?user_(?:script|function):\d+\.?$")
# What a script says whose `meta` has more fields than Coordinator could have written (lib/context).
_CROWDED = "CROWDED meta"
# Never the data's fault: what we sent is not what this server takes.
_OURS = ("unknown command", "wrong number of arguments", "unknown subcommand", "compiling", "Function not found")


def fault(message: str, what: str, text: str = "") -> CoordinatorError:
    """The error for Redis's message about `what` (a script or command); `text` is the source of the script."""
    if any(word in message for word in _DENIED):
        return AccessDenied(f"Redis does not let this user run {what}")
    if any(word in message for word in _OURS):
        return ProtocolError(f"Redis does not know {what} as this version sends it")
    if _CROWDED in message:
        return Corrupt(
            f"the key `co:{{NAMESPACE}}:meta` has very many fields that Coordinator does not write: {what} cannot go "
            "on; `coordinator doctor --fix` takes them out"
        )
    line = _LINE.search(message)
    if line is None and not message.startswith("WRONGTYPE"):
        return ProtocolError(f"Redis refused {what} ({message.partition(' ')[0][:40]})")
    place = family_at(text, int(line.group(1))) if line else ""
    where = f"a key of the family {place!r}" if place else "a key of this namespace"
    kind = "the wrong type" if "WRONGTYPE" in message else "something that Coordinator does not write"
    return Corrupt(f"{where} has {kind}: {what} cannot go on")


def full(message: str) -> str:
    """Why a server that has no room takes nothing new, for people."""
    if "MISCONF" in message:
        return "Redis takes nothing new: it cannot write its data to disk (its log says why)"
    return "Redis takes nothing new: its memory is used up (`maxmemory`)"


def bare(message: str) -> str:
    """Redis's message without what it says of the script in which a command failed."""
    return _BEHIND.sub("", _BEFORE.sub("", message)).strip()


def family_at(text: str, line: int) -> str:
    """The beginning of the keys that a line of a script is about; empty if it is not about those of one family."""
    lines = text.splitlines()
    if not 0 < line <= len(lines):
        return ""
    found = {one.suffix.rstrip(":") for one in FAMILIES if f"'{one.suffix}'" in lines[line - 1]}
    return found.pop() if len(found) == 1 else ""
