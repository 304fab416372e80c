"""Jobs about which nothing is said, claimed and settled in batches: they leave what the longer way leaves."""

import random
from collections import Counter
from typing import Any

import pytest
import redis

from coordinator.policy.rate import RateLimit
from coordinator.wire import calls
from coordinator.wire.calls import Claim, Report
from tests.scripts.test_gates import worker
from tests.scripts.test_plain_locks import commands, left_behind
from tests.support.engine import Engine, job
from tests.support.engine import Job as Given
from tests.support.longer import Longer

STEPS = 40
PAYLOADS = (b"", b"x", b"z" * 65, b"q" * 129)
QUEUES = (("default",), ("default",), ("default", "other"), ("default=3", "other"), ("default 16:8:4:2:1",))
OUTCOMES = ("succeeded",) * 6 + ("failed", "failed-", "retry", "snooze", "limited", "released", "dead", "cancelled")


class Play:
    """Workers and a producer that do the same in two namespaces if the chance is the same."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine, self.chance = engine, random.Random(seed)
        self.said: list[Any] = []
        self._made = 0
        self._numbers = Counter[str]()
        self._running: list[tuple[str, Report]] = []
        rate = RateLimit(burst=self.chance.choice((5, 500)), per_second=2)
        for session in ("s", "t"):
            if seed % 2:
                worker(engine, session, rate=rate)
            else:
                engine.worker(session, "default", "other")

    def go_on(self) -> None:
        self.chance.choices((self.submit, self.exchange, self.advance, self.meddle), (4, 8, 3, 2))[0]()

    def submit(self) -> None:
        jobs = []
        for _ in range(self.chance.randrange(1, 6)):
            self._made += 1
            changed: dict[str, Any] = {"payload": self.chance.choice(PAYLOADS)}
            changed |= {"queue": self.chance.choice(("default", "default", "other"))}
            if self.chance.random() < 0.2:
                changed |= self.chance.choice(({"priority": 3}, {"name": "more"}, {"delay_ms": 400}, {"run_ms": 5000}))
            jobs.append(job(f"j{self._made}", **changed))
        self.said.append(self.engine.submit(*jobs))

    def exchange(self) -> None:
        """Some outcomes go in, one perhaps twice or under another fence, and a batch comes out, perhaps once more."""
        session = self.chance.choice("st")
        mine = [one for owner, one in self._running if owner == session]
        reports = self.chance.sample(mine, self.chance.randrange(len(mine) + 1))
        self._running = [(owner, one) for owner, one in self._running if one not in reports]
        if reports and self.chance.random() < 0.3:
            reports.append(self.chance.choice(reports)._replace(fence=self.chance.choice((reports[0].fence, "7"))))
        self._numbers[session] += self.chance.random() < 0.9
        ask = Claim(self._numbers[session], self.chance.randrange(1, 7), 60_000, self.chance.choice(QUEUES), steals=1)
        reply = self.engine.call(calls.settle(self.engine.scope, session, ask, reports), writes=True)
        self.said.append(reply)
        for raw in reply[2]:
            self._ran(session, Given(*raw))

    def _ran(self, session: str, given: Given) -> None:
        if all(given.fence != one.fence for _, one in self._running):
            outcome = self.chance.choice(OUTCOMES)
            value = "" if outcome == "succeeded" and self.chance.random() < 0.5 else "value"
            delay = self.chance.choice((0, 900))
            self._running.append((session, Report(given.ident, given.fence, outcome, delay, value)))

    def advance(self) -> None:
        self.engine.advance(self.chance.choice((0.0002, 0.01, 0.4, 2.0)))
        if self.chance.random() < 0.3:
            self.engine.sweep()

    def meddle(self) -> None:
        """Somebody wants a job to end, or to be told when it has, or it is on record that it has begun: often one that
        runs."""
        session, one = self.chance.choice([*self._running, ("s", Report(self._any(), "7", ""))])
        said = self.chance.randrange(3)
        if said == 0:
            self.said.append(self.engine.cancel(one.ident))
        elif said == 1:
            self.said.append(self.engine.call(calls.watch(self.engine.scope, one.ident, "s"), writes=True))
        else:
            self.said.append(self.engine.beat(session, [(one.ident, one.fence)]))

    def _any(self) -> str:
        return f"j{self.chance.randrange(self._made + 1)}"


@pytest.mark.parametrize("seed", range(10))
def test_batches_of_plain_jobs_leave_what_the_longer_way_leaves(raw: redis.Redis, namespace: str, seed: int) -> None:
    short, other = Engine(raw, namespace), Longer(raw, f"{namespace}-long")
    try:
        plays = [Play(short, seed), Play(other, seed)]
        for _ in range(STEPS):
            for one in plays:
                one.go_on()
            assert plays[0].said == plays[1].said
        assert left_behind(short) == left_behind(other)
    finally:
        for key in raw.scan_iter(match=f"{other.key('META')[: -len('meta')]}*"):
            raw.delete(key)


def test_what_a_plain_job_costs_in_commands(engine: Engine) -> None:
    """Its record is read and written twice, its payload goes, and it gets an end; all else is done for a batch."""
    engine.worker("w")
    engine.submit(*(job(f"j{n}") for n in range(60)))
    spent = []
    for number, wanted in enumerate((2, 2, 12, 12), 2):
        running = engine.claim("w", wanted, number=number - 1)
        reports = [Report(one.ident, one.fence, "succeeded", 0, "") for one in running]
        ask = Claim(number, wanted, 60_000, ("default",))
        spent.append(commands(engine, calls.settle(engine.scope, "w", ask, reports)))
    assert spent[3] - spent[1] == Counter(hgetall=20, hset=20, hdel=10, pexpire=10)


def test_a_first_run_is_settled_by_whoever_has_it_under_its_fence_and_by_nobody_else(engine: Engine) -> None:
    for name in ("w", "other"):
        engine.worker(name)
    engine.submit(job("j1"), job("j2"))
    first, second = engine.claim("w", 2)
    wrong = int(first.fence) - 1
    for session, fence in (("w", wrong), ("other", int(first.fence)), ("w", int(second.fence))):
        [[word, state]] = engine.settle(session, Report("j1", str(fence), "succeeded"))
        assert (word, state) == ("stale", "running"), (session, fence)
        assert engine.state("j1") == "running"
    assert engine.settle("w", Report("j1", first.fence, "succeeded"))[0][0] == "ok"
    assert engine.state("j1") == "succeeded"


def test_who_claims_from_no_queue_gets_nothing_and_its_reports_count(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(job("j1"))
    [given] = engine.claim("w")
    assert engine.call(calls.claim(engine.scope, "w", calls.Claim(8, 1, 1000, ()))) == ["ok"]
    reply = engine.call(
        calls.settle(engine.scope, "w", calls.Claim(9, 1, 1000, ()), [Report("j1", given.fence, "succeeded")])
    )
    assert (reply[0], reply[1][0][0], engine.state("j1")) == ("ok", "ok", "succeeded")
