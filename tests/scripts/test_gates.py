"""Gates: what a closed breaker, a limit or a handler's word does to the jobs behind it, and to nobody else."""

import itertools
from dataclasses import replace

import msgpack
import pytest

from coordinator.policy.breaker import BreakerPolicy
from coordinator.policy.rate import AdaptiveLimit, RateLimit
from coordinator.wire import calls
from coordinator.wire.calls import Claim, Deed, Report
from coordinator.wire.gates import Gates
from tests.scripts.reach import reaches
from tests.support.engine import Engine, Job, job, script_text

POLICY = BreakerPolicy(failures=3, successes=2, open_for=30, window=60, probes=1)


def worker(engine: Engine, session: str = "w", name: str = "work", **gates: object) -> None:
    """A worker whose handler has these gates, by default its breaker."""
    known = {"breakers": (name,), "policy": POLICY, **gates}
    engine.open(session, queues="default other", **{f"gates {name}": Gates(**known).to_wire(name)})  # type: ignore[arg-type]


def idents(jobs: list[Job]) -> list[str]:
    return [one.ident for one in jobs]


def run(engine: Engine, outcome: str, count: int = 1, delay_ms: int = 0, session: str = "w") -> list[str]:
    """Claim so many jobs and report them; their ids."""
    given = engine.claim(session, count)
    if given:
        engine.settle(session, *(Report(one.ident, one.fence, outcome, delay_ms) for one in given))
    return idents(given)


def put(engine: Engine, *names: str, **changed: object) -> None:
    engine.submit(*(job(one, **changed) for one in names))


def trip(engine: Engine) -> None:
    """Three failures."""
    put(engine, "f1", "f2", "f3")
    assert run(engine, "failed", 3) == ["f1", "f2", "f3"]
    assert breaker(engine)["state"] == "open"


def breaker(engine: Engine, name: str = "work") -> dict[str, str]:
    reply = engine.call(calls.gates(engine.scope, "breaker", 10))
    found = {one[0]: dict(zip(one[3::2], one[4::2], strict=True)) for one in reply[2]}
    return {"state": "closed", **found.get(f"breaker/{name}", {})}


def events(engine: Engine, *names: str) -> list[str]:
    found = engine.raw.xrange(engine.key("EVENTS"))
    said = [fields[b"event"].decode() for _, fields in found]
    return [one for one in said if one in names]


CHANGES = ("breaker_open", "breaker_half_open", "breaker_close")


@reaches("gates", "ok")
def test_an_open_breaker_holds_its_jobs_back_in_their_order_and_nobody_else(engine: Engine) -> None:
    worker(engine)
    trip(engine)
    put(engine, "a", "b", "c")
    put(engine, "other", name="something else")
    put(engine, "urgent", priority=3)
    assert run(engine, "succeeded", 2) == ["other"]
    assert [engine.state(one) for one in ("urgent", "a", "b", "c")] == ["waiting"] * 4
    assert engine.field("a", "gate") == "breaker/work"
    assert breaker(engine)["state"] == "open"
    engine.keep_alive(30, "w")
    engine.sweep()
    assert run(engine, "succeeded", 10) == ["urgent"]  # one probe at a time
    assert run(engine, "succeeded", 10) == ["a"]
    assert run(engine, "succeeded", 10) == ["b", "c"]
    assert [engine.field(one, "attempts") for one in ("urgent", "a", "b", "c")] == ["1"] * 4
    assert events(engine, *CHANGES) == list(CHANGES)


def test_exactly_so_many_probes_run_at_a_time_in_the_whole_fleet(engine: Engine) -> None:
    policy = BreakerPolicy(failures=3, successes=3, probes=2)
    for session in ("w", "v", "u"):
        worker(engine, session, policy=policy)
    trip(engine)
    put(engine, *(f"j{n}" for n in range(6)))
    engine.keep_alive(31, "w", "v", "u")
    batches = [engine.claim(session, 4) for session in ("w", "v", "u")]
    assert [len(one) for one in batches] == [2, 0, 0]
    engine.report("w", batches[0][0], "succeeded")
    assert idents(engine.claim("v", 4)) == ["j2"]
    assert engine.claim("u", 4) == []


def test_a_probe_that_fails_opens_the_breaker_again(engine: Engine) -> None:
    worker(engine)
    trip(engine)
    put(engine, "a", "b")
    engine.keep_alive(30, "w")
    assert run(engine, "retry", 2, delay_ms=1000) == ["a"]
    assert breaker(engine)["state"] == "open"
    engine.keep_alive(29, "w")
    assert run(engine, "succeeded", 2) == []
    engine.keep_alive(1, "w")
    assert run(engine, "succeeded", 2) == ["b"]


