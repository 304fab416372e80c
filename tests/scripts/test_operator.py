"""What an operator does to the requests of others: another place, another holder; and the record of it."""

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.scripts.reach import reaches
from tests.support.engine import Engine

LOW, NORMAL, HIGH, _, EMERGENCY = range(5)


def deed(call_id: str = "c1") -> Deed:
    return Deed("ann", "because", call_id)


def reorder(engine: Engine, ident: str, place: str = "front", other: str = "", call_id: str = "c1") -> list[object]:
    return engine.call(calls.reorder(engine.scope, ident, place, other, deed(call_id)))


def queued(engine: Engine) -> list[str]:
    """Three that wait behind a holder, each less urgent than the one before."""
    engine.open("s")
    engine.hold("s", "r", "a")
    for ident, priority in (("h", HIGH), ("n", NORMAL), ("l", LOW)):
        engine.ask("s", ident, "a", priority=priority)
    return engine.line("a")


@reaches("reorder", "ok", "refused", "gone")
def test_a_request_stands_where_the_operator_puts_it(engine: Engine) -> None:
    assert queued(engine) == ["h", "n", "l"]
    assert reorder(engine, "l") == ["ok", "waiting"]
    assert engine.line("a") == ["l", "h", "n"]
    assert reorder(engine, "l", "back", call_id="c2") == ["ok", "waiting"]
    assert engine.line("a") == ["h", "n", "l"]
    assert reorder(engine, "l", "before", "n", call_id="c3") == ["ok", "waiting"]
    assert engine.line("a") == ["h", "l", "n"]
    engine.ask("s", "late", "a", priority=LOW)
    assert reorder(engine, "late", "before", "n", call_id="c4") == ["ok", "waiting"]
    assert engine.line("a") == ["h", "l", "late", "n"]
    assert reorder(engine, "r") == ["refused", "held"]
    assert reorder(engine, "nobody") == ["gone", "nobody"]
    assert reorder(engine, "l", "before", "r") == ["gone", "r"]
    assert reorder(engine, "l", "before", "l") == ["gone", "l"]


@reaches("reorder", "crowded")
def test_between_two_of_following_ranks_there_is_no_place(engine: Engine) -> None:
    queued(engine)
    for at in range(64):
        answer = reorder(engine, "l", "before", "n", call_id=f"c{at}a")
        if answer == ["crowded", "n"]:
            return
        assert reorder(engine, "h", "before", "n", call_id=f"c{at}b")[0] in ("ok", "crowded")
    raise AssertionError("there is always a place")


def test_a_repeated_call_moves_once(engine: Engine) -> None:
    queued(engine)
    reorder(engine, "l")
    reorder(engine, "n", call_id="c2")
    with engine.unchanged():
        assert reorder(engine, "l") == ["ok", "waiting"]
    assert engine.line("a") == ["n", "l", "h"]


def test_who_is_put_in_front_is_granted_first_and_another_priority_ends_it(engine: Engine) -> None:
    queued(engine)
    reorder(engine, "l")
    engine.call(calls.reprioritise(engine.scope, "l", LOW))
    assert engine.line("a") == ["h", "n", "l"]
    reorder(engine, "l", call_id="c2")
    engine.release("r", engine.field("r", "fence") or "")
    assert engine.holders("a") == ["l"]


@pytest.mark.parametrize("verb", ["reorder", "transfer", "hand_over"])
def test_who_is_favoured_is_overtaken_by_nobody_who_would_have_come_behind_it(engine: Engine, verb: str) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a", priority=LOW)
    engine.hold("s", "r2", "b")
    engine.ask("s", "h", "a b", priority=HIGH)
    engine.ask("s", "l", "a", priority=LOW)
    call = {
        "reorder": calls.reorder(engine.scope, "h", "front", "", deed()),
        "transfer": calls.transfer(engine.scope, "r", "", "h", deed()),
        "hand_over": calls.hand_over(engine.scope, "r", fence, "h", deed()),
    }[verb]
    assert engine.call(call) == ["ok", "waiting"]
    engine.ask("s", "n", "a", priority=NORMAL)
    assert engine.line("a") == ["h", "n", "l"]


def test_whoever_is_put_in_front_is_before_those_who_wait_above_and_below_it(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "p/q/r")
    engine.ask("s", "above", "p/**", priority=HIGH)
    engine.ask("s", "below", "p/q/s")
    engine.ask("s", "leaf", "p/x", priority=LOW)
    assert reorder(engine, "leaf") == ["ok", "held"], "it waited for the subtree around it alone"
    engine.ask("s", "other", "p/q/**", priority=LOW)
    assert reorder(engine, "other", call_id="c2") == ["ok", "waiting"]
    engine.release("r", fence)
    assert (engine.holders("p/q/**"), engine.holders("p/q/s")) == (["other"], [])


