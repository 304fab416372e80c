"""Settings: one value, validated as a whole, from arguments, the environment (`COORDINATOR_*`) or a TOML file. Those
of the policies stand in sections: see `sections`.

Durations are seconds. Names and defaults are the configuration table of the README.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from coordinator import environment
from coordinator.errors import ConfigError, shortened
from coordinator.model.names import label
from coordinator.model.signing import LEAST_SECRET, MAX_KEY_ID, Signer
from coordinator.model.terms import NO_AGING_US, Terms
from coordinator.policy import rules
from coordinator.policy.rules import NO_RULES, RuleSet
from coordinator.sections import (
    AdaptiveRates,
    Batching,
    Breakers,
    Coalescing,
    Conflict,
    Escalations,
    Metrics,
    Name,
    QueueRules,
    Rates,
    Retries,
    Retry,
    Shed,
    SimilarRules,
    Stealing,
    Timeouts,
    Together,
    clash,
)
from coordinator.wire.gates import GateDefaults

Durability = Literal["fast", "durable", "replicated"]
_KEY_ID = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_KEY_ID}}}")
# What was given for these is never shown.
SECRETS = ("url", "signing_keys")
# Ends the path of a complaint about a name in a table, after that name.
_KEY = "[key]"
DEFAULT_URL = "redis://127.0.0.1:6379/0"


class _NotJson:
    """Stands for what a variable of the environment holds that is no JSON, and does not tell it."""


class _Environment(EnvSettingsSource):
    """Variables of the environment. One that is no JSON and should be, and one that is no setting and looks like it, is
    a complaint beside the others."""

    def __call__(self) -> dict[str, Any]:
        """What the variables say, with those that are strangers to us under their own names."""
        fields = self.settings_cls.model_fields
        if fields.keys() <= self.current_state.keys():  # all is given, so the environment has no say
            return {}
        tables = {name for name, field in fields.items() if self.field_is_complex(field)}
        return {**super().__call__(), **dict.fromkeys(environment.strangers(self.env_vars, fields, tables))}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """What a variable says, if it can be read."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except (ValueError, RecursionError):
            return _NotJson()


