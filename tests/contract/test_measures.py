"""What the code measures has a name in the table, as a literal, so that a search finds it and a slip is seen here; and
what the table has is measured."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.model.measures import MEASURES, Kind, allowed, measure

pytestmark = pytest.mark.no_redis
ROOT = Path(__file__).parents[2]
SPREADS = (Kind.TIME, Kind.SIZE)
KINDS = {"count": (Kind.COUNT,), "observe": SPREADS, "add": SPREADS, "gauge": (Kind.GAUGE,)}
# What the server says of itself, in its sample.
FLEET = ROOT / "coordinator/lua/lib/fleet_sample.lua"
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


def measuring() -> Iterator[tuple[Path, ast.Call]]:
    """Every such call of the program."""
    for package in ("coordinator", "workers"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for call in calls_of(file.read_text(encoding="utf-8")):
                yield file.relative_to(ROOT), call


def told_by_the_server(text: str) -> set[str]:
    """The names that a script says, with or without a label behind them."""
    return set(re.findall(r"'([a-z]+\.[a-z_]+):?'", text))


def test_every_name_that_is_measured_is_in_the_table() -> None:
    found = [f"{file}:{call.lineno}: {problem(call)}" for file, call in measuring() if problem(call)]
    found += [f"{FLEET.name}: {name}" for name in told_by_the_server(FLEET.read_text()) if not known(name)]
    assert found == []


def known(name: str) -> bool:
    return any(one.name == name for one in MEASURES)


def test_every_name_of_the_table_is_measured_by_somebody() -> None:
    fed = {ast.literal_eval(call.args[0]) for _, call in measuring()} | told_by_the_server(FLEET.read_text())
    assert [one.name for one in MEASURES if one.name not in fed] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("self.meter.count('queue.batches')", ""),
        ("driver.meter.count('queue.processed', 2, 'succeeded')", ""),
        ("recorder.observe('queue.run', 1.0)", ""),
        ("recorder.gauge('breaker.state', 1, label=name)", ""),
        ("self._meter.count('queue.btaches')", "the table does not have"),
        ("meter.count('queue.run')", "the table does not have"),
        ("meter.add('queue.batches', values)", "the table does not have"),
        ("meter.count(name)", "not a literal"),
        ("meter.count('queue.batches', label=name)", "has no labels"),
        ("meter.count('queue.processed', 1, 'sucess')", "has no label"),
    ],
)
def test_a_slip_is_seen(line: str, said: str) -> None:
    [call] = calls_of(line)
    assert problem(call) == "" if not said else said in problem(call)
