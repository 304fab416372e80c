"""Lines with an order of their own, and freezes, in plain Python: the part of the model about `define` and `freeze`.

Where lines have different orders there is no one order in which grants come, so this model takes it from the engine:
each grant that was made must have been right when it was made, and afterwards there must be none left to make.
"""

from __future__ import annotations

from coordinator.model.terms import Terms
from tests.support.model import QUEUED, Ask, Request, fits, overlap
from tests.support.model_calls import Answer, Model

# Who does not fit keeps nobody behind waiting.
LOOSE = ("newest_ready_first", "unordered")


class ModedModel(Model):
    """The engine, for locks on resources whose lines have modes (`""`: by priority)."""

    def __init__(self, terms: Terms, us: int) -> None:
        super().__init__(terms, us)
        self.modes: dict[str, str] = {}
        self.frozen: set[str] = set()

    # --- calls

    def order(self, resource: str, mode: str) -> Answer:
        self.modes[resource] = mode
        self.admit()
        return self.defined(resource)

    def freeze(self, pattern: str) -> Answer:
        self.frozen.add(pattern)
        self.admit()
        return ("ok",)

    def thaw(self, pattern: str) -> Answer:
        if pattern not in self.frozen:
            return ("not_frozen",)
        self.frozen.discard(pattern)
        self.admit()
        return ("ok",)

    def defined(self, resource: str) -> Answer:
        mode = self.modes.get(resource)
        return *super().defined(resource), *([("mode", mode)] if mode else [])

    # --- order

    def stand(self, r: Request, resource: str) -> tuple[int, str]:
        """What the order of a line goes by."""
        mode = self.modes.get(resource)
        if not mode:
            return self.rank(r)
        return -r.stamp if mode.startswith("newest") else r.stamp, r.ident

    def line(self, resource: str) -> list[Request]:
        waiting = (r for r in self.requests.values() if r.state in QUEUED and resource in r.needs)
        return sorted(waiting, key=lambda r: self.stand(r, resource))

    def at_front(self, r: Request, past_lapsed: bool) -> bool:
        return all(self._reaches(r, resource, ask, past_lapsed) for resource, ask in r.needs.items())

    def _reaches(self, r: Request, resource: str, ask: Ask, past_lapsed: bool) -> bool:
        if any(pattern == resource or overlap(pattern, resource) for pattern in self.frozen):
            return False
        capacity = self.capacity.get(resource, 1)
        taken = [holder.needs[resource] for holder in self.holders(resource)]
        for other in self.line(resource):
            if self.stand(other, resource) >= self.stand(r, resource):
                break
            if past_lapsed and self.lapsed(other):
                continue
            if not self._passed_over(other, resource, fits(taken, other.needs[resource], capacity)):
                return False
        return fits(taken, ask, capacity) and not self.entangled(r, resource, ask, past_lapsed)

    def _passed_over(self, other: Request, resource: str, fit: bool) -> bool:
        """Nobody waits for one that needs more than this, or that only a subtree keeps out, in an order of its own."""
        mode = self.modes.get(resource)
        return bool(mode) and (len(other.needs) > 1 or fit or mode in LOOSE)

    def entangled(self, r: Request, resource: str, ask: Ask, past_lapsed: bool) -> bool:
        """As without modes; but nobody above or below waits for those in a line with an order of its own."""
        for other in self.requests.values():
            near = {name: their for name, their in other.needs.items() if overlap(resource, name)}
            if other is r or other.state not in (*QUEUED, "held"):
                continue
            if other.state in QUEUED:
                near = {name: their for name, their in near.items() if not self.modes.get(name)}
                if self.rank(other) > self.rank(r) or (past_lapsed and self.lapsed(other)):
                    continue
            if any(not ask.mode == their.mode == "s" for their in near.values()):
                return True
        return False

    def admit(self, asking: str = "") -> None:
        """Grant what can be, in the order in which the engine did."""
        while True:
            now = [r for r in self.requests.values() if r.state in QUEUED and not self.lapsed(r) and self.its_turn(r)]
            if not now:
                return
            first = min(now, key=self._granted_as)
            self.activate(first, "held", self.now + first.hold_ms)
            if first.ident != asking:
                self.send(first.session, f"granted {first.ident} {first.fence} {first.hold_ms}")

    def _granted_as(self, r: Request) -> tuple[bool, int]:
        fact = self.facts.get(r.ident)
        return fact is None or fact.fence <= self.newest_fence, fact.fence if fact else 0
