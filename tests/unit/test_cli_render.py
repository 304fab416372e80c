"""What the command line prints, made from values by pure functions."""

import io
import json
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from coordinator.cli import details, doctor, failures, frame, measured, screen, sentences, shapes, tables, waiting
from coordinator.cli.measured import Measured
from coordinator.cli.sentences import Fleet
from coordinator.metrics.judging import Alert
from coordinator.metrics.window import Window
from coordinator.model.lease import Explanation, NeedView, Person, ShareView
from coordinator.model.names import Priority
from coordinator.model.need import Need
from coordinator.model.states import State
from coordinator.ops.doctor import Finding, Report
from coordinator.ops.history import DeadJob, Happening
from coordinator.ops.inspect import LineView, QueueView, ResourceView, SessionView, Survey
from coordinator.policy.alerts import Rule, Standing

NOW = 1_700_000_000.0
# Colours, a title, a bell, a cursor to the top, a reversed direction, markup, an emoji code, a line break, a surrogate.
HOSTILE = "\x1b[31mred\x1b]0;title\x07\x1b[H\u202eevil\u2028 [bold]loud[/bold] [/] :smile: a\r\nb \x9b1m \ud800"


def printed(*views: RenderableType, terminal: bool = False) -> str:
    """What reaches a terminal or a pipe, on a console like ours."""
    out = io.StringIO()
    console = Console(
        file=out,
        force_terminal=terminal,
        color_system="truecolor" if terminal else None,
        width=2000,
        markup=False,
        highlight=False,
        emoji=False,
    )
    for view in views:
        console.print(view)
    return out.getvalue()


def a_person(**changed: Any) -> Person:
    plain = Person(
        ident="k3f9x2a7qp0d-1",
        kind="lock",
        state="held",
        priority=Priority.NORMAL,
        since=NOW - 192,
        session="k3f9x2a7qp0d-2",
        live=True,
        owner="pr-1498",
        reason="apply",
        queue="",
        name="",
        mode="exclusive",
        permits=1,
        until=NOW + 60,
        fence=5,
    )
    return replace(plain, **changed)


def a_need(**changed: Any) -> NeedView:
    plain = NeedView(Need("infra/prod/vpc"), capacity=1, place=0, line_length=1, holders=(), ahead=())
    return replace(plain, **changed)


def a_request(state: State, **changed: Any) -> Explanation:
    plain = Explanation(
        ident="k3f9x2a7qp0d-9",
        kind="job",
        state=state,
        priority=Priority.HIGH,
        at=NOW,
        asked=NOW - 61,
        owner="ann",
        reason="release",
        metadata={},
        fields={"name": "deploy.apply", "queue": "default"},
        needs=(),
    )
    return replace(plain, **changed)


def a_survey(**changed: Any) -> Survey:
    worker = SessionView("w-1", NOW + 8, 3, {"kind": "worker", "host": "h", "pid": "7", "queues": "default bulk"})
    plain = Survey(
        at=NOW,
        resources=(ResourceView("infra/prod/vpc", 1, 2, {"k-1": f"x 1 5 w-1 {NOW + 60:.0f}000"}),),
        queues=(QueueView("default", 3, 1, 0),),
        sessions=(worker,),
        counters={"claim": 10, "succeed": 8},
        scheduled=1,
        dead=2,
        more=False,
    )
    return replace(plain, **changed)


def said(found: Explanation, around: Fleet | None = None) -> str:
    return "\n".join(sentences.why(found, around or Fleet()))


# --- hostile text goes through every renderer


