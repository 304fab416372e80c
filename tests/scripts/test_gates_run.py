"""A claim looks at the gates of a handler once, and takes of them what its jobs take."""

from collections import Counter

import msgpack
import pytest

from coordinator.policy.rate import AdaptiveLimit, RateLimit
from tests.scripts.test_gates import put, run, worker
from tests.scripts.test_release_cost import commands
from tests.support.engine import Engine, job

LOOKING = ("hgetall", "pttl", "type", "get", "smembers", "scan", "info", "zrange")


def test_handlers_that_take_turns_in_a_claim_each_have_their_own_tokens(engine: Engine) -> None:
    worker(engine, rate=RateLimit(burst=3, per_second=1))
    worker(engine, name="more", breakers=(), policy=None, rate=RateLimit(burst=2, per_second=1))
    for n in range(4):
        put(engine, f"w{n}")
        put(engine, f"m{n}", name="more")
    assert run(engine, "succeeded", 2) == ["w0", "m0"]
    assert run(engine, "succeeded", 20) == ["w1", "m1", "w2"]
    assert run(engine, "succeeded", 20) == []
    engine.advance(1)
    engine.sweep()
    assert sorted(run(engine, "succeeded", 20)) == ["m2", "w3"]


def test_what_several_jobs_of_a_claim_take_is_gone_for_the_next(engine: Engine) -> None:
    worker(engine, rate=RateLimit(burst=4, per_second=1))
    put(engine, *(f"j{n}" for n in range(7)))
    assert run(engine, "succeeded", 3) == ["j0", "j1", "j2"]
    assert run(engine, "succeeded", 20) == ["j3"]


def test_a_key_of_a_limit_is_looked_at_for_each_job(engine: Engine) -> None:
    worker(engine, rate=RateLimit(burst=2, per_second=1, key="who"))
    for n, who in enumerate("aaabab"):
        engine.submit(job(f"{who}{n}", payload=msgpack.packb({"who": who})))
    assert run(engine, "succeeded", 20) == ["a0", "a1", "b3", "b5"]


@pytest.mark.parametrize(
    ("rate", "more"),
    [
        # Which gates there are; and of a limit what is left, and for how long that matters.
        (RateLimit(burst=1000, per_second=1), Counter(hget=1, hset=1, pexpire=1)),
        (AdaptiveLimit(initial=100), Counter(hget=1, hset=1, pexpire=1)),
        (None, Counter()),  # breakers alone cost nothing while they have nothing to say
    ],
)
def test_gates_that_are_open_cost_a_claim_few_commands_and_its_jobs_none(
    engine: Engine, rate: RateLimit | AdaptiveLimit | None, more: Counter[str]
) -> None:
    def of_a_claim(session: str, count: int) -> Counter[str]:
        put(engine, *(f"{session}{count}-{n}" for n in range(count)))
        before = commands(engine)
        assert len(engine.claim(session, count)) == count
        spent = commands(engine) - before
        # Not those by which the test looks for what is there, and so not how often a gate is read.
        return Counter({name: spent[name] for name in spent if name not in LOOKING})

    engine.worker("plain")
    plain = {count: of_a_claim("plain", count) for count in (2, 8)}
    worker(engine, rate=rate, breakers=("work", "shared"))
    of_a_claim("w", 1)
    for count in (2, 8):
        assert of_a_claim("w", count) - plain[count] == more
