"""What a granted request has, and what can be said about one that waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from coordinator.model.definition import BY_PRIORITY
from coordinator.model.names import Priority
from coordinator.model.need import Need
from coordinator.model.states import State


class Grant(NamedTuple):
    """A granted lock request. `fence` is above that of every earlier grant; `trusted_until` is on our own clock. It is
    held under `session`, and ends with that."""

    ident: str
    fence: int
    trusted_until: float
    session: str = ""


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """What a process knows of a lock that it holds, without asking anybody.

    `since` and `until` are epoch seconds by the clock of this process: when it learnt of the grant, and how long it may
    trust the lease as things stand. Heartbeats move `until` on, as far as the lease itself goes.
    """

    ident: str
    needs: tuple[Need, ...]
    fence: int
    owner: str
    reason: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Person:
    """Another request as people see it: who, since when (epoch seconds), why, and whether its process is alive.

    `mode` and `permits` are those it holds or waits for; `exclusive` has so many permits, beside others where there are
    more. A holder also has its `fence`, and until when its lease lasts unless it is renewed. `resource` names
    what it holds or waits for if that is a subtree around the resource asked about, or lies in the subtree.
    """

    ident: str
    kind: str
    state: str
    priority: Priority
    since: float | None
    session: str
    live: bool
    owner: str
    reason: str
    queue: str
    name: str
    mode: str = ""
    permits: int = 0
    until: float | None = None
    fence: int | None = None
    resource: str = ""


@dataclass(frozen=True, slots=True)
class FrozenView:
    """What keeps a resource from being granted: the `pattern` that covers it, until when (epoch seconds), and why."""

    pattern: str
    until: float
    by: str
    reason: str


class Crowd(NamedTuple):
    """Some next to each other in a line who ask for the same, and how `many` they are."""

    mode: str
    permits: int
    many: int


@dataclass(frozen=True, slots=True)
class NeedView:
    """How one need of a request stands. `place` counts from 0 at the head of the line; None once it is held. `frozen`
    is set if the resource is granted to nobody now, whoever holds it; `order` is the mode of the line. `unnamed`: what
    those ask for who stand before it and are not among `ahead`, as far as they were looked at."""

    need: Need
    capacity: int
    place: int | None
    line_length: int
    holders: tuple[Person, ...]
    ahead: tuple[Person, ...]
    frozen: FrozenView | None = None
    order: str = BY_PRIORITY
    unnamed: tuple[Crowd, ...] = ()


@dataclass(frozen=True, slots=True)
class GateView:
    """A gate that a job waits at: its `kind` is `breaker`, `rate` or `adaptive`, and `fields` are what it remembers.

    `place` counts from 0 among the `waiting` jobs of the queue; `until` is when it opens or is looked at next.
    """

    kind: str
    name: str
    place: int | None
    waiting: int
    since: float | None
    until: float | None
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class ShareView:
    """A queue that is shared by weights, from EMERGENCY to LOW.

    `place` counts from 0 among the `ready` jobs of the same priority; None as long as it is not among them yet.
    """

    weights: tuple[int, ...]
    place: int | None
    ready: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one request at one moment. `at` and all times are epoch seconds by the server's clock.

    `due`: when a scheduled job goes to its queue. `gate`: the breaker or limit that it waits at. `share`:
    how its queue is shared, if it is by weights. `on_offer`: how many jobs of the queue of a ready job are claimed by
    workers that cannot begin them.
    """

    ident: str
    kind: str
    state: State
    priority: Priority
    at: float
    asked: float
    owner: str
    reason: str
    metadata: dict[str, Any]
    fields: dict[str, str]
    needs: tuple[NeedView, ...]
    queue_place: int | None = None
    queue_length: int | None = None
    idle_workers: int | None = None
    due: float | None = None
    gate: GateView | None = None
    share: ShareView | None = None
    on_offer: int | None = None

    @property
    def stolen_from(self) -> tuple[int, str] | None:
        """The fence of the newest lease that was taken over from another worker, and the session of that one."""
        fence, _, session = self.fields.get("stolen", "").partition(" ")
        return (int(fence), session) if fence.isdecimal() and session else None


@dataclass(frozen=True, slots=True)
class Expected:
    """How long a request will probably wait from now on, in seconds: in half of all cases no longer than `p50`, in nine
    of ten than `p90`. `samples`: how many holds of the last 24 hours that is known from; of few it is a guess."""

    p50: float
    p90: float
    samples: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where a request stands. `place` 0 is the head of the line that it is furthest back in; None: it does not wait.

    `blockers` are those it waits for: the holders of what it needs, and whoever stands before it. `expected` is how
    long it will probably wait in its lines; None where nothing is known. `frozen`: the freezes and delays that keep it
    from what it needs, whoever holds that: which, until when, by whom and why.
    """

    ident: str
    state: State
    place: int | None
    line_length: int
    blockers: tuple[Person, ...] = field(default=())
    expected: Expected | None = None
    frozen: tuple[FrozenView, ...] = ()