def hostile_views() -> dict[str, Callable[[], tuple[RenderableType, ...]]]:
    person = a_person(ident=HOSTILE, owner=HOSTILE, reason=HOSTILE, session=HOSTILE, name=HOSTILE, state=HOSTILE)
    need = a_need(place=1, line_length=2, holders=(person,), ahead=(person,))
    fields = dict.fromkeys(("name", "queue", "why", "session", "progress", "cancel", "dedup"), HOSTILE)
    asked = a_request(
        State.WAITING,
        ident=HOSTILE,
        owner=HOSTILE,
        reason=HOSTILE,
        fields=fields,
        needs=(need,),
        metadata={"x": HOSTILE},
    )
    session = SessionView(HOSTILE, NOW + 8, 1, {"kind": HOSTILE, "host": HOSTILE, "pid": HOSTILE, "queues": HOSTILE})
    survey = a_survey(
        resources=(ResourceView(HOSTILE, 1, 1, {HOSTILE: HOSTILE}),),
        queues=(QueueView(HOSTILE, 1, 1, 1),),
        sessions=(session,),
        counters={HOSTILE: 1},
    )
    dead = DeadJob(HOSTILE, HOSTILE, HOSTILE, HOSTILE, NOW, 1, HOSTILE, HOSTILE, HOSTILE)
    event = Happening(HOSTILE, NOW, HOSTILE, HOSTILE, {HOSTILE: HOSTILE})
    report = Report((Finding("key", HOSTILE, HOSTILE),), 1, HOSTILE)
    every = [replace(asked, state=state) for state in State if state is not State.NEW]
    return {
        "resources": lambda: (tables.resources(survey.resources, survey),),
        "queues": lambda: (tables.queues(survey.queues),),
        "sessions": lambda: (tables.sessions(survey.sessions, NOW),),
        "dead": lambda: (tables.dead([dead], NOW),),
        "people": lambda: (
            tables.holding([person], NOW),
            tables.waiting([person]),
        ),
        "stats": lambda: (tables.stats(survey),),
        "happening": lambda: (tables.happening(event),),
        "request": lambda: tuple(details.request(one) for one in every),
        "resource": lambda: (details.resource(LineView(HOSTILE, NOW, 1, 1, (person,), (person,))),),
        "why": lambda: tuple(one for found in every for one in sentences.why(found, Fleet(0, False))),
        "top": lambda: (frame.frame(HOSTILE, frame.Moment(survey, survey.resources), None, keys=True),),
        "in line": lambda: (waiting.in_line(asked, HOSTILE),),
        "doctor": lambda: tuple(doctor.views(report)),
        "failure": lambda: (failures.line(failures.Failure(1, HOSTILE, HOSTILE)),),
    }


@pytest.mark.parametrize("name", hostile_views())
def test_hostile_text_is_shown_and_does_nothing(name: str) -> None:
    views = hostile_views()[name]()
    shown = printed(*views, terminal=True)
    # All escape sequences that are left are the colours of our own.
    for sequence in shown.split("\x1b")[1:]:
        assert sequence.startswith("["), name
        assert "m" in sequence, name
    plain = printed(*views)
    assert all(char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in plain)
    assert "\\x1b[31mred" in plain
    assert "[bold]loud[/bold] [/] :smile:" in plain


def test_json_is_ascii_whatever_it_says() -> None:
    written = screen.dumps({"x": HOSTILE, "blob": b"\xff"}, None)
    assert written.isascii()
    assert all(unicodedata.category(char) != "Cc" for char in written)
    assert json.loads(written) == {"x": HOSTILE, "blob": "/w=="}


# --- sentences


def test_a_waiting_request_names_holders_and_those_before_it() -> None:
    before = a_person(ident="k-2", owner="bob", since=None, fence=None, until=None, state="waiting", reason="")
    need = a_need(place=2, line_length=4, holders=(a_person(),), ahead=(before,))
    text = said(a_request(State.WAITING, needs=(need,)))
    assert text.splitlines() == [
        'Job deploy.apply k3f9x2a7qp0d-9 is waiting (high priority, asked 1m 1s ago by ann: "release").',
        'infra/prod/vpc: 3rd of 4 in line; held by pr-1498 (lock k3f9x2a7qp0d-1) for 3m 12s: "apply"; '
        "before it bob (lock k-2); 1 more.",
    ]


