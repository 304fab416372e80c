"""Where output goes: results to stdout, everything else to stderr; JSON when it was asked for.

Strings that reach the consoles are never read as markup, and what is not a terminal gets no colour and no line
breaks of ours, so that a pipe sees one line per thing.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn

# Told how much is done, and of how much if that is known.
Tell = Callable[[int, int | None], None]

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

    @contextmanager
    def progress(self, what: str) -> Iterator[Tell]:
        """A bar on stderr from the first news until the work is done; nothing when nobody watches."""
        if not self.lively:
            yield _silent
            return
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[shown]}"))
        bar = Progress(*columns, console=self.err, transient=True)
        task = bar.add_task(what, total=None, shown="")

        def tell(done: int, whole: int | None) -> None:
            bar.update(task, completed=done, total=whole, shown=f"{done}" if whole is None else f"{done}/{whole}")
            bar.start()  # at the first news only: what is done at once would be a flicker

        try:
            yield tell
        finally:
            if bar.live.is_started:
                bar.stop()


def _silent(_done: int, _whole: int | None) -> None:
    return None


def _other(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"cannot show a {type(value).__name__} as JSON")
