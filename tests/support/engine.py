"""Runs the Lua scripts as they are, with a clock that the test moves, and looks at everything they leave behind.

The scripts are sent through `wire.calls`, the same functions the operations use, so what is tested is what runs; only
the fragments of `played` are others. Around every call the whole namespace is compared: a refusal must write nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import redis

from coordinator import keys
from coordinator.model.terms import Terms
from coordinator.wire import calls, loader
from coordinator.wire.calls import Claim, JobAsk, LockAsk, Report, Scope, Word
from coordinator.wire.step import Call
from tests.support.played import CLOCK, MEMORY, REPLACED

# The clock is found through the hash tag of the namespace, so one text of each script serves all tests.
EPOCH_US = 1_800_000_000_000_000
HOUR = 3600.0

TERMS = Terms(
    aging_us=60_000_000,
    max_line=100,
    max_queue=100,
    result_ms=3_600_000,
    dead_ms=604_800_000,
    max_crashes=3,
    session_ms=10_000,
    max_events=1000,
)

READ_ONLY = frozenset(
    {
        *("audit", "config", "dead", "events", "explain", "freezes", "gates", "handlers", "line", "samples"),
        *("similar", "survey", "timeouts", "holders", "held_by", "changes"),
    }
)
# What may be answered without a write, and must be: these words say that nothing has changed.
REFUSALS = frozenset(
    {
        *("breaker_open", "busy", "line_overloaded", "memory_full"),
        "changed",
        "not_frozen",
        "too_many",
        "crowded",
        "deadlock",
        "unfit",
        "conflict",
        "ended",
        "gone",
        "held",
        "line_full",
        "lost",
        "mismatch",
        "not_within",
        "over_capacity",
        "overloaded",
        "queue_full",
        "refused",
        "rejected",
        "schema",
        "session_lost",
        "stale",
        "too_large",
    }
)


def whole(fields: Mapping[str, str]) -> dict[str, str]:
    """A request's record with what is left out of the commonest ones."""
    return {"kind": "job", "priority": "1", **fields}


@dataclass(frozen=True, slots=True)
class Kept:
    """A key as it is: its type, all it holds, and whether it will go by itself."""

    type: str
    value: Any
    has_ttl: bool


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is told of a job, in the order of the reply."""

    ident: str
    fence: str
    name: str
    queue: str
    priority: int
    attempts: int
    deliveries: int
    run_ms: str
    retry: str
    needs: str
    metadata: str
    payload: str
    dedup: str
    waited_ms: int
    stolen_from: str = ""
    unsure: str = ""


def plain(value: Any) -> Any:
    """A reply with text in place of bytes, all the way down."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, list | tuple | set):
        items = [plain(one) for one in value]
        return sorted(items) if isinstance(value, set) else items
    if isinstance(value, dict):
        return {plain(name): plain(inner) for name, inner in value.items()}
    return value


def wire_needs(short: str) -> str:
    """`a s1:b` as needs on the wire: a plain name is an exclusive need of one permit."""
    return " ".join(one if re.match(r"[xs]\d+:", one) else f"x1:{one}" for one in short.split())


@cache
def script_text(name: str, shebang: bool, clocked: bool) -> str:
    """A script for EVAL, with the test's clock in it or the server's."""
    real = loader.program(name, shebang).text
    if not clocked:
        return real
    body = loader.resolve(name, replace=REPLACED)
    return f"{real.splitlines()[0]}\n{body}" if shebang else body


def census(raw: redis.Redis, namespace: str) -> dict[str, Kept]:
    """Every key of a namespace."""
    found = sorted(raw.scan_iter(match=f"{keys.prefix(namespace)}*", count=1000))
    asked = raw.pipeline(transaction=False)
    for key in found:
        asked.type(key)
        asked.pttl(key)
    answers = asked.execute()
    types = [one.decode() for one in answers[::2]]
    for key, kind in zip(found, types, strict=True):
        _ask_value(asked, key, kind)
    values = asked.execute()
    return {
        key.decode(): Kept(kind, plain(value), ttl >= 0)
        for key, kind, ttl, value in zip(found, types, answers[1::2], values, strict=True)
    }


def _ask_value(asked: Any, key: bytes, kind: str) -> None:
    commands = {
        "string": ("GET", key),
        "hash": ("HGETALL", key),
        "list": ("LRANGE", key, 0, -1),
        "set": ("SMEMBERS", key),
        "zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
        "stream": ("XRANGE", key, "-", "+"),
        "none": ("GET", key),
    }
    asked.execute_command(*commands[kind])


