"""The header of each script, the Python call, the Lua itself and the tests say the same."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.ops import (
    configuring,
    fleet,
    freezing,
    gathering,
    locks,
    looking,
    operator,
    pulse,
    requests,
    watching,
    work,
)
from coordinator.ops import gates as gate_ops
from coordinator.ops import inspect as inspect_ops
from coordinator.wire import calls, loader, looks, replies
from coordinator.wire.calls import Claim, Deed, Gathering, JobAsk, Lesson, Lessons, LockAsk, Offer, Report, Scope
from coordinator.wire.step import Call
from tests.contract.lua import code, statuses_answered
from tests.support.engine import TERMS

pytestmark = pytest.mark.no_redis

SCRIPTS = loader.names()
AUDITS = tuple(name for name in SCRIPTS if name.startswith("audit_"))  # their tests are those of the doctor
SCOPE = Scope.of("n", TERMS)
CLAIM = Claim(1, 1, 1000, ("q1", "q2"), 1)

# A value for each parameter of a call: one with and one without its variable part.
LONG: dict[str, Any] = {
    "session": "s",
    "ident": "r",
    "fields": {"host": "h", "pid": 1},
    "sweep_ms": 1000,
    "started": [("j1", "1"), ("j2", "2")],
    "fence": 1,
    "lease_ms": 1000,
    "event": "cancel",
    "reason": "because",
    "priority": 1,
    "max_payload": 1000,
    "jobs": [JobAsk("j", "n", "q", 1, b"", {"needs": "x1:a"})],
    "progress": "0.5",
    "call_id": "c",
    "deed": Deed("ann", "because", "c"),
    "thing": Gathering("a", "latch", 2, 1000),
    "act": "come",
    "came_in": "0",
    "heir": "r2",
    "verb": "steal",
    "other": "r2",
    "place": "before",
    "pattern": "a/**",
    "ms": 1000,
    "resource": "a",
    "most": 10,
    "holders": 10,
    "past": 10,
    "after": "",
    "before": "1-0",
    "fix": False,
    "grace_ms": 1000,
    "reports": [Report("j", "1", "succeeded")],
    "prefix": "infra/",
    "skip": 0,
    "until_ms": None,
    "keys": [("meta", "")],
    "places": ["ready:default"],
    "number": 1,
    "spares": [("j1", "1"), ("j2", "2")],
    "offer": Offer(1, True, 1, 0, [("j1", "1"), ("j2", "2")]),
    "strays": ["r1", "r2"],
    "believed": [("r3", "1")],
    "lessons": Lessons(1, 10, 1000, (Lesson("lock/a", 1000, "", 0, 0, 0, 0, {"ok": 1, 96: 1}),)),
    "names": ["lock/a"],
    "dedup_keys": ["~answer/1", "~answer/2"],
    "name": "n",
    "ttl_ms": 1000,
    "answers": [("~answer/1", "r", b"")],
    "version": 1,
    "who": "me",
    "gates": {"job": "breaker/job:5:3:30000:60000:1"},
    "start": 200,
    "config": "7 retry: base (10) must be at most cap (5)",
    "changes": {"timeouts.most": "4"},
    "terms": "max_line=1",
    "kind": "breaker",
    "open_ms": 1000,
    "buckets": ["b1", "b2"],
    "text": "some text",
    "mark": "p 1",
    "limits": (1000, 100, 10_000, 5000),
    "words": ["process", "p"],
    "moved": "8 64 learnt 250",
    "window_ms": 1000,
    "verdicts": [("rule", "", "now", "raised", "warning", "1")],
    "rule": "rule",
    "was": "was",
    "now": "now",
    "by": "me",
    "named": 20,
    "owner": "pr-1",
}
SHORT: dict[str, Any] = {
    **LONG,
    **dict.fromkeys(
        ("fields", "started", "jobs", "reports", "keys", "places", "strays", "believed", "names", "spares"), ()
    ),
    **dict.fromkeys(("dedup_keys", "answers", "buckets", "words", "verdicts"), ()),
    "lessons": Lessons(1, 10, 1000, ()),
    "offer": Offer(1, False, 0, 0, ()),
}
SHORT["fields"] = SHORT["changes"] = SHORT["gates"] = {}


def function(script: str) -> Callable[..., Call]:
    found: Callable[..., Call] = getattr(calls, script, None) or getattr(looks, script)
    return found


def made(script: str, given: dict[str, Any]) -> Call:
    asks = {"request": LockAsk("r", 1, "x1:a", False, None, 1000), "claim": CLAIM, "settle": CLAIM}
    names = list(inspect.signature(function(script)).parameters)[1:]
    return function(script)(SCOPE, *(asks[script] if name == "ask" else given[name] for name in names))


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_has_the_call_of_its_name_and_they_agree_on_the_arguments(script: str) -> None:
    header = loader.header(script)
    long, short = made(script, LONG), made(script, SHORT)
    assert (long.script, long.key, header.keys) == (script, SCOPE.meta, 1)
    assert long.args[0] == TERMS.text
    if header.variadic:
        assert len(short.args) >= header.args - 1
        assert len(long.args) >= header.args
    else:
        assert len(short.args) == len(long.args) == header.args


def test_no_call_is_without_a_script() -> None:
    public = {
        name
        for module in (calls, looks)
        for name, one in vars(module).items()
        if inspect.isfunction(one) and one.__module__ == module.__name__ and not name.startswith("_")
    }
    assert public == set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_header_says_what_the_script_does_and_keeps(script: str) -> None:
    head = re.split(r"^[^-]", loader.source(script), maxsplit=1, flags=re.MULTILINE)[0]
    assert re.match(r"-- [A-Z].*[.]$", head.splitlines()[0]), "begins with a sentence"
    assert "\n-- Keeps: " in head
    numbers = [int(one) for one in re.findall(r"^-- ARGV\[(\d+)", head, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_reads_the_arguments_its_header_names(script: str) -> None:
    header = loader.header(script)
    used = {int(one) for one in re.findall(r"ARGV\[(\d+)\]", code(script))}
    assert used <= set(range(1, header.args + 1))
    fixed = header.args - 1 if header.variadic else header.args
    # The last fixed words before a variable part are read together with it.
    assert set(range(1, fixed)) <= used | {6}


# Words that open a list in the Lua but are no reply: the two parts of a note, the steps of a number.
SHARED_BUILDERS = {
    "submit": (
        "lib/submit_job",
        "lib/ask",
        "lib/duplicate",
        "lib/room",
        "lib/shed",
        "lib/kept_out",
        "lib/memory",
        "lib/crowd",
    ),
    "settle": ("lib/settle_job",),
    "request": ("lib/ask", "lib/memory", "lib/crowd"),
    "replay": ("lib/room",),
    "transfer": ("lib/heir",),
    "hand_over": ("lib/heir",),
}


@pytest.mark.parametrize("script", [one for one in SCRIPTS if one not in AUDITS])
def test_a_header_lists_every_reply_that_the_script_can_give(script: str) -> None:
    header = loader.header(script)
    named = {*header.replies, *header.statuses}
    own = statuses_answered(script)
    assert own <= named
    shared = {word for one in SHARED_BUILDERS.get(script, ()) for word in statuses_answered(one)}
    assert named <= own | shared


def names_in(operations: Any) -> set[str]:
    """All words that the code of some operations names."""
    tree = ast.parse(inspect.getsource(operations))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.mark.parametrize("script", [one for one in SCRIPTS if one not in AUDITS])
def test_every_reply_is_known_to_whoever_reads_it(script: str) -> None:
    known = set(replies.REFUSALS)
    for module in (
        *(fleet, freezing, gate_ops, gathering, inspect_ops),
        *(locks, looking, operator, pulse, requests, watching, work, configuring),
    ):
        known |= names_in(module)
    # These are read by the drivers and the worker: the keeper of the session, the worker's settler.
    known |= {"ok", "schema", "stale", "overtaken"}
    header = loader.header(script)
    assert {*header.replies, *header.statuses} <= known


def test_no_refusal_is_without_a_script_that_gives_it() -> None:
    given = {word for one in SCRIPTS for word in (*loader.header(one).replies, *loader.header(one).statuses)}
    assert set(replies.REFUSALS) <= given


def test_every_reply_of_every_header_is_reached_by_a_script_test() -> None:
    """`@reaches(script, statuses...)` is checked when the test runs; here, that none is forgotten."""
    reached: set[tuple[str, str]] = set()
    for file in (Path(__file__).parent.parent / "scripts").glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reaches":
                script, *statuses = [one.value for one in node.args if isinstance(one, ast.Constant)]
                reached |= {(str(script), str(status)) for status in statuses}
    wanted = {
        (script, status)
        for script in SCRIPTS
        if script not in AUDITS
        for status in (*loader.header(script).replies, *loader.header(script).statuses)
    }
    assert wanted - reached == set()
    assert {one for one in reached if one[0] not in AUDITS} - wanted == set()


@pytest.mark.parametrize(
    "script",
    ["release", "extend", "settle", "cancel", "sweep", "beat", "close_session", "reconcile", "force", "retain"],
)
def test_finishing_works_when_memory_is_full(script: str) -> None:
    assert loader.program(script, True).text.startswith("#!lua flags=allow-oom\n")


@pytest.mark.parametrize("script", ["open_session", "claim", "watch", "spare"])
def test_what_drains_a_full_queue_works_when_memory_is_full(script: str) -> None:
    # A job leaves memory only by way of a worker: one that could not begin, or not claim, would leave it full for ever.
    assert loader.program(script, True).text.startswith("#!lua flags=allow-oom\n")


@pytest.mark.parametrize(
    "script",
    [
        "audit",
        "freezes",
        "dead",
        "events",
        "explain",
        "gates",
        "handlers",
        "line",
        "holders",
        "held_by",
        "changes",
        "samples",
        "survey",
        "timeouts",
        "config",
        "audit_keys",
    ],
)
def test_looking_works_when_memory_is_full(script: str) -> None:
    assert loader.program(script, True).text.startswith("#!lua flags=no-writes\n")


@pytest.mark.parametrize("script", ["submit", "request", "replay", "define", "configure", "publish"])
def test_taking_on_more_work_is_refused_when_memory_is_full(script: str) -> None:
    assert loader.program(script, True).text.startswith("#!lua flags=\n")
