"""A job as it is handed in, checked and turned into wire form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from coordinator.errors import InvalidInput, PayloadTooLarge
from coordinator.keys import encode
from coordinator.model import codec
from coordinator.model.names import label, milliseconds, one_of, resource_name, text
from coordinator.model.need import Need, needs_of
from coordinator.model.signing import UNSIGNED, JobMark, Signer
from coordinator.ops.asking import NORMAL, Urgency, chosen, preemption
from coordinator.ops.likeness import Similar
from coordinator.policy.retry import RetryPolicy
from coordinator.policy.rules import NO_RULES, Attributes, RuleSet
from coordinator.policy.timeout import Learnt, Wait
from coordinator.wire.calls import JobAsk, Word
from coordinator.wire.needs import to_wire

OnConflict = Literal["reject", "join", "replace", "rerun"]
DedupScope = Literal["until_started", "until_finished", "until_stale", "ttl"]


@dataclass(frozen=True, slots=True)
class Dedup:
    """What happens to a job while another with the same key is there.

    `reject`: Duplicate is raised. `join`: the ticket is that of the other job, result included. `replace`: the newest
    payload wins as long as the job has not started, else as `join`. `rerun`: at most one active and one waiting, which
    has the latest payload. The key is held `until_started`, `until_finished` (default), `until_stale` (after a success
    for `ttl` seconds more, so that the result is shared on) or for `ttl` seconds from now, and is freed on every way a
    job can end. Raises InvalidInput.
    """

    key: str
    on_conflict: OnConflict = "join"
    scope: DedupScope = "until_finished"
    ttl: float | None = None

    def __post_init__(self) -> None:
        resource_name(self.key, "dedup key")
        one_of(self.on_conflict, "on_conflict", ("reject", "join", "replace", "rerun"))
        one_of(self.scope, "scope", ("until_started", "until_finished", "until_stale", "ttl"))
        if (self.scope in ("ttl", "until_stale")) != (self.ttl is not None):
            raise InvalidInput("ttl", self.ttl, 'must be given with scope="ttl" or "until_stale", and only then')
        if self.ttl is not None:
            milliseconds(self.ttl, "ttl", least=0.001)
        if self.on_conflict == "rerun" and self.scope in ("ttl", "until_stale"):
            raise InvalidInput(
                "scope", self.scope, "does not go with on_conflict='rerun', which frees its key at the start"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Everything about a job but its name and payload. Durations in seconds; a `wait_timeout` "adaptive" is for the
    fleet to say."""

    resources: str | Need | Iterable[str | Need] = ()
    priority: Urgency = None
    queue: str = "default"
    dedup: Dedup | None = None
    delay: float = 0
    wait_timeout: Wait = None
    run_timeout: float | None = None
    total_timeout: float | None = None
    retry: RetryPolicy | None = None
    owner: str = ""
    reason: str = ""
    metadata: Mapping[str, Any] | None = None
    similar: Similar | Literal[False] | None = None
    on_preempt: str | None = None
    grace: float | None = None


@dataclass(frozen=True, slots=True, init=False)
class Submission:
    """One job of a batch: `Submission("deploy.apply", {"pull": 1498}, resources=["infra/prod/vpc"])`."""

    name: str
    payload: Any
    options: JobOptions

    def __init__(self, name: str, payload: Any = None, **options: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "payload", payload)
        object.__setattr__(self, "options", job_options(options))


def job_options(given: Mapping[str, Any]) -> JobOptions:
    """Options by name. Raises InvalidInput for an unknown one, naming the nearest that is known."""
    if not given:
        return _NONE
    for name in given:
        one_of(name, "option", OPTION_NAMES)
    return JobOptions(**given)


