"""The settings of each policy, a section of its own in the settings file and in the environment.

A section is one class here and one line in `Settings`. Its fields carry bounds and a description, from which the
complaints and the table in docs/settings.md are made; a method turns it into the value that its policy takes. In a
TOML file it is a table, `[timeouts]` with `lock = 20`; in the environment `COORDINATOR_TIMEOUTS__LOCK=20`; as an
argument `Settings.of(timeouts={"lock": 20})`.

A section can be changed while the fleet runs (`live`), but for what it names as `fixed`. So whoever goes by it reads it
from the settings in force each time, or subscribes to changes (`drivers.live`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

from coordinator.errors import InvalidInput
from coordinator.model.measures import is_figure
from coordinator.model.names import label
from coordinator.policy import adaptive, batch, escalation, retry, steal
from coordinator.policy.adaptive import BASES, Adaptive, Strategy
from coordinator.policy.alerts import Rule, rules
from coordinator.policy.batch import Aim
from coordinator.policy.breaker import MAX_COUNTED, MAX_PROBES, BreakerPolicy, OnOpen
from coordinator.policy.budget import FLOOR, SHARE, WINDOW, Budget
from coordinator.policy.escalation import MAX_LEVEL, EscalationPolicy
from coordinator.policy.rate import LEAST, LOOKS, MAX_RATE, AdaptiveLimit, RateLimit
from coordinator.policy.retry import MAX_FACTOR, SHORTEST, RetryPolicy
from coordinator.policy.share import MAX_WEIGHT, WEIGHTS, Sharing
from coordinator.policy.shed import BEGIN, END, LEAST_END, MEMORY, Shedding
from coordinator.policy.similarity import LEAST_THRESHOLD, OnSimilar


def _named(name: str) -> str:
    try:
        return label(name, "name")
    except InvalidInput as error:
        raise ValueError(f"a name {error.problem}") from None


# Shares are kept in thousandths: less would be 0, which says something else.
STEP = 0.001
PriorityName = Literal["low", "normal", "high", "critical", "emergency"]
Share = Annotated[float, Field(ge=LEAST_THRESHOLD, le=1)]
# What tables are by. Names are checked beside what stands under them, so that all complaints come at once.
Name = Annotated[str, AfterValidator(_named)]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Fields that are valid each for itself, and not together."""

    fields: frozenset[str]
    said: str

    def error(self, given: Any) -> InitErrorDetails:
        """The complaint, as pydantic takes it."""
        return {"type": "value_error", "loc": (), "input": given, "ctx": {"error": ValueError(self.said)}}


def clash(*fields: str, said: str) -> Conflict:
    """These fields do not go together, for this reason."""
    return Conflict(frozenset(fields), said)


class Together(BaseModel):
    """Fields that are also checked against each other: those that are valid, whether or not others are. So all
    complaints come at once."""

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together."""
        return iter(())

    @classmethod
    def _truths(cls, given: Any) -> Iterator[InitErrorDetails]:
        """Truth values where a number is wanted: they are none, though Python and pydantic would count with them."""
        for name, value in given.items() if isinstance(given, dict) else ():
            if isinstance(value, bool) and name in cls.model_fields and _numeric(cls.model_fields[name].annotation):
                said = ValueError("must be a number")
                yield {"type": "value_error", "loc": (name,), "input": value, "ctx": {"error": said}}

    @model_validator(mode="wrap")
    @classmethod
    def _all_at_once(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        errors = list(cls._truths(given))
        bad = {str(one["loc"][0]) for one in errors}
        try:
            made = validate(_without(given, bad))
        except ValidationError as error:
            errors += [_again(one) for one in error.errors()]
            bad |= {str(one["loc"][0]) for one in error.errors() if one["loc"]}
            try:
                made = validate(_without(given, bad))
            except (AttributeError, ValidationError):  # no table, or one that lacks what it must have
                raise ValidationError.from_exception_data(cls.__name__, errors) from None
        errors += [one.error(given) for one in made.conflicts() if not one.fields & bad]
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return made


def _numeric(kind: Any) -> bool:
    kinds = get_args(kind) or (kind,)
    return bool not in kinds and (int in kinds or float in kinds)


def _without(given: Any, bad: Collection[str]) -> Any:
    return {name: value for name, value in given.items() if name not in bad} if bad else given


def _again(error: ErrorDetails) -> InitErrorDetails:
    return {"type": error["type"], "loc": error["loc"], "input": error["input"], "ctx": error.get("ctx", {})}


class Section(Together):
    """Settings that belong together. `fixed` names those that only count when a process starts."""

    fixed: ClassVar[frozenset[str]] = frozenset()
    model_config = ConfigDict(extra="forbid", frozen=True)


class Retries(Section):
    """How many retries a handler may have in the whole fleet: a share of its successes and a floor (namespace)."""

    budget: bool = Field(True, description="whether retries beyond the budget are put off")
    share: float = Field(SHARE, ge=0, le=1, description="retries per success")
    floor: float = Field(FLOOR, ge=0.001, le=10**6, description="retries a second, whatever succeeds")
    window: float = Field(WINDOW, ge=1, le=3600, description="for about how long unused retries are kept")

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together."""
        if 0 < self.share < STEP:
            yield clash("share", said=f"share ({self.share:g}) must be 0 or at least {STEP:g}")

    def allowed(self) -> Budget:
        """The budget, in the units of Redis."""
        return Budget(round(self.share * 1000), round(self.floor * 1000), round(self.window * 1000))


