"""What was measured in the last seconds, for people and as JSON: part of `stats` and `top`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from coordinator.cli import tables
from coordinator.cli.options import scope_of
from coordinator.cli.words import duration, word
from coordinator.client import Coordinator
from coordinator.live import salvaged
from coordinator.metrics.judging import Alert, alerts_of
from coordinator.metrics.window import Window, figures, window
from coordinator.model.measures import MEASURES, PRIORITIES, QUANTILES, SHARES, Kind
from coordinator.ops import pulse
from coordinator.policy.alerts import ACKNOWLEDGED, CALM, CRITICAL, RAISED, Rule
from coordinator.sections import Metrics

STYLES = {CRITICAL: "bold red", "warning": "yellow", CALM: "green"}
BREAKER = {0: ("closed", "green"), 1: ("half-open", "yellow"), 2: ("open", "bold red")}
_EXACT = 100
# Nobody publishes if nothing has come for so many intervals, and for so many seconds.
MISSED_INTERVALS, LEAST_SILENCE = 5, 5.0
# A sample older than this is looked for no more.
OLDEST = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Measured:
    """The samples of some seconds put together, and the alerts. `age`: seconds since the newest sample, None if
    there is none; `silent`: that is so long that nobody publishes, and so nobody looks at the alerts."""

    window: Window
    alerts: tuple[Alert, ...]
    age: float | None = 0.0
    silent: bool = False


def section(coordinator: Coordinator) -> Metrics:
    """The settings by which the fleet measures and judges: what was set for all of it over what is set here."""
    base = coordinator.settings
    return salvaged(base, base, coordinator.configuration().values)[0].metrics


def measured(coordinator: Coordinator, seconds: float) -> Measured:
    """Look."""
    scope, settings = scope_of(coordinator), section(coordinator)
    found = coordinator.run(pulse.samples(scope, seconds))
    newest = found.samples or coordinator.run(pulse.samples(scope, OLDEST, 1)).samples
    age = max(0.0, found.at - int(newest[0][0].partition("-")[0]) / 1000) if newest else None
    silent = age is None or age > max(LEAST_SILENCE, MISSED_INTERVALS * settings.interval)
    return Measured(window(found.samples, found.at), tuple(alerts_of(found, settings.rules())), age, silent)


def silence(found: Measured) -> Iterator[Text]:
    """That nobody publishes, if it is so: what alerts say is old then, however good it looks."""
    if found.silent:
        since = "at all" if found.age is None else f"for {duration(found.age)}"
        yield Text(f"nobody has published {since}: alerts stand as they stood then", style="yellow")


def silence_shape(found: Measured) -> dict[str, Any]:
    """The same for `--json`."""
    return {"silent": found.silent, "last_sample_ago": found.age}


def document(found: Window) -> dict[str, Any]:
    """A window for `--json`: counts of all of it, gauges, distributions in seconds (or plain numbers), shares."""
    known, distributions = figures(found), {}
    for one in MEASURES:
        if one.kind in (Kind.TIME, Kind.SIZE) and f"{one.name}.mean" in known:
            parts = {part: known[f"{one.name}.{part}"] for part in ("mean", *(f"p{share}" for share in QUANTILES))}
            distributions[one.name] = {"count": found.observed(one.name).count, **parts}
    processes = [one for one in found.origins.values() if one.kind != "fleet"]
    return {
        "seconds": found.seconds,
        "processes": [
            {"process": one.process, "kind": one.kind, "host": one.host, "pid": one.pid} for one in processes
        ],
        "counts": dict(sorted(found.counts.items())),
        "gauges": dict(sorted(found.gauges.items())),
        "distributions": distributions,
        "shares": {name: known[name] for name in SHARES if name in known},
    }


def views(found: Window) -> Iterator[Table | Text]:
    """A window for people: every measure that says something, then the distributions."""
    if not found.origins:
        yield Text("no samples in that time", style=tables.DIM)
        return
    yield Text(f"the last {duration(found.seconds)}, from {_processes(found)}", style=tables.DIM)
    rates, known = tables.columns("MEASURE", "COUNT", "PER SECOND", right=("COUNT", "PER SECOND")), figures(found)
    for name, count in sorted(found.counts.items()):
        rates.add_row(word(name), str(count), f"{count / found.seconds:.1f}")
    for name in sorted({*found.gauges, *SHARES} & known.keys()):
        value = f"{known[name]:.1%}" if name.endswith("_share") else f"{known[name]:.4g}"
        rates.add_row(word(name), Text(value), Text(""))
    if rates.row_count:
        yield rates
    times = latencies(found)
    if times.row_count:
        yield Text()
        yield times


def latencies(found: Window, *names: str) -> Table:
    """Distributions with their quantiles; all that have values, or those named."""
    numbers = ("COUNT", "MEAN", *(f"P{share}" for share in QUANTILES))
    made = tables.columns("", *numbers, right=numbers)
    for one in MEASURES:
        if one.kind not in (Kind.TIME, Kind.SIZE) or (names and one.name not in names):
            continue
        seen = found.observed(one.name)
        if seen.mean is None:
            continue
        told = (seen.mean, *(seen.histogram.quantile(share / 100) or 0.0 for share in QUANTILES))
        shown = (seconds(value) if one.kind is Kind.TIME else f"{value:.3g}" for value in told)
        made.add_row(word(one.name), str(seen.count), *shown)
    return made


def waits(found: Window) -> Text | None:
    """How long jobs had waited by priority, on average, and the newest run; None if none began."""
    known = figures(found)
    waited = [(name, known[f"mean_wait:{name}"]) for name in reversed(PRIORITIES) if f"mean_wait:{name}" in known]
    if not waited:
        return None
    parts = [Text(" mean wait", style=tables.DIM), *(Text(f"{name} {seconds(wait)}") for name, wait in waited)]
    if "queue.since_run" in known:
        parts.append(Text(f"last run {duration(known['queue.since_run'])} ago", style=tables.DIM))
    return Text("  ").join(parts)


def breakers(found: Window) -> Table:
    """The breakers that are not closed."""
    made = tables.columns("BREAKER", "STATE")
    for name, value in sorted(found.labels("breaker.state").items()):
        shown, style = BREAKER.get(round(value), (f"{value:g}", ""))
        made.add_row(word(name), word(shown, style))
    return made


def raised(alerts: tuple[Alert, ...]) -> list[Alert]:
    """Those that want somebody's attention, the worst first."""
    found = [one for one in alerts if one.standing.state in (RAISED, ACKNOWLEDGED)]
    return sorted(found, key=lambda one: (one.standing.state != RAISED, one.standing.level != CRITICAL, one.rule.name))


