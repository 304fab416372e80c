"""The life of a request, in one table.

Everything about states lives here: the Lua guard (`render`), the diagram of the README (`mermaid`), the labels of the
metrics, and the tests that try every pair. A lock request goes `waiting -> held -> released | lost`; a job goes
`scheduled -> waiting -> ready -> running` and ends in one of the final states; `failed` and `dead` jobs can be
replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from coordinator.errors import IllegalTransition


class State(StrEnum):
    """Where a request is in its life. `NEW` is only the starting point of the table; it is never stored."""

    NEW = "new"
    SCHEDULED = "scheduled"
    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    HELD = "held"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SHED = "shed"
    RELEASED = "released"
    LOST = "lost"

    @property
    def final(self) -> bool:
        """Whether the request is over."""
        return self in FINAL


class Event(StrEnum):
    """What can happen to a request."""

    ASK = "ask"  # it arrives
    DELAY = "delay"  # it arrives, to be queued later
    DUE = "due"  # its delay is over
    OFFER = "offer"  # a job is at the front of all its lines
    WITHDRAW = "withdraw"  # a more urgent request came before it was claimed
    GATE = "gate"  # a breaker or a limit that it has to pass is closed; the next offer comes when it opens
    CLAIM = "claim"  # a worker takes it, with its resources
    AGAIN = "again"  # a retry at once, keeping lease and resources
    RETRY = "retry"  # a retry later
    SNOOZE = "snooze"  # later, without counting an attempt
    GIVE_BACK = "give_back"  # handed back, not counted
    CRASH = "crash"  # its worker died or its clock ran out
    SUCCEED = "succeed"
    FAIL = "fail"
    BURY = "bury"  # it took down too many workers
    REPLAY = "replay"  # an operator queues it again
    GRANT = "grant"  # a lock request gets all it needs
    RELEASE = "release"
    LOSE = "lose"  # the holder died, its lease ended, or it was forced
    CANCEL = "cancel"
    EXPIRE = "expire"  # its wait or its deadline ran out
    SHED = "shed"  # refused under load


FINAL = frozenset(
    {
        State.SUCCEEDED,
        State.FAILED,
        State.DEAD,
        State.CANCELLED,
        State.EXPIRED,
        State.SHED,
        State.RELEASED,
        State.LOST,
    }
)

TRANSITIONS: Mapping[State, Mapping[Event, State]] = {
    State.NEW: {Event.ASK: State.WAITING, Event.DELAY: State.SCHEDULED},
    State.SCHEDULED: {
        Event.DUE: State.WAITING,
        Event.CANCEL: State.CANCELLED,
        Event.EXPIRE: State.EXPIRED,
        Event.SHED: State.SHED,
    },
    State.WAITING: {
        Event.OFFER: State.READY,
        Event.GRANT: State.HELD,
        Event.CANCEL: State.CANCELLED,
        Event.EXPIRE: State.EXPIRED,
        Event.SHED: State.SHED,
    },
    State.READY: {
        Event.WITHDRAW: State.WAITING,
        Event.GATE: State.WAITING,
        Event.CLAIM: State.RUNNING,
        Event.CANCEL: State.CANCELLED,
        Event.EXPIRE: State.EXPIRED,
        Event.SHED: State.SHED,
    },
    State.RUNNING: {
        Event.AGAIN: State.RUNNING,
        Event.RETRY: State.SCHEDULED,
        Event.SNOOZE: State.SCHEDULED,
        Event.GIVE_BACK: State.WAITING,
        Event.CRASH: State.WAITING,
        Event.SUCCEED: State.SUCCEEDED,
        Event.FAIL: State.FAILED,
        Event.BURY: State.DEAD,
        Event.CANCEL: State.CANCELLED,
        Event.EXPIRE: State.EXPIRED,
    },
    State.HELD: {Event.RELEASE: State.RELEASED, Event.LOSE: State.LOST},
    State.FAILED: {Event.REPLAY: State.WAITING},
    State.DEAD: {Event.REPLAY: State.WAITING},
}


def advance(state: State, event: Event) -> State:
    """The state after an event. Raises IllegalTransition."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(state, event) from None


def render() -> str:
    """The table as a Lua function `next_state(state, event)`, nil for an illegal pair.

    Nested comparisons rather than a table: a table would be built anew in every call of every script.
    """
    lines = ["local function next_state(state, event)"]
    for state, moves in TRANSITIONS.items():
        lines.append(f"  if state == '{state}' then")
        lines += [f"    if event == '{event}' then return '{to}' end" for event, to in moves.items()]
        lines.append("    return nil")
        lines.append("  end")
    lines.append("end")
    return "\n".join(lines)


def render_lives() -> str:
    """The table as a Lua function `life_of(state)`: `live`, `final`, or nil for a word that is no state."""
    lines = ["local function life_of(state)"]
    for life, states in (("final", FINAL), ("live", set(State) - FINAL - {State.NEW})):
        either = " or ".join(f"state == '{state}'" for state in sorted(states))
        lines.append(f"  if {either} then return '{life}' end")
    lines.append("end")
    return "\n".join(lines)


def mermaid() -> str:
    """The table as a mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for state, moves in TRANSITIONS.items():
        source = "[*]" if state is State.NEW else state
        lines += [f"    {source} --> {to}: {event}" for event, to in moves.items()]
    lines += [f"    {state} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines)
