"""What operators do to holders and lines, in plain Python: the part of the model about places that are given by hand.

Numbers are the engine's, as fences are: when a request arrived, and the place that somebody was given. What such a
number has to say is judged here: who was put in front stands before all others in all its lines, and nobody who was
favoured stands further back than before.
"""

from __future__ import annotations

from typing import NamedTuple

from coordinator.model.terms import Terms
from tests.support.model import ACTIVE, QUEUED, Request, overlap
from tests.support.model_calls import Answer, Model


class Entry(NamedTuple):
    """One line of the audit, as far as it is known before; the fence after is the engine's."""

    verb: str
    ident: str
    to: str
    fence_before: int


class VerbModel(Model):
    """The engine, with `force`, `transfer`, `steal`, `hand_over` and `reorder`."""

    def __init__(self, terms: Terms, us: int) -> None:
        super().__init__(terms, us)
        self.places: dict[str, int] = {}
        self.record: list[Entry] = []
        self.done: dict[tuple[str, str], str] = {}  # which call did what to whom last

    # --- order

    def draw(self) -> int:
        self.tick = max(self.tick, self.newest_fence, *(fact.stamp for fact in self.facts.values()), 0)
        return super().draw()

    def rank(self, r: Request) -> tuple[int, str]:
        place = self.places.get(r.ident)
        if place is not None:
            return place, r.ident
        fact = self.facts.get(r.ident)
        arrived = fact.stamp if fact and fact.stamp else r.stamp
        return arrived + (4 - r.priority) * self.terms.aging_us, r.ident

    def enqueue(self, r: Request) -> None:
        """Who arrives anew after a delay has no place of its own any more."""
        if r.state == "scheduled":
            self.places.pop(r.ident, None)
        super().enqueue(r)

    def beside(self, r: Request, around: bool) -> list[Request]:
        """Whoever else stands in one of its lines, or `around` above or below them, or in its queue if it needs
        nothing."""
        others = (one for one in self.requests.values() if one is not r and one.state in QUEUED)
        if r.needs:
            near = self.follows if around else lambda r, one: not r.needs.keys().isdisjoint(one.needs)
            return [one for one in others if near(r, one)]
        return [one for one in others if one.queue == r.queue and one.state == r.state]

    def put(self, r: Request, front: bool = True, before: Request | None = None) -> None:
        """Give it the place that the engine has given it, which has to be in front, or at the back, of all."""
        place, was = self.facts[r.ident].rank, self.rank(r)[0]
        assert place is not None, f"{r.ident} has been given no place"
        others = [self.rank(one)[0] for one in self.beside(r, front)]
        if front:
            assert place <= was, f"{r.ident} was put in front, and so further back than it was"
            assert place < min(others, default=place + 1), f"{r.ident} is not in front"
            assert before is None or place < self.rank(before)[0], f"{r.ident} is behind the one it was preferred to"
        else:
            assert place >= was, f"{r.ident} was put behind all, and so further in front than it was"
            assert place > max(others, default=place - 1), f"{r.ident} is not at the back"
        self.places[r.ident] = place

    def reprioritise(self, ident: str, priority: int) -> Answer:
        r = self.requests.get(ident)
        if r and r.state in (*QUEUED, "scheduled"):
            self.places.pop(ident, None)
        return super().reprioritise(ident, priority)

    def replay(self, ident: str, call_id: str) -> Answer:
        answer = super().replay(ident, call_id)
        if answer == ("ok",):
            self.places.pop(ident, None)
        return answer

    # --- verbs

    def force(self, ident: str, fence: str, call_id: str) -> Answer:
        r = self.requests.get(ident)
        before = r.fence if r else 0
        news = r is not None and r.forced != call_id
        answer = super().force(ident, fence, call_id)
        if answer == ("ok",) and news:
            self.record.append(Entry("force", ident, "", before))
        return answer

    def follows(self, r: Request, heir: Request | None) -> bool:
        """Whether one that waits wants something of what the other has, or something above or below that."""
        return (
            heir is not None
            and heir.state in QUEUED
            and any(one == other or overlap(one, other) for one in r.needs for other in heir.needs)
        )

    def transfer(self, ident: str, fence: str, to: str, call_id: str, verb: str) -> Answer:
        r, heir = self.requests.get(ident), self.requests.get(to)
        if not r:
            return ("gone",)
        if r.forced == call_id:
            return "ok", heir.state if heir else ""
        if r.state not in ACTIVE or fence not in ("", str(r.fence)):
            return "refused", r.state
        if not self.follows(r, heir):
            return "unfit", heir.state if heir else ""
        assert heir is not None
        if self.lapsed(heir):
            return "unfit", "lapsed"
        self.record.append(Entry(verb, ident, to, r.fence))
        r.forced = call_id
        self.put(heir, before=r)
        self.take_back(r, crash=False)
        return self.handed_on(heir)

    def hand_over(self, ident: str, fence: int, to: str, call_id: str) -> Answer:
        r, heir = self.requests.get(ident), self.requests.get(to)
        if not r or r.kind != "lock":
            return ("gone",)
        if r.fence == fence and r.state == "released" and self.done.get(("hand_over", ident)) == call_id:
            return "ok", heir.state if heir else ""
        if r.fence != fence or r.state != "held":
            return "lost", r.state
        if not self.follows(r, heir):
            return "unfit", heir.state if heir else ""
        assert heir is not None
        if self.lapsed(heir):
            return "unfit", "lapsed"
        self.record.append(Entry("hand_over", ident, to, fence))
        self.done["hand_over", ident] = call_id
        self.put(heir)
        self.finish(r, "released")
        return self.handed_on(heir)

    def handed_on(self, heir: Request) -> Answer:
        """What it is granted; its own time may have been over meanwhile."""
        self.follow()
        self.admit()
        return "ok", heir.state

    def reorder(self, ident: str, place: str, call_id: str) -> Answer:
        r = self.requests.get(ident)
        if not r:
            return "gone", ident
        if self.done.get(("reorder", ident)) == call_id:
            return "ok", r.state
        if r.state not in QUEUED:
            return "refused", r.state
        self.record.append(Entry("reorder", ident, "", 0))
        self.done["reorder", ident] = call_id
        self.put(r, front=place == "front")
        return self.handed_on(r)
