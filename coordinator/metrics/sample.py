"""One sample as it stands in the stream: plain text, to be read with redis-cli as well.

    process 4cRtqXb9e-2a  kind worker  host build-7  pid 4711  number 17  ms 1000
    queue.processed:succeeded 812  queue.running 61
    queue.run n=812 sum_ms=9211.4 p50_ms=11.2 p99_ms=31.7 buckets=105:3,106:401,...

A process is known by a name that it draws at its start, a sample by the number that the process gives it: one that was
sent twice, because the answer to the first was lost, counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from coordinator.errors import Corrupt
from coordinator.keys import decode, encode
from coordinator.metrics.recorder import Taken
from coordinator.model.histogram import Histogram, Observed
from coordinator.model.measures import MOST_LABELS, OTHER, Kind, allowed, measure

LONGEST_LABEL = 64
T = TypeVar("T", int, float)
_HEAD = ("process", "kind", "host", "pid", "number", "ms")


@dataclass(frozen=True, slots=True)
class Origin:
    """The process that a sample comes from. `fleet` is not one: it is what the server knows by itself."""

    process: str
    kind: str
    host: str = ""
    pid: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process measured in `seconds` up to `at` (epoch seconds by the server's clock). Distributions stay text
    until somebody wants to know: most readers do not."""

    origin: Origin
    number: str
    at: float
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)
    distributions: Mapping[str, str] = field(default_factory=dict)


def fields_of(origin: Origin, number: int, seconds: float, taken: Taken) -> list[str]:
    """The fields and values of a sample."""
    head = (origin.process, origin.kind, origin.host, origin.pid, str(number), str(max(1, round(seconds * 1000))))
    words = [word for pair in zip(_HEAD, head, strict=True) for word in pair if pair[1]]
    for name, count in _bounded(taken.counts).items():
        words += (name, str(count))
    for name, value in _bounded(taken.gauges).items():
        words += (name, f"{value:.6g}")
    for name, one in sorted(taken.observed.items()):
        words += (name, distribution(one, measure(name).kind))
    return words


def sample_of(ident: str, found: Mapping[str, str]) -> Sample:
    """The sample of an entry of the stream. What this version does not know is left out. Raises Corrupt."""
    try:
        origin = Origin(found["process"], found["kind"], found.get("host", ""), found.get("pid", ""))
        at, seconds = int(ident.partition("-")[0]) / 1000, int(found["ms"]) / 1000
        counts = {_shown(one): int(value) for one, value in found.items() if allowed(_shown(one), (Kind.COUNT,))}
        gauges = {_shown(one): float(value) for one, value in found.items() if allowed(_shown(one), (Kind.GAUGE,))}
    except (KeyError, ValueError):
        raise Corrupt("an entry of the metrics stream is no sample") from None
    rest = {one: value for one, value in found.items() if allowed(one, (Kind.TIME, Kind.SIZE))}
    return Sample(origin, found.get("number", ident), at, seconds, counts, gauges, rest)


def distribution(one: Observed, kind: Kind) -> str:
    """A distribution as text: times in ms, sizes as they are."""
    scale, unit = (1000, "_ms") if kind is Kind.TIME else (1, "")
    shares = {f"p{share}{unit}": one.histogram.quantile(share / 100) or 0.0 for share in (50, 90, 95, 99)}
    told = " ".join(f"{name}={value * scale:.4g}" for name, value in shares.items())
    buckets = one.histogram.text().replace(" ", ",")
    return f"n={one.count} sum{unit}={one.total * scale:.8g} {told} buckets={buckets}"


def observed_of(text: str) -> Observed:
    """From what `distribution` made. Raises Corrupt."""
    parts = dict(word.partition("=")[::2] for word in text.split(" "))
    try:
        total = float(parts["sum_ms"]) / 1000 if "sum_ms" in parts else float(parts["sum"])
        return Observed(Histogram.of_text(parts["buckets"].replace(",", " ")), total)
    except (KeyError, ValueError):
        raise Corrupt("a distribution of a sample cannot be read") from None


def _shown(name: str) -> str:
    return decode(name) if "%" in name else name


def _bounded(found: Mapping[str, T]) -> dict[str, T]:
    """Fields for the stream, of each measure at most so many labels: the least of them are one together."""
    kept: dict[str, T] = {}
    labels: dict[str, int] = {}
    for full in sorted(found, key=lambda one: (-found[one], one)):
        name, colon, label = full.partition(":")
        labels[name] = labels.get(name, 0) + bool(colon)
        if labels[name] > MOST_LABELS:
            label = OTHER
        place = f"{name}:{encode(label[:LONGEST_LABEL])}" if colon else name
        kept[place] = kept[place] + found[full] if place in kept else found[full]
    return dict(sorted(kept.items()))
