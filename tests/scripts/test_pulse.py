"""The metrics stream and the alerts, as the scripts keep them."""

from typing import Any

from coordinator.ops import pulse
from coordinator.wire import calls
from tests.scripts.reach import reaches
from tests.support.engine import Engine

LIMITS = (1000, 1000, 10_000_000, 5000)


def publish(
    engine: Engine, mark: str = "p 1", limits: tuple[int, int, int, int] = LIMITS, **fields: str
) -> tuple[int, int]:
    """Publish a sample; when it was, and whether the alerts are to be judged."""
    words = [word for pair in {"process": mark.split(maxsplit=1)[0], **fields}.items() for word in pair]
    reply = engine.call(calls.publish(engine.scope, mark, limits, words))
    assert reply[0] == "ok"
    return int(reply[1]), int(reply[2])


def samples(engine: Engine, window: float = 60.0, most: int = 100) -> list[dict[str, str]]:
    """The samples of a time, the newest first."""
    reply = engine.call(calls.samples(engine.scope, round(window * 1000), most))
    return [dict(zip(words[::2], words[1::2], strict=True)) for _, words in reply[2]]


def fleet(engine: Engine) -> dict[str, str]:
    """The newest sample of what the server knows."""
    return next(one for one in samples(engine) if one["process"] == "fleet")


def judge(engine: Engine, mark: str, *verdict: str) -> list[Any]:
    return engine.call(calls.judge(engine.scope, mark, [tuple(verdict)]))  # type: ignore[list-item]


def alerts(engine: Engine) -> dict[str, str]:
    reply = engine.call(calls.samples(engine.scope, 0, 1))
    return dict(zip(reply[3][::2], reply[3][1::2], strict=True))


def test_a_batch_size_that_has_moved_is_an_event_with_its_figures_and_rubbish_is_none(engine: Engine) -> None:
    for moved in ("8 64 learnt 250", "8 64 learnt", "8 64 learnt 250 x", "-8 64 learnt 250", ""):
        engine.call(calls.publish(engine.scope, "p 3", LIMITS, ["process", "p"], moved))
    happened = engine.call(calls.events(engine.scope, "", 100))[2]
    found = [dict(zip(words[::2], words[1::2], strict=True)) for _, words in happened]
    expected = {"id": "p", "from": "8", "to": "64", "why": "learnt", "work_us": "250", "number": "3"}
    assert [{**one, "ms": ""} for one in found] == [{"event": "batch", "ms": "", **expected}]


@reaches("publish", "ok")
@reaches("samples", "ok")
def test_a_sample_is_published_as_it_is_and_read_the_newest_first(engine: Engine) -> None:
    publish(engine, "p 1", number="1")
    publish(engine, "q 1", number="2")
    found = [one for one in samples(engine) if one["process"] != "fleet"]
    assert found == [{"process": "q", "number": "2"}, {"process": "p", "number": "1"}]
    assert len(samples(engine, most=2)) == 2


def test_samples_are_read_in_pages_that_keep_a_script_short_and_none_is_missed_or_told_twice(engine: Engine) -> None:
    many = 2 * pulse.PAGE + 7
    for number in range(many):
        publish(engine, f"p {number}", number=str(number))
    asked: list[int] = []

    def read(most: int) -> list[str]:
        operation = pulse.samples(engine.scope, 60, most)
        call: Any = next(operation)
        try:
            while True:
                asked.append(int(call.args[-2]))
                call = operation.send(engine.call(call))
        except StopIteration as end:
            return [fields["number"] for _, fields in end.value.samples if fields["process"] != "fleet"]

    newest = [str(number) for number in reversed(range(many))]
    assert read(2000) == newest
    assert max(asked) <= pulse.PAGE
    assert read(pulse.PAGE + 3) == newest[: pulse.PAGE + 3]


def test_what_only_the_server_knows_is_published_once_an_interval_whoever_comes(engine: Engine) -> None:
    publish(engine, "p 1")
    publish(engine, "q 1")
    assert sum(one["process"] == "fleet" for one in samples(engine)) == 1
    engine.advance(0.99)
    publish(engine, "q 2")
    assert sum(one["process"] == "fleet" for one in samples(engine)) == 1
    engine.advance(0.01)
    publish(engine, "p 2")
    assert sum(one["process"] == "fleet" for one in samples(engine)) == 2


