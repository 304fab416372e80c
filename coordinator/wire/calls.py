"""One function for each script, with its arguments by name. Tests compare them with the headers of the Lua files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from coordinator.keys import SCHEMA_VERSION, key
from coordinator.model.terms import Terms
from coordinator.wire.step import Call

Word = str | bytes | int


@dataclass(frozen=True, slots=True)
class Scope:
    """What every call carries: the namespace's routing key and its terms. `told`: the message of a grant is as good as
    an answer; where answers mean that replicas have it, it is not, for it is sent before they do."""

    namespace: str
    meta: str
    terms: str
    told: bool = True

    @classmethod
    def of(cls, namespace: str, terms: Terms, told: bool = True) -> Scope:
        """The scope of a namespace."""
        return cls(namespace, key(namespace, "META"), terms.text, told)

    def call(self, script: str, *args: Word) -> Call:
        """A call of `script` with the terms in front."""
        return Call(script, self.meta, (self.terms, *args))


class LockAsk(NamedTuple):
    """One ask for a lock, in wire units. `wait_ms` None waits without end; `trying` does not wait at all; `adaptive`:
    nobody chose how long, the fleet has learnt it, and where a line is crowded it may shrink down to `least_ms`; `rule`
    is the one that chose the priority; `within` a request whose lock is held meanwhile; `preempt` what less urgent
    holders are asked. `replicated`: the grant is to be on replicas before anybody is told of it; not on the wire.
    `stealing`: an operator takes it from others, and a full line takes the request."""

    ident: str
    priority: int
    needs: str
    trying: bool
    wait_ms: int | None
    hold_ms: int
    owner: str = ""
    reason: str = ""
    metadata: str = ""
    adaptive: bool = False
    rule: str = ""
    within: str = ""
    least_ms: int | None = None
    preempt: str = ""
    replicated: bool = False
    stealing: bool = False


class JobAsk(NamedTuple):
    """One job, in wire units. `options` are the words that `lib/submit_job` knows."""

    ident: str
    name: str
    queue: str
    priority: int
    payload: bytes
    options: Mapping[str, Word]


@dataclass(frozen=True, slots=True)
class Claim:
    """How many jobs a worker wants, from which queues. `number` counts the worker's claims; 0 claims nothing. `roomy`:
    it has slots for more. `steals` of the jobs at most may be taken from workers that cannot begin them."""

    number: int
    wanted: int
    hold_ms: int
    queues: tuple[str, ...]
    roomy: bool = False
    steals: int = 0


class Offer(NamedTuple):
    """Claimed jobs that a worker cannot begin, as id and fence. `number` counts what it says of such jobs; `claim` is
    one on its way to a worker that is `stuck`, or 0; `before`: how many it has before these and keeps."""

    number: int
    stuck: bool
    claim: int
    before: int
    jobs: Sequence[tuple[str, str]]


class Lesson(NamedTuple):
    """What a process has seen of one thing, in wire units, and what it would have its timeout be. `total` and
    `version` are those it knows; `next_ms` 0 is no wish."""

    name: str
    base_ms: int
    strategy: str
    total: int
    version: int
    next_ms: int
    p99_ms: int
    counts: Mapping[str | int, int]


@dataclass(frozen=True, slots=True)
class Lessons:
    """A process's report of what it has seen. `number` counts its reports; `most` things are counted apart, and a
    timeout moves once in `pace_ms`."""

    number: int
    most: int
    pace_ms: int
    things: tuple[Lesson, ...]


class Deed(NamedTuple):
    """What a person does to the requests of others: who, why, and the id under which it counts once."""

    by: str
    reason: str
    call_id: str


class Gathering(NamedTuple):
    """A latch or a barrier, in wire units: its name encoded, how many it takes, and how long it is kept."""

    name: str
    kind: str
    needed: int
    ttl_ms: int

    @property
    def ident(self) -> str:
        """What messages about it are about."""
        return f"gather/{self.name}"


class Report(NamedTuple):
    """One outcome of a job, in wire units and in the order of the wire."""

    ident: str
    fence: str
    outcome: str
    delay_ms: int = 0
    value: str | bytes = b""


def open_session(scope: Scope, session: str, fields: Mapping[str, Word]) -> Call:
    return scope.call("open_session", session, SCHEMA_VERSION, *_pairs(fields))


def close_session(scope: Scope, session: str) -> Call:
    return scope.call("close_session", session)


def beat(scope: Scope, session: str, sweep_ms: int, started: Iterable[tuple[str, str]] = ()) -> Call:
    return scope.call("beat", session, sweep_ms, *(word for pair in started for word in pair))


def reconcile(scope: Scope, session: str, strays: Sequence[str], believed: Iterable[tuple[str, str]] = ()) -> Call:
    return scope.call("reconcile", session, len(strays), *strays, *(word for pair in believed for word in pair))


def sweep(scope: Scope) -> Call:
    return scope.call("sweep")


def request(scope: Scope, session: str, ask: LockAsk) -> Call:
    wait = "" if ask.wait_ms is None else ask.wait_ms
    how = "try" if ask.trying else "steal" if ask.stealing else "adaptive" if ask.adaptive else "wait"
    least = "" if ask.least_ms is None else ask.least_ms
    asked = (ask.ident, ask.priority, ask.needs, how, wait, ask.hold_ms)
    said = (ask.owner, ask.reason, ask.metadata, ask.rule, ask.within)
    return scope.call("request", session, *asked, *said, least, ask.preempt)


def release(scope: Scope, ident: str, fence: int) -> Call:
    return scope.call("release", ident, fence)


def extend(scope: Scope, ident: str, fence: int, lease_ms: int) -> Call:
    return scope.call("extend", ident, fence, lease_ms)


def cancel(scope: Scope, ident: str, event: str, reason: str, by: str = "") -> Call:
    return scope.call("cancel", ident, event, reason, by)


def reprioritise(scope: Scope, ident: str, priority: int, by: str = "", reason: str = "") -> Call:
    return scope.call("reprioritise", ident, priority, by, reason)


def submit(scope: Scope, max_payload: int, jobs: Sequence[JobAsk]) -> Call:
    words: list[Word] = []
    for job in jobs:
        words += (job.ident, job.name, job.queue, job.priority, job.payload, 2 * len(job.options))
        for pair in job.options.items():
            words += pair
    return scope.call("submit", max_payload, *words)


def claim(scope: Scope, session: str, ask: Claim) -> Call:
    asked: tuple[Word, ...] = (ask.number, ask.wanted, ask.hold_ms, int(ask.roomy), ask.steals, *ask.queues)
    return scope.call("claim", session, *asked)


def settle(scope: Scope, session: str, ask: Claim, reports: Iterable[Report]) -> Call:
    words: list[Word] = []
    for one in reports:
        words += one
    asked: tuple[Word, ...] = (ask.number, ask.wanted, ask.hold_ms, ask.steals, len(ask.queues), *ask.queues)
    return scope.call("settle", session, *asked, *words)


def spare(scope: Scope, session: str, offer: Offer) -> Call:
    how, jobs = "stuck" if offer.stuck else "busy", (word for pair in offer.jobs for word in pair)
    return scope.call("spare", session, offer.number, how, offer.claim, offer.before, *jobs)


def retain(scope: Scope, session: str, number: int, spares: Iterable[tuple[str, str]]) -> Call:
    return scope.call("retain", session, number, *(word for pair in spares for word in pair))


def watch(scope: Scope, ident: str, session: str) -> Call:
    return scope.call("watch", ident, session)


def recall(scope: Scope, session: str, dedup_keys: Iterable[str]) -> Call:
    return scope.call("recall", session, *dedup_keys)


def forget(scope: Scope, after: str, dedup_keys: Iterable[str]) -> Call:
    return scope.call("forget", after, *dedup_keys)


def warm(scope: Scope, after: str, name: str, ttl_ms: int, answers: Iterable[tuple[str, str, bytes]]) -> Call:
    return scope.call("warm", after, name, ttl_ms, *(word for one in answers for word in one))


def similar(scope: Scope, most: int, buckets: Iterable[str]) -> Call:
    return scope.call("similar", most, *buckets)


def index_text(scope: Scope, ident: str, ttl_ms: int, text: str, buckets: Iterable[str]) -> Call:
    return scope.call("index_text", ident, ttl_ms, text, *buckets)


def note_progress(scope: Scope, ident: str, fence: str, progress: str) -> Call:
    return scope.call("note_progress", ident, fence, progress)


def replay(scope: Scope, ident: str, call_id: str) -> Call:
    return scope.call("replay", ident, call_id)


def gather(scope: Scope, thing: Gathering, act: str, session: str, ident: str, came_in: str) -> Call:
    return scope.call("gather", *thing, act, session, ident, came_in)


def define(scope: Scope, resource: str, deed: Deed, fields: Mapping[str, Word]) -> Call:
    return scope.call("define", resource, *deed, *_pairs(fields))


def config(scope: Scope, most: int = 0, start: int = 0) -> Call:
    return scope.call("config", most, start)


def configure(scope: Scope, call_id: str, version: int, who: str, terms: str, changes: Mapping[str, str]) -> Call:
    return scope.call("configure", call_id, version, who, terms, *_pairs(changes))


def tell(scope: Scope, session: str, gates: Mapping[str, str], config: str = "") -> Call:
    return scope.call("tell", session, config, *_pairs(gates))


def force(scope: Scope, ident: str, fence: str, deed: Deed) -> Call:
    return scope.call("force", ident, fence, deed.reason, deed.call_id, deed.by)


def transfer(scope: Scope, ident: str, fence: str, heir: str, deed: Deed, verb: str = "transfer") -> Call:
    return scope.call("transfer", ident, fence, heir, *deed, verb)


def hand_over(scope: Scope, ident: str, fence: int, heir: str, deed: Deed) -> Call:
    return scope.call("hand_over", ident, fence, heir, *deed)


def reorder(scope: Scope, ident: str, place: str, other: str, deed: Deed) -> Call:
    return scope.call("reorder", ident, place, other, *deed)


def freeze(scope: Scope, pattern: str, ms: int | str, deed: Deed, until_ms: int | None = None) -> Call:
    return scope.call("freeze", pattern, ms, *deed, "" if until_ms is None else until_ms)


def thaw(scope: Scope, pattern: str, deed: Deed) -> Call:
    return scope.call("thaw", pattern, deed.by, deed.reason)


def freezes(scope: Scope) -> Call:
    return scope.call("freezes")


def let_pass(scope: Scope, ident: str, deed: Deed) -> Call:
    return scope.call("let_pass", ident, *deed)


def audit(scope: Scope, after: str, most: int) -> Call:
    return scope.call("audit", after, most)


def explain(scope: Scope, ident: str, most: int, holders: int | None = None, past: int = 0) -> Call:
    return scope.call("explain", ident, most, most if holders is None else holders, past)


def survey(scope: Scope, after: str, most: int, prefix: str) -> Call:
    return scope.call("survey", after, most, prefix)


def learn(scope: Scope, session: str, lessons: Lessons) -> Call:
    words: list[Word] = []
    for one in lessons.things:
        wish = one.next_ms or ""
        words += (one.name, one.base_ms, one.strategy, one.total, one.version, wish, one.p99_ms, 2 * len(one.counts))
        for pair in one.counts.items():
            words += pair
    return scope.call("learn", session, lessons.number, lessons.most, lessons.pace_ms, *words)


def timeouts(scope: Scope, most: int, names: Iterable[str] = ()) -> Call:
    return scope.call("timeouts", most, *names)


def events(scope: Scope, after: str, most: int) -> Call:
    return scope.call("events", after, most)


def dead(scope: Scope, skip: int, most: int, until_ms: int | None) -> Call:
    return scope.call("dead", skip, most, "" if until_ms is None else until_ms)


def gates(scope: Scope, kind: str, most: int) -> Call:
    return scope.call("gates", kind, most)


def set_breaker(scope: Scope, name: str, event: str, open_ms: int, deed: Deed) -> Call:
    return scope.call("set_breaker", name, event, open_ms, *deed)


def publish(scope: Scope, mark: str, limits: tuple[int, int, int, int], words: Sequence[str], moved: str = "") -> Call:
    return scope.call("publish", mark, *limits, moved, *words)


def samples(scope: Scope, window_ms: int, most: int, before: str = "") -> Call:
    return scope.call("samples", window_ms, most, before)


def judge(scope: Scope, mark: str, verdicts: Iterable[tuple[str, str, str, str, str, str]]) -> Call:
    return scope.call("judge", mark, *(word for verdict in verdicts for word in verdict))


def acknowledge(scope: Scope, rule: str, was: str, now: str, by: str) -> Call:
    return scope.call("acknowledge", rule, was, now, by)


def line(scope: Scope, resource: str, most: int) -> Call:
    return scope.call("line", resource, most)


def audit_keys(scope: Scope, grace_ms: int, keys: Iterable[tuple[Word, Word]]) -> Call:
    return scope.call("audit_keys", grace_ms, *(word for pair in keys for word in pair))


def audit_request(scope: Scope, ident: Word, fix: bool, grace_ms: int, places: Iterable[Word] = ()) -> Call:
    return scope.call("audit_request", ident, "fix" if fix else "look", grace_ms, *places)


def audit_resource(scope: Scope, resource: Word, fix: bool, grace_ms: int) -> Call:
    return scope.call("audit_resource", resource, "fix" if fix else "look", grace_ms)


def handlers(scope: Scope, names: Iterable[str]) -> Call:
    return scope.call("handlers", *names)


def _pairs(fields: Mapping[str, Word]) -> list[Word]:
    return [word for pair in fields.items() for word in pair]
