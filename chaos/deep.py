"""Every script of the product, called as the product calls it, with the server's own time for each call."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from chaos.busy import Busy, Spent
from chaos.faults.node import Node
from coordinator import Coordinator, Need, Submission
from coordinator.doctor import KEYS_PER_CALL
from coordinator.drivers import learner
from coordinator.drivers.ids import new_id
from coordinator.keys import key
from coordinator.model.need import needs_of
from coordinator.ops import answers, gates, history, inspect, lessons, timing
from coordinator.ops.submission import to_ask
from coordinator.ops.work import MAX_JOBS_PER_CALL, chunks
from coordinator.policy.rate import RateLimit
from coordinator.wire import calls, looks
from coordinator.wire.calls import Claim, Deed, Gathering, Lesson, Lessons, LockAsk, Offer, Report, Scope
from coordinator.wire.gates import Gates
from coordinator.wire.needs import to_wire
from coordinator.wire.step import Call
from workers.exchange import MAX_BATCH, MAX_KEYED

HOLD_MS = 86_400_000
MAX_PAYLOAD = 10_000
PAYLOAD = {"text": "x" * 90}
PLAIN, KEYED, OTHER, GATED = "default", "keyed", "other", "gated"
# So many resources the keyed jobs use, in turn: each job of a batch can be claimed.
RESOURCES = 5000
OWNED = inspect.MOST_PER_PAGE
# So many things have a timeout that follows the fleet, and of each so much was seen.
THINGS = 1000
SEEN: Mapping[str | int, int] = {"ok": 10, **dict.fromkeys(range(100, 108), 1)}
SUCCESS = b"\xc0"  # the result None, packed


@dataclass
class Deep:
    """A client of the namespace, what its calls need, and the milliseconds of those of the script that is `watched`."""

    node: Node
    co: Coordinator
    scope: Scope
    held: int
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    watched: str = ""
    refused: int = 0
    short: int = 0
    times: list[Spent] = field(default_factory=list)
    called: set[str] = field(default_factory=set)
    batches: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    locks: list[tuple[str, int]] = field(default_factory=list)

    @property
    def session(self) -> str:
        return str(self.co._driver.keeper.ensure())

    def __post_init__(self) -> None:
        self._busy = Busy(self.node)

    def close(self) -> None:
        self._busy.close()

    def call(self, call: Call) -> Any:
        """Make a call, and note what it took the server if its script is the one that is watched."""
        self.called.add(call.script)
        make = partial(self.co._driver.store.call, call)
        if call.script != self.watched:
            return make()
        answer, spent = self._busy.during(make)
        self.times += [spent] if spent else []
        return answer

    def pieces(self, count: int, queue: str = PLAIN, **options: Any) -> list[Call]:
        """So many jobs in the calls that the client makes of them. Of a keyed job's needs no other has one."""
        jobs = []
        for _ in range(count):
            needs = [f"key/{next(self.numbers) % RESOURCES}"] if queue == KEYED else []
            chosen = Submission(GATED if queue == GATED else "job", PAYLOAD, queue=queue, resources=needs, **options)
            jobs.append(to_ask(new_id(), chosen, MAX_PAYLOAD))
        return [calls.submit(self.scope, MAX_PAYLOAD, piece) for piece in chunks(jobs)]

    def submit(self, count: int, queue: str = PLAIN, **options: Any) -> None:
        for one in self.pieces(count, queue, **options):
            self.call(one)

    def one_job(self, queue: str = OTHER, **options: Any) -> str:
        ident = new_id()
        job = to_ask(ident, Submission("job", PAYLOAD, queue=queue, **options), MAX_PAYLOAD)
        self.call(calls.submit(self.scope, MAX_PAYLOAD, [job]))
        return ident

    def full(self, queue: str) -> None:
        """As many jobs as one call of the client carries."""
        self.call(self.pieces(MAX_JOBS_PER_CALL, queue)[0])

    def claim(self, queue: str, wanted: int) -> None:
        raw = self.call(calls.claim(self.scope, self.session, self._ask(queue, wanted)))
        self.batches[queue] = [(job[0].decode(), job[1].decode()) for job in raw[1:]]

    def settle(self, queue: str, outcome: str, wanted: int) -> None:
        value = SUCCESS if outcome == "succeeded" else b"why"
        reports = [Report(ident, fence, outcome, 0, value) for ident, fence in self.batches[queue]]
        raw = self.call(calls.settle(self.scope, self.session, self._ask(queue, wanted), reports))
        self.refused += sum(one[0] != b"ok" for one in raw[1])
        self.batches[queue] = [(job[0].decode(), job[1].decode()) for job in raw[2]]

    def back(self, queue: str, wanted: int) -> None:
        """Claim a batch, and report it without claiming another."""
        self.refill(queue, wanted)
        self.claim(queue, wanted)
        self.short += len(self.batches[queue]) < wanted
        while self.batches[queue]:
            rest = self.batches[queue][MAX_KEYED:]
            self.batches[queue] = self.batches[queue][:MAX_KEYED]
            self.settle(queue, "succeeded", 0)
            self.batches[queue] = rest

    def on(self, queue: str, wanted: int) -> None:
        """Report a batch and claim the next in the same call."""
        self.refill(queue, wanted)
        self.settle(queue, "succeeded", wanted)
        self.short += len(self.batches[queue]) < wanted

    def refill(self, queue: str, jobs: int) -> None:
        """As many as are taken, where they are not there by the hundred thousand."""
        if queue == KEYED:
            self.submit(jobs, queue)

    def running(self) -> tuple[str, str]:
        """A job that runs, with its fence."""
        self.one_job()
        self.claim(OTHER, 1)
        return self.batches[OTHER][0]

    def ended(self, outcome: str = "failed") -> str:
        """A job that is over."""
        ident, _ = self.running()
        self.settle(OTHER, outcome, 0)
        return ident

    def lock(self, resource: str, session: str = "", needs: int = 1) -> tuple[str, int]:
        """Ask for a lock: its id, and its fence, 0 if it has to wait."""
        wanted = to_wire(needs_of([Need(f"{resource}/{n}" if n else resource) for n in range(needs)]))
        ident = new_id()
        ask = LockAsk(ident, 1, wanted, False, None, HOLD_MS)
        raw = self.call(calls.request(self.scope, session or self.session, ask))
        return ident, int(raw[2]) if raw[0] == b"granted" else 0

    def done(self, call: Call) -> None:
        """Make a call that must succeed."""
        self.refused += self.call(call)[0] != b"ok"

    def lessons(self, pick: Callable[[int], int]) -> Call:
        """What a process reports that has seen as many things as go into one report."""
        things = tuple(
            Lesson(timing.key_of("operation", f"job{pick(THINGS)}"), 30_000, "p99", 0, 0, 1000, 900, SEEN)
            for _ in range(learner.MOST_REPORTED)
        )
        return calls.learn(self.scope, self.session, Lessons(next(self.numbers), THINGS, 1000, things))

    def another_session(self) -> str:
        session = new_id()
        self.call(calls.open_session(self.scope, session, {"host": "h", "pid": 1, "queues": PLAIN}))
        return session

    def lapse(self, session: str) -> None:
        """A session that has missed its heartbeats."""
        self.node.ask("ZADD", key(self.scope.namespace, "SESSIONS"), 1, session)

    def _ask(self, queue: str, wanted: int) -> Claim:
        return Claim(next(self.numbers) if wanted else 0, wanted, HOLD_MS, (queue,))