class Engine:
    """A namespace, driven by its scripts. `seen` collects the (script, status) pairs that were answered."""

    def __init__(self, raw: redis.Redis, namespace: str, *, clocked: bool = True, **terms: int) -> None:
        self.raw, self.namespace, self.clocked = raw, namespace, clocked
        self.terms = replace(TERMS, **terms)
        self.seen: set[tuple[str, str]] = set()
        self._numbers: dict[str, int] = {}
        self._shebang = int(raw.info("server")["redis_version"].split(".")[0]) >= 7
        self._set_clock(EPOCH_US)

    # --- time

    @property
    def now_us(self) -> int:
        """The test's clock, as the scripts read it before they make it monotonic."""
        return int(self.raw.get(self._clock_key) or 0)

    @property
    def now(self) -> int:
        """The same in milliseconds."""
        return self.now_us // 1000

    def advance(self, seconds: float) -> None:
        """Move the clock, forward or back."""
        self._set_clock(self.now_us + round(seconds * 1_000_000))

    def use_memory(self, used: int, limit: int = 0) -> None:
        """What the server is to say of its memory."""
        self.raw.set(f"{MEMORY}{{{self.namespace}}}", f"{used} {limit}", ex=3600)

    def keep_alive(self, seconds: float, *sessions: str) -> None:
        """Let time pass while some sessions beat, without any sweep: nobody looks, so their last beat is enough."""
        self.advance(seconds)
        for session in sessions:
            self.raw.zadd(self.key("SESSIONS"), {session: self.now + self.terms.session_ms})

    # --- the scripts

    def rules(self, **changed: int) -> None:
        """Other terms from here on."""
        self.terms = replace(self.terms, **changed)

    @property
    def scope(self) -> Scope:
        """What every call carries."""
        return Scope.of(self.namespace, self.terms)

    def call(self, call: Call, *, writes: bool = False) -> list[Any]:
        """The reply. A refusal must have left everything as it was, unless the test says that it `writes`."""
        # A worker's report counts as its heartbeat even if every item of it is refused.
        beats = {self.key("SESSIONS"), self.key("META")} if call.script == "settle" else set()
        before, changes = self.census() if beats else {}, self._changes()
        reply = self.sent(call)
        words = self._words(call, reply)
        self.seen |= {(call.script, word) for word in words}
        if not writes and (call.script in READ_ONLY or all(word in REFUSALS for word in words[1:] or words)):
            said = f"{call.script} answered {words} and yet wrote"
            if beats:
                after = self.census()
                assert {one for one in before.keys() | after.keys() if before.get(one) != after.get(one)} <= beats, said
            else:
                assert self._changes() == changes, said
        return reply

    def _changes(self) -> int:
        """How many writes there have been on this server, which nobody else uses: also those that change nothing."""
        return int(self.raw.info("persistence")["rdb_changes_since_last_save"])

    def sent(self, call: Call) -> list[Any]:
        """The reply, and nothing is looked at."""
        text = script_text(call.script, self._shebang, self.clocked)
        reply: list[Any] = plain(self.raw.eval(text, 1, call.key, *call.args))
        return reply

    def open(self, session: str, **fields: Word) -> str:
        """A live session of that id."""
        assert self.call(calls.open_session(self.scope, session, fields)) == ["ok", session]
        return session

    def worker(self, session: str, *queues: str) -> str:
        """A live session of a worker."""
        return self.open(session, queues=" ".join(queues or ("default",)))

    def beat(self, session: str, started: Sequence[tuple[str, str]] = (), sweep_ms: int = 1000) -> list[Any]:
        return self.call(calls.beat(self.scope, session, sweep_ms, started))

    def sweep(self) -> int:
        """Sweep once; how much was found."""
        return int(self.call(calls.sweep(self.scope))[1])

    def sweep_all(self) -> None:
        """Sweep until nothing more is found."""
        for _ in range(100):
            if self.sweep() == 0:
                return
        raise AssertionError("a sweep finds something for ever")

    def ask(self, session: str, ident: str, needs: str, *, writes: bool = False, **changed: Any) -> list[Any]:
        """Ask for a lock: `ask("s", "r1", "a s1:b", priority=2, trying=True)`."""
        plain_ask = LockAsk(ident, 1, wire_needs(needs), trying=False, wait_ms=None, hold_ms=86_400_000)
        return self.call(calls.request(self.scope, session, plain_ask._replace(**changed)), writes=writes)

    def hold(self, session: str, ident: str, needs: str, **changed: Any) -> int:
        """Ask for a lock that is free; its fence."""
        reply = self.ask(session, ident, needs, **changed)
        assert reply[:2] == ["granted", ident], reply
        return int(reply[2])

    def release(self, ident: str, fence: int | str) -> list[Any]:
        """Give a lock back; the answer, without the messages that come with it."""
        reply = self.call(calls.release(self.scope, ident, int(fence)))
        return reply[:1] if reply[0] == "ok" else reply

    def submit(self, *jobs: JobAsk, max_payload: int = 1000) -> list[list[Any]]:
        """Hand in jobs; one answer for each."""
        call = calls.submit(self.scope, max_payload, jobs)
        answers = per_job(call, self.call(call))
        return [[*one, self.state(one[1])] if one[0] == "accepted" else one for one in answers]

    def put(self, ident: str, needs: str = "", **changed: Any) -> list[Any]:
        """Hand in one job: `put("j1", "a", priority=3, wait_ms=500)`; its answer."""
        return self.submit(job(ident, needs, **changed))[0]

    def claim(self, session: str, wanted: int = 1, *queues: str, number: int | None = None, rob: int = 0) -> list[Job]:
        """Claim jobs, under the next number of the session or the one given."""
        ask = replace(self._claim(session, wanted, queues, number), steals=rob)
        reply = self.call(calls.claim(self.scope, session, ask))
        assert reply[0] == "ok", reply
        return [Job(*one) for one in reply[1:]]

    def settle(self, session: str, *reports: Report) -> list[list[str]]:
        """Report outcomes without claiming; one answer for each."""
        reply = self.call(calls.settle(self.scope, session, Claim(0, 0, 0, ()), reports))
        assert reply[0] == "ok", reply
        return list(reply[1])

    def report(self, session: str, given: Job, outcome: str, delay_ms: int = 0, value: str = "") -> list[str]:
        """Report one outcome; its answer."""
        return self.settle(session, Report(given.ident, given.fence, outcome, delay_ms, value))[0]

    def cancel(self, ident: str, event: str = "cancel") -> list[Any]:
        return self.call(calls.cancel(self.scope, ident, event, "because"))

    # --- looking

    def key(self, family: str, member: str = "") -> str:
        return keys.key(self.namespace, family, member)

    def census(self) -> dict[str, Kept]:
        """Every key of the namespace."""
        return census(self.raw, self.namespace)

    def field(self, ident: str, name: str) -> str | None:
        """A field of a request."""
        value = self.raw.hget(self.key("REQ", ident), name)
        return None if value is None else str(plain(value))

    def state(self, ident: str) -> str | None:
        return self.field(ident, "state")

    def payload(self, ident: str) -> bytes | None:
        """A job's payload, in its record or apart."""
        short, rest = self.raw.hmget(self.key("REQ", ident), "data", "data2")
        apart: bytes | None = self.raw.hget(self.key("PAYLOADS"), ident)
        return apart if short is None else short + (rest or b"")

    def line(self, resource: str) -> list[str]:
        """The ids in a line, from the head."""
        return list(plain(self.raw.zrange(self.key("LINE", resource), 0, -1)))

    def holders(self, resource: str) -> list[str]:
        return sorted(plain(self.raw.hkeys(self.key("HOLDERS", resource))))

    def inbox(self, session: str) -> list[str]:
        """The messages of a session, which are taken out."""
        key = self.key("INBOX", session)
        messages = list(plain(self.raw.lrange(key, 0, -1)))
        self.raw.delete(key)
        return messages

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Whatever is called inside must leave the whole namespace as it was."""
        before = self.census()
        yield
        assert self.census() == before

    @property
    def _clock_key(self) -> str:
        return f"{CLOCK}{{{self.namespace}}}"

    def _set_clock(self, us: int) -> None:
        self.raw.set(self._clock_key, us, ex=3600)

    def _claim(self, session: str, wanted: int, queues: Sequence[str], number: int | None) -> Claim:
        if number is None:
            number = self._numbers[session] = self._numbers.get(session, 0) + 1
        return Claim(number, wanted, 86_400_000, tuple(queues) or ("default",))

    @staticmethod
    def _words(call: Call, reply: list[Any]) -> list[str]:
        script = call.script
        if script == "submit":
            return [reply[0], *(one[0] for one in per_job(call, reply))]
        return [reply[0], *(one[0] for one in (reply[1] if script == "settle" and len(reply) > 1 else []))]


def per_job(call: Call, reply: list[Any]) -> list[list[Any]]:
    """One answer for each job of a `submit`, which names only those that are not simply in."""
    words, idents = call.args[2:], []
    while words:
        idents.append(words[0])
        words = words[6 + int(words[5]) :]
    named = {int(one[0]): one[1:] for one in reply[1:]}
    return [named.get(number, ["accepted", ident]) for number, ident in enumerate(idents)]


def job(ident: str, needs: str = "", **changed: Any) -> JobAsk:
    """A job in wire form. Words that are no field of it are options: `job("j", dedup="k", scope="ttl")`."""
    parts = {"name": "work", "queue": "default", "priority": 1, "payload": b"payload"}
    options: Mapping[str, Word] = {name: value for name, value in changed.items() if name not in parts}
    options = {"needs": wire_needs(needs), **options} if needs else options
    chosen = {name: changed.get(name, value) for name, value in parts.items()}
    return JobAsk(ident=ident, options=options, **chosen)


def dedup(key: str, on_conflict: str = "join", scope: str = "until_finished", **more: Word) -> dict[str, Any]:
    """The options of a dedup key."""
    return {"dedup": key, "on_conflict": on_conflict, "scope": scope, **more}