@pytest.mark.parametrize("outcome", ["released", "snooze", "retry-", "failed-", "cancelled"])
def test_a_probe_that_says_nothing_gives_its_place_to_the_next(engine: Engine, outcome: str) -> None:
    worker(engine)
    trip(engine)
    put(engine, "a", "b")
    engine.keep_alive(30, "w")
    assert run(engine, outcome, 2, delay_ms=60_000) == ["a"]
    assert breaker(engine)["state"] == "half_open"
    assert len(run(engine, "succeeded", 2)) == 1


def test_a_probe_whose_worker_dies_gives_its_place_to_the_next(engine: Engine) -> None:
    worker(engine, "w")
    worker(engine, "v")
    trip(engine)
    put(engine, "a", "b")
    engine.keep_alive(30, "w", "v")
    assert idents(engine.claim("w", 2)) == ["a"]
    engine.keep_alive(11, "v")
    engine.sweep_all()
    assert run(engine, "succeeded", 2, session="v") == ["a"]


def test_failures_that_are_old_or_forgiven_do_not_count(engine: Engine) -> None:
    worker(engine)
    put(engine, *(f"j{n}" for n in range(10)))
    run(engine, "failed", 2)
    engine.keep_alive(61, "w")
    run(engine, "failed", 2)
    run(engine, "succeeded", 1)
    run(engine, "failed", 1)
    run(engine, "failed", 1)
    assert breaker(engine)["state"] == "open"


def test_a_failure_that_is_nobodys_fault_does_not_count(engine: Engine) -> None:
    worker(engine)
    put(engine, *(f"j{n}" for n in range(6)))
    run(engine, "failed-", 3)
    run(engine, "retry-", 3, delay_ms=1000)
    assert engine.state("j0") == "failed"
    assert engine.state("j5") == "scheduled"


def test_a_gated_job_does_not_stand_in_the_way_on_its_line(engine: Engine) -> None:
    worker(engine)
    trip(engine)
    engine.put("j", "a")
    engine.put("k", "a")
    assert engine.claim("w", 5) == []
    assert engine.field("j", "gate") is not None
    fence = engine.hold("w", "lock", "a")
    engine.ask("w", "later", "a")
    engine.keep_alive(30, "w")
    engine.sweep()
    assert engine.line("a")[:1] == ["j"]  # at its own rank again, before the lock that came later
    assert engine.state("j") == "waiting"
    engine.release("lock", fence)
    assert run(engine, "succeeded", 5) == ["j"]
    assert run(engine, "succeeded", 5) == ["k"]
    assert engine.state("later") == "held"


def test_cancel_expire_and_reprioritise_know_gated_jobs(engine: Engine) -> None:
    worker(engine)
    trip(engine)
    put(engine, "a", "b")
    put(engine, "c", wait_ms=1000)
    put(engine, "d")
    assert engine.claim("w", 9) == []
    assert engine.cancel("a") == ["ok", "cancelled"]
    engine.call(calls.reprioritise(engine.scope, "d", 4))
    engine.keep_alive(2, "w")
    engine.sweep()
    assert engine.state("c") == "expired"
    engine.keep_alive(30, "w")
    assert run(engine, "succeeded", 9) == ["d"]
    assert run(engine, "succeeded", 9) == ["b"]


def test_the_payload_of_a_gated_job_can_be_replaced(engine: Engine) -> None:
    worker(engine)
    trip(engine)
    key = {"dedup": "k", "on_conflict": "replace", "scope": "until_finished"}
    put(engine, "a", **key)
    assert engine.claim("w", 9) == []
    assert engine.submit(job("b", payload=b"newer", **key))[0][:3] == ["duplicate", "a", "replaced"]
    engine.keep_alive(30, "w")
    assert engine.claim("w", 9)[0].payload == "newer"


def test_queues_are_full_of_gated_jobs_too(engine: Engine) -> None:
    worker(engine)
    trip(engine)
    engine.rules(max_queue=2)
    put(engine, "a", "b")
    assert engine.claim("w", 9) == []
    assert engine.put("c")[0] == "queue_full"


@reaches("set_breaker", "ok")
def test_an_operator_opens_and_closes_a_breaker(engine: Engine) -> None:
    worker(engine)
    migration, over = Deed("me", "migration", "c1"), Deed("me", "done", "c2")
    assert engine.call(calls.set_breaker(engine.scope, "work", "open", 3_600_000, migration)) == ["ok", "open"]
    put(engine, "a")
    assert engine.claim("w", 9) == []
    assert breaker(engine)["why"] == "migration"
    engine.inbox("w")
    assert engine.call(calls.set_breaker(engine.scope, "work", "close", 0, over)) == ["ok", "closed"]
    assert engine.inbox("w") == ["bell default"]
    assert run(engine, "succeeded", 9) == ["a"]