def test_a_waiting_request_says_what_it_wants_of_a_resource() -> None:
    shared = a_need(need=Need("a", "shared"), holders=(a_person(mode="shared"),))
    counted = a_need(need=Need("gpu", permits=2), capacity=8, holders=(a_person(permits=7),))
    text = said(a_request(State.WAITING, needs=(shared, counted)))
    assert "a: first of 1 in line to share it; held by" in text
    assert "gpu: first of 1 in line for 2 of 8 permits; held by" in text
    assert ", 7 permits" in text


def test_a_waiting_request_says_that_nobody_runs_the_job_before_it() -> None:
    job = a_person(ident="k-2", kind="job", state="ready", fence=None, until=None, queue="bulk")
    found = a_request(State.WAITING, needs=(a_need(place=1, line_length=2, ahead=(job,)),))
    assert "no live worker serves queue bulk" in said(found, sentences.fleet(a_survey(sessions=()), found))
    assert "no live worker" not in said(found, sentences.fleet(a_survey(), found))


def test_a_waiting_request_with_nobody_in_its_way_points_to_the_doctor() -> None:
    assert "coordinator doctor" in said(a_request(State.WAITING, needs=(a_need(),)))


@pytest.mark.parametrize(
    ("changed", "remark"),
    [({"live": False}, "its process is gone"), ({"until": NOW - 3}, "its lease ended 3.0s ago")],
)
def test_a_lapsed_holder_is_said_to_be_lapsed(changed: dict[str, Any], remark: str) -> None:
    need = a_need(holders=(a_person(**changed),))
    text = said(a_request(State.WAITING, needs=(need,)))
    assert f"[lapsed: {remark}" in text
    assert "lapsed" in printed(tables.holding(need.holders, NOW))


@pytest.mark.parametrize(
    ("idle", "serving", "sentence"),
    [
        (0, 0, "No live worker serves queue default"),
        (0, 2, "All slots of the queue are taken (2 live workers)."),
        (1, 2, "1 worker of the queue has free slots."),
        (2, None, "2 workers of the queue have free slots."),
    ],
)
def test_a_ready_job_says_what_it_waits_for(idle: int, serving: int | None, sentence: str) -> None:
    found = a_request(State.READY, queue_place=1, queue_length=3, idle_workers=idle)
    text = said(found, Fleet(serving=serving))
    assert "2nd of 3 in queue default" in text
    assert sentence in text


def test_a_ready_job_says_which_share_its_priority_has() -> None:
    share = ShareView((16, 8, 4, 2, 1), place=2, ready=5)
    found = a_request(State.READY, queue_place=8, queue_length=9, priority=Priority.LOW, share=share)
    text = said(found, Fleet(serving=1))
    assert "shared by weights (16:8:4:2:1, from emergency to low): low has 1 of 31 turns when all" in text
    assert "3rd of 5 of its priority, and gets one of the next 105 turns." in text
    assert "has 1 of 31 turns" in said(replace(found, share=replace(share, place=None)), Fleet())
    assert "shared" not in said(replace(found, share=replace(share, weights=(1, 0))), Fleet())


def test_a_retry_that_was_put_off_says_by_what() -> None:
    fields = {"name": "deploy.apply", "why": "ConnectionError", "attempts": "1", "postponed": "4500 45 100 10000"}
    text = said(a_request(State.SCHEDULED, due=NOW + 3, fields=fields))
    assert "put off to 4.5s after that: with it 45 retries of deploy.apply" in text
    assert "10 % of successes and 10 a second" in text
    for broken in ("", "soon", "1 2 3", "1 2 3 x"):
        assert "put off" not in said(a_request(State.SCHEDULED, due=NOW + 3, fields={**fields, "postponed": broken}))
    excused = said(a_request(State.SCHEDULED, due=NOW + 3, fields={**fields, "excused": "2"}))
    assert "2 runs of it failed as a probe of a breaker" in excused