class Settings(Together, BaseSettings):
    """How a client or a worker behaves. All processes of a namespace should agree on the ones marked (namespace)."""

    model_config = SettingsConfigDict(
        env_prefix=environment.PREFIX, env_nested_delimiter=environment.NESTED, extra="forbid", frozen=True
    )

    url: str = Field(DEFAULT_URL, description="where Redis is", repr=False)
    namespace: str = Field("default", description="which coordinator on that Redis")
    session_ttl: float = Field(
        10.0, ge=1.0, le=3600, description="how long a silent process keeps what it holds (namespace)"
    )
    sweep_interval: float = Field(1.0, ge=0.05, le=60, description="how often lapsed things are taken back (namespace)")
    aging_after: float | None = Field(
        60.0, ge=1e-6, le=10**8, description="waiting that counts as one level of priority; null: none (namespace)"
    )
    max_hold: float = Field(86400.0, ge=0.1, le=10**8, description="longest hold of a resource without extending")
    max_line: int = Field(1000, ge=1, le=10**7, description="waiters per resource")
    max_queue: int = Field(100_000, ge=1, le=10**8, description="jobs per queue that have not started")
    max_payload: int = Field(1_048_576, ge=64, le=64 * 1_048_576, description="bytes per payload")
    max_result: int = Field(1_048_576, ge=64, le=64 * 1_048_576, description="bytes per result")
    result_ttl: float = Field(
        3600.0, ge=1, le=10**8, description="how long results and ended requests are kept (namespace)"
    )
    dead_ttl: float = Field(
        7 * 86400.0, ge=1, le=10**8, description="how long failed and dead jobs are kept (namespace)"
    )
    max_deliveries: int = Field(3, ge=1, le=1000, description="workers that one job may take down before it is dead")
    max_events: int = Field(10_000, ge=0, le=10**8, description="length of the events stream; 0: none")
    operation_timeout: float = Field(5.0, gt=0, le=600, description="how long one call to Redis may take")
    retry_for: float = Field(10.0, ge=0, le=3600, description="how long calls are repeated while Redis is away")
    max_connections: int = Field(64, ge=1, le=10_000, description="connections for commands per process")
    allow_unsafe: bool = Field(False, description="use a server that may evict data")
    durability: Durability = Field(
        "fast",
        description="what an answer means: `fast`, `durable` (on disk) or `replicated` (replicas have it)",
    )
    replicas: int = Field(1, ge=1, le=100, description="replicas that must have a write, when `replicated`")
    replica_timeout: float = Field(
        1.0, ge=0.01, le=60, description="how long one try waits for replicas; at most half of operation_timeout"
    )
    allow_insecure_tls: bool = Field(False, description="allow a rediss:// URL that has certificates not checked")
    signing_keys: dict[str, SecretStr] = Field(
        {}, description="secrets that payloads and results are signed with, by id"
    )
    signing_keys_file: Path | None = Field(None, description='a TOML file of the same, one `id = "secret"` a line')
    sign_with: str | None = Field(None, description="id of the key to sign with; needed only if there are several")
    priority_rules: Path | None = Field(
        None, description="a TOML file of rules that choose the priority of requests that are given none"
    )
    queues: dict[Name, QueueRules] = Field(
        {}, description="queues whose priorities share by weights, `[queues.NAME]`: docs/sharing.md (namespace)"
    )
    similar: dict[Name, SimilarRules] = Field(
        {}, description="handlers whose jobs are compared with earlier ones, `[similar.NAME]`: docs/similar.md"
    )
    require_signatures: bool = Field(True, description="with keys: refuse what is not signed")
    retry: Retry = Field(Retry(), description="when jobs that say nothing of it are tried again")
    retries: Retries = Field(Retries(), description="how many retries the fleet may make (namespace)")
    timeouts: Timeouts = Field(Timeouts(), description="timeouts that follow what the fleet sees")
    escalation: Escalations = Field(
        Escalations(), description="how much longer handlers that keep running out of time may take"
    )
    coalescing: Coalescing = Field(
        Coalescing(), description="answers of coalesced calls that a process keeps copies of"
    )
    breaker: Breakers = Field(Breakers(), description="when breakers open and close")
    rate: Rates = Field(Rates(), description="limits of rate")
    batching: Batching = Field(Batching(), description="how many jobs a worker claims at once")
    stealing: Stealing = Field(Stealing(), description="when idle workers take over jobs of others")
    shed: Shed = Field(Shed(), description="what a queue that fills up refuses (namespace)")
    adaptive_rate: AdaptiveRates = Field(AdaptiveRates(), description="limits that find their own rate")
    metrics: Metrics = Field(Metrics(), description="what is measured and published (namespace)")

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together."""
        if self.sweep_interval > self.session_ttl / 2:
            yield clash(
                "sweep_interval",
                "session_ttl",
                said=f"sweep_interval ({self.sweep_interval:g}) must be at most half of session_ttl "
                f"({self.session_ttl:g}), or dead processes are seen too late",
            )
        if self.operation_timeout > self.session_ttl:
            yield clash(
                "operation_timeout",
                "session_ttl",
                said=f"operation_timeout ({self.operation_timeout:g}) must not be above session_ttl "
                f"({self.session_ttl:g}), or one slow call loses the session",
            )
        if self.durability == "replicated" and self.replica_timeout > self.operation_timeout / 2:
            yield clash(
                "durability",
                "replica_timeout",
                "operation_timeout",
                said=f"replica_timeout ({self.replica_timeout:g}) must be at most half of operation_timeout "
                f"({self.operation_timeout:g}), or waiting for replicas looks like a broken connection",
            )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment."""
        return init_settings, _Environment(settings_cls)

    @classmethod
    def of(cls, **given: Any) -> Settings:
        """Settings from arguments and the environment. Raises ConfigError with every complaint."""
        try:
            return cls(**given)
        except ValidationError as error:
            problems = [_complaint(dict(one)) for one in error.errors()]
            raise ConfigError(problems) from None

    @classmethod
    def of_client(cls, given: Settings | None, namespace: str | None) -> Settings:
        """The settings of a client: those given, else from the environment. A namespace wins over theirs."""
        settings = given or cls.of()
        if namespace is not None:
            settings = settings.model_copy(update={"namespace": namespace})
        label(settings.namespace, "namespace")
        return settings

    @classmethod
    def from_toml(cls, path: Path, **given: Any) -> Settings:
        """Settings from a TOML file; arguments win over it, it wins over the environment. Raises ConfigError."""
        found = read_toml(path)
        for name, value in given.items():
            section = found.get(name)
            found[name] = {**section, **value} if isinstance(section, dict) and isinstance(value, dict) else value
        return cls.of(**found)

    def revised(self, changes: Mapping[str, Any]) -> Settings:
        """These settings with some of them changed, by their full names (`timeouts.lock`), checked as a whole. Raises
        ConfigError with every complaint."""
        given: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        for path, value in changes.items():
            *sections, last = path.split(".")
            level = given
            for one in sections:
                level[one] = level = dict(level[one])
            level[last] = value
        valid = self.of(**given)
        touched = {path.partition(".")[0] for path in changes}
        return self.model_copy(update={name: getattr(valid, name) for name in touched})

    def signer(self) -> Signer:
        """What signs and checks payloads and results. Raises ConfigError with every complaint about the keys."""
        given = {name: secret.get_secret_value() for name, secret in self.signing_keys.items()}
        if self.signing_keys_file is not None:
            given = {**read_toml(self.signing_keys_file), **given}
        problems = [one for name, secret in given.items() for one in _key_problems(name, secret)]
        chosen = self.sign_with or (next(iter(given)) if len(given) == 1 else "")
        if given and chosen not in given:
            problems.append(f"sign_with: must be the id of one of the keys ({', '.join(given)})")
        if self.sign_with and not given:
            problems.append("sign_with: there are no signing_keys")
        if problems:
            raise ConfigError(problems)
        keys = {name: secret.encode() for name, secret in given.items()}
        return Signer(self.namespace, keys, chosen, self.require_signatures)

    def rules(self) -> RuleSet:
        """The rules of priority. Raises ConfigError with every complaint about the file."""
        return NO_RULES if self.priority_rules is None else rules_of(self.priority_rules)

    @property
    def acknowledged_by(self) -> tuple[int, int] | None:
        """How many replicas must have a write before it is acknowledged, and how many ms one try waits for them."""
        return (self.replicas, round(self.replica_timeout * 1000)) if self.durability == "replicated" else None

    @property
    def confirmed_by(self) -> tuple[int, int]:
        """The same for a single grant that is to be replicated, whatever holds for all others."""
        return self.replicas, round(min(self.replica_timeout, self.operation_timeout / 2) * 1000)

    def gate_defaults(self) -> GateDefaults:
        """What holds for gates of which their handlers do not say more."""
        return GateDefaults(self.breaker.policy(), self.rate.limit(), self.adaptive_rate.limit())

    def terms(self) -> Terms:
        """The rules that travel with every call."""
        return Terms(
            aging_us=NO_AGING_US if self.aging_after is None else round(self.aging_after * 1_000_000),
            max_line=self.max_line,
            max_queue=self.max_queue,
            result_ms=round(self.result_ttl * 1000),
            dead_ms=round(self.dead_ttl * 1000),
            max_crashes=self.max_deliveries,
            session_ms=round(self.session_ttl * 1000),
            max_events=self.max_events,
            retry_share=self.retries.allowed().share,
            retry_floor=self.retries.allowed().floor if self.retries.budget else 0,
            retry_window_ms=self.retries.allowed().window,
            shedding=int(self.shed.enabled),
            memory_share=round(self.shed.memory * 1000),
            max_bytes=self.shed.max_bytes or 0,
            shed_begin=round(self.shed.begin * 1000),
            shed_end=round(self.shed.end * 1000),
            escalate_after=self.escalation.after,
            escalate_most=self.escalation.most,
        )