Phase = tuple[str, str, Callable[[], object]]


def phases(deep: Deep, pick: Callable[[int], int]) -> Iterator[Phase]:
    """A name, the script that is measured, and a call of it with what it needs; the order matters to some."""
    yield from _batches(deep)
    yield from _locks(deep, pick)
    yield from _operator(deep, pick)
    yield from _jobs(deep)
    yield from _gates(deep)
    yield from _sessions(deep)
    yield from _looks(deep, pick)


def _batches(deep: Deep) -> Iterator[Phase]:
    yield "one job", "submit", deep.one_job
    for queue, words, batch in ((PLAIN, "jobs", MAX_BATCH), (KEYED, "jobs with needs", MAX_KEYED)):
        full, back, on = partial(deep.full, queue), partial(deep.back, queue, batch), partial(deep.on, queue, batch)
        yield f"a full call of {words}", "submit", full
        yield f"{batch} {words}", "claim", back
        yield f"{batch} {words}, and the next", "settle", on
    # A worker does not know before it has seen the first ones that its jobs need resources.
    yield f"{MAX_BATCH} jobs with needs", "claim", partial(deep.back, KEYED, MAX_BATCH)


def _locks(deep: Deep, pick: Callable[[int], int]) -> Iterator[Phase]:
    scope, call, done = deep.scope, deep.call, deep.done

    def take() -> None:
        # Each its own: one that is held already would have to wait.
        deep.locks.append(deep.lock(f"free/{next(deep.numbers)}"))

    yield "free", "request", take
    yield "a minute more", "extend", lambda: done(calls.extend(scope, *deep.locks[0], 60_000))
    yield "nobody waits", "release", lambda: done(calls.release(scope, *deep.locks.pop()))
    yield "8 at once", "request", lambda: done(calls.release(scope, *deep.lock(f"many/{next(deep.numbers)}", needs=8)))
    yield (
        "leaves its line",
        "cancel",
        lambda: call(calls.cancel(scope, deep.lock(f"held/{pick(deep.held)}")[0], "cancel", "no")),
    )
    yield (
        "in a line",
        "reprioritise",
        lambda: call(calls.reprioritise(scope, deep.lock(f"held/{pick(deep.held)}")[0], pick(5))),
    )


