"""The judge of the storm: a record in which everything holds passes, and each way in which it may not is seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import fakeredis
import pytest

from coordinator.keys import key
from coordinator.metrics.window import Window
from coordinator_demo.storm import record as recorded
from coordinator_demo.storm import report
from coordinator_demo.storm.dependency import Visit
from coordinator_demo.storm.plan import (
    ALARM,
    BANK,
    BEHIND,
    CALLERS,
    CHARGE,
    DIGEST,
    IN_FRONT,
    MAIL,
    QUICK,
    REPORT,
    ROUNDS,
    STUCK,
    Plan,
)
from coordinator_demo.storm.record import Job, Record, Timeout
from coordinator_demo.storm.scenes import SCENES, judge, stuck

PLAN = Plan(1000.0, 20.0)
FAILING, FLOOD, SLOW = PLAN.failing, PLAN.flood, PLAN.slow
OPENED, CLOSED = FAILING.begin + 0.3, FAILING.end + 4


def event(name: str, ident: str, at: float, **more: str) -> dict[str, str]:
    return {"event": name, "id": ident, "ms": str(round(at * 1000)), **more}


def job(ident: str, name: str, asked: float, waited: float = 0.001, priority: str = "normal") -> Job:
    return Job(ident, name, priority, "succeeded", asked, asked + waited, asked + waited + 0.1)


def weathered() -> Record:
    """A storm in which everything holds."""
    held = job("held", CHARGE, OPENED + 1, CLOSED - OPENED - 1)
    shed = replace(job("shed", MAIL, FLOOD.begin, priority="low"), state="shed", claimed=None)
    batches = [job(f"quick{n}", QUICK, 1002.0) for n in range(ROUNDS * (IN_FRONT + BEHIND))]
    fronts = [replace(job(f"stuck{n}", STUCK, 1002.0), ended=1003.0) for n in range(ROUNDS)]
    jobs = [
        job("first", CHARGE, FAILING.begin),
        held,
        job("report", REPORT, SLOW.begin),
        job("mail", MAIL, FLOOD.begin, 1.0, "low"),
        shed,
        job("calm", ALARM, PLAN.calm.begin, priority="emergency"),
        job("wet", ALARM, FLOOD.begin, 0.02, "emergency"),
        job("digest", DIGEST, PLAN.identical, priority="high"),
        *batches,
        *fronts,
    ]
    count = len(jobs)
    events = [
        event("breaker_open", f"breaker/{BANK}", OPENED),
        event("breaker_half_open", f"breaker/{BANK}", OPENED + 6),
        event("breaker_close", f"breaker/{BANK}", CLOSED),
        event("retry", "report", SLOW.begin + 1, why="timed out after 0.5 s"),
        event("stolen", "quick1", 1002.1, **{"from": "a", "to": "b"}),
    ]
    book = [
        Visit(FAILING.begin, "charge", "first", True),
        Visit(OPENED + 6.1, "charge", "first", True),
        Visit(CLOSED, "charge", "held", False),
        Visit(SLOW.end, "report", "report", False),
        Visit(PLAN.identical, "digest", "digest", False),
    ]
    lines = [{"event": "answered", "process": f"app-{n % 2}", "by": "digest"} for n in range(CALLERS)]
    lines.append({"event": "refused", "name": MAIL, "priority": "low"})
    lines.append({"event": "counted", "executed": 1, "joined": 98, "hits": 1})
    return Record(
        PLAN,
        jobs,
        {"ask": count, "succeed": count - 1, "shed": 1, "gate": 1},
        events,
        Window(30.0, counts={"coalesce.executed": 1}),
        book,
        lines,
        [Timeout(SLOW.begin - 1, 0.5, 0), Timeout(SLOW.end, 0.9, 12)],
    )


def changed(record: Record, ident: str, **fields: object) -> Record:
    return replace(record, jobs=[replace(one, **fields) if one.ident == ident else one for one in record.jobs])


def without(record: Record, name: str) -> Record:
    return replace(record, events=[one for one in record.events if one["event"] != name])


def visited(record: Record, *more: Visit) -> Record:
    return replace(record, book=[*record.book, *more])


def test_a_storm_in_which_everything_holds_is_weathered() -> None:
    judged = judge(weathered())
    assert report.problems(judged) == []
    assert report.as_json(judged)["held"]


@pytest.mark.parametrize(
    ("scene", "said", "harm"),
    [
        ("outage", "did not open", lambda one: without(one, "breaker_open")),
        ("outage", "did not close", lambda one: without(one, "breaker_close")),
        ("outage", "no probe", lambda one: without(one, "breaker_half_open")),
        ("outage", "through 1 probes", lambda one: visited(one, Visit(OPENED + 9, "charge", "held", True))),
        ("outage", "no job waited", lambda one: changed(one, "held", asked=CLOSED - 0.1)),
        ("outage", "did not succeed", lambda one: changed(one, "held", state="failed")),
        ("slowness", "nothing to adapt to", lambda one: replace(one, timeouts=[Timeout(SLOW.begin - 1, 0.7, 0)])),
        (
            "slowness",
            "is 0.55 s in the end",
            lambda one: replace(one, timeouts=[Timeout(SLOW.begin - 1, 0.55, 0)]),
        ),
        ("slowness", "no run was cut off", lambda one: without(one, "retry")),
        ("slowness", "did not succeed", lambda one: changed(one, "report", state="dead")),
        ("flood", "1 jobs more urgent", lambda one: refused(one, "emergency")),
        ("flood", "something more urgent than LOW", lambda one: changed(one, "shed", priority="high")),
        ("flood", "nothing was displaced", lambda one: changed(one, "shed", state="succeeded")),
        ("flood", "EMERGENCY waited", lambda one: changed(one, "wet", claimed=FLOOD.begin + 0.15)),
        ("identical", "asked 2 times", lambda one: visited(one, Visit(PLAN.identical, "digest", "again", False))),
        ("identical", "99 of 100 callers", lambda one: replace(one, lines=one.lines[1:])),
        ("identical", "the applications count", lambda one: replace(one, lines=one.lines[:-1])),
        ("account", "have not ended", lambda one: changed(one, "mail", ended=None)),
        ("account", "and the server of", lambda one: replace(one, jobs=one.jobs[1:])),
        ("account", "ended", lambda one: replace(one, counters={**one.counters, "succeed": 1})),
        ("account", "1 jobs are shed, and the server counted 2", lambda one: counted(one, succeed=-1, shed=1)),
        ("account", "and the server counted", lambda one: changed(one, "digest", state="running")),
    ],
)
def test_what_does_not_hold_is_seen(scene: str, said: str, harm: Callable[[Record], Record]) -> None:
    problems = report.problems(judge(harm(weathered())))
    assert any(one.startswith(f"{scene}: ") and said in one for one in problems), problems


def test_a_stuck_job_that_others_wait_for_is_seen() -> None:
    assert stuck(weathered()).held
    assert "nothing was stolen" in stuck(without(weathered(), "stolen")).problems
    assert "the others waited for it" in stuck(changed(weathered(), "quick1", ended=1003.0)).problems


def test_a_record_of_nothing_holds_nothing() -> None:
    judged = judge(Record(PLAN, [], {}, [], Window(1.0), [], [], []))
    assert not any(one.held for one in judged)
    assert len(judged) == len(SCENES)
    assert report.as_json(judged)["scenes"]["outage"]["opened_after_s"] is None


def test_the_books_balance() -> None:
    account = next(one for one in judge(weathered()) if one.name == "account")
    total, *parts = [int(one) for one in re.findall(r"\d+", account.told[0])]
    assert total == sum(parts) == account.figures["accepted"] == len(weathered().jobs)


def test_who_made_the_answer_that_all_share_is_a_job_like_the_others() -> None:
    raw = fakeredis.FakeRedis()
    for ident, state in (("a", "shed"), ("made", "succeeded")):
        raw.hset(key("storm", "REQ", ident), mapping={"state": state, "stamp": 1_000_000, "ended": 2000})
    lines = [
        {"event": "asked", "name": MAIL, "priority": "low", "id": "a"},
        {"event": "answered", "by": "made", "process": "app-0"},
        {"event": "answered", "by": "made", "process": "app-1"},
    ]
    found = recorded.jobs(raw, "storm", lines)
    assert [(one.ident, one.name, one.state) for one in found] == [("a", MAIL, "shed"), ("made", DIGEST, "succeeded")]


def counted(record: Record, **more: int) -> Record:
    return replace(record, counters={**record.counters, **{k: record.counters[k] + n for k, n in more.items()}})


def refused(record: Record, priority: str) -> Record:
    return replace(record, lines=[*record.lines, {"event": "refused", "name": ALARM, "priority": priority}])
