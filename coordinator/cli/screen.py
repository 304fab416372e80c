"""Where output goes: results to stdout, everything else to stderr; JSON when it was asked for.

Strings that reach the consoles are never read as markup, and what is not a terminal gets no colour and no line
breaks of ours, so that a pipe sees one line per thing.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType

# Wide enough that nothing is ever wrapped or cut on its way into a pipe.
PIPE_WIDTH = 100_000


def console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr. NO_COLOR is honoured, and on a terminal COLUMNS."""
    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not made.is_terminal:
        made.width = PIPE_WIDTH
    return made


def dumps(document: Any, indent: int | None = 2) -> str:
    """JSON in ASCII: on a terminal no character of it can do anything."""
    return json.dumps(document, indent=indent, default=_other)


class Screen:
    """The two consoles of a command, and whether it speaks JSON."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.out, self.err = console(), console(stderr=True)

    @property
    def lively(self) -> bool:
        """Whether somebody watches stderr, so that spinners and progress bars make sense."""
        return self.err.is_terminal and not self.as_json

    def show(self, document: Any, *views: RenderableType) -> None:
        """A result: the document as JSON, or the views for people."""
        if self.as_json:
            self.line(document, 2)
        else:
            for view in views:
                self.out.print(view)

    def line(self, document: Any, indent: int | None = None) -> None:
        """A JSON document, in one line unless indented."""
        sys.stdout.write(dumps(document, indent) + "\n")
        sys.stdout.flush()

    def note(self, view: RenderableType) -> None:
        """Something for people beside the result; silent with JSON."""
        if not self.as_json:
            self.err.print(view)

    def progress(self, text: Callable[[int], str]) -> Callable[[int], None]:
        """A counter on stderr that rewrites its line; does nothing when nobody watches."""

        def tell(number: int) -> None:
            self.err.print(text(number), end="\r")

        return tell if self.lively else _silent


def _silent(_number: int) -> None:
    return None


def _other(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"cannot show a {type(value).__name__} as JSON")