def _complaint(error: Mapping[str, Any]) -> str:
    path = error["loc"][:-2] if error["loc"][-1:] == (_KEY,) else error["loc"]
    where = ".".join(str(part) for part in path)
    if error["type"] == "extra_forbidden" and where.startswith(environment.PREFIX):
        return environment.refusal(where, _paths(Settings))
    if error["type"] == "extra_forbidden":
        return f"{where}: no such setting{_nearest([str(part) for part in error['loc']])}"
    if isinstance(error["input"], _NotJson):
        return f"{environment.variable('.'.join(map(str, error['loc'])))}: must be JSON"
    said = str(error["msg"]).removeprefix("Value error, ")
    if not where:
        return said
    # What a whole section was given says less than the complaint, which names the values.
    whole = error["type"] == "value_error" and isinstance(error["input"], dict)
    hidden = whole or where.partition(".")[0] in SECRETS
    return f"{where}: {said}" if hidden else f"{where}: {said} (got {shortened(error['input'])})"


def _paths(owner: type[BaseModel], path: str = "") -> Iterator[str]:
    """The full names of all settings and sections."""
    for name, field in owner.model_fields.items():
        yield path + name
        if isinstance(field.default, BaseModel):
            yield from _paths(type(field.default), f"{path}{name}.")


def _nearest(path: list[str]) -> str:
    """A hint at what may have been meant by a path that leads nowhere."""
    owner: type[BaseModel] = Settings
    for part in path[:-1]:
        kind = owner.model_fields[part].annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return ""
        owner = kind
    near = get_close_matches(path[-1], owner.model_fields, 1)
    return f"; did you mean {'.'.join([*path[:-1], *near])}?" if near else ""


def rules_of(path: Path) -> RuleSet:
    """The rules of priority in a TOML file. Raises ConfigError with every complaint."""
    found = read_toml(path)
    try:
        return rules.parse(found)
    except ConfigError as error:
        raise ConfigError([f"{path}: {one}" for one in error.problems]) from None


def read_toml(path: Path) -> dict[str, Any]:
    """What stands in a TOML file. Raises ConfigError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from None
    except (ValueError, RecursionError) as error:  # also a number without end, which the parser leaves to int()
        raise ConfigError([f"{path}: {error}"]) from None


def _key_problems(name: str, secret: object) -> Iterator[str]:
    if not _KEY_ID.fullmatch(name):
        yield f"signing_keys: {shortened(name)} must be 1 to {MAX_KEY_ID} letters, digits or ._-"
    if not isinstance(secret, str) or len(secret) < LEAST_SECRET:
        yield f"signing_keys: the secret of {shortened(name)} must be text of at least {LEAST_SECRET} characters"
