"""How all processes of a storm begin at the same time, however long each takes to start: they say that they are ready,
and wait to be told when."""

from __future__ import annotations

import time
from pathlib import Path

PAUSE = 0.02
_START = "start"


def ready(folder: Path, process: str) -> None:
    """Say so."""
    (folder / f"{process}.ready").touch()


def all_ready(folder: Path, processes: int) -> bool:
    """Whether so many have said so."""
    return len(list(folder.glob("*.ready"))) >= processes


def rise(folder: Path, start: float) -> None:
    """Tell everybody when it begins, in epoch seconds."""
    draft = folder / "start.draft"
    draft.write_text(repr(start), encoding="ascii")
    draft.rename(folder / _START)


def await_start(folder: Path) -> float:
    """Wait to be told. Returns when it begins, in epoch seconds."""
    while not (folder / _START).exists():
        time.sleep(PAUSE)
    return float((folder / _START).read_text(encoding="ascii"))