class Retry(Section):
    """When jobs that fail are tried again whose submission and handler say nothing of it."""

    strategy: retry.Strategy = Field("jittered", description=", ".join(f"`{one}`" for one in retry.STRATEGIES))
    max_attempts: int = Field(3, ge=1, le=1000, description="attempts in all")
    base: float = Field(1.0, ge=0, le=10**8, description="the first pause; 0: at once")
    cap: float = Field(30.0, ge=0, le=10**8, description="longest pause")
    factor: float = Field(2.0, ge=1, le=MAX_FACTOR, description="what pauses grow by")
    jitter: float = Field(0.1, ge=0, le=1, description="the share by which pauses are shifted")

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together."""
        if self.base > self.cap:
            yield clash("base", "cap", said=f"base ({self.base:g}) must be at most cap ({self.cap:g})")
        if 0 < self.base < SHORTEST:
            yield clash("base", said=f"base ({self.base:g}) must be 0 or at least {SHORTEST:g}")

    def policy(self) -> RetryPolicy:
        """The policy of a job that has none."""
        return RetryPolicy(self.max_attempts, self.base, self.cap, self.factor, self.jitter, self.strategy)


class Timeouts(Section):
    """Timeouts that follow what the fleet sees: what they begin from, and how far they may go."""

    fixed = frozenset({"handlers", "learn"})
    learn: bool = Field(True, description="whether a process measures how long things take and tells the fleet")
    strategy: Strategy = Field("quantile", description="what moves them: `quantile` or `success_rate`")
    lock: float = Field(BASES[adaptive.LOCK], ge=0.001, le=10**8, description="base of the wait for a lock")
    queue: float = Field(BASES[adaptive.QUEUE], ge=0.001, le=10**8, description="base of the wait in a queue")
    renewal: float = Field(BASES[adaptive.RENEWAL], ge=0.001, le=3600, description="base of the renewal of a session")
    connection: float = Field(BASES[adaptive.CONNECTION], ge=0.001, le=600, description="base of opening a session")
    operation: float = Field(BASES[adaptive.OPERATION], ge=0.001, le=10**8, description="base of one run of a handler")
    least: float = Field(adaptive.LEAST, gt=0, le=1, description="least multiple of the base")
    most: float = Field(adaptive.MOST, ge=1, le=1000, description="largest multiple of the base")
    handlers: bool = Field(False, description="whether handlers that name no timeout have an adaptive one")
    names: int = Field(256, ge=1, le=100_000, description="resources, queues and handlers that are counted apart")

    def rules(self) -> dict[str, Adaptive]:
        """The rules of each type."""
        bases = {kind: getattr(self, kind) for kind in BASES}
        return {kind: Adaptive(base, self.strategy, self.least, self.most) for kind, base in bases.items()}


class Escalations(Section):
    """How much longer handlers may take that keep running out of time (docs/retries.md)."""

    after: int = Field(escalation.AFTER, ge=1, le=1000, description="timeouts in a row that raise the level by one")
    factor: float = Field(escalation.GROWTH, ge=1, le=10, description="what the time grows by with each level")
    most: int = Field(escalation.HIGHEST, ge=0, le=MAX_LEVEL, description="the highest level; 0: no escalation")
    pause: float = Field(escalation.PAUSE, ge=0, le=100, description="least pause of a retry, in shares of that time")

    def policy(self) -> EscalationPolicy:
        """As the policy takes them."""
        return EscalationPolicy(self.after, self.factor, self.most, self.pause)


class Coalescing(Section):
    """Answers of coalesced calls that each process keeps copies of in its memory."""

    entries: int = Field(10_000, ge=0, le=10**7, description="copies at most; 0: none")
    bytes: int = Field(16 * 1_048_576, ge=0, le=2**40, description="bytes of these copies at most")


class Breakers(Section):
    """When the breaker of a handler, or of what it depends on, opens and closes, unless the handler says otherwise."""

    failures: int = Field(5, ge=1, le=MAX_COUNTED, description="failures within the window that open it")
    successes: int = Field(3, ge=1, le=MAX_COUNTED, description="successes of probes that close it")
    open_for: float = Field(30.0, ge=0.001, le=10**8, description="how long it is open before probes are let through")
    window: float = Field(60.0, ge=0.001, le=10**8, description="how long a failure counts")
    probes: int = Field(1, ge=1, le=MAX_PROBES, description="probes at a time, in the whole fleet")
    on_open: OnOpen = Field("wait", description="jobs handed in while it is open: `wait`, or `refuse` them at once")

    def policy(self) -> BreakerPolicy:
        """The policy of a breaker."""
        return BreakerPolicy(self.failures, self.successes, self.open_for, self.window, self.probes, self.on_open)


class Rates(Section):
    """The limit of a handler with `rate="default"`."""

    burst: int = Field(10, ge=1, le=int(MAX_RATE), description="runs at once")
    per_second: float = Field(1.0, ge=LEAST, le=MAX_RATE, description="runs a second")

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together."""
        if self.burst < self.per_second / LOOKS:
            yield clash("burst", "per_second", said=f"burst ({self.burst}) must be at least per_second / {LOOKS}")

    def limit(self) -> RateLimit:
        """The limit."""
        return RateLimit(self.burst, self.per_second)


