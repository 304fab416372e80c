"""The alerts of a namespace: looked at by whichever process was told to with its last sample, so no leader
has to live. Standings are kept as text, to be read with redis-cli:

    HGETALL 'co:{default}:alerts'
    queue_depth   raised critical 612 1795249731248 0
    (rule)        (state, level, figure, since ms, since when it turns, who has seen it)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from coordinator.errors import CoordinatorError, InvalidInput
from coordinator.keys import decode, encode
from coordinator.metrics.window import figures, window
from coordinator.ops import pulse
from coordinator.policy.alerts import (
    ACKNOWLEDGED,
    LEVELS,
    RAISED,
    RESOLVED,
    REST,
    Rule,
    Standing,
    acknowledged,
    step,
)
from coordinator.wire.calls import Scope
from coordinator.wire.step import Operation

# What a look at the alerts is based on: the last minute, or as much of it as fits into so many samples.
WINDOW = 60.0
MOST_JUDGED = 300
_STATES = ("-", RAISED, ACKNOWLEDGED, RESOLVED)
_WORDS = 6
Verdict = tuple[str, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule and how it stands. `at`: epoch seconds by the server's clock."""

    rule: Rule
    standing: Standing
    at: float


def text_of(standing: Standing) -> str:
    """A standing as it is kept; empty for one at rest."""
    if standing == REST:
        return ""
    words = (
        standing.state or "-",
        standing.level,
        f"{standing.figure:.6g}",
        f"{standing.since * 1000:.0f}",
        f"{standing.turning * 1000:.0f}",
        encode(standing.by) or "-",
    )
    return " ".join(words)


def standing_of(text: str) -> Standing:
    """From what `text_of` made; what cannot be read is at rest."""
    words = text.split(" ")
    if len(words) != _WORDS or words[0] not in _STATES or words[1] not in LEVELS:
        return REST
    try:
        figure, since, turning = float(words[2]), int(words[3]) / 1000, int(words[4]) / 1000
    except ValueError:
        return REST
    by = "" if words[5] == "-" else decode(words[5])
    return Standing("" if words[0] == "-" else words[0], words[1], figure, since, turning, by)


def judge(scope: Scope, mark: str, rules: Sequence[Rule]) -> Operation[bool]:
    """Look at the alerts, as the sample `mark` was told to. False: nothing had to be written, or it was too late."""
    found = yield from pulse.samples(scope, WINDOW, MOST_JUDGED)
    known = figures(window(found.samples, found.at))
    verdicts = [*verdicts_of(rules, found.alerts, known, found.at)]
    if not verdicts:
        return False
    return (yield from pulse.judge(scope, mark, verdicts))


def verdicts_of(
    rules: Iterable[Rule], kept: Mapping[str, str], known: Mapping[str, float], now: float
) -> Iterator[Verdict]:
    """What is to be written. An alert whose rule is there no more goes without a word."""
    left = dict(kept)
    for rule in rules:
        was = left.pop(rule.name, "")
        made = step(rule, standing_of(was), known.get(rule.figure), now)
        text = text_of(made.standing)
        if text != was:
            yield rule.name, was, text, made.told, made.standing.level, f"{made.standing.figure:.6g}"
    for name, was in left.items():
        yield name, was, "", "", "", ""


def alerts_of(found: pulse.Found, rules: Iterable[Rule]) -> list[Alert]:
    """How all rules stand."""
    return [Alert(rule, standing_of(found.alerts.get(rule.name, "")), found.at) for rule in rules]


def acknowledge(scope: Scope, rules: Sequence[Rule], name: str, by: str) -> Operation[Alert]:
    """Note that somebody has seen an alert. Raises InvalidInput for none that is raised."""
    rule = next((one for one in rules if one.name == name), None)
    if rule is None:
        raise InvalidInput("rule", name, f"must be one of {', '.join(one.name for one in rules)}")
    for _ in range(3):
        found = yield from pulse.samples(scope, 0, 1)
        was = found.alerts.get(name, "")
        known = standing_of(was)
        if known.state not in (RAISED, ACKNOWLEDGED):
            raise InvalidInput("rule", name, "its alert is not raised")
        seen = acknowledged(known, by)
        if (yield from pulse.acknowledge(scope, name, was, text_of(seen), by)):
            return Alert(rule, seen, found.at)
    raise CoordinatorError(f"the alert {name} changes all the time; try again")
