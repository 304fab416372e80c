"""The child processes of the demonstration: started with a log each, watched, and ended by their own ids."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[1]
STOP_SECONDS = 20.0
SHOWN_LINES = 8


class ChildError(Exception):
    """A child process ended with an error, or did not do its part in time."""


class Children:
    """The processes this one has started. Leaving the context ends those that still run."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Run `python <arguments>` from the checkout; its output goes to `<name>.log`."""
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the parent, which then ends them in order
            )

    def unfinished(self, prefix: str) -> list[str]:
        """Names of those that still run. Raises ChildError for one that ended with an error."""
        still = []
        for name, process in self._running.items():
            if name.startswith(prefix):
                status = process.poll()
                if status is None:
                    still.append(name)
                elif status != 0:
                    raise ChildError(f"{name} ended with status {status}; the end of its log:\n{self.tail(name)}")
        return still

    def stop(self) -> None:
        """Ask those that still run to end, wait for them, and kill what does not listen."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def tail(self, name: str) -> str:
        """The last lines of a child's log."""
        lines = self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-SHOWN_LINES:]) or "  (empty)"

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
