"""Every pair of a state and an event, on a real Redis: what is listed moves, all else is an error and no write."""

from __future__ import annotations

from functools import cache

import pytest
import redis

from coordinator import keys
from coordinator.model.states import FINAL, TRANSITIONS, Event, State, advance
from coordinator.wire import loader
from tests.support.engine import TERMS, census

SCRIPT = """--@include lib/move
local ctx = open(KEYS[1], ARGV[1])
local r = { id = 'r', kind = 'lock', state = ARGV[2], needs = '1' }
move(ctx, r, ARGV[3])
return r.state
"""


@cache
def program() -> str:
    """A few lines that ask for one move, with `lib/move` and all it includes."""
    return loader.resolve("matrix", replace={"matrix": SCRIPT})


@pytest.mark.parametrize("state", State)
def test_listed_pairs_move_and_all_others_change_nothing(raw: redis.Redis, namespace: str, state: State) -> None:
    meta, record = keys.key(namespace, "META"), keys.key(namespace, "REQ", "r")
    for event in Event:
        raw.delete(keys.key(namespace, "EVENTS"))
        raw.hset(record, "state", state)
        before = census(raw, namespace)
        to = TRANSITIONS.get(state, {}).get(event)
        if to is None:
            with pytest.raises(redis.ResponseError, match=f"illegal transition: {state} {event}"):
                raw.eval(program(), 1, meta, TERMS.text, state, event)
            assert census(raw, namespace) == before
        else:
            assert raw.eval(program(), 1, meta, TERMS.text, state, event) == to.encode()
            assert raw.hget(record, "state") == to.encode()
            assert advance(state, event) is to


def test_the_states_that_are_final_are_those_without_a_way_on_but_a_replay() -> None:
    for state in State:
        moves = set(TRANSITIONS.get(state, {}))
        assert (moves <= {Event.REPLAY}) == (state in FINAL), state


def test_every_state_is_reached_and_every_event_happens() -> None:
    assert {to for moves in TRANSITIONS.values() for to in moves.values()} | {State.NEW} == set(State)
    assert {event for moves in TRANSITIONS.values() for event in moves} == set(Event)