def test_the_fleet_of_a_queue() -> None:
    gone = SessionView("w-2", NOW - 1, 0, {"queues": "default"})
    survey = a_survey(sessions=(*a_survey().sessions, gone))
    here = a_request(State.RUNNING, fields={"queue": "default", "session": "w-1"})
    elsewhere = a_request(State.RUNNING, fields={"queue": "other", "session": "w-2"})
    assert sentences.fleet(survey, here) == Fleet(serving=1, holder_live=True)
    assert sentences.fleet(survey, elsewhere) == Fleet(serving=0, holder_live=False)
    # A survey that names only some sessions does not know who is missing.
    many = a_survey(sessions=(gone,) * sentences.MOST_SESSIONS)
    assert sentences.fleet(many, elsewhere) == Fleet()


def test_the_other_states_say_where_and_since_when() -> None:
    assert "It is due in 5.0s" in said(a_request(State.SCHEDULED, due=NOW + 5))
    assert "It is due now" in said(a_request(State.SCHEDULED, due=NOW - 5))
    fields = {"session": "w-1", "since": f"{(NOW - 30) * 1000:.0f}", "attempts": "1", "progress": "0.4 planning"}
    text = said(a_request(State.RUNNING, fields=fields), Fleet(holder_live=False))
    assert "w-1 claimed it 30s ago and has not told yet that it began; it will be attempt 2." in text
    assert "That process has lapsed" in text
    assert "Progress: 0.4 planning." in text
    started = said(a_request(State.RUNNING, fields={**fields, "started": "1", "cancel": "wrong"}))
    assert "running for 30s, attempt 1, in process w-1." in started
    assert 'told to stop: "wrong"' in started
    held = {"since": f"{(NOW - 30) * 1000:.0f}", "expires": f"{(NOW + 60) * 1000:.0f}"}
    need = a_need(place=None, line_length=2)
    text = said(a_request(State.HELD, kind="lock", fields=held, needs=(need,)), Fleet(holder_live=True))
    assert "It has held infra/prod/vpc for 30s." in text
    assert "Its lease lasts 1m more" in text
    assert "2 requests wait for it." in text
    late = said(a_request(State.HELD, fields={**held, "expires": f"{(NOW - 2) * 1000:.0f}"}))
    assert "Its lease ended 2.0s ago" in late
    ended = {"ended": f"{(NOW - 61) * 1000:.0f}", "why": "boom"}
    text = said(a_request(State.DEAD, fields=ended))
    assert "It ended 1m 1s ago (2023-11-14 22:12:19Z) as dead: boom." in text
    assert "coordinator replay k3f9x2a7qp0d-9" in text
    again = said(a_request(State.READY, fields={"queue": "default", "why": "boom", "attempts": "2"}))
    assert "it came back: boom (2 attempts so far)" in again


# --- tables, top, shapes


def test_the_list_of_resources_marks_lapsed_and_shared_holders() -> None:
    holders = {
        "a-1": f"s 1 5 w-1 {NOW + 9:.0f}000",
        "b-1": f"x 3 5 w-1 {NOW + 9:.0f}000",
        "c-1": f"x 1 5 w-9 {NOW + 9:.0f}000",
        "d-1": "x 1 5 w-1 1",
    }
    survey = a_survey(resources=(ResourceView("gpu", 4, 0, holders),))
    text = printed(tables.resources(survey.resources, survey))
    assert "a-1 shared, b-1 x3, c-1 lapsed, 1 more" in text
    assert "b-1 (ann) x3" in printed(tables.resources(survey.resources, survey, {"b-1": "ann"}))