def line(one: Alert) -> Text:
    """An alert in a few words."""
    standing = one.standing
    style = STYLES[standing.level] if standing.state == RAISED else tables.DIM
    return Text.assemble((f"{standing.level} ", style), (one.rule.name, style), f" {figure(one.rule, standing.figure)}")


def figure(rule: Rule, value: float | None) -> str:
    """A figure as people read it: shares in per cent, waits as durations."""
    if value is None:
        return "-"
    if rule.figure.endswith("_share"):
        return f"{value:.1%}"
    if rule.figure.partition(":")[0] in ("mean_wait", "mean_lock_wait", "fleet.head_age"):
        return duration(value)
    return f"{value:g}"


def seconds(value: float) -> str:
    """`430us`, `12.3ms`, `1.2s`: a short time."""
    for least, size, unit in ((1.0, 1.0, "s"), (0.001, 0.001, "ms"), (0.0, 0.000001, "us")):
        if value >= least:
            scaled = value / size
            return f"{scaled:.0f}{unit}" if scaled >= _EXACT else f"{scaled:.3g}{unit}"
    return "0s"


def _processes(found: Window) -> str:
    kinds = [one.kind for one in found.origins.values()]
    workers, clients = kinds.count("worker"), kinds.count("app")
    return f"{workers} worker{'s' * (workers != 1)} and {clients} client{'s' * (clients != 1)}"
