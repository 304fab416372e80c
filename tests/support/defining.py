"""Says how resources are granted, as an operator does."""

from __future__ import annotations

from typing import Any

from coordinator.model.definition import Definition
from coordinator.wire import calls, replies
from coordinator.wire.calls import Deed
from tests.support.engine import Engine


class Defining:
    """Defines things, each call under an id of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.count = engine, 0

    def __call__(self, resource: str, **terms: Any) -> Definition:
        self.count += 1
        return self.again(resource, **terms)

    def again(self, resource: str, **terms: Any) -> Definition:
        """The same call once more."""
        words = {name: "" if value == "priority" else value for name, value in terms.items()}
        deed = Deed("ann", "so it must be", f"define {self.count}")
        reply = self.engine.call(calls.define(self.engine.scope, resource, deed, words))
        assert reply[0] == "ok"
        return Definition.of(replies.fields(reply[1:]))