def test_what_an_operator_says_counts_once_however_late_a_copy_comes(engine: Engine) -> None:
    worker(engine)
    opened = calls.set_breaker(engine.scope, "work", "open", 3_600_000, Deed("me", "migration", "c1"))
    closed = calls.set_breaker(engine.scope, "work", "close", 0, Deed("me", "done", "c2"))
    for one, state in ((opened, "open"), (opened, "open"), (closed, "closed"), (closed, "closed"), (opened, "open")):
        assert engine.call(one) == ["ok", state]
    assert breaker(engine).keys() == {"state", "terms", "opened", "calls"}
    assert engine.raw.hmget(engine.key("STATS"), "breaker_open", "breaker_close") == [b"1", b"1"]
    assert engine.raw.xlen(engine.key("AUDIT")) == 2
    put(engine, "a")
    assert run(engine, "succeeded", 9) == ["a"]


def test_a_breaker_that_is_shared_counts_for_all_who_depend_on_it(engine: Engine) -> None:
    for name in ("x", "y"):
        worker(engine, f"w{name}", name, breakers=(name, "github"))
    put(engine, "x1", "x2", name="x")
    put(engine, "y1", "y2", name="y")
    assert run(engine, "failed", 3, session="wx") == ["x1", "x2", "y1"]
    assert breaker(engine, "github")["state"] == "open"
    assert breaker(engine, "x")["state"] == "closed"
    assert engine.claim("wy", 1) == []
    assert engine.field("y2", "gate") == "breaker/github"


def test_a_probe_that_another_gate_holds_up_leaves_its_place_to_the_next(engine: Engine) -> None:
    worker(engine, "w", "a", breakers=("a", "shared", "mine"))
    worker(engine, "v", "b", breakers=("b", "shared"))
    put(engine, *(f"f{n}" for n in range(3)), name="b")
    run(engine, "failed", 3)
    put(engine, *(f"a{n}" for n in range(3)), name="a")
    put(engine, "b0", name="b")
    assert engine.claim("w", 9) == []
    engine.call(calls.set_breaker(engine.scope, "mine", "open", 3_600_000, Deed("me", "test", "c")))
    engine.keep_alive(30, "w", "v")
    for _ in range(4):
        engine.claim("w", 9)
    assert engine.state("b0") == "running"
    assert {engine.field(f"a{n}", "gate") for n in range(3)} == {"breaker/mine"}


# --- limits of rate


def test_a_bucket_gives_its_burst_and_then_its_rate(engine: Engine) -> None:
    worker(engine, rate=RateLimit(burst=3, per_second=2))
    put(engine, *(f"j{n:02}" for n in range(12)))
    assert run(engine, "succeeded", 20) == ["j00", "j01", "j02"]
    assert run(engine, "succeeded", 20) == []
    engine.advance(0.5)
    assert run(engine, "succeeded", 20) == ["j03"]
    engine.advance(1)
    engine.sweep()
    assert run(engine, "succeeded", 1) == ["j04"]
    assert run(engine, "succeeded", 20) == ["j05"]
    engine.keep_alive(60, "w")
    assert run(engine, "succeeded", 20) == ["j06", "j07", "j08"]


def test_who_waits_for_a_token_is_rung_for_when_it_is_there(engine: Engine) -> None:
    worker(engine, rate=RateLimit(burst=1, per_second=1))
    put(engine, "a", "b")
    assert run(engine, "succeeded", 5) == ["a"]
    assert run(engine, "succeeded", 5) == []
    engine.inbox("w")
    due = int(engine.beat("w")[3])
    assert due == 1000
    engine.advance(1)
    engine.beat("w")
    assert engine.inbox("w") == ["bell default"]


def test_who_comes_later_does_not_take_the_token_of_who_waits(engine: Engine) -> None:
    worker(engine, rate=RateLimit(burst=1, per_second=1))
    put(engine, "a", "b")
    run(engine, "succeeded", 5)
    put(engine, "c")
    put(engine, "urgent", priority=4)
    engine.advance(1)
    assert run(engine, "succeeded", 1) == ["urgent"]
    engine.advance(1)
    assert run(engine, "succeeded", 5) == ["b"]


