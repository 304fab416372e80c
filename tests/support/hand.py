"""A worker's part done by hand, one job at a time, for tests that need jobs in some state and no fleet."""

import itertools

from coordinator import Coordinator, RetryPolicy
from coordinator.ops.locks import with_session
from coordinator.wire import calls
from coordinator.wire.calls import Claim, Report, Scope

# A claim that is repeated with its number gives the same jobs again.
NUMBERS = itertools.count(1)


def scope_of(co: Coordinator) -> Scope:
    """What the calls of a client's namespace carry."""
    return Scope.of(co.settings.namespace, co.settings.terms())


def run_one(co: Coordinator, outcome: str = "", value: str | bytes = "", queue: str = "default") -> str:
    """Do a worker's part by hand: claim a job, and settle it if an outcome is given."""
    scope = scope_of(co)
    claim = Claim(number=next(NUMBERS), wanted=1, hold_ms=60_000, queues=(queue,))
    answer = co.run(with_session(lambda session: calls.claim(scope, session, claim), "ok"))
    ident, fence = (word.decode() for word in answer.raw[1][:2])
    if outcome:
        report = Report(ident, fence, outcome, value=value)
        nothing = Claim(number=0, wanted=0, hold_ms=60_000, queues=())
        co.run(with_session(lambda session: calls.settle(scope, session, nothing, [report]), "ok"))
    return ident


def fail_one(co: Coordinator, name: str = "deploy.apply") -> str:
    """A job that failed for good."""
    co.submit(name, {"pull": 1498}, retry=RetryPolicy.none())
    return run_one(co, "failed", "boom")
