"""What the engine should do, in plain Python: the requests, their order, and who gets what when.

This is the oracle of the property tests. It knows no Redis and no scripts: a list of requests, from which lines,
holders and queues are computed whenever they are asked for. It is strict about what calls do and lenient in one point
only: what time permits (a lapsed lease, a wait that ran out, a delay that is over) may be carried out by any later
script and must have been carried out after a sweep. `follow` therefore looks at what the engine did, and does the same
if time allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from coordinator.model.names import SUBTREE, in_subtree
from coordinator.model.terms import Terms

QUEUED = ("waiting", "ready")
ACTIVE = ("held", "running")
REPLAYABLE = ("failed", "dead")


class Ask(NamedTuple):
    """How a resource is needed: `x` exclusively with so many permits, or `s` shared."""

    mode: str
    permits: int


class Fact(NamedTuple):
    """What the engine says of a request after a step. `rank`: the place that it was given by hand."""

    state: str
    fence: int
    crashes: int
    stamp: int = 0
    rank: int | None = None


Facts = Mapping[str, Fact]


@dataclass
class Request:
    """One ask. Times are ms; None: no such limit."""

    ident: str
    kind: str
    needs: dict[str, Ask]
    priority: int
    stamp: int
    state: str = "waiting"
    session: str = ""
    fence: int = 0
    wait_by: int | None = None
    end_by: int | None = None
    ends: int | None = None  # when the lease of an active one ends
    hold_ms: int = 0
    # of jobs only
    queue: str = ""
    payload: bytes | None = None
    run_ms: int | None = None
    due: int = 0
    dedup: str = ""
    scope: str = ""
    rerun: bool = False
    cancelled: bool = False
    started: bool = False
    attempts: int = 0
    deliveries: int = 0
    crashes: int = 0
    unsure: bool = False  # a worker died that had it, and nobody knows whether it had begun
    settled: int | None = None  # the fence of the last report that counted
    resumed: int | None = None  # the fence that a retry at once was given
    replayed: str = ""
    forced: str = ""
    watchers: set[str] = field(default_factory=set)


def fits(taken: list[Ask], ask: Ask, capacity: int) -> bool:
    """Shared goes with shared; exclusive goes with exclusive as long as there are permits. What was asked for
    when there were more takes all there are."""
    if any(other.mode != ask.mode for other in taken):
        return False
    return ask.mode == "s" or sum(other.permits for other in taken) + min(ask.permits, capacity) <= capacity


def overlap(one: str, other: str) -> bool:
    """Whether one of two resources is a subtree and the other lies in it, or is a subtree around it."""
    return one != other and any(a.endswith(SUBTREE) and in_subtree(b, a) for a, b in ((one, other), (other, one)))


class World:
    """All requests of a namespace, and what follows from them."""

    def __init__(self, terms: Terms, us: int) -> None:
        self.terms, self.us, self.tick = terms, us, 0
        self.newest_fence = 0
        self.requests: dict[str, Request] = {}
        self.sessions: dict[str, int] = {}
        self.inbox: dict[str, list[str]] = {}
        self.capacity: dict[str, int] = {}
        self.dedup: dict[str, tuple[str, int | None]] = {}
        self.facts: Facts = {}
        self.took_back = False  # whether `follow` found anything in this step

    # --- time, sessions, order

    @property
    def now(self) -> int:
        return self.us // 1000

    def draw(self) -> int:
        """A number above all before, never behind the clock."""
        self.tick = max(self.tick + 1, self.us)
        return self.tick

    def live(self, session: str) -> bool:
        return self.sessions.get(session, 0) > self.now

    def renew(self, session: str) -> None:
        self.sessions[session] = self.now + self.terms.session_ms

    def refresh(self, session: str) -> None:
        if self.sessions.get(session, 0) <= self.now + 0.9 * self.terms.session_ms:
            self.renew(session)

    def send(self, session: str, message: str) -> None:
        if session in self.sessions:
            self.inbox[session].append(message)

    def rank(self, r: Request) -> tuple[int, str]:
        """Smaller is nearer the head: arrival, plus one aging period per level below the most urgent."""
        return r.stamp + (4 - r.priority) * self.terms.aging_us, r.ident

    def ranked(self, wanted: Callable[[Request], bool]) -> list[Request]:
        return sorted((r for r in self.requests.values() if wanted(r)), key=self.rank)

    def line(self, resource: str) -> list[Request]:
        return self.ranked(lambda r: r.state in QUEUED and resource in r.needs)

    def holders(self, resource: str) -> list[Request]:
        return [r for r in self.requests.values() if r.state in ACTIVE and resource in r.needs]

    def ready(self, queues: Iterable[str]) -> list[Request]:
        return self.ranked(lambda r: r.state == "ready" and r.queue in queues)

    # --- admission

    def at_front(self, r: Request, past_lapsed: bool) -> bool:
        """Whether everybody before `r`, on each of its lines, has been offered the resource, and all fit together."""
        for resource, ask in r.needs.items():
            capacity = self.capacity.get(resource, 1)
            taken = [holder.needs[resource] for holder in self.holders(resource)]
            for other in self.line(resource):
                if self.rank(other) >= self.rank(r):
                    break
                if past_lapsed and self.lapsed(other):
                    continue
                if other.state != "ready" or not fits(taken, other.needs[resource], capacity):
                    return False
                taken.append(other.needs[resource])
            if not fits(taken, ask, capacity) or self.entangled(r, resource, ask, past_lapsed):
                return False
        return True

    def entangled(self, r: Request, resource: str, ask: Ask, past_lapsed: bool) -> bool:
        """Whether somebody holds, or wants before `r`, what lies in the subtree or around it, and both do not share."""
        for other in self.requests.values():
            near = [their for name, their in other.needs.items() if overlap(resource, name)]
            if other is r or all(ask.mode == their.mode == "s" for their in near):
                continue
            if other.state in ACTIVE:
                return True
            if other.state in QUEUED and self.rank(other) < self.rank(r) and not (past_lapsed and self.lapsed(other)):
                return True
        return False

    def its_turn(self, r: Request) -> bool:
        """At the front; or so without lapsed waiters, which the engine may have passed over or not looked at yet."""
        had = self.facts.get(r.ident)
        return self.at_front(r, False) or (
            had is not None and had.state not in ("waiting", "cancelled") and self.at_front(r, True)
        )

    def admit(self, asking: str = "") -> None:
        """Grant and offer what can be, in order of rank. One pass is enough: a request depends on better ones only."""
        for r in self.ranked(lambda r: r.state in QUEUED and bool(r.needs)):
            if r.state not in QUEUED:
                continue
            if self.lapsed(r):
                had = self.facts.get(r.ident)
                r.state = had.state if had and had.state in QUEUED else r.state
            elif r.kind == "job":
                r.state = "ready" if self.its_turn(r) else "waiting"
            elif self.its_turn(r):
                self.activate(r, "held", self.now + r.hold_ms)
                if r.ident != asking:
                    self.send(r.session, f"granted {r.ident} {r.fence} {r.hold_ms}")

    def activate(self, r: Request, state: str, ends: int | None) -> None:
        """Give a lease. The engine chooses its fence, which must be above every fence of the steps before."""
        r.state, r.ends = state, ends
        r.fence = self.facts[r.ident].fence if r.ident in self.facts else -1
        assert r.fence > self.newest_fence, f"{r.ident} was given the old fence {r.fence}"

    # --- what time permits

    def clock(self, r: Request) -> int | None:
        """When time ends what the request is at now."""
        if r.state in ACTIVE:
            return r.ends
        limits = [limit for limit in (r.wait_by, r.end_by) if limit is not None]
        return min(limits, default=None) if r.state in (*QUEUED, "scheduled") else None

    def over(self, limit: int | None) -> bool:
        return limit is not None and limit <= self.now

    def lapsed(self, r: Request) -> bool:
        owned = r.state in ACTIVE or (r.kind == "lock" and r.state == "waiting")
        return self.over(self.clock(r)) or (owned and not self.live(r.session))

    def overdue(self) -> list[str]:
        """What a sweep must not leave behind."""
        return [
            r.ident for r in self.requests.values() if self.lapsed(r) or (r.state == "scheduled" and self.over(r.due))
        ]

    def follow(self, skip: Iterable[str] = ()) -> None:
        """Do what the engine did about lapsed requests, where time allows it."""
        for r in sorted(self.requests.values(), key=lambda r: (r.due, r.ident)):
            fact = self.facts.get(r.ident)
            if fact is None or r.ident in skip:
                continue
            if r.state == "scheduled" and self.over(r.due) and fact.state not in ("scheduled", "cancelled", "expired"):
                r.stamp = self.draw()
                self.enqueue(r)
            # What comes back from a dead worker may be late for its wait at once.
            while self.lapsed(r) and self.was_taken_back(r, fact):
                self.take_back(r)
                self.took_back = True

    def was_taken_back(self, r: Request, fact: Fact) -> bool:
        if r.state == "held":
            return fact.state == "lost"
        if r.state == "running":
            return fact.state != "running" or fact.fence != r.fence
        return fact.state in self.ways_out(r)

    def ways_out(self, r: Request) -> list[str]:
        """How a queued request may end for being late, or for its owner being dead, or both."""
        late = ["expired"] if self.over(self.clock(r)) else []
        return late + (["cancelled"] if r.kind == "lock" and not self.live(r.session) else [])

    def take_back(self, r: Request, crash: bool = True) -> None:
        """A dead session or a clock that ran out, or an operator: what he does is no crash of the job's."""
        if r.state in ACTIVE:
            self.send(r.session, f"lost {r.ident} {r.fence}")
        if r.state == "held":
            self.finish(r, "lost")
        elif self.over(r.end_by):
            self.finish(r, "expired")
        elif r.state == "running":
            begun = r.started and crash
            r.crashes += begun
            if begun and r.crashes + r.unsure >= self.terms.max_crashes and not r.cancelled:
                self.finish(r, "dead")
            else:
                r.unsure = r.unsure or (crash and not r.started)
                self.put_back(r)
        else:
            ways = self.ways_out(r)
            fact = self.facts.get(r.ident)
            self.finish(r, fact.state if fact and fact.state in ways else ways[0])
            if r.kind == "lock" and self.live(r.session):
                self.send(r.session, f"ended {r.ident} {r.state}")

    # --- ways out of a state

    def enqueue(self, r: Request) -> None:
        r.state = "waiting" if r.needs else "ready"

    def put_back(self, r: Request, due: int | None = None) -> None:
        """A job gives up its lease without being over: back to its place, or later to a new one."""
        if r.cancelled or self.superseded(r):
            self.finish(r, "cancelled")
            return
        r.started, r.ends = False, None
        if due is None:
            self.enqueue(r)
        else:
            r.state, r.due = "scheduled", due

    def superseded(self, r: Request) -> bool:
        """Whether newer data waits under the key of a job that runs once more; if not, it has its key back."""
        if not r.rerun:
            return False
        return self.dedup.setdefault(r.dedup, (r.ident, None))[0] != r.ident

    def free_dedup(self, r: Request) -> None:
        if r.dedup and r.scope != "ttl" and self.dedup.get(r.dedup, ("",))[0] == r.ident:
            del self.dedup[r.dedup]

    def finish(self, r: Request, state: str) -> None:
        """The one way a request ends."""
        r.state, r.ends = state, None
        self.free_dedup(r)
        if state not in REPLAYABLE:
            r.payload = None
        for session in r.watchers:
            self.send(session, f"ended {r.ident} {state}")
        r.watchers.clear()