def _operator(deep: Deep, pick: Callable[[int], int]) -> Iterator[Phase]:
    scope = deep.scope

    def deed() -> Deed:
        return Deed("depth", "by hand", new_id())

    def pair() -> tuple[str, int, str]:
        """One that holds a lock, its fence, and one that waits for it."""
        resource = f"pair/{next(deep.numbers)}"
        return (*deep.lock(resource), deep.lock(resource)[0])

    def handed_over() -> None:
        ident, fence, heir = pair()
        deep.done(calls.hand_over(scope, ident, fence, heir, deed()))

    def transferred() -> None:
        ident, fence, heir = pair()
        deep.done(calls.transfer(scope, ident, str(fence), heir, deed()))

    def latch() -> Gathering:
        return Gathering(f"latch/{next(deep.numbers)}", "latch", 2, HOLD_MS)

    def thawed() -> None:
        """One of very many resources, whose line is looked at anew."""
        pattern = f"held/{pick(deep.held)}"
        deep.done(calls.freeze(scope, pattern, HOLD_MS, deed()))
        deep.done(calls.thaw(scope, pattern, deed()))
        while deep.call(calls.sweep(scope))[1]:
            pass

    yield "a resource", "define", lambda: deep.call(calls.define(scope, "held/1", deed(), {"capacity": 1 + pick(3)}))
    yield "a lock", "force", lambda: deep.done(calls.force(scope, pair()[0], "", deed()))
    yield "a lock", "transfer", transferred
    yield "a lock", "hand_over", handed_over
    yield "to the front", "reorder", lambda: deep.done(calls.reorder(scope, pair()[2], "front", "", deed()))
    frozen = [f"frozen/{n}/**" for n in range(16)]
    yield "a tree", "freeze", lambda: deep.done(calls.freeze(scope, frozen[pick(16)], HOLD_MS, deed()))
    yield "all of it", "freezes", lambda: deep.call(calls.freezes(scope))
    yield "to the front", "let_pass", lambda: deep.done(calls.let_pass(scope, pair()[2], deed()))
    yield "a resource", "thaw", thawed
    yield "one comes", "gather", lambda: deep.call(calls.gather(scope, latch(), "come", deep.session, new_id(), ""))
    yield "a page", "audit", lambda: deep.call(calls.audit(scope, "", history.MOST_EVENTS))


def _jobs(deep: Deep) -> Iterator[Phase]:
    scope, call = deep.scope, deep.call

    def offered() -> None:
        deep.refill(PLAIN, MAX_BATCH)
        deep.claim(PLAIN, MAX_BATCH)
        call(calls.spare(scope, deep.session, Offer(next(deep.numbers), False, 0, 0, deep.batches[PLAIN])))

    def taken_back() -> None:
        offered()
        call(calls.retain(scope, deep.session, next(deep.numbers), deep.batches[PLAIN]))
        deep.settle(PLAIN, "succeeded", 0)

    yield "a job that waits", "watch", lambda: call(calls.watch(scope, deep.one_job("later"), deep.session))
    yield "a job that runs", "note_progress", lambda: call(calls.note_progress(scope, *deep.running(), "half"))
    yield f"{MAX_BATCH} jobs", "spare", taken_back
    yield f"{MAX_BATCH} jobs", "retain", taken_back
    yield "a job that failed", "replay", lambda: call(calls.replay(scope, deep.ended(), new_id()))


def _gates(deep: Deep) -> Iterator[Phase]:
    scope, call = deep.scope, deep.call
    told = {"queues": GATED, f"gates {GATED}": Gates((GATED,), rate=RateLimit(1000, 1000)).to_wire(GATED)}
    call(calls.open_session(scope, new_id(), told))

    def held_back() -> None:
        """A batch comes to a breaker that is open, and goes on when it is closed."""
        call(calls.set_breaker(scope, GATED, "open", HOLD_MS, Deed("me", "by hand", new_id())))
        deep.submit(MAX_BATCH, GATED)
        deep.claim(GATED, MAX_BATCH)
        call(calls.set_breaker(scope, GATED, "close", 0, Deed("me", "test", new_id())))
        deep.claim(GATED, MAX_BATCH)
        deep.settle(GATED, "succeeded", 0)

    yield f"{MAX_BATCH} jobs at a gate", "claim", held_back
    yield f"{MAX_BATCH} jobs behind it", "set_breaker", held_back
    yield "a page", "gates", lambda: call(calls.gates(scope, "breaker", gates.MOST))


