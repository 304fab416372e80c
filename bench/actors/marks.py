"""What handlers leave behind: (time, number) records in one shared file per process, read while they grow.

A mark costs a worker about half a microsecond and no call to Redis, so watching a run does not change it. Times are
of the monotonic clock, which all processes of a machine share.

A process that marks for the first time waits at the *gate* until the harness opens it: by then all workers of a run
are up and connected, and none has begun.
"""

from __future__ import annotations

import itertools
import mmap
import os
import struct
import threading
import time
from pathlib import Path
from typing import NamedTuple

from bench.actors.speech import said

RECORD = struct.Struct("<qqqq")
GATE = "gate"
SUFFIX = ".marks"
GATE_SECONDS = 120.0


class Mark(NamedTuple):
    """One record: when (ns), which number, by which process."""

    at: int
    number: int
    process: int


class Book:
    """The records of one process. Several threads may add to it."""

    def __init__(self, folder: Path, room: int) -> None:
        path = folder / f"{os.getpid()}{SUFFIX}"
        with path.open("w+b") as file:
            file.truncate(room * RECORD.size)
            self._map = mmap.mmap(file.fileno(), room * RECORD.size)
        self._take_place = itertools.count().__next__
        _wait_for(folder / GATE)

    def add(self, number: int) -> None:
        at = time.monotonic_ns()
        RECORD.pack_into(self._map, self._take_place() * RECORD.size, at, number, ~at, ~number)


_book: Book | None = None
_making = threading.Lock()


def mark(number: int) -> None:
    """Note that this process is now at `number`. To be called in a worker's handler, as its first line."""
    (_book or _open_book()).add(number)


def _open_book() -> Book:
    global _book  # noqa: PLW0603  (one book per process, made at the first mark)
    with _making:
        if _book is None:
            _book = Book(Path(said("MARKS")), int(said("ROOM")))
    return _book


def _forget() -> None:
    global _book, _making
    # A forked child has a book and a lock of its own.
    _book, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def _wait_for(gate: Path) -> None:
    deadline = time.monotonic() + GATE_SECONDS
    while not gate.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{gate} was never opened")
        time.sleep(0.001)


def record_at(book: mmap.mmap | bytes, place: int) -> tuple[int, int] | None:
    """Time and number of the record at a place, or None while it is not there or only some bytes of it are.

    The processor shows a reader each byte on its own. So everything is written a second time, inverted, over zeros: a
    byte that is missing leaves a pair whose halves are not the inverse of each other, whichever others are there.
    """
    at, number, inverse_at, inverse_number = RECORD.unpack_from(book, place)
    return (at, number) if (at, number) == (~inverse_at, ~inverse_number) else None


class MarkReader:
    """Reads the books of all processes of a run; each look takes in only what is new."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: dict[int, mmap.mmap] = {}
        self._places: dict[int, int] = {}
        self.marks: list[Mark] = []

    def look(self) -> int:
        """Take in what is new. Returns how many marks there are in all."""
        for path in self._folder.glob(f"*{SUFFIX}"):
            process = int(path.stem)
            if process not in self._maps and path.stat().st_size:
                with path.open("rb") as file:
                    self._maps[process] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        for process, book in self._maps.items():
            self._read(process, book)
        return len(self.marks)

    @property
    def processes(self) -> int:
        """How many processes have marked, or wait at the gate to do so."""
        self.look()
        return len(self._maps)

    def _read(self, process: int, book: mmap.mmap) -> None:
        place = self._places.get(process, 0)
        while place + RECORD.size <= len(book):
            found = record_at(book, place)
            if found is None:
                break
            self.marks.append(Mark(*found, process))
            place += RECORD.size
        self._places[process] = place


def open_gate(folder: Path) -> None:
    """Let the processes of a run begin."""
    (folder / GATE).touch()