def to_ask(
    ident: str, job: Submission, max_payload: int, signer: Signer = UNSIGNED, rules: RuleSet = NO_RULES
) -> JobAsk:
    """The wire form of a job: its payload signed if there are keys, its priority by the rules if it is given none.
    Raises InvalidInput, PayloadTooLarge."""
    if not isinstance(job, Submission):
        raise InvalidInput("submissions", job, "must be Submission objects")
    options = job.options
    if not (options.similar is None or options.similar is False or isinstance(options.similar, Similar)):
        raise InvalidInput("similar", options.similar, "must be a Similar, or False")
    if options is _NONE and rules is NO_RULES:
        packed = _payload(ident, job, max_payload, signer)
        return JobAsk(ident, label(job.name, "name"), options.queue, NORMAL, packed, _NO_WORDS)
    needs = () if options is _NONE else needs_of(options.resources, empty=True)
    words = _NO_WORDS if options is _NONE else _words(options, needs)
    priority, rule = chosen(options.priority, rules, lambda: _attributes(job, needs))
    if rule:
        words = {**words, "rule": rule}
    name, queue = label(job.name, "name"), label(options.queue, "queue")
    return JobAsk(ident, name, queue, priority, _payload(ident, job, max_payload, signer), words)


def _attributes(job: Submission, needs: Iterable[Need]) -> Attributes:
    """What rules can look at."""
    options = job.options
    return {
        "kind": "job",
        "name": job.name,
        "queue": options.queue,
        "resources": [one.resource for one in needs],
        "owner": options.owner,
        "reason": options.reason,
        "metadata": options.metadata or {},
        "payload": job.payload,
    }


def _words(options: JobOptions, needs: tuple[Need, ...]) -> dict[str, Word]:
    words: dict[str, Word] = {
        "needs": to_wire(needs),
        "delay_ms": milliseconds(options.delay, "delay") or "",
        "wait_ms": _clock(options.wait_timeout, "wait_timeout"),
        "run_ms": _clock(options.run_timeout, "run_timeout"),
        **_learnt(options.wait_timeout),
        "end_ms": _clock(options.total_timeout, "total_timeout"),
        "retry": _retry(options.retry),
        "owner": text(options.owner, "owner"),
        "reason": text(options.reason, "reason"),
        "metadata": codec.metadata_text(options.metadata),
        **_dedup(options.dedup),
        "preempt": preemption(options.on_preempt, options.grace),
    }
    return {word: value for word, value in words.items() if value != ""}


def _payload(ident: str, job: Submission, limit: int, signer: Signer) -> bytes:
    """The payload as it is stored; a signature counts towards its size."""
    packed = codec.pack(job.payload, "payload", limit)
    if not signer.keys:
        return packed
    dedup = job.options.dedup
    mark = JobMark(ident, job.name, job.options.queue, "" if dedup is None else encode(dedup.key))
    replaces = dedup is not None and dedup.on_conflict in ("replace", "rerun")
    sealed = signer.seal_payload(mark, packed, "dedup" if replaces else "id")
    if len(sealed) > limit:
        raise PayloadTooLarge("payload", len(sealed), limit)
    return sealed


def _clock(seconds: Wait, argument: str) -> Word:
    return "" if seconds is None else milliseconds(seconds, argument, least=0.001)


def _learnt(wait: Wait) -> dict[str, Word]:
    if not isinstance(wait, Learnt):
        return {}
    return {"learnt": _clock(wait, "wait_timeout"), "least_ms": _clock(wait.least, "wait_timeout")}


def _retry(policy: RetryPolicy | None) -> str:
    if policy is not None and not isinstance(policy, RetryPolicy):
        raise InvalidInput("retry", policy, "must be a RetryPolicy")
    return "" if policy is None else policy.to_wire()


def _dedup(dedup: Dedup | None) -> dict[str, Word]:
    if dedup is None:
        return {}
    if not isinstance(dedup, Dedup):
        raise InvalidInput("dedup", dedup, "must be a Dedup")
    scope = "until_started" if dedup.on_conflict == "rerun" else dedup.scope
    ttl = "" if dedup.ttl is None else milliseconds(dedup.ttl, "ttl")
    return {"dedup": encode(dedup.key), "on_conflict": dedup.on_conflict, "scope": scope, "ttl_ms": ttl}


OPTION_NAMES = tuple(JobOptions.__dataclass_fields__)
# Most jobs have no options, and all of them are the same.
_NONE = JobOptions()
_NO_WORDS: Mapping[str, Word] = MappingProxyType({})
