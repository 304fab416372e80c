"""What the code measures has a name in the table, as a literal, so that a search finds it and a slip is seen here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.model.measures import Kind, allowed, measure

pytestmark = pytest.mark.no_redis
ROOT = Path(__file__).parents[2]
KINDS = {"count": (Kind.COUNT,), "observe": (Kind.TIME, Kind.SIZE), "gauge": (Kind.GAUGE,)}
METERS = {"meter", "recorder"}


def calls_of(text: str) -> Iterator[ast.Call]:
    """Calls of `count`, `observe` and `gauge` on something that is called a meter or a recorder."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in KINDS:
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            if name.strip("_") in METERS:
                yield node


def problem(call: ast.Call) -> str:
    """What is wrong with a call; empty if nothing is."""
    assert isinstance(call.func, ast.Attribute)
    how, first = call.func.attr, call.args[0] if call.args else None
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return f"the name of `{how}` is not a literal"
    if ":" in first.value or not allowed(first.value, KINDS[how]):
        return f"`{how}` of {first.value!r}, which the table does not have as such"
    label = next(
        (one.value for one in call.keywords if one.arg == "label"), call.args[2] if len(call.args) > 2 else None
    )
    if label is not None and not measure(first.value).labels:
        return f"{first.value!r} has no labels"
    if isinstance(label, ast.Constant) and not allowed(f"{first.value}:{label.value}", KINDS[how]):
        return f"{first.value!r} has no label {label.value!r}"
    return ""


def test_every_name_that_is_measured_is_in_the_table() -> None:
    found = []
    for package in ("coordinator", "workers"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for call in calls_of(file.read_text(encoding="utf-8")):
                said = problem(call)
                if said:
                    found.append(f"{file.relative_to(ROOT)}:{call.lineno}: {said}")
    assert found == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("self.meter.count('queue.batches')", ""),
        ("driver.meter.count('queue.processed', 2, 'succeeded')", ""),
        ("recorder.observe('queue.run', 1.0)", ""),
        ("recorder.gauge('breaker.state', 1, label=name)", ""),
        ("self._meter.count('queue.btaches')", "the table does not have"),
        ("meter.count('queue.run')", "the table does not have"),
        ("meter.count(name)", "not a literal"),
        ("meter.count('queue.batches', label=name)", "has no labels"),
        ("meter.count('queue.processed', 1, 'sucess')", "has no label"),
    ],
)
def test_a_slip_is_seen(line: str, said: str) -> None:
    [call] = calls_of(line)
    assert problem(call) == "" if not said else said in problem(call)