def _sessions(deep: Deep) -> Iterator[Phase]:
    scope, call = deep.scope, deep.call

    def holding(locks: int) -> str:
        session = deep.another_session()
        for _ in range(locks):
            deep.lock(f"brief/{next(deep.numbers)}", session)
        return session

    def reaped() -> None:
        for _ in range(4):
            deep.lapse(holding(64))
        while call(calls.sweep(scope))[1]:
            pass

    def due() -> None:
        deep.submit(100, "later", delay=0.001)
        while call(calls.sweep(scope))[1]:
            pass

    strays = [new_id() for _ in range(MAX_BATCH)]
    yield "a new one", "open_session", deep.another_session
    yield "with a sweep", "beat", lambda: call(calls.beat(scope, deep.session, 1))
    yield "of one that holds 64 locks", "close_session", lambda: call(calls.close_session(scope, holding(64)))
    yield "256 strays", "reconcile", lambda: call(calls.reconcile(scope, deep.session, strays, [("none", "1")]))
    yield "nothing to do", "sweep", lambda: call(calls.sweep(scope))
    yield "4 dead sessions with 64 locks each", "sweep", reaped
    yield "100 jobs due", "sweep", due


def _looks(deep: Deep, pick: Callable[[int], int]) -> Iterator[Phase]:
    scope, call = deep.scope, deep.call
    ident = deep.one_job("later")

    def resource() -> str:
        return f"held/{pick(deep.held)}"

    def configured() -> None:
        version = int(call(calls.config(scope))[1])
        call(calls.configure(scope, new_id(), version, "depth", "", {"timeouts.names": f"{256 + pick(9)}"}))

    # The most that one call asks about.
    asked = ["job", *(f"job{n}" for n in range(1, lessons.MOST_ASKED))]
    places: Sequence[tuple[str, str]] = [(f"req:{ident}", "")] * KEYS_PER_CALL
    yield "a job", "explain", lambda: call(calls.explain(scope, ident, inspect.MOST_NAMED))
    yield "a resource", "line", lambda: call(calls.line(scope, resource(), inspect.MOST_NAMED))
    yield f"{learner.MOST_REPORTED} things", "learn", lambda: call(deep.lessons(pick))
    yield "a page", "timeouts", lambda: call(calls.timeouts(scope, timing.MOST_LISTED))
    yield "all settings", "config", lambda: call(calls.config(scope, 200))
    yield "a setting", "configure", configured
    yield f"{lessons.MOST_ASKED} handlers", "handlers", lambda: call(calls.handlers(scope, asked))
    yield "a handler", "tell", lambda: call(calls.tell(scope, deep.session, {"job": ""}))
    keys = [f"answer/{n}" for n in range(answers.MAX_KEYS_PER_CALL)]
    known = [(one, new_id(), SUCCESS) for one in keys]
    yield "a call", "warm", lambda: call(calls.warm(scope, "", "job", HOLD_MS, known))
    yield "a call", "recall", lambda: call(calls.recall(scope, deep.session, keys))
    yield "a call", "forget", lambda: call(calls.forget(scope, "", keys))
    yield "a page", "survey", lambda: call(calls.survey(scope, f"held%2F{pick(deep.held)}", inspect.MOST_PER_PAGE, ""))
    for n in range(OWNED):
        ask = LockAsk(new_id(), 1, f"x1:owned/{n}", False, None, HOLD_MS, owner="deep")
        call(calls.request(scope, deep.session, ask))
    yield (
        f"{OWNED} resources",
        "holders",
        lambda: call(looks.holders(scope, "held/*", f"held/{pick(deep.held)}", OWNED, inspect.MOST_NAMED)),
    )
    yield f"{OWNED} locks", "held_by", lambda: call(looks.held_by(scope, "deep", "", OWNED))
    yield "a page", "changes", lambda: call(looks.changes(scope, "0-0", history.MOST_EVENTS))
    yield "a page", "events", lambda: call(calls.events(scope, "", history.MOST_EVENTS))
    yield "a page", "dead", lambda: call(calls.dead(scope, 0, history.MOST_DEAD, None))
    yield "a page", "audit_keys", lambda: call(calls.audit_keys(scope, 0, places))
    yield "a job", "audit_request", lambda: call(calls.audit_request(scope, ident, False, 0, ("waiting:later",)))
    yield "a resource", "audit_resource", lambda: call(calls.audit_resource(scope, resource(), False, 0))
