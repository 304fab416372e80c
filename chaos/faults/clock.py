"""A server whose wall clock can be stepped while it runs. Its monotonic clock goes on as it is."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from chaos.faults.shim import library


class WallClock:
    """The offset of a server's wall clock, kept in a file that the server has mapped: a step is seen at once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "clock-offset"
        self._path.write_bytes(bytes(8))
        with self._path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)
        self.offset = 0.0

    @property
    def environment(self) -> dict[str, str]:
        """What the server's environment needs. Raises Unavailable."""
        return {"LD_PRELOAD": str(library("clock")), "CHAOS_CLOCK": str(self._path)}

    def set(self, seconds: float) -> None:
        """Set the offset against the true time."""
        self.offset = seconds
        self._map[:] = struct.pack("=q", round(seconds * 1_000_000))

    def step(self, seconds: float) -> None:
        """Step forward, or back."""
        self.set(self.offset + seconds)
