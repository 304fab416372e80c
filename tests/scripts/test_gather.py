"""Latches and barriers, as the script counts."""

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Gathering
from tests.scripts.reach import reaches
from tests.support.engine import Engine

LATCH = Gathering("l", "latch", 2, 60_000)
BARRIER = Gathering("b", "barrier", 3, 60_000)


def gather(
    engine: Engine, thing: Gathering, ident: str = "", act: str = "come", session: str = "", came_in: str = ""
) -> list[object]:
    return engine.call(calls.gather(engine.scope, thing, act, session, ident, came_in))


@reaches("gather", "open", "shut", "session_lost")
def test_a_latch_opens_once_and_for_good(engine: Engine) -> None:
    engine.open("s")
    assert gather(engine, LATCH, act="look", session="s") == ["shut", "0", "0"]
    assert gather(engine, LATCH, "c1") == ["shut", "0", "1"]
    assert gather(engine, LATCH, "c1") == ["shut", "0", "1"]  # the same call once more
    assert engine.inbox("s") == []
    assert gather(engine, LATCH, "c2") == ["open", "0", ""]
    assert engine.inbox("s") == ["ended gather/l open"]
    for ident in ("c1", "c2", "c3"):
        assert gather(engine, LATCH, ident) == ["open", "0", ""]
    assert gather(engine, LATCH, act="look", session="s") == ["open", "0", ""]
    assert gather(engine, LATCH, act="look", session="nobody") == ["session_lost"]


def test_a_barrier_opens_for_all_and_shuts_behind_them(engine: Engine) -> None:
    for session in ("s", "t"):
        engine.open(session)
    for at in range(3):
        first, second, third = (f"{who}{at}" for who in "abc")
        assert gather(engine, BARRIER, first, session="s") == ["shut", str(at), "1"]
        assert gather(engine, BARRIER, second, session="t") == ["shut", str(at), "2"]
        assert gather(engine, BARRIER, third, session="s") == ["open", str(at), "2"]
        # Asked once more, with and without having heard of the round, and when leaving.
        assert gather(engine, BARRIER, first, session="s", came_in=str(at)) == ["open", str(at), "0"]
        assert gather(engine, BARRIER, third, session="s") == ["open", str(at + 1), "2"]
        assert gather(engine, BARRIER, second, "leave") == ["open", str(at + 1), "1"]
        for session in ("s", "t"):
            assert engine.inbox(session) == ["ended gather/b open"]


def test_who_leaves_or_dies_has_not_come(engine: Engine) -> None:
    for session in ("s", "t"):
        engine.open(session)
    gather(engine, BARRIER, "a", session="s")
    gather(engine, BARRIER, "b", session="s")
    assert gather(engine, BARRIER, "b", "leave") == ["shut", "0", "1"]
    gather(engine, BARRIER, "dead", session="t")
    engine.keep_alive(30, "s")
    assert gather(engine, BARRIER, "c", session="s") == ["shut", "0", "2"]
    assert gather(engine, BARRIER, "d", session="s") == ["open", "0", "2"]
    assert [gather(engine, BARRIER, one, session="s", came_in="0") for one in ("a", "c")] == [
        ["open", "0", "0"],
        ["open", "0", "1"],
    ]


def test_who_was_left_out_of_a_round_as_dead_does_not_go_on_with_it(engine: Engine) -> None:
    for session in ("s", "t"):
        engine.open(session)
    assert gather(engine, BARRIER, "asleep", session="t") == ["shut", "0", "1"]
    engine.keep_alive(30, "s")
    for ident in ("a", "b"):
        gather(engine, BARRIER, ident, session="s")
    assert gather(engine, BARRIER, "c", session="s")[:2] == ["open", "0"]
    engine.open("u")
    assert gather(engine, BARRIER, "a", session="s", came_in="0")[:2] == ["open", "0"]
    assert gather(engine, BARRIER, "asleep", session="u", came_in="0") == ["shut", "1", "1"]


@reaches("gather", "mismatch")
@pytest.mark.parametrize("other", [LATCH._replace(needed=3), LATCH._replace(kind="barrier")])
def test_all_must_mean_the_same_thing(engine: Engine, other: Gathering) -> None:
    gather(engine, LATCH, "c1")
    assert gather(engine, other, "c2") == ["mismatch", "latch", "2"]
    assert gather(engine, LATCH, "c3") == ["open", "0", ""]


def test_each_of_many_at_a_barrier_has_a_number_of_its_own(engine: Engine) -> None:
    engine.open("s")
    many = Gathering("b", "barrier", 1000, 60_000)
    for n in range(999):
        assert gather(engine, many, f"c{n}", session="s")[0] == "shut"
    which = [gather(engine, many, f"c{n}", session="s", came_in="0" if n < 999 else "") for n in reversed(range(1000))]
    assert {one[0] for one in which} == {"open"}
    assert sorted(int(str(one[2])) for one in which) == list(range(1000))
