"""The rules about jobs, on top of those about sessions, locks and time."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coordinator.wire import calls
from coordinator.wire.calls import Claim, JobAsk, Report, Word
from tests.property.machine import (
    KEYS,
    QUEUES,
    EngineMachine,
    maybe_ms,
    needs_of,
    priorities,
    serves,
    which,
)

Seconds = tuple[int | None, int | None, int | None]

limits = st.one_of(st.just((None, None, None)), st.tuples(maybe_ms, maybe_ms, maybe_ms))
dedups = st.none() | st.tuples(
    st.sampled_from(KEYS),
    st.sampled_from(("reject", "join", "replace", "rerun")),
    st.sampled_from(("until_started", "until_finished", "ttl")),
)
outcomes = st.sampled_from(("succeeded", "failed", "retry", "snooze", "released", "cancelled", "dead"))
delays = st.sampled_from((0, 0, 1000, 5000))
reports = st.lists(st.tuples(which, outcomes, delays, st.sampled_from(("own", "own", "own", "old"))), max_size=3)


def _options(needs: str, delay: int, limit: Seconds, dedup: tuple[str, str, str] | None) -> dict[str, Word]:
    wait, run, whole = limit
    words: dict[str, Word | None] = {"needs": needs, "delay_ms": delay, "wait_ms": wait, "run_ms": run, "end_ms": whole}
    if dedup:
        key, on_conflict, scope = dedup
        scope = "until_started" if on_conflict == "rerun" else scope
        words |= {
            "dedup": key,
            "on_conflict": on_conflict,
            "scope": scope,
            "ttl_ms": 25_000 if scope == "ttl" else None,
        }
    return {name: word for name, word in words.items() if word}


job_words = st.builds(_options, st.just("") | needs_of, st.sampled_from((0, 0, 0, 100, 3000)), limits, dedups)
job = st.tuples(st.sampled_from(QUEUES), priorities, job_words)


def payload_of(ident: str) -> bytes:
    """Short, in two pieces, at the edges, and too long for the record."""
    return f"payload of {ident} ".ljust((0, 64, 65, 128, 129)[sum(map(ord, ident)) % 5], ".").encode()


class JobMachine(EngineMachine):
    """Locks and jobs together."""

    claims = 0

    @rule(jobs=st.lists(job, min_size=1, max_size=3))
    def submit(self, jobs: list[tuple[str, int, dict[str, Word]]]) -> None:
        asks = []
        for queue, priority, words in jobs:
            ident = self.new("j")
            named = {name: self.named(str(word)) if name == "needs" else word for name, word in words.items()}
            asks.append(JobAsk(ident, "work", queue, priority, payload_of(ident), named))
        # What lapsed is taken back after all were accepted: till then a job whose worker died has no say about its key.
        there = tuple(self.model.requests)
        self.step(calls.submit(self.scope, 1000, asks), lambda: self.model.submit(asks), there)

    @rule(queue=st.sampled_from(QUEUES), levels=st.lists(st.integers(2, 4), min_size=3, max_size=4))
    def rush(self, queue: str, levels: list[int]) -> None:
        """More than a queue has room for, the less urgent first."""
        asks = [JobAsk(ident := self.new("j"), "work", queue, n, payload_of(ident), {}) for n in (0, 0, 0, *levels)]
        there = tuple(self.model.requests)
        self.step(calls.submit(self.scope, 1000, asks), lambda: self.model.submit(asks), there)

    @rule(n=which, wanted=st.integers(1, 3))
    def claim(self, n: int, wanted: int) -> None:
        session = self.session(n)
        ask = self.next_claim(wanted, serves(session))
        self.step(calls.claim(self.scope, session, ask), lambda: self.model.claim(session, ask))
        given = [one[0] for one in self.raw[1:]]
        ranked = sorted(given, key=lambda ident: self.model.rank(self.model.requests[ident]))
        assert given == ranked or self.model.took_back

    @rule(n=which, given=reports, wanted=st.integers(0, 2))
    def settle(self, n: int, given: list[tuple[int, str, int, str]], wanted: int) -> None:
        """Reports of one session, some about jobs it does not have or no longer has; and at times a claim with them."""
        session = self.session(n)
        ask = self.next_claim(wanted, serves(session)) if wanted else Claim(0, 0, 1000, ())
        said = [report for one in given if (report := self.report(session, *one))]
        said = list({report.ident: report for report in said}.values())
        call = calls.settle(self.scope, session, ask, said)
        self.step(call, lambda: self.model.settle(session, ask, said), [report.ident for report in said])

    @rule(n=which, outcome=outcomes, delay=delays)
    @precondition(lambda self: any(r.state == "running" for r in self.model.requests.values()))
    def finish(self, n: int, outcome: str, delay: int) -> None:
        """A report that is right: of a job that runs, by the session that has it."""
        r = self.pick(n, ("running",))
        assert r is not None
        ask, said = Claim(0, 0, 1000, ()), [Report(r.ident, str(r.fence), outcome, delay, b"x")]
        session = r.session
        call = calls.settle(self.scope, session, ask, said)
        self.step(call, lambda: self.model.settle(session, ask, said), [r.ident])

    @rule(n=which)
    @precondition(lambda self: any(r.settled for r in self.model.requests.values()))
    def repeat_settle(self, n: int) -> None:
        """A report that was heard long ago is sent once more, whatever became of the job."""
        found = [r for r in self.model.requests.values() if r.settled]
        r = found[-1 - n % len(found)]
        session = self.session(n)
        ask, said = Claim(0, 0, 1000, ()), [Report(r.ident, str(r.settled), "released", 0, b"")]
        call = calls.settle(self.scope, session, ask, said)
        self.step(call, lambda: self.model.settle(session, ask, said), [r.ident])

    @rule(n=which, good=st.booleans())
    def replay(self, n: int, good: bool) -> None:
        r = self.pick(n, ("failed", "dead") if good else ("running", "ready", "succeeded", "held"))
        if r:
            call_id = self.new("c")
            call = calls.replay(self.scope, r.ident, call_id)
            self.step(call, lambda: self.model.replay(r.ident, call_id), [r.ident])

    def next_claim(self, wanted: int, queues: tuple[str, ...]) -> Claim:
        self.claims += 1
        return Claim(self.claims, wanted, 4000, queues)

    def report(self, session: str, n: int, outcome: str, delay: int, fence: str) -> Report | None:
        own: list[Any] = [r for r in self.model.requests.values() if r.state == "running" and r.session == session]
        r = (
            own[n % len(own)]
            if own and n < 80
            else self.pick(n, ("running", "ready", "succeeded", "scheduled", "held"))
        )
        if r is None:
            return None
        return Report(r.ident, str(r.fence - (fence == "old")), outcome, delay, b"x")
