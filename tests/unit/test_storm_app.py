"""An application in the storm goes on whatever it is told: what is refused is written down."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.errors import Overloaded, QueueFull
from coordinator_demo.storm.app import LONGEST_PAUSE, App
from coordinator_demo.storm.plan import MAIL, Plan


class Full:
    """A coordinator that refuses everything, and the recorder of what was noted."""

    def __init__(self, error: QueueFull) -> None:
        self.error = error
        self.noted: list[tuple[str, dict[str, Any]]] = []

    async def submit(self, *_: Any, **__: Any) -> None:
        raise self.error

    def note(self, kind: str, **fields: Any) -> None:
        self.noted.append((kind, fields))


@pytest.mark.parametrize(
    ("error", "pause"), [(QueueFull("q", 10), LONGEST_PAUSE), (Overloaded("q", 10, 8, 8, 2.5), 2.5)]
)
async def test_what_is_refused_is_written_down(error: QueueFull, pause: float) -> None:
    full = Full(error)
    app = App(full, Plan(0.0, 3.0), 0, full)  # type: ignore[arg-type]
    assert await app._one(MAIL, "q", "low")() == pause
    assert full.noted == [("refused", {"name": MAIL, "priority": "low", "retry_after": error.retry_after})]