def test_the_fleet_tells_what_happened_since_the_last_time_and_how_it_stands(engine: Engine) -> None:
    engine.worker("w")
    engine.put("before")
    publish(engine)
    assert "fleet.did:ask" not in fleet(engine), "what was there before the first sample is not news"
    engine.put("j1")
    engine.put("j2")
    engine.advance(2)
    engine.claim("w", 1)
    publish(engine)
    told = fleet(engine)
    assert (told["fleet.did:ask"], told["fleet.did:claim"], told["fleet.did:waited_ms"]) == ("2", "1", "2000")
    assert (told["ms"], told["fleet.sessions"]) == ("2000", "1")
    assert (told["fleet.depth:default"], told["fleet.ready:default"], told["fleet.waiting:default"]) == ("2", "2", "0")
    assert told["fleet.head_age"] == "2.0"
    engine.advance(1)
    publish(engine)
    assert "fleet.did:ask" not in fleet(engine)


def test_locks_tell_how_long_they_were_waited_for(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a")
    engine.ask("s", "next", "a")
    publish(engine)
    engine.advance(3)
    engine.release("r", fence)
    publish(engine)
    assert fleet(engine)["fleet.did:grant"] == "1"
    assert int(fleet(engine)["fleet.did:lock_waited_ms"]) in (2999, 3000)


def test_a_clock_that_is_set_back_hides_no_sample(engine: Engine) -> None:
    engine.open("s")
    publish(engine, number="1")
    engine.advance(-3600)
    engine.open("t")
    publish(engine, "p 2", number="2")
    assert [one["number"] for one in samples(engine, 10) if one["process"] == "p"] == ["2", "1"]


def test_the_stream_is_capped_by_length(engine: Engine) -> None:
    for n in range(400):
        publish(engine, f"p {n}", (1000, 100, 10_000_000, 0))
    assert engine.raw.xlen(engine.key("METRICS")) <= 200  # by whole nodes of the stream, of 100 each


def test_the_stream_is_capped_by_bytes_however_large_a_sample_is(engine: Engine) -> None:
    most = 50_000
    for n in range(300):
        publish(engine, f"p {n}", (1000, 100_000, most, 0), text="x" * 1000)
        engine.advance(1)
    assert engine.raw.memory_usage(engine.key("METRICS"), samples=0) <= 1.3 * most
    assert engine.raw.xlen(engine.key("METRICS")) >= 10


def test_very_many_queues_are_sampled_some_at_a_time(engine: Engine) -> None:
    engine.raw.sadd(engine.key("QUEUES"), *(f"q{n}" for n in range(1000)))
    publish(engine)
    assert sum(name.startswith("fleet.depth:") for name in fleet(engine)) <= 32


def test_one_process_at_a_time_is_told_to_judge_and_no_leader_has_to_live(engine: Engine) -> None:
    assert [publish(engine, mark)[1] for mark in ("p 1", "q 1", "r 1")] == [1, 0, 0]
    engine.advance(4.9)
    assert publish(engine, "p 2")[1] == 0
    engine.advance(0.1)
    assert [publish(engine, mark)[1] for mark in ("q 3", "p 3")] == [1, 0]
    assert publish(engine, "q 3")[1] == 1, "a repeated call answers as the first did"
    engine.advance(5)
    assert publish(engine, "r 2", (1000, 1000, 10_000_000, 0))[1] == 0


@reaches("judge", "ok", "stale")
def test_only_the_newest_judge_writes(engine: Engine) -> None:
    publish(engine, "p 1")
    assert judge(engine, "p 1", "depth", "", "raised warning 120 0 0 -", "raised", "warning", "120") == ["ok"]
    assert alerts(engine) == {"depth": "raised warning 120 0 0 -"}
    [event] = [one for one in engine.raw.xrange(engine.key("EVENTS")) if one[1][b"event"] == b"alert"]
    assert (event[1][b"id"], event[1][b"state"], event[1][b"level"], event[1][b"figure"]) == (
        *(b"depth", b"raised"),
        *(b"warning", b"120"),
    )
    engine.advance(5)
    publish(engine, "q 1")
    with engine.unchanged():
        assert judge(engine, "p 1", "depth", "raised warning 120 0 0 -", "", "resolved", "calm", "1") == ["stale"]
    assert judge(engine, "q 1", "depth", "raised warning 120 0 0 -", "", "resolved", "calm", "1") == ["ok"]
    assert alerts(engine) == {}


@reaches("acknowledge", "ok", "changed")
def test_an_acknowledgement_is_not_undone_by_a_judge_that_has_not_seen_it(engine: Engine) -> None:
    publish(engine, "p 1")
    judge(engine, "p 1", "depth", "", "raised", "raised", "warning", "120")

    def acknowledge(was: str) -> list[Any]:
        return engine.call(calls.acknowledge(engine.scope, "depth", was, "acknowledged", "me"))

    with engine.unchanged():
        assert acknowledge("something else") == ["changed"]
    assert acknowledge("raised") == ["ok"]
    with engine.unchanged():
        assert acknowledge("raised") == ["ok"], "repeated, it is no change"
        judge(engine, "p 1", "depth", "raised", "raised higher", "", "critical", "600")
    assert alerts(engine) == {"depth": "acknowledged"}
