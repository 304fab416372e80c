"""Samples of many processes put together, and the figures that screens show and alerts are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

from coordinator.errors import Corrupt
from coordinator.metrics.sample import Origin, Sample, observed_of, sample_of
from coordinator.model.histogram import Observed
from coordinator.model.measures import MEASURES, QUANTILES, SHARES, Kind, measure

# A share of fewer things than this says nothing: of three jobs one that fails is a third.
FEWEST = 20
MINUTE = 60.0


@dataclass(slots=True)
class Window:
    """What happened in the last `seconds`: counts and distributions of all processes added up, and gauges as each
    process said them last, added up, or the largest or the smallest of them, as the table has it."""

    seconds: float
    origins: dict[str, Origin] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    _distributions: dict[str, list[str]] = field(default_factory=dict)

    def count(self, name: str) -> int:
        """How often, over all labels."""
        head = f"{name}:"
        return sum(count for one, count in self.counts.items() if one == name or one.startswith(head))

    def labels(self, name: str) -> dict[str, float]:
        """The counts or gauges of a measure by label."""
        head = f"{name}:"
        found: Mapping[str, float] = self.gauges if measure(name).kind is Kind.GAUGE else self.counts
        return {one[len(head) :]: value for one, value in found.items() if one.startswith(head)}

    def gauge(self, name: str) -> float | None:
        """How a gauge stands, over all labels; None if nobody says."""
        found = [*self.labels(name).values(), *([self.gauges[name]] if name in self.gauges else [])]
        if not found:
            return None
        return reduce(measure(name).merged, found)

    def observed(self, name: str) -> Observed:
        """A distribution. Parts of it that cannot be read are left out."""
        made = Observed()
        for text in self._distributions.get(name, ()):
            try:
                made.merge(observed_of(text))
            except Corrupt:
                continue
        return made


def window(entries: Iterable[tuple[str, Mapping[str, str]]], now: float) -> Window:
    """What entries of the stream, the newest first, say together. Those that are no samples are left out."""
    made, seen, since = Window(0.0), set[tuple[str, str]](), now
    for ident, fields in entries:
        try:
            one = sample_of(ident, fields)
        except Corrupt:
            continue
        mark = (one.origin.process, one.number)
        if mark not in seen:
            seen.add(mark)
            since = min(since, one.at - one.seconds)
            _add(made, one)
    made.seconds = max(0.001, now - since)
    return made


def _add(made: Window, one: Sample) -> None:
    for name, count in one.counts.items():
        made.counts[name] = made.counts.get(name, 0) + count
    for name, text in one.distributions.items():
        made._distributions.setdefault(name, []).append(text)
    if one.origin.process in made.origins:
        return  # the newest sample of a process says how its gauges stand
    made.origins[one.origin.process] = one.origin
    for name, value in one.gauges.items():
        known = made.gauges.get(name)
        if known is None:
            made.gauges[name] = value
        else:
            made.gauges[name] = measure(name).merged(known, value)


def figures(found: Window) -> dict[str, float]:
    """Every figure by name: `queue.enqueued` is a rate a second, `fleet.depth` a gauge, `queue.run.p99` a quantile in
    seconds, and the shares have names of their own (`SHARES`). What nothing is known of is not there."""
    made: dict[str, float] = {}
    for one in MEASURES:
        if one.kind is Kind.COUNT:
            made[one.name] = found.count(one.name) / found.seconds
        elif one.kind is Kind.GAUGE:
            value = found.gauge(one.name)
            if value is not None:
                made[one.name] = value
        else:
            made |= _quantiles(one.name, found.observed(one.name))
    made |= {name: count / found.seconds for name, count in found.counts.items() if ":" in name}
    made |= {name: value for name, value in found.gauges.items() if ":" in name}
    return made | shares(found)


def _quantiles(name: str, found: Observed) -> dict[str, float]:
    if found.mean is None:
        return {}
    shares = {f"{name}.p{share}": found.histogram.quantile(share / 100) or 0.0 for share in QUANTILES}
    return {f"{name}.mean": found.mean, **shares}


def shares(found: Window) -> dict[str, float]:
    """The figures that are made of several measures; shares of fewer than `FEWEST` things are left out."""
    did = found.labels("fleet.did")
    runs = found.labels("queue.processed")
    failed, retried = runs.get("failed", 0) + runs.get("retry", 0) + runs.get("dead", 0), found.count("retry.failed")
    expired, calls = found.count("timeout.expired") + did.get("expire", 0), found.count("coalesce.calls")
    parts = {
        "timeout_share": (expired, expired + found.count("timeout.met")),
        "retry_failure_share": (retried, retried + found.count("retry.succeeded")),
        "error_share": (failed, sum(runs.values())),
        "coalesce_share": (calls - found.count("coalesce.executed"), calls),
    }
    made = {name: part / whole for name, (part, whole) in parts.items() if whole >= FEWEST}
    for name, waited, event in (("mean_wait", "waited_ms", "claim"), ("mean_lock_wait", "lock_waited_ms", "grant")):
        if did.get(event):
            made[name] = did.get(waited, 0) / 1000 / did[event]
    if did:
        # Of less than a minute as much as there was: one job in the first second is not sixty a minute.
        made["dead_per_minute"] = (did.get("fail", 0) + did.get("bury", 0)) * MINUTE / max(MINUTE, found.seconds)
    waits = found.labels("queue.waited_ms")
    for priority, started in found.labels("queue.started").items():
        if started and f"mean_wait:{priority}" in SHARES:
            made[f"mean_wait:{priority}"] = waits.get(priority, 0) / 1000 / started
    return made