class AdaptiveRates(Section):
    """The limit of a handler with `rate="adaptive"`."""

    initial: float = Field(10.0, ge=LEAST, le=MAX_RATE, description="runs a second to begin with")
    least: float = Field(1.0, ge=LEAST, le=MAX_RATE, description="least runs a second")
    most: float = Field(100.0, ge=LEAST, le=MAX_RATE, description="most runs a second")
    increase: float = Field(1.0, ge=LEAST, le=MAX_RATE, description="what a second of successes adds")
    decrease: float = Field(0.5, ge=LEAST, lt=1, description="what a failure multiplies the rate by")

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together."""
        for low, high in (("least", "initial"), ("initial", "most"), ("least", "most")):
            below, above = getattr(self, low), getattr(self, high)
            if below > above:
                yield clash(low, high, said=f"{low} ({below:g}) must be at most {high} ({above:g})")

    def limit(self) -> AdaptiveLimit:
        """The limit."""
        return AdaptiveLimit(self.initial, self.least, self.most, self.increase, self.decrease)


class Batching(Section):
    """How many jobs a worker claims at once."""

    enabled: bool = Field(True, description="whether that follows what jobs take; else: half of the slots")
    target: float = Field(batch.TARGET, ge=0.001, le=3600, description="work that may be claimed and not begun")
    least: int = Field(batch.LEAST, ge=1, le=batch.MOST, description="least jobs of a claim, if there are slots")
    most: int = Field(batch.MOST, ge=1, le=batch.MOST, description="most jobs of a claim")

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together."""
        if self.least > self.most:
            yield clash("least", "most", said=f"least ({self.least}) must be at most most ({self.most})")

    def aim(self) -> Aim:
        """What a worker aims at."""
        return Aim(self.target, self.least, self.most)


class Stealing(Section):
    """Claimed jobs that a worker cannot begin, because others keep it: workers that are idle take them over."""

    enabled: bool = Field(True, description="whether a worker offers such jobs, and takes those of others")
    interval: float = Field(steal.INTERVAL, ge=0.01, le=60, description="how long a job lies at most before that")


