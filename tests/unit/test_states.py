"""The table of states and what is rendered from it."""

import pytest

from coordinator.errors import IllegalTransition
from coordinator.model.states import FINAL, TRANSITIONS, Event, State, advance, mermaid, render


@pytest.mark.parametrize("state", State)
def test_every_pair_moves_as_listed_or_is_illegal(state: State) -> None:
    for event in Event:
        to = TRANSITIONS.get(state, {}).get(event)
        if to is None:
            with pytest.raises(IllegalTransition) as caught:
                advance(state, event)
            assert (caught.value.state, caught.value.event) == (state, event)
        else:
            assert advance(state, event) is to


def test_a_job_and_a_lock_can_live_their_lives() -> None:
    job = [
        Event.DELAY,
        Event.DUE,
        Event.OFFER,
        Event.CLAIM,
        Event.RETRY,
        Event.DUE,
        Event.OFFER,
        Event.CLAIM,
        Event.FAIL,
    ]
    lock = [Event.ASK, Event.GRANT, Event.RELEASE]
    for events, end in ((job, State.FAILED), (lock, State.RELEASED)):
        state = State.NEW
        for event in events:
            state = advance(state, event)
        assert state is end
        assert state.final


def test_nothing_leads_back_to_new() -> None:
    assert State.NEW not in {to for moves in TRANSITIONS.values() for to in moves.values()}
    assert not State.NEW.final


def test_the_lua_and_the_diagram_have_every_move() -> None:
    lua, diagram = render(), mermaid()
    moves = [(state, event, to) for state, all_of in TRANSITIONS.items() for event, to in all_of.items()]
    assert lua.count(" then return '") == len(moves)
    for state, event, to in moves:
        assert f"'{event}' then return '{to}'" in lua
        assert f"    {'[*]' if state is State.NEW else state} --> {to}: {event}" in diagram
    assert all(f"    {state} --> [*]" in diagram for state in FINAL)
