"""A power cut, as far as files can tell: the server is killed, and what was not synced to disk is gone.

Killing a server alone loses nothing that it had written, for the kernel still has it; so that says nothing about
durability.
"""

from __future__ import annotations

import os
from pathlib import Path

from chaos.faults.node import Node
from chaos.faults.shim import library

# A rewrite of the append-only file would move synced bytes to another name in the middle of a run.
LINES = ("appendonly yes", "auto-aof-rewrite-percentage 0")


class Mains:
    """Notes what a server has synced, and cuts its power."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "synced"
        self._log.write_bytes(b"")

    @property
    def environment(self) -> dict[str, str]:
        """What the server's environment needs. Raises Unavailable."""
        return {"LD_PRELOAD": str(library("power")), "CHAOS_SYNCED": str(self._log)}

    def cut(self, node: Node) -> int:
        """Kill the server and take away what it had not synced; how many bytes that was."""
        node.kill()
        synced = self._synced()
        lost = 0
        for path in node.folder.glob("appendonlydir/*.incr.aof"):
            size = path.stat().st_size
            safe = min(size, synced.get(str(path), 0))
            os.truncate(path, safe)
            lost += size - safe
        return lost

    def _synced(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for line in self._log.read_text(encoding="utf-8").splitlines():
            size, _, path = line.partition(" ")
            found[path] = int(size)
        return found
