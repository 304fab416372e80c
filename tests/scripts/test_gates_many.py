"""Very many handlers: told of at once, said when there is no room for them, and forgotten when their workers are."""

from collections.abc import Iterable

from coordinator.policy.rate import RateLimit
from coordinator.wire import calls
from coordinator.wire.gates import Gates
from tests.support.engine import Engine

MOST = 10_000
DAY = 86_400


def terms(per_second: float) -> str:
    return Gates(rate=RateLimit(burst=1, per_second=per_second)).to_wire("h")


def opened(engine: Engine, session: str, handlers: Iterable[str], per_second: float = 1) -> None:
    engine.open(session, queues="default", **{f"gates {name}": terms(per_second) for name in handlers})


def known(engine: Engine) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = engine.raw.hgetall(engine.key("GATES"))
    assert set(engine.raw.zrange(engine.key("TOLD"), 0, -1)) == set(found)
    return found


def full(engine: Engine) -> list[tuple[bytes, bytes, bytes]]:
    events = [fields for _, fields in engine.raw.xrange(engine.key("EVENTS"))]
    return [(one[b"id"], one[b"handlers"], one[b"most"]) for one in events if one[b"event"] == b"gates_full"]


def test_what_changes_of_a_known_handler_counts_and_what_there_is_no_room_for_is_an_event(engine: Engine) -> None:
    opened(engine, "w", (f"h{n}" for n in range(MOST - 1)))
    assert not full(engine)
    told = {"gates h0": terms(2), "gates new": terms(3), "gates beyond": terms(4)}
    engine.open("w2", queues="default", **told)
    found = known(engine)
    assert (len(found), found[b"h0"], found[b"new"]) == (MOST, terms(2).encode(), terms(3).encode())
    assert b"beyond" not in found
    assert full(engine) == [(b"w2", b"1", b"%d" % MOST)]


def test_very_many_are_told_of_at_once(engine: Engine) -> None:
    engine.open("w", queues="default")
    told = {f"h{n}": terms(2) for n in range(MOST + 5)}
    assert engine.call(calls.tell(engine.scope, "w", told)) == ["ok"]
    assert len(known(engine)) == MOST
    assert full(engine) == [(b"w", b"5", b"%d" % MOST)]
    assert engine.call(calls.tell(engine.scope, "w", {"h9": terms(3), "beyond": terms(3)})) == ["ok"]
    assert known(engine)[b"h9"] == terms(3).encode()
    assert len(full(engine)) == 1


def test_those_that_nobody_has_told_of_for_a_week_make_room(engine: Engine) -> None:
    engine.open("old", queues="default")
    gone = [f"gone{n}" for n in range(200)]
    assert engine.call(calls.tell(engine.scope, "old", {name: terms(1) for name in gone})) == ["ok"]
    opened(engine, "w", (f"h{n}" for n in range(MOST - 200)), 0.5)
    opened(engine, "more", ["one"])
    opened(engine, "again", ["one", "two"])
    assert full(engine) == [(b"more", b"1", b"%d" % MOST)]
    # Whoever lives tells of its own again once a day.
    for _ in range(7):
        engine.keep_alive(1, "w")
        engine.advance(DAY - 1)
        engine.open("w", queues="default")
        engine.call(calls.tell(engine.scope, "w", {f"h{n}": terms(0.5) for n in range(MOST - 200)}))
    assert len(known(engine)) == MOST
    engine.advance(1)
    # A bounded part with each sweep.
    left = []
    while engine.sweep():
        left.append(len(known(engine)))
    assert left[-1] == MOST - 200
    assert max(before - after for before, after in zip([MOST, *left], left, strict=False)) <= 64
    opened(engine, "again", ["one", "two"])
    assert {b"one", b"two"} <= set(known(engine))
    assert len(full(engine)) == 1
    opened(engine, "many", gone)
    assert full(engine)[1:] == [(b"many", b"2", b"%d" % MOST)]


def test_without_a_limit_left_nobody_looks_at_limits(engine: Engine) -> None:
    opened(engine, "w", ["limited"])
    assert engine.raw.hget(engine.key("META"), "limits") == b"1"
    engine.advance(7 * DAY)
    engine.sweep_all()
    assert not known(engine)
    assert engine.raw.hget(engine.key("META"), "limits") is None