class Shed(Section):
    """How far a queue, or the server's memory, may fill up before less urgent jobs are refused (namespace)."""

    enabled: bool = Field(True, description="whether less urgent jobs are refused, or displaced from a full queue")
    begin: float = Field(BEGIN, ge=LEAST_END, le=1, description="share of a limit from which on LOW is refused")
    end: float = Field(END, ge=LEAST_END, le=1, description="share of a limit below which LOW is let in again")
    memory: float = Field(
        MEMORY, ge=0, le=1, description="share of the server's `maxmemory` that is the limit for what is new; 0: none"
    )
    max_bytes: int | None = Field(
        None, ge=1, le=2**50, description="bytes of the server's memory that are the limit instead; null: by `memory`"
    )

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together."""
        if self.end > self.begin:
            yield clash("end", "begin", said=f"end ({self.end:g}) must be at most begin ({self.begin:g})")
        if 0 < self.memory < STEP:
            yield clash("memory", said=f"memory ({self.memory:g}) must be 0 or at least {STEP:g}")

    def policy(self) -> Shedding:
        """The policy of a queue."""
        return Shedding(self.begin, self.end)


class QueueRules(Section):
    """`[queues.NAME]`: how the priorities of a queue share its workers (namespace)."""

    sharing: Sharing = Field("strict", description="`strict`, or `weighted`: every priority moves, by its weight")
    weights: tuple[int, int, int, int, int] = Field(WEIGHTS, description="turns of a round, from EMERGENCY to LOW")

    @field_validator("weights", mode="before")
    @classmethod
    def _counted(cls, weights: Any) -> Any:
        if isinstance(weights, list | tuple) and any(isinstance(one, bool) for one in weights):
            raise ValueError(f"must be whole numbers from 1 to {MAX_WEIGHT}")
        return weights

    @field_validator("weights")
    @classmethod
    def _bounded(cls, weights: tuple[int, ...]) -> tuple[int, ...]:
        if not all(1 <= one <= MAX_WEIGHT for one in weights):
            raise ValueError(f"must be whole numbers from 1 to {MAX_WEIGHT}")
        return weights


class SimilarRules(Section):
    """`[similar.NAME]`: by what jobs of a handler are compared with earlier ones if they say nothing of it."""

    on_similar: OnSimilar = Field("report", description="on a hit: `report`, `reject` or `join`")
    threshold: Share | None = Field(None, description="similarity of a hit, for all priorities")
    thresholds: dict[PriorityName, Share] = Field({}, description="the same by priority, in place of the defaults")
    ttl: float = Field(3600.0, ge=0.001, le=10**8, description="for how long a job is found")
    group: Name | None = Field(None, description="jobs of one group are compared; null: those of the handler")
    text: tuple[str, ...] = Field((), description="fields of the payload that are compared; none: all its strings")

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together."""
        if self.threshold is not None and self.thresholds:
            yield clash("threshold", "thresholds", said="threshold and thresholds cannot both be given")


class AlertRule(Section):
    """`[metrics.alerts.NAME]`: the limits of a figure. Takes the place of the default rule of that name; without a
    limit there is no such alert."""

    figure: str = Field(description="what it is about: see `coordinator alerts rules` and docs/metrics.md")
    warning: float | None = Field(None, allow_inf_nan=False, description="the first limit")
    critical: float | None = Field(None, allow_inf_nan=False, description="the second limit")
    below: bool = Field(False, description="it is small values that are bad")
    hold: float = Field(10.0, ge=0, le=86400, description="how long a figure must be beyond a limit, or back")

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together."""
        if self.warning is None or self.critical is None:
            return
        wrong = self.critical > self.warning if self.below else self.critical < self.warning
        if wrong:
            where = "at most" if self.below else "at least"
            said = f"critical ({self.critical:g}) must be {where} warning ({self.warning:g})"
            yield clash("warning", "critical", "below", said=said)

    @field_validator("figure")
    @classmethod
    def _known(cls, figure: str) -> str:
        if not is_figure(figure):
            raise ValueError("must be the name of a figure, such as fleet.depth, queue.run.p99 or timeout_share")
        return figure


class Metrics(Section):
    """What every process measures, the stream that it is published on, and the alerts about it."""

    fixed = frozenset({"enabled"})
    enabled: bool = Field(True, description="measure and publish")
    interval: float = Field(1.0, ge=0.05, le=60, description="how often a process publishes")
    max_length: int = Field(10_000, ge=100, le=10**7, description="length of the metrics stream")
    max_bytes: int = Field(8 * 1_048_576, ge=65_536, le=2**33, description="bytes of the metrics stream")
    alerts_every: float = Field(5.0, ge=0, le=3600, description="how often alerts are looked at; 0: never")
    alerts: dict[Name, AlertRule] = Field({}, description="rules of alerts by name, beside the default ones")

    def rules(self) -> tuple[Rule, ...]:
        """The rules of alerts that are in force."""
        return rules({name: Rule(name, **one.model_dump()) for name, one in self.alerts.items()})