@pytest.mark.parametrize("signed", [False, True])
def test_each_key_has_a_bucket_of_its_own(engine: Engine, signed: bool) -> None:
    worker(engine, rate=RateLimit(burst=1, per_second=1, key="customer"))
    head = b"\xc1\x01i\x042026" + b"m" * 32 if signed else b""
    for ident, customer in (("a1", "a: %~"), ("a2", "a: %~"), ("b1", 7), ("n1", None), ("n2", None)):
        put(engine, ident, payload=head + msgpack.packb({"customer": customer}))
    put(engine, "x1", payload=b"\xc1no msgpack")
    assert run(engine, "succeeded", 9) == ["a1", "b1", "n1"]
    engine.advance(1)
    assert run(engine, "succeeded", 9) == ["a2", "n2"]
    assert engine.state("x1") == "waiting"  # without a key it shares the limit of those


def test_a_payload_that_nests_without_end_is_no_key(engine: Engine) -> None:
    worker(engine, rate=RateLimit(burst=1, per_second=1, key="customer"))
    put(engine, "a", payload=b"\x91" * 900)
    put(engine, "b", payload=b"\x81" * 900)
    assert run(engine, "succeeded", 9) == ["a"]


def test_a_handler_that_was_limited_closes_its_gate_and_loses_no_attempt(engine: Engine) -> None:
    worker(engine)
    put(engine, "a", "b")
    given = engine.claim("w", 1)
    engine.beat("w", [(given[0].ident, given[0].fence)])
    assert engine.report("w", given[0], "limited", 5000) == ["ok", ""]
    assert engine.field("a", "attempts") == "0"
    assert engine.claim("w", 5) == []
    assert engine.field("a", "gate") == engine.field("b", "gate") == "rate/work"
    engine.keep_alive(5, "w")
    assert run(engine, "succeeded", 5) == ["a", "b"]


def test_without_a_gate_to_close_a_limited_job_comes_back_later(engine: Engine) -> None:
    engine.worker("w")
    put(engine, "a")
    run(engine, "limited", delay_ms=5000)
    assert engine.state("a") == "scheduled"


def test_an_adaptive_limit_finds_its_pace(engine: Engine) -> None:
    worker(engine, breakers=(), rate=AdaptiveLimit(initial=4, least=1, most=5))
    put(engine, *(f"j{n:02}" for n in range(40)))
    assert len(run(engine, "succeeded", 20)) == 4
    engine.keep_alive(2, "w")
    assert len(run(engine, "succeeded", 20)) == 4  # 4 x 1/4 and more: above 4, and a bucket holds whole ones
    engine.keep_alive(2, "w")
    assert len(run(engine, "retry", 20, delay_ms=60_000)) == 5
    engine.keep_alive(5, "w")
    assert len(run(engine, "retry", 20, delay_ms=60_000)) == 2  # cut once, not five times


# --- that it costs nothing


def test_a_retry_at_once_does_not_pass_a_breaker_that_it_opens(engine: Engine) -> None:
    worker(engine)
    put(engine, "a")
    given = engine.claim("w")[0]
    for _ in range(2):
        given = replace(given, fence=engine.report("w", given, "retry")[1])
    assert engine.report("w", given, "retry") == ["ok", ""]
    assert engine.state("a") == "scheduled"


def test_what_is_off_costs_no_command(engine: Engine) -> None:
    """Settling plain jobs and claiming more sends as many commands with gates declared as without."""

    numbers = itertools.count(100)

    def commands(session: str, *ids: str) -> int:
        put(engine, *ids, *(f"{one}-next" for one in ids))
        reports = [
            Report(one.ident, one.fence, "succeeded") for one in engine.claim(session, len(ids), number=next(numbers))
        ]
        call = calls.settle(engine.scope, session, Claim(next(numbers), len(ids), 1000, ("default",)), reports)
        text = script_text("settle", engine._shebang, True).replace("redis.call(", "counted(")
        count = "local sent = 0 local function counted(...) sent = sent + 1 return redis.call(...) end"
        made = text.replace("return { 'ok', settled, jobs }", "return { #jobs, sent }")
        assert made != text
        head, shebang, body = made.partition("flags=allow-oom\n") if engine._shebang else ("", "", made)
        claimed, sent = engine.raw.eval(f"{head}{shebang}{count}\n{body}", 1, call.key, *call.args)
        assert claimed == len(ids)
        return int(sent)

    engine.worker("plain")
    commands("plain", "x", "y", "z")  # the first success of a handler is counted with a command more
    without = commands("plain", "a", "b", "c")
    worker(engine)
    assert commands("w", "d", "e", "f") == without
