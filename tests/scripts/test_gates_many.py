"""Very many handlers: a process may tell of them at once, and what there is no room for is said."""

from coordinator.policy.rate import RateLimit
from coordinator.wire.gates import Gates
from tests.support.engine import Engine

MOST = 10_000


def terms(per_second: float) -> str:
    return Gates(rate=RateLimit(burst=1, per_second=per_second)).to_wire("h")


def test_what_changes_of_a_known_handler_counts_and_what_there_is_no_room_for_is_an_event(engine: Engine) -> None:
    engine.open("w", queues="default", **{f"gates h{n}": terms(1) for n in range(MOST - 1)})
    assert not [one for one in events(engine) if one[b"event"] == b"gates_full"]
    told = {"gates h0": terms(2), "gates new": terms(3), "gates beyond": terms(4)}
    engine.open("w2", queues="default", **told)
    known = engine.raw.hgetall(engine.key("GATES"))
    assert (len(known), known[b"h0"], known[b"new"]) == (MOST, terms(2).encode(), terms(3).encode())
    assert b"beyond" not in known
    [full] = [one for one in events(engine) if one[b"event"] == b"gates_full"]
    assert (full[b"id"], full[b"handlers"], full[b"most"]) == (b"w2", b"1", b"%d" % MOST)


def events(engine: Engine) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in engine.raw.xrange(engine.key("EVENTS"))]
