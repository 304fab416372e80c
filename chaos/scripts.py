"""Which of the product's scripts a request runs, however it names it: by digest, by text, or as a function."""

from __future__ import annotations

import hashlib

from chaos.proxy import Request
from coordinator.wire import loader

NAMES: tuple[str, ...] = tuple(sorted(loader.names()))
_BY_SHA = {loader.program(name, shebang).sha: name for name in NAMES for shebang in (False, True)}
_LONGEST_FIRST = sorted(NAMES, key=len, reverse=True)


def script_of(request: Request) -> str:
    """The name of the script; empty if the request runs none of ours."""
    if not request.runs_script:
        return ""
    word = request.words[1].decode("utf-8", "replace")
    if request.command.startswith(b"FCALL"):
        return next((name for name in _LONGEST_FIRST if word.endswith(f"_{name}")), "")
    if request.command.startswith(b"EVALSHA"):
        return _BY_SHA.get(word.lower(), "")
    # SHA-1 is how Redis names scripts.
    return _BY_SHA.get(hashlib.sha1(word.encode(), usedforsecurity=False).hexdigest(), "")
