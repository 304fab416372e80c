"""What each call of the engine should answer and change, in plain Python. See `model` for what follows from it.

Every method is named after a script and answers as the header of that script says: the status word and what is
essential behind it. Fences are left out of answers; they are compared as part of the state.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

from coordinator.model.terms import Terms
from coordinator.wire.calls import Claim, JobAsk, LockAsk, Report
from tests.support.model import ACTIVE, QUEUED, REPLAYABLE, Ask, Request
from tests.support.model_room import Answer, Room

ENDS = {"succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled", "dead": "dead"}


def parse_needs(wire: str) -> dict[str, Ask]:
    """`x2:a s1:b` as a mapping."""
    words = (word.split(":", 1) for word in wire.split())
    return {resource: Ask(ask[0], int(ask[1:])) for ask, resource in words}


class Model(Room):
    """The engine, as it should be."""

    def __init__(self, terms: Terms, us: int) -> None:
        super().__init__(terms, us)
        self.memo: dict[str, Answer] = {}
        self.batches: dict[str, tuple[int, list[str]]] = {}

    # --- sessions and time

    def open_session(self, session: str) -> Answer:
        self.renew(session)
        self.inbox[session] = []
        return "ok", session

    def close_session(self, session: str) -> Answer:
        for r in list(self.requests.values()):
            if r.session != session or r.state not in (*ACTIVE, "waiting"):
                continue
            if r.state == "held":
                self.finish(r, "released")
            elif r.kind == "lock":
                self.finish(r, "cancelled")
            elif r.state == "running":
                self._settle_one(session, Report(r.ident, str(r.fence), "released"))
        self.sessions.pop(session, None)
        self.admit()
        return ("ok",)

    def beat(self, session: str, started: Sequence[tuple[str, str]]) -> Answer:
        if not self.live(session):
            return ("session_lost",)
        self.renew(session)
        for ident, fence in started:
            r = self.requests.get(ident)
            if r and r.state == "running" and str(r.fence) == fence and not r.started:
                r.started, r.attempts, r.wait_by = True, r.attempts + 1, None
        return ("ok",)

    def sweep(self) -> Answer:
        """What lapsed has been followed before this; a lapsed session is forgotten now."""
        self.sessions = {session: ends for session, ends in self.sessions.items() if ends > self.now}
        return ("ok",)

    def define(self, resource: str, capacity: int) -> Answer:
        self.capacity[resource] = capacity
        self.admit()
        return self.defined(resource)

    def defined(self, resource: str) -> Answer:
        capacity = self.capacity.get(resource)
        return "ok", *([("capacity", str(capacity))] if capacity else [])

    # --- locks

    def request(self, session: str, ask: LockAsk, again: bool = False) -> Answer:
        """`again`: a try that was sent before."""
        if not self.live(session):
            return ("session_lost",)
        needs, before = parse_needs(ask.needs), self.requests.get(ask.ident)
        if before:
            return ("busy",) if again and before.state == "cancelled" else self._asked_again(before, session, needs)
        refusal = self.refusal(needs, ask.priority, joins=not ask.trying)
        waits = not ask.trying and self._would_wait(session, ask, needs)
        if refusal and (waits or refusal[0] == "over_capacity"):
            return refusal
        if waits:
            # A line may have been full of such as had lapsed, which `follow` has taken out.
            shed = [r for r in self.requests.values() if r.ident in self.facts and self.facts[r.ident].state == "shed"]
            self.push_out(r for r in shed if r.priority < ask.priority and not needs.keys().isdisjoint(r.needs))
        r = Request(ask.ident, "lock", needs, ask.priority, self.draw(), session=session, hold_ms=ask.hold_ms)
        r.wait_by = None if ask.wait_ms is None else self.now + ask.wait_ms
        self.requests[r.ident] = r
        self.admit(asking=r.ident)
        if r.state == "held" or not ask.trying or again or self.took_back:  # else it was a try, refused without a write
            self.refresh(session)
        if r.state != "held" and ask.trying:
            if again:
                self.finish(r, "cancelled")
            else:
                del self.requests[r.ident]
            self.admit()
            return ("busy",)
        return self._standing(r)

    def _would_wait(self, session: str, ask: LockAsk, needs: dict[str, Ask]) -> bool:
        """Whether it would have to stand in line. Who is more urgent than a full line has no need to."""
        trial = copy.deepcopy(self)
        r = Request(ask.ident, "lock", needs, ask.priority, trial.draw(), session=session, hold_ms=ask.hold_ms)
        trial.requests[r.ident] = r
        return not trial.its_turn(r)

    def _asked_again(self, r: Request, session: str, needs: dict[str, Ask]) -> Answer:
        """A repeated call; under a new session it ends what was asked under the old one."""
        if r.kind != "lock" or r.needs != needs:
            return "conflict", r.ident
        if r.session != session and r.state in ("held", "waiting"):
            if r.state == "held":
                self.take_back(r)
            else:
                self.finish(r, "cancelled")
            self.admit()
        return self._standing(r)

    def _standing(self, r: Request) -> Answer:
        if r.state == "held":
            return "granted", r.ident, str(max(0, (r.ends or 0) - self.now))
        if r.state == "waiting":
            return "waiting", r.ident
        return "ended", r.ident, r.state

    def release(self, ident: str, fence: int) -> Answer:
        r = self.requests.get(ident)
        if not r or r.kind != "lock":
            return ("gone",)
        if r.fence != fence or r.state not in ("held", "released"):
            return "lost", r.state
        if r.state == "held":
            self.finish(r, "released")
            self.admit()
        return ("ok",)

    def extend(self, ident: str, fence: int, lease_ms: int) -> Answer:
        r = self.requests.get(ident)
        if not r or r.kind != "lock":
            return ("gone",)
        if r.state != "held" or r.fence != fence or self.lapsed(r):
            return "lost", r.state
        r.ends, r.hold_ms = self.now + lease_ms, lease_ms
        return "ok", str(lease_ms)

    # --- both kinds

    def cancel(self, ident: str, event: str) -> Answer:
        r = self.requests.get(ident)
        if not r:
            return ("gone",)
        if r.state == "held":
            return "held", str(r.hold_ms)
        if r.state == "running":
            r.cancelled = True
            self.send(r.session, f"cancel {ident} {r.fence}")
            return ("told",)
        target = {"cancel": "cancelled", "expire": "expired"}[event]
        if r.state not in (*QUEUED, "scheduled", target):
            return "ended", r.state
        if r.state != target:
            self.finish(r, target)
            if r.kind == "lock":
                self.send(r.session, f"ended {ident} {target}")
            self.admit()
        return "ok", r.state

    def reprioritise(self, ident: str, priority: int) -> Answer:
        r = self.requests.get(ident)
        if not r:
            return ("gone",)
        if r.state in ACTIVE and r.priority == priority:
            return "ok", str(priority)  # this very call may have got it what it waited for
        if r.state not in (*QUEUED, "scheduled"):
            return "refused", r.state
        r.priority = priority
        self.admit()
        return "ok", str(priority)

    def force(self, ident: str, fence: str, call_id: str) -> Answer:
        r = self.requests.get(ident)
        if not r:
            return ("gone",)
        if r.forced == call_id:
            return ("ok",)
        if r.state not in ACTIVE or fence not in ("", str(r.fence)):
            return "refused", r.state
        r.forced = call_id
        self.take_back(r, crash=False)
        self.admit()
        return ("ok",)

    def watch(self, ident: str, session: str) -> Answer:
        r = self.requests.get(ident)
        if not r:
            return ("gone",)
        if r.state not in (*QUEUED, *ACTIVE, "scheduled"):
            return "final", r.state
        if not self.live(session):
            return ("session_lost",)
        r.watchers.add(session)
        return "pending", r.state

    # --- jobs

    def submit(self, jobs: Iterable[JobAsk]) -> Answer:
        answers = [self._submit_one(job) for job in jobs]
        self.admit()
        return "ok", *answers

    def _submit_one(self, job: JobAsk) -> Answer:
        words = {name: str(value) for name, value in job.options.items()}
        before, key = self.requests.get(job.ident), words.get("dedup", "")
        if before:
            other = before.payload is not None and before.payload != job.payload and not before.dedup
            return ("conflict", job.ident) if before.kind != "job" or other else ("accepted", job.ident)
        if key and job.ident in self.memo:
            return self.memo[job.ident]
        answer = self._duplicate(job, key, words.get("on_conflict", "")) or self.no_room(job, "delay_ms" in words)
        if answer:
            return answer
        needs = parse_needs(words.get("needs", ""))
        if words.get("on_conflict") == "rerun":
            needs[f"~dedup/{key}"] = Ask("x", 1)
        return self.refusal(needs, job.priority, joins="delay_ms" not in words) or self._accept(job, needs, words)

    def _owner(self, key: str) -> Request | None:
        """Who has a dedup key. A job whose time ran out before it started ends first."""
        for _ in range(2):
            ident, till = self.dedup.get(key, ("", None))
            other = None if self.over(till) else self.requests.get(ident)
            if other is None or other.state not in (*QUEUED, "scheduled") or not self.lapsed(other):
                break
            self.take_back(other)
        return other

    def _duplicate(self, job: JobAsk, key: str, on_conflict: str) -> Answer | None:
        other = self._owner(key)
        if other is None:
            return None
        if on_conflict == "reject":
            return "rejected", other.ident
        replaces = on_conflict != "join" and other.state in (*QUEUED, "scheduled")
        if replaces:
            other.payload = job.payload
        self.memo[job.ident] = ("duplicate", other.ident, "replaced" if replaces else "joined")
        return self.memo[job.ident]

    def _accept(self, job: JobAsk, needs: dict[str, Ask], words: dict[str, str]) -> Answer:
        def later(word: str, after: int = 0) -> int | None:
            return self.now + after + int(words[word]) if word in words else None

        delay = int(words.get("delay_ms", 0))
        if not delay:
            self.make_room(job)
            self.push_out()
        r = Request(job.ident, "job", needs, job.priority, self.draw(), queue=job.queue, payload=job.payload)
        r.wait_by, r.end_by = later("wait_ms", delay), later("end_ms")
        r.run_ms = int(words["run_ms"]) if "run_ms" in words else None
        r.dedup, r.scope, r.rerun = words.get("dedup", ""), words.get("scope", ""), words.get("on_conflict") == "rerun"
        self.requests[r.ident] = r
        if r.dedup:
            self.dedup[r.dedup] = (r.ident, later("ttl_ms") if r.scope == "ttl" else None)
        if delay:
            r.state, r.due = "scheduled", self.now + delay
        else:
            self.enqueue(r)
        return "accepted", r.ident

    def settle(self, session: str, ask: Claim, reports: Iterable[Report]) -> Answer:
        if not self.live(session):
            return ("session_lost",)
        self.refresh(session)
        settled = [self._settle_one(session, report) for report in reports]
        ready_before = {r.ident for r in self.ready(ask.queues)}
        self.follow()
        self.admit()
        # What lapsed may have been taken back while jobs were chosen: what that made ready comes with the next claim.
        late = {r.ident for r in self.ready(ask.queues)} - ready_before if self.took_back else set()
        return "ok", settled, self._claim(session, ask, late) if ask.number else []

    def _settle_one(self, session: str, report: Report) -> Answer:
        r = self.requests.get(report.ident)
        if not r:
            return ("gone",)
        fence = int(report.fence)
        if r.state != "running" or r.fence != fence or r.session != session:
            if r.settled == fence:
                return "ok", r.state == "running" and r.fence == r.resumed
            return ("stale",)
        r.attempts += report.outcome != "released" and not r.started
        r.settled = fence
        if report.outcome != "released":
            r.wait_by = None  # it began
        return "ok", self._apply(r, report)

    def _apply(self, r: Request, report: Report) -> bool:
        """Whether the job runs again at once."""
        if report.outcome in ENDS:
            self.finish(r, ENDS[report.outcome])
        elif report.outcome == "retry" and report.delay_ms == 0 and not r.cancelled:
            lease = self._lease_end(r, 0) if r.run_ms else r.ends
            self.activate(r, "running", lease)
            r.resumed, r.started = r.fence, False
            return True
        else:
            uncounted = r.started if report.outcome == "released" else report.outcome == "snooze"
            self.put_back(r, None if report.outcome == "released" else self.now + report.delay_ms)
            r.attempts -= uncounted and r.state != "cancelled"
        return False

    def _lease_end(self, r: Request, hold_ms: int) -> int | None:
        """The run timeout with room to report it, else the longest hold of resources; never past the deadline."""
        longest = r.run_ms + self.terms.session_ms if r.run_ms else hold_ms if r.needs else None
        limits = [limit for limit in (longest and self.now + longest, r.end_by) if limit is not None]
        return min(limits, default=None)

    def claim(self, session: str, ask: Claim) -> Answer:
        if not self.live(session):
            return ("session_lost",)
        ready_before = {r.ident for r in self.ready(ask.queues)}
        self.admit()
        return "ok", self._claim(session, ask, {r.ident for r in self.ready(ask.queues)} - ready_before)

    def _claim(self, session: str, ask: Claim, late: set[str]) -> list[Answer]:
        """The best ready jobs over the queues; those in `late` only if the engine has them too."""
        number, idents = self.batches.get(session, (0, []))
        if number == ask.number:
            return sorted(self._described(self.requests[i]) for i in idents if self._runs(i, session))
        chosen: list[Request] = []
        for r in self.ready(ask.queues):
            fact = self.facts.get(r.ident)
            left = r.ident in late and fact is not None and fact.state != "running"
            if len(chosen) == ask.wanted or left or self.lapsed(r) or not self.its_turn(r):
                continue
            r.session, r.deliveries = session, r.deliveries + 1
            self.activate(r, "running", self._lease_end(r, ask.hold_ms))
            if r.scope == "until_started":
                self.free_dedup(r)
            chosen.append(r)
        self.batches[session] = (ask.number, [r.ident for r in chosen])
        self.admit()
        return sorted(self._described(r) for r in chosen)

    def _runs(self, ident: str, session: str) -> bool:
        r = self.requests[ident]
        return r.state == "running" and r.session == session

    def _described(self, r: Request) -> Answer:
        return r.ident, r.queue, str(r.priority), str(r.attempts), str(r.deliveries), r.payload, r.dedup or ""

    def replay(self, ident: str, call_id: str) -> Answer:
        r = self.requests.get(ident)
        if not r or r.kind != "job":
            return ("gone",)
        if r.replayed == call_id:
            return ("ok",)
        if r.state not in REPLAYABLE:
            return "refused", r.state
        full = self.full(r.queue, False)
        if full:
            return full
        r.stamp, r.replayed, r.cancelled, r.started = self.draw(), call_id, False, False
        r.unsure, r.attempts = False, 0
        r.attempts = r.crashes = r.deliveries = 0
        r.wait_by = r.end_by = None
        if r.dedup and r.scope != "ttl" and self._owner(r.dedup) is None:
            self.dedup[r.dedup] = (r.ident, None)
        self.enqueue(r)
        self.admit()
        return ("ok",)
