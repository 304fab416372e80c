"""What each process asked for and was answered: one file of JSON lines per process, merged for the judge.

An operation is written when it begins and again when it ends, each time by one `write` to a file opened for appending:
a process that is killed leaves everything it wrote, at most without the last line's end. An operation that has no end
in the file has an unknown outcome, exactly like one whose caller was told so. Times are nanoseconds of one clock that
all processes share, so that "ended before the other began" can be judged exactly.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from chaos.clock import now_ns
from coordinator.errors import CoordinatorError, UnknownOutcome

Outcome = Literal["ok", "failed", "unknown"]
_ENDS: dict[str, Outcome] = {"ok": "ok", "failed": "failed", "unknown": "unknown"}

# What the server says of itself is in the history, too, under this name.
SERVER = "server"


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of one process. `completed` None: it never came back, as far as the file tells.

    `failed` means: certainly without effect. `server_us` is the server's time if the answer had it, `fence` the one
    that was given or used; 0 for none.
    """

    process: str
    op: str
    args: Mapping[str, Any] = field(default_factory=dict)
    invoked: int = 0
    completed: int | None = None
    outcome: Outcome = "ok"
    server_us: int = 0
    fence: int = 0

    def arg(self, name: str) -> str:
        """An argument as text; empty if there is none."""
        return str(self.args.get(name, ""))


class Pending:
    """An operation that has begun. What is set here is written when it ends."""

    __slots__ = ("args", "fence", "number", "outcome", "server_us")

    def __init__(self, number: int) -> None:
        self.number = number
        self.outcome: Outcome = "ok"
        self.fence = self.server_us = 0
        self.args: dict[str, Any] = {}


class Recorder:
    """The history of one process, safe for many threads. A forked child needs one of its own."""

    def __init__(self, folder: Path, process: str) -> None:
        self.process = process
        self._numbers = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / f"{process}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def begin(self, op: str, fence: int = 0, began: int | None = None, **args: Any) -> Pending:
        """Write that an operation begins, or that it `began` before this."""
        pending = Pending(next(self._numbers))
        since = now_ns() if began is None else began
        self._write({"n": pending.number, "op": op, "args": args, "in": since, "fence": fence})
        return pending

    def end(self, pending: Pending) -> None:
        """Write how it ended."""
        line: dict[str, Any] = {"n": pending.number, "out": now_ns(), "end": pending.outcome}
        known = {"us": pending.server_us, "fence": pending.fence, "args": pending.args}
        self._write(line | {name: value for name, value in known.items() if value})

    def note(self, op: str, fence: int = 0, server_us: int = 0, **args: Any) -> None:
        """Write something that needed no answer: it begins and ends at once."""
        line = {"n": next(self._numbers), "op": op, "args": args, "in": now_ns(), "end": "ok"}
        self._write(line | {"out": line["in"], "fence": fence, "us": server_us})

    @contextlib.contextmanager
    def doing(self, op: str, fence: int = 0, **args: Any) -> Iterator[Pending]:
        """An operation of the client: one of our errors makes it `failed`, or `unknown` if that is what it says. The
        error goes on to the caller."""
        pending = self.begin(op, fence, **args)
        try:
            yield pending
        except CoordinatorError as error:
            pending.outcome = "unknown" if isinstance(error, UnknownOutcome) else "failed"
            pending.args["error"] = type(error).__name__
            raise
        except BaseException as error:
            pending.outcome = "unknown"
            pending.args["error"] = type(error).__name__
            raise
        finally:
            self.end(pending)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, line: Mapping[str, Any]) -> None:
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")


def write(folder: Path, process: str, ops: Iterable[Op]) -> None:
    """Write operations that are known as a whole, such as the server's account."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{process}.jsonl").open("w", encoding="utf-8") as file:
        for number, one in enumerate(ops, 1):
            line = {"n": number, "op": one.op, "args": one.args, "in": one.invoked, "end": one.outcome}
            line |= {"out": one.completed, "fence": one.fence, "us": one.server_us}
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def read(folder: Path) -> list[Op]:
    """Every operation of every process: the server's in its own order, then the processes' by the time they began."""
    server, others = [], []
    for path in sorted(folder.glob("*.jsonl")):
        found = list(read_one(path))
        if path.stem == SERVER:
            server = found
        else:
            others += found
    return server + sorted(others, key=lambda one: one.invoked)


def read_one(path: Path) -> Iterator[Op]:
    """The operations of one process's file."""
    lines: dict[int, dict[str, Any]] = {}
    for line in _lines(path):
        known = lines.setdefault(int(line["n"]), {"args": {}})
        known["args"] |= line.pop("args", {})
        known |= line
    process = sys.intern(path.stem)
    for line in lines.values():
        # A long history has millions of these words, and few different ones.
        yield Op(
            process,
            sys.intern(line["op"]),
            {sys.intern(name): value for name, value in line["args"].items()},
            line["in"],
            line.get("out"),
            _ENDS[line.get("end", "unknown")],
            line.get("us", 0),
            line.get("fence", 0),
        )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, 1):
            # Only the last line of a process that was killed may be cut off.
            if text.endswith("\n"):
                try:
                    yield json.loads(text)
                except json.JSONDecodeError as error:
                    raise ValueError(f"{path}:{number}: not JSON: {error}") from None
