"""The rules about lines with modes, and about freezes, on top of those about sessions, locks and time."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coordinator.model.terms import Terms
from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.property.machine import RESOURCES, TERMS, EngineMachine, which
from tests.support.model_modes import ModedModel

MODES = ("", "oldest_first", "newest_first", "newest_ready_first", "unordered")
HOUR_MS = 3_600_000

resources = st.sampled_from(RESOURCES)
modes = st.sampled_from(MODES)


class ModeMachine(EngineMachine):
    """Locks alone, on resources whose lines are put into other orders while somebody waits there."""

    # Whom a full line pushes out goes by priority in every mode; that is shown elsewhere.
    terms: ClassVar[Terms] = replace(TERMS, shedding=0, max_line=100)

    def modelled(self, us: int) -> ModedModel:
        self.moded = ModedModel(self.terms, us)
        return self.moded

    def deed(self) -> Deed:
        return Deed("op", "so it must be", self.new("c"))

    @rule(orders=st.dictionaries(resources, modes, min_size=1))
    def order(self, orders: dict[str, str]) -> None:
        for resource, mode in orders.items():
            name = self.names_of[resource]
            call = calls.define(self.scope, name, self.deed(), {"mode": mode})
            self.step(call, lambda name=name, mode=mode: self.moded.order(name, mode))

    @rule(resource=resources)
    @precondition(lambda self: len(self.moded.frozen) < 2)  # or nothing moves any more
    def freeze(self, resource: str) -> None:
        """For longer than any run lasts."""
        name = self.names_of[resource]
        self.step(calls.freeze(self.scope, name, HOUR_MS, self.deed()), lambda: self.moded.freeze(name))

    @rule(n=which)
    @precondition(lambda self: self.moded.frozen)
    def thaw(self, n: int) -> None:
        name = sorted(self.moded.frozen)[n % len(self.moded.frozen)]
        self.step(calls.thaw(self.scope, name, self.deed()), lambda: self.moded.thaw(name))
        self.repeatable = None  # a repeated one finds nothing frozen, and the client knows that