def test_the_fence_after_is_none_of_an_earlier_turn(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j", "a")
    [given] = engine.claim("w")
    engine.report("w", given, "released")
    fence = engine.hold("w", "r", "a", priority=HIGH)
    assert transfer(engine, "r", "j", fence) == ["ok", "ready"]
    held = engine.hold("w", "r2", "a", priority=EMERGENCY)
    assert engine.call(calls.hand_over(engine.scope, "r2", held, "j", deed("c2"))) == ["ok", "ready"]
    taken, given_on = (dict(zip(one[1][::2], one[1][1::2], strict=True)) for one in audit(engine))
    assert int(taken["fence"]) > fence == int(taken["fence_before"])
    assert given_on["fence"] == ""


def test_who_is_put_behind_all_overtakes_nobody_who_comes_later(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r", "a")
    engine.ask("s", "h", "a", priority=HIGH)
    engine.ask("s", "l", "a", priority=LOW)
    assert reorder(engine, "l", "back") == ["ok", "waiting"]
    engine.ask("s", "n", "a", priority=NORMAL)
    assert engine.line("a") == ["h", "n", "l"]


def test_jobs_change_places_in_their_queue_and_on_lines_that_others_were_offered(engine: Engine) -> None:
    engine.worker("w")
    for ident in ("j1", "j2", "j3"):
        engine.put(ident)
    reorder(engine, "j3")
    reorder(engine, "j1", "back", call_id="c2")
    assert [one.ident for one in engine.claim("w", 3)] == ["j3", "j2", "j1"]
    for ident in ("k1", "k2"):
        engine.put(ident, "b")
    assert (engine.state("k1"), engine.state("k2")) == ("ready", "waiting")
    reorder(engine, "k1", "back", call_id="c3")
    assert (engine.state("k1"), engine.state("k2")) == ("waiting", "ready")


def test_a_place_given_by_hand_ends_with_a_delayed_retry(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j1")
    engine.put("j2")
    reorder(engine, "j2")
    [given] = engine.claim("w")
    engine.report("w", given, "retry", 500)
    engine.put("j3")
    engine.advance(1)
    engine.sweep_all()
    assert [one.ident for one in engine.claim("w", 3)] == ["j1", "j3", "j2"]


def transfer(engine: Engine, ident: str, heir: str, fence: object = "", call_id: str = "c1") -> list[object]:
    return engine.call(calls.transfer(engine.scope, ident, str(fence), heir, deed(call_id)))


@reaches("transfer", "ok", "refused", "unfit", "barred", "gone")
def test_what_one_holds_is_taken_away_for_another(engine: Engine) -> None:
    queued(engine)
    engine.inbox("s")
    fence = int(engine.field("r", "fence") or 0)
    assert transfer(engine, "r", "l", fence - 1) == ["refused", "held"]
    assert transfer(engine, "h", "l") == ["refused", "waiting"]
    assert transfer(engine, "nobody", "l") == ["gone"]
    assert transfer(engine, "r", "nobody") == ["unfit", ""]
    engine.ask("s", "elsewhere", "b")
    assert transfer(engine, "r", "elsewhere") == ["unfit", "held"]
    freeze(engine, "a")
    with engine.unchanged():
        assert transfer(engine, "r", "l", fence) == ["barred", "a", str(engine.now + 60_000), "because"]
    thaw(engine, "a")
    assert transfer(engine, "r", "l", fence) == ["ok", "held"]
    assert (engine.state("r"), engine.holders("a")) == ("lost", ["l"])
    assert engine.inbox("s")[0] == f"lost r {fence}"
    assert int(engine.field("l", "fence") or 0) > fence
    with engine.unchanged():
        assert transfer(engine, "r", "l") == ["ok", "held"]
    assert engine.line("a") == ["h", "n"]


def test_what_is_stolen_is_on_record_as_that(engine: Engine) -> None:
    queued(engine)
    before = engine.field("r", "fence")
    assert engine.call(calls.transfer(engine.scope, "r", "", "l", deed("c1"), "steal")) == ["ok", "held"]
    told = {"id": "r", "by": "ann", "why": "because", "to": "l", "fence_before": before}
    told["fence"] = engine.field("l", "fence")
    for name in ("AUDIT", "EVENTS"):
        entries = [
            {key.decode(): value.decode() for key, value in fields.items()}
            for _, fields in engine.raw.xrange(engine.key(name))
        ]
        [entry] = [one for one in entries if one["event"] == "steal"]
        assert told.items() <= entry.items()
        assert int(entry["ms"]) > 0
        assert "transfer" not in {one["event"] for one in entries}
    assert engine.field("r", "why") == "stolen: because"


def test_a_job_whose_resource_is_handed_on_runs_again_behind_the_heir(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j", "a")
    [given] = engine.claim("w")
    engine.ask("w", "lock", "a", priority=LOW)
    assert transfer(engine, "j", "lock", given.fence) == ["ok", "held"]
    assert engine.state("j") == "waiting"
    assert engine.report("w", given, "succeeded") == ["stale", "waiting"]
    assert int(engine.field("j", "crashes") or 0) == 0
    engine.release("lock", engine.field("lock", "fence") or "")
    assert engine.claim("w")[0].attempts == 0


@reaches("hand_over", "ok", "lost", "unfit", "barred", "gone")
def test_a_holder_gives_its_lock_to_whom_it_chooses(engine: Engine) -> None:
    queued(engine)
    fence = int(engine.field("r", "fence") or 0)

    def give(to: str, given: int = fence, ident: str = "r", call_id: str = "c1") -> list[object]:
        return engine.call(calls.hand_over(engine.scope, ident, given, to, deed(call_id)))

    assert give("l", ident="nobody") == ["gone"]
    assert give("l", fence - 1) == ["lost", "held"]
    assert give("nobody") == ["unfit", ""]
    freeze(engine, "a")
    with engine.unchanged():
        assert give("l")[:2] == ["barred", "a"]
    thaw(engine, "a")
    assert give("l") == ["ok", "held"]
    assert (engine.state("r"), engine.holders("a")) == ("released", ["l"])
    with engine.unchanged():
        assert give("l") == ["ok", "held"]
    assert give("n", call_id="c2") == ["lost", "released"]


@reaches("audit", "ok")
def test_everything_an_operator_does_is_on_record(engine: Engine) -> None:
    queued(engine)
    fence = engine.field("r", "fence") or ""
    reorder(engine, "l", "before", "n")
    engine.call(calls.force(engine.scope, "r", "", deed("c2")))
    held = engine.field("h", "fence") or ""
    transfer(engine, "h", "l", call_id="c3")
    entries = [dict(zip(one[1][::2], one[1][1::2], strict=True)) for one in audit(engine)]
    assert [(one["event"], one["id"], one["by"], one["why"]) for one in entries] == [
        ("reorder", "l", "ann", "because"),
        ("force", "r", "ann", "because"),
        ("transfer", "h", "ann", "because"),
    ]
    assert [(one["resource"], one["owner"]) for one in entries] == [("a", "")] * 3
    assert entries[0]["fence"] == "", "it has never held anything"
    assert entries[2]["to_owner"] == ""
    assert entries[1]["fence_before"] == fence < entries[1]["fence"] < held
    assert (entries[2]["fence_before"], entries[2]["to"]) == (held, "l")
    assert entries[2]["fence"] == engine.field("l", "fence")


@pytest.mark.parametrize("at", [0, 1])
def test_the_record_is_read_page_by_page(engine: Engine, at: int) -> None:
    queued(engine)
    reorder(engine, "l")
    reorder(engine, "n", call_id="c2")
    ids = [one[0] for one in audit(engine)]
    assert [one[0] for one in audit(engine, ids[at])] == ids[at + 1 :]


def audit(engine: Engine, after: str = "") -> list[list[list[str]]]:
    found: list[list[list[str]]] = engine.call(calls.audit(engine.scope, after, 10))[2]
    return found


def freeze(engine: Engine, pattern: str, seconds: float = 60, call_id: str = "") -> list[object]:
    return engine.call(
        calls.freeze(engine.scope, pattern, round(seconds * 1000), deed(call_id or f"{pattern}{seconds}"))
    )


def freeze_until(engine: Engine, pattern: str, ends: int) -> list[object]:
    return engine.call(calls.freeze(engine.scope, pattern, "", deed(f"{pattern}{ends}"), ends))


def thaw(engine: Engine, pattern: str) -> list[object]:
    return engine.call(calls.thaw(engine.scope, pattern, deed()))


@reaches("freeze", "ok", "amiss")
def test_a_freeze_until_a_moment_ends_then_by_the_clock_of_the_server(engine: Engine) -> None:
    engine.open("s")
    ends, years = engine.now + 5_000, 10 * 365 * 86_400_000
    for wrong in (engine.now - 1, engine.now, engine.now + years + 1):
        with engine.unchanged():
            assert freeze_until(engine, "a", wrong) == ["amiss", str(engine.now)]
    assert freeze_until(engine, "a", ends) == ["ok", str(ends)]
    engine.ask("s", "n", "a")
    engine.advance(4.999)
    engine.sweep_all()
    assert engine.state("n") == "waiting"
    with engine.unchanged():
        assert freeze_until(engine, "a", ends) == ["ok", str(ends)], "a repeated call"
    engine.advance(0.001)
    engine.sweep_all()
    assert engine.state("n") == "held"


@reaches("freeze", "ok", "too_many")
@reaches("thaw", "ok", "not_frozen")
@reaches("freezes", "ok")
def test_what_is_frozen_is_granted_to_nobody_until_it_is_thawed(engine: Engine) -> None:
    engine.open("s")
    assert freeze(engine, "p/**") == ["ok", str(engine.now + 60_000)]
    for ident, needs in (("under", "p/a"), ("itself", "p"), ("beside", "pa"), ("both", "q p/b")):
        engine.ask("s", ident, needs)
    assert engine.ask("s", "trial", "p/c", trying=True) == ["busy", "p/c"]
    states = {one: engine.state(one) for one in ("under", "itself", "beside", "both")}
    assert states == {"under": "waiting", "itself": "waiting", "beside": "held", "both": "waiting"}
    listed = engine.call(calls.freezes(engine.scope))[2]
    assert listed == [["p/**", str(engine.now + 60_000), str(engine.now), "ann", "because"]]
    assert thaw(engine, "p") == ["not_frozen"]
    assert thaw(engine, "p/**") == ["ok"]
    assert [engine.state(one) for one in ("under", "itself", "both")] == ["held"] * 3
    assert engine.call(calls.freezes(engine.scope))[2] == []
    for n in range(64):
        freeze(engine, f"r{n}")
    assert freeze(engine, "one/more") == ["too_many", 64]
    with engine.unchanged():
        assert freeze(engine, "r1") == ["ok", str(engine.now + 60_000)], "a repeated call"
    assert freeze(engine, "r0", 90) == ["ok", str(engine.now + 90_000)]


@pytest.mark.parametrize("pattern", ["a", "a/**", "**"])
def test_a_freeze_ends_by_itself_and_those_in_front_go_first(engine: Engine, pattern: str) -> None:
    engine.worker("w")
    fence = engine.hold("w", "r", "a")
    freeze(engine, pattern, 1)
    engine.ask("w", "n", "a")
    engine.put("j", "a", priority=HIGH)
    assert engine.release("r", fence) == ["ok"]
    assert (engine.state("n"), engine.state("j"), engine.claim("w")) == ("waiting", "waiting", [])
    engine.advance(1)
    engine.sweep_all()
    assert [one.ident for one in engine.claim("w")] == ["j"]
    assert engine.state("n") == "waiting"


def test_what_was_offered_before_the_freeze_is_not_claimed_and_what_is_held_stays(engine: Engine) -> None:
    engine.worker("w")
    fence = engine.hold("w", "r", "b")
    engine.put("j", "a")
    assert engine.state("j") == "ready"
    freeze(engine, "**")
    assert engine.claim("w") == []
    assert engine.state("j") == "waiting"
    assert engine.call(calls.extend(engine.scope, "r", fence, 3000)) == ["ok", "3000"]
    thaw(engine, "**")
    assert [one.ident for one in engine.claim("w")] == ["j"]


def test_many_lines_thaw_in_pages(engine: Engine) -> None:
    engine.open("s")
    freeze(engine, "p/**")
    idents = [f"r{n}" for n in range(300)]
    for ident in idents:
        engine.ask("s", ident, f"p/{ident}")
    thaw(engine, "p/**")
    engine.sweep_all()
    assert {engine.state(one) for one in idents} == {"held"}
    assert engine.call(calls.freezes(engine.scope))[2] == []
    assert engine.raw.hget(engine.key("META"), "frozen") is None


@reaches("let_pass", "ok", "refused", "gone")
def test_one_that_may_pass_has_what_is_frozen_before_all_others(engine: Engine) -> None:
    engine.open("s")
    freeze(engine, "a")
    for ident, priority in (("h", HIGH), ("l", LOW)):
        engine.ask("s", ident, "a", priority=priority)

    def let_pass(ident: str, call_id: str = "c1") -> list[object]:
        return engine.call(calls.let_pass(engine.scope, ident, deed(call_id)))

    assert let_pass("nobody") == ["gone"]
    assert let_pass("l") == ["ok", "held"]
    with engine.unchanged():
        assert let_pass("l") == ["ok", "held"]
    assert let_pass("l", "c2") == ["refused", "held"]
    engine.release("l", engine.field("l", "fence") or "")
    assert engine.state("h") == "waiting"
    frozen, passed = (dict(zip(one[1][::2], one[1][1::2], strict=True)) for one in audit(engine))
    assert (frozen["event"], passed["event"]) == ("freeze", "let_pass")
    assert (passed["id"], passed["resource"], passed["owner"], passed["fence"]) == ("l", "a", "", "")