def test_top_shows_rates_between_two_frames_and_the_longest_lines_first() -> None:
    early = frame.Moment(a_survey(), ())
    late = frame.Moment(a_survey(at=NOW + 2, counters={"claim": 30, "succeed": 8}), ())
    assert frame.rates(late, None) == {}
    assert frame.rates(late, early)["claim"] == 10
    assert frame.rates(late, early)["succeed"] == 0
    lines = [ResourceView(name, 1, length, {}) for name, length in (("a", 1), ("b", 5), ("c", 5))]
    assert [one.name for one in frame.busiest(lines, 2)] == ["b", "c"]
    assert [frame.short(number) for number in (0, 9999, 12_400, 3_100_000)] == ["0", "9999", "12.4k", "3.1M"]
    text = printed(frame.frame("prod", replace(late, resources=tuple(lines)), early))
    assert "10.0" in text
    assert "prod" in text


def test_shapes_can_be_written_and_keep_their_fields() -> None:
    need = a_need(holders=(a_person(),), ahead=())
    request = shapes.request(a_request(State.WAITING, needs=(need,), fields={"wait_by": "1700000060500"}))
    assert request["wait_by"] == 1_700_000_060.5
    assert request["needs"][0]["holders"][0]["until"] == NOW + 60
    assert set(shapes.person(a_person())) == {
        "id",
        "kind",
        "state",
        "name",
        "queue",
        "priority",
        "owner",
        "reason",
        "session",
        "live",
        "since",
        "mode",
        "permits",
        "resource",
        "until",
        "fence",
    }
    documents = [
        request,
        shapes.resource(LineView("a", NOW, 1, 1, (a_person(),), ())),
        shapes.resources("n", NOW, a_survey().resources),
        shapes.queues("n", a_survey()),
        shapes.sessions("n", a_survey()),
        shapes.stats("n", a_survey()),
        shapes.dead("n", 1, [DeadJob("k", "dead", "x", "q", None, 1, "", "", "")]),
        shapes.happening(Happening("1-0", NOW, "grant", "k", {"fence": "1"})),
        doctor.document("n", Report((Finding("key", "k", "odd", True),), 3, "Redis 7", 1)),
    ]
    assert all(json.loads(screen.dumps(one)) == one for one in documents)


def test_the_doctor_counts_what_is_left() -> None:
    fixed, open_ = Finding("key", "a", "odd", True), Finding("request", "b", "stuck")
    assert "1 fault" in printed(*doctor.views(Report((fixed, open_), 5, "Redis 7", 1)))
    assert "healthy" in printed(*doctor.views(Report((fixed,), 5, "Redis 7", 1)))


def test_a_bar_appears_with_the_first_news_and_goes_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen.Screen(as_json=False)
    out = io.StringIO()
    monkeypatch.setattr(shown, "err", Console(file=out, force_terminal=True, width=80))
    with shown.progress("reading"):
        assert out.getvalue() == ""
    assert out.getvalue() == ""
    with shown.progress("reading") as tell:
        tell(1, 2)
        assert "1/2" in out.getvalue()


def test_top_tells_of_alerts_latency_and_breakers_if_there_are_any() -> None:
    rule = Rule("queue_depth", "fleet.depth", 100, 500)
    seen = Window(10.0, gauges={"breaker.state:github": 2.0, "breaker.state:" + HOSTILE: 0.0})
    alerts = (Alert(rule, Standing("raised", "critical", 612.0, NOW), NOW), Alert(rule, Standing(), NOW))
    text = printed(frame.frame("prod", frame.Moment(a_survey(), (), Measured(seen, alerts)), None))
    assert "critical queue_depth 612" in text
    assert "open" in text
    assert "latency" not in text
    assert "\x1b[31m" not in text
    assert "alerts" not in printed(frame.frame("prod", frame.Moment(a_survey(), (), Measured(Window(1.0), ())), None))


def test_short_times_are_written_short() -> None:
    shown = [measured.seconds(value) for value in (0.0, 0.00043, 0.0123, 0.4304, 1.234, 512.0)]
    assert shown == ["0us", "430us", "12.3ms", "430ms", "1.23s", "512s"]
