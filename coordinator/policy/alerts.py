"""When a figure is worth telling a person, and when it is so no more.

A rule has two limits, *warning* and *critical*. A level is taken on when the figure has been at or beyond its limit for
`hold` seconds, and left when the figure has been back by more than `band` (a fifth) of the limit for as long: between
`limit * (1 - band)` and `limit` nothing changes, so that a figure that trembles around a limit is told once. A figure
that is not known (nothing happens any more) counts as back.

The defaults of the limits are those that operators of job queues watch: a queue that is 100 or 500 jobs deep, half a
minute or two minutes until a job starts, a twentieth or a seventh of all that times out, a tenth or a quarter of all
retries in vain, four calls of five executed although they could have been shared, one job or twenty in a minute that
nobody runs again by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

CALM, WARNING, CRITICAL = "calm", "warning", "critical"
LEVELS = (CALM, WARNING, CRITICAL)
RAISED, ACKNOWLEDGED, RESOLVED = "raised", "acknowledged", "resolved"
# What is resolved is listed for so long, in seconds.
KEEP_RESOLVED = 3600.0


@dataclass(frozen=True, slots=True)
class Rule:
    """A figure and its limits. `below`: it is the small values that are bad. `hold` in seconds."""

    name: str
    figure: str
    warning: float | None = None
    critical: float | None = None
    below: bool = False
    band: float = 0.2
    hold: float = 10.0
    about: str = ""

    def limit(self, level: str) -> float | None:
        """The limit of a level."""
        return self.warning if level == WARNING else self.critical


DEFAULTS: tuple[Rule, ...] = (
    Rule("queue_depth", "fleet.depth", 100, 500, about="jobs of one queue that have not started"),
    Rule("mean_wait", "mean_wait", 30, 120, about="seconds that jobs had waited when they were started, on average"),
    Rule("head_age", "fleet.head_age", 30, 120, about="seconds for which the first job of a queue has been in line"),
    Rule("timeout_rate", "timeout_share", 0.05, 0.15, about="share of what timed out"),
    Rule("retry_failure", "retry_failure_share", 0.1, 0.25, about="share of retries that failed"),
    Rule("dead_jobs", "dead_per_minute", 1, 20, about="jobs in a minute that ended as failed or dead"),
    Rule("coalesce_rate", "coalesce_share", 0.2, None, below=True, about="share of calls that were spared"),
)


def rules(changes: Mapping[str, Rule]) -> tuple[Rule, ...]:
    """The default rules, those of the same names replaced, and the others added. One without limits is off."""
    chosen = {rule.name: rule for rule in DEFAULTS} | dict(changes)
    return tuple(rule for rule in chosen.values() if rule.warning is not None or rule.critical is not None)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an alert stands. `since`: when it took on its level; `turning`: since when its figure calls for another, in
    epoch seconds, 0 for not at all, negative for a lower one. `state` is empty while it has not been raised."""

    state: str = ""
    level: str = CALM
    figure: float = 0.0
    since: float = 0.0
    turning: float = 0.0
    by: str = ""


REST = Standing()


@dataclass(frozen=True, slots=True)
class Step:
    """How an alert stands now, and what is to be told: `raised`, `resolved`, or nothing."""

    standing: Standing
    told: str = ""


def step(rule: Rule, known: Standing, figure: float | None, now: float) -> Step:
    """An alert, one look later."""
    called = wanted(rule, known.level, figure)
    seen = replace(known, figure=figure if figure is not None else known.figure)
    if called == known.level:
        return Step(_settled(replace(seen, turning=0.0), now))
    up = LEVELS.index(called) > LEVELS.index(known.level)
    began = abs(known.turning) if known.turning and (known.turning > 0) == up else now
    if now - began < rule.hold:
        return Step(replace(seen, turning=began if up else -began))
    if called == CALM:
        return Step(replace(seen, state=RESOLVED, level=CALM, since=now, turning=0.0), RESOLVED)
    # What has become worse is news even for whoever has seen it before; what has become better is not.
    state = RAISED if up else known.state
    by = "" if up else known.by
    return Step(replace(seen, state=state, level=called, since=now, turning=0.0, by=by), RAISED if up else "")


def wanted(rule: Rule, level: str, figure: float | None) -> str:
    """The level that a figure calls for: the highest whose limit it has reached, or which it has not yet left."""
    if figure is None:
        return CALM
    for one in (CRITICAL, WARNING):
        limit = rule.limit(one)
        if limit is None:
            continue
        held = LEVELS.index(level) >= LEVELS.index(one)
        if _beyond(rule, figure, limit, rule.band if held else 0.0):
            return one
    return CALM


def acknowledged(known: Standing, by: str) -> Standing:
    """The alert, seen by somebody."""
    return replace(known, state=ACKNOWLEDGED, by=by)


def _beyond(rule: Rule, figure: float, limit: float, ease: float) -> bool:
    if rule.below:
        return figure < limit * (1 + ease)
    return figure >= limit if not ease else figure > limit * (1 - ease)


def _settled(known: Standing, now: float) -> Standing:
    """What has been resolved for long, or never was anything, is forgotten."""
    over = known.level == CALM and (not known.state or now - known.since >= KEEP_RESOLVED)
    return REST if over else known
