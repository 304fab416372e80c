"""The names of everything that is measured: one table, from which come the check of names, `docs/metrics.md`, how
samples of several processes are put together, and what alerts may be about.

To measure something new, add a line here, call `count`, `observe` or `gauge` on the `Meter` you were given with that
name as a literal, and run `python -m tests.support.readme`. A test compares every such call with this table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from coordinator.model.histogram import Observed
from coordinator.model.states import Event

PRIORITIES = ("low", "normal", "high", "critical", "emergency")
TIMEOUTS = ("lock", "queue", "renewal", "connection", "operation")
STRATEGIES = ("fixed", "linear", "exponential", "jittered", "adaptive", "handler")
OUTCOMES = ("succeeded", "failed", "retry", "snooze", "cancelled", "dead", "released")
OTHERS = ("join", "stolen", "escalate", "rate_limited", "breaker_half_open")
HAPPENED = (*(str(event) for event in Event), *OTHERS, "waited_ms", "lock_waited_ms")
# What may set how many jobs a claim asks for.
LIMITS = ("slots", "call", "target", "renewal", "learnt", "setting")
# What users name, such as a breaker: any text, and of one measure at most `MOST_LABELS` different ones in a sample.
NAMED = ("NAME",)
MOST_LABELS = 32
OTHER = "other"


class Kind(StrEnum):
    """`count`: how often, since the sample before. `time` and `size`: a distribution of seconds, or of plain numbers,
    since the sample before. `gauge`: how it stands."""

    COUNT = "count"
    TIME = "time"
    SIZE = "size"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Measure:
    """One name. `labels` are the words it can be split by, after a colon: `retry.scheduled:adaptive`. Gauges of several
    processes are added up, unless the `largest` or the `smallest` says it for all."""

    name: str
    kind: Kind
    about: str
    labels: tuple[str, ...] = ()
    largest: bool = False
    smallest: bool = False

    def merged(self, one: float, other: float) -> float:
        """What a gauge is of two that have it."""
        if self.largest:
            return max(one, other)
        return min(one, other) if self.smallest else one + other


def _group(prefix: str, *lines: Measure) -> tuple[Measure, ...]:
    return tuple(replace(one, name=f"{prefix}.{one.name}") for one in lines)


MEASURES: tuple[Measure, ...] = (
    *_group(
        "fleet",
        Measure(
            "did",
            Kind.COUNT,
            "what happened, as counted by the server; `waited_ms`: ms that the jobs claimed "
            "had waited, `lock_waited_ms`: and the locks granted",
            HAPPENED,
        ),
        Measure("depth", Kind.GAUGE, "jobs of a queue that have not started", NAMED, largest=True),
        Measure("ready", Kind.GAUGE, "of these, those that only wait for a worker", NAMED, largest=True),
        Measure("waiting", Kind.GAUGE, "of these, those that wait for resources", NAMED, largest=True),
        Measure("head_age", Kind.GAUGE, "seconds for which the first job of a queue has been in line", largest=True),
        Measure("scheduled", Kind.GAUGE, "jobs that are delayed", largest=True),
        Measure("dead", Kind.GAUGE, "failed and dead jobs that can be replayed", largest=True),
        Measure("sessions", Kind.GAUGE, "live processes", largest=True),
        Measure("resources", Kind.GAUGE, "resources that are held or waited for", largest=True),
    ),
    *_group(
        "queue",
        Measure("enqueued", Kind.COUNT, "jobs that a client handed in and that were taken", PRIORITIES),
        Measure("processed", Kind.COUNT, "runs of jobs that ended here, by outcome", OUTCOMES),
        Measure("started", Kind.COUNT, "runs of jobs that began here, by priority", PRIORITIES),
        Measure(
            "waited_ms",
            Kind.COUNT,
            "ms that these had waited until they were claimed, since they were handed in or last due",
            PRIORITIES,
        ),
        Measure("errors", Kind.COUNT, "runs whose handler raised something that is not an answer"),
        Measure("batches", Kind.COUNT, "claims that brought jobs"),
        Measure("batch_size", Kind.SIZE, "jobs that such a claim brought"),
        Measure("run", Kind.TIME, "how long a handler ran"),
        Measure(
            "last_run", Kind.GAUGE, "seconds that the newest run took; of several processes the longest", largest=True
        ),
        Measure(
            "since_run",
            Kind.GAUGE,
            "seconds since a run ended here: before the sample, that was the last processing time; of several "
            "processes the newest",
            smallest=True,
        ),
        Measure("running", Kind.GAUGE, "jobs that run now"),
        Measure("slots", Kind.GAUGE, "jobs that could run at once"),
    ),
    *_group(
        "lock",
        Measure("granted", Kind.COUNT, "locks that were granted"),
        Measure("wait", Kind.TIME, "from asking for a lock until it was granted"),
    ),
    *_group(
        "timeout",
        Measure("expired", Kind.COUNT, "times that ran out, by what they limit", TIMEOUTS),
        Measure("met", Kind.COUNT, "what ended within its time, by what limits it", TIMEOUTS),
        Measure("resolution", Kind.TIME, "how long what ended within its time took"),
        Measure("adjusted", Kind.COUNT, "changes of an adaptive limit", TIMEOUTS),
        Measure("escalated", Kind.COUNT, "handlers whose limit was lengthened after repeated timeouts"),
        Measure("active", Kind.GAUGE, "jobs that run now under a limit"),
    ),
    *_group(
        "retry",
        Measure("scheduled", Kind.COUNT, "jobs that are to run again, by how the pause was chosen", STRATEGIES),
        Measure("succeeded", Kind.COUNT, "runs that succeeded after the first attempt"),
        Measure("failed", Kind.COUNT, "runs that failed after the first attempt, whether or not another follows"),
        Measure("exhausted", Kind.COUNT, "runs that failed at a last attempt, excused ones among them"),
        Measure("excused", Kind.COUNT, "runs that failed as probes of a breaker and cost no attempt"),
        Measure("postponed", Kind.COUNT, "retries that the budget of the fleet put off"),
        Measure("adjusted", Kind.COUNT, "adaptive pauses that are longer for what the fleet has seen"),
        Measure("delay", Kind.TIME, "the pauses before retries"),
        Measure("latency", Kind.TIME, "how long runs after a first attempt took, if they succeeded or failed"),
        Measure("most_attempts", Kind.GAUGE, "attempts of the newest run after a first attempt", largest=True),
    ),
    *_group(
        "breaker",
        Measure("opened", Kind.COUNT, "times that a breaker opened"),
        Measure("closed", Kind.COUNT, "times that a breaker closed"),
        Measure("probed", Kind.COUNT, "jobs that were let through a half-open breaker"),
        Measure("held_back", Kind.COUNT, "jobs that a breaker kept in their queue"),
        Measure("state", Kind.GAUGE, "1 half-open, 2 open; without a name: 0, that of all others", NAMED, largest=True),
    ),
    *_group(
        "rate",
        Measure("limited", Kind.COUNT, "jobs that a limit kept in their queue"),
        Measure("adjusted", Kind.COUNT, "changes of an adaptive limit"),
        Measure("limit", Kind.GAUGE, "starts a second that are allowed", NAMED, largest=True),
    ),
    *_group(
        "batch",
        Measure("wanted", Kind.SIZE, "jobs that a claim asked for"),
        Measure("limited", Kind.COUNT, "claims, by what set how many jobs they asked for", LIMITS),
        Measure("empty", Kind.COUNT, "claims that brought nothing"),
        Measure("work", Kind.TIME, "work that was claimed and not begun, as estimated, every 16 claims or 50 ms"),
        Measure("target", Kind.GAUGE, "the batch size in force", largest=True),
        Measure("adjusted", Kind.COUNT, "changes of the batch size"),
    ),
    *_group(
        "steal",
        Measure("tried", Kind.COUNT, "times that an idle worker looked for jobs to take over"),
        Measure("taken", Kind.COUNT, "reserved jobs that were taken over"),
        Measure("given", Kind.COUNT, "reserved jobs that another worker took from this one"),
    ),
    *_group(
        "coalesce",
        Measure("calls", Kind.COUNT, "calls that may be coalesced"),
        Measure("executed", Kind.COUNT, "of these, those that were executed"),
        Measure("joined", Kind.COUNT, "of these, those that joined one under way"),
        Measure("near_hits", Kind.COUNT, "of these, those answered from the memory of the process"),
        Measure("far_hits", Kind.COUNT, "of these, those answered from a result kept in Redis"),
        Measure("evicted", Kind.COUNT, "results that made room in the memory of the process"),
        Measure("entries", Kind.GAUGE, "results in the memory of the process"),
        Measure("bytes", Kind.GAUGE, "bytes of these results"),
    ),
    *_group(
        "near",
        Measure("checked", Kind.COUNT, "jobs that were compared with those before"),
        Measure("hits", Kind.COUNT, "jobs that were found to be near duplicates"),
    ),
    *_group(
        "shed",
        Measure("jobs", Kind.COUNT, "jobs that were refused under load or by an open breaker", PRIORITIES),
        Measure(
            "level",
            Kind.GAUGE,
            "what is refused where it is fullest: 0 nothing, 1 LOW, 2 also NORMAL, 3 all",
            largest=True,
        ),
    ),
    *_group(
        "call",
        Measure("time", Kind.TIME, "round trips to Redis"),
        Measure("failed", Kind.COUNT, "calls that Redis did not answer, or refused"),
    ),
)

BY_NAME = {one.name: one for one in MEASURES}
QUANTILES = (50, 90, 95, 99)
# Figures that are made of several measures.
SHARES = {
    "mean_wait": "seconds that the jobs claimed had waited, on average",
    **{f"mean_wait:{one}": f"of those with priority {one.upper()} that began, as workers tell" for one in PRIORITIES},
    "mean_lock_wait": "seconds that the locks granted had been waited for, on average",
    "timeout_share": "of what ended or timed out, the share that timed out",
    "retry_failure_share": "of the runs after a first attempt, the share that failed",
    "error_share": "of all runs, the share that failed",
    "coalesce_share": "of the calls that may be coalesced, the share that did not execute",
    "dead_per_minute": "jobs that ended as failed or dead, in a minute",
}


class Meter(Protocol):
    """Where measures go. Each call is a few hundred nanoseconds; names must be in the table, as must fixed labels."""

    def count(self, name: str, times: int = 1, label: str = "") -> None:
        """Something happened, so many times."""

    def observe(self, name: str, value: float) -> None:
        """Something took so many seconds, or had that size."""

    def add(self, name: str, values: Observed) -> None:
        """Many things took so long, or had such sizes."""

    def gauge(self, name: str, value: float, label: str = "") -> None:
        """Something stands at that figure."""


class NoMeter:
    """Measures nothing."""

    def count(self, name: str, times: int = 1, label: str = "") -> None:
        """Does nothing."""

    def observe(self, name: str, value: float) -> None:
        """Does nothing."""

    def add(self, name: str, values: Observed) -> None:
        """Does nothing."""

    def gauge(self, name: str, value: float, label: str = "") -> None:
        """Does nothing."""


def measure(field: str) -> Measure:
    """The measure of a field of a sample, with or without a label. Raises KeyError."""
    return BY_NAME[field.partition(":")[0]]


def allowed(field: str, kinds: tuple[Kind, ...]) -> bool:
    """Whether that is a name of the table, of one of these kinds, and its label one that it can have."""
    name, _, label = field.partition(":")
    found = BY_NAME.get(name)
    if found is None or found.kind not in kinds:
        return False
    return not label or found.labels == NAMED or label in found.labels or (bool(found.labels) and label == OTHER)


def is_figure(name: str) -> bool:
    """Whether screens and alerts can know a figure of that name: a share, a rate or a gauge (also of one label), or the
    mean or a quantile of a distribution, such as `queue.run.p99`."""
    if name in SHARES or allowed(name, (Kind.COUNT, Kind.GAUGE)):
        return True
    base, _, part = name.rpartition(".")
    return allowed(base, (Kind.TIME, Kind.SIZE)) and part in ("mean", *(f"p{share}" for share in QUANTILES))
