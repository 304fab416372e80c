"""The checker of chaos runs, judged by histories written by hand: it must pass the legal ones, catch the illegal ones
for the right reason, and notice when a legal one is tampered with."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from chaos.checker import judge, stale_writes
from chaos.history import SERVER, Op
from tests.chaos import illegal_accounts, illegal_runs, illegal_together
from tests.chaos.illegal import ILLEGAL
from tests.chaos.legal import LEGAL, a_stale_write_that_was_refused, a_store_that_compares_nothing
from tests.chaos.stories import Story

pytestmark = pytest.mark.no_redis
MUTATIONS = 400
assert illegal_accounts.ILLEGAL is illegal_runs.ILLEGAL is illegal_together.ILLEGAL is ILLEGAL


def test_there_are_enough_of_both() -> None:
    assert len(LEGAL) >= 30
    assert len(ILLEGAL) >= 30


@pytest.mark.parametrize("made", LEGAL, ids=lambda made: made.__name__)
def test_a_legal_history_breaks_no_rule(made: Callable[[Story], None]) -> None:
    story = Story()
    made(story)
    assert judge(story.ops, steady=True) == ()


@pytest.mark.parametrize(("rule", "made"), ILLEGAL, ids=lambda one: getattr(one, "__name__", str(one)))
def test_an_illegal_history_breaks_its_rule(rule: str, made: Callable[[Story], None]) -> None:
    story = Story()
    made(story)
    assert rule in story.rules()


def test_what_is_still_to_do_is_no_breach_while_the_run_goes_on() -> None:
    story = Story()
    story.submit("j")
    story.record("j", "waiting")
    story.asked("a10", 1)
    assert story.rules(drained=False) == set()
    assert story.rules() == {"unfinished", "lost"}


def test_stale_writes_are_counted() -> None:
    for made, guarded, count in ((a_store_that_compares_nothing, False, 1), (a_stale_write_that_was_refused, True, 0)):
        story = Story()
        made(story)
        assert stale_writes(story.ops, guarded=guarded) == count


# --- mutations of a long legal history


def long_history() -> list[Op]:
    """Forty jobs and forty holds of three locks, all in good order."""
    story, chance = Story(), random.Random(1)
    for number in range(40):
        job, fence = f"j{number}", 1000 + 10 * number
        story.submit(job)
        if chance.random() < 0.3:
            story.run(job, fence, "w1", done=False)
            story.back(job)
        story.run(job, fence + 5, "w2")
        story.record(job, fence=fence + 5)
        story.told(job)
        resource = "abc"[number % 3]
        story.asked(f"{resource}{fence}", fence, resource)
        story.granted(f"{resource}{fence}", fence)
        story.ended(f"{resource}{fence}")
        story.hold(f"p{number % 4}", fence, resource)
    story.counted(succeed=40)
    return story.ops


def _drop_record(ops: list[Op], chance: random.Random) -> None:
    ops.remove(chance.choice([one for one in ops if one.op == "job"]))


def _drop_submit(ops: list[Op], chance: random.Random) -> None:
    ops.remove(chance.choice([one for one in ops if one.op == "submit"]))


def _drop_fact(ops: list[Op], chance: random.Random) -> None:
    ops.remove(chance.choice([one for one in ops if one.op == "fact"]))


def _refuse_what_was_accepted(ops: list[Op], chance: random.Random) -> None:
    at = _any(ops, chance, "submit")
    ops[at] = replace(ops[at], outcome="failed")


def _reopen(ops: list[Op], chance: random.Random) -> None:
    at = _any(ops, chance, "job")
    ops[at] = replace(ops[at], args={**ops[at].args, "state": "ready"})


def _tell_otherwise(ops: list[Op], chance: random.Random) -> None:
    at = _any(ops, chance, "told")
    ops[at] = replace(ops[at], args={**ops[at].args, "state": "dead"})


def _start_again(ops: list[Op], chance: random.Random) -> None:
    at = _any(ops, chance, "start")
    ops.append(replace(ops[at], process="thief"))


def _take_no_job_back(ops: list[Op], chance: random.Random) -> None:
    ops.remove(chance.choice([one for one in ops if one.op == "move"]))


def _start_late(ops: list[Op], chance: random.Random) -> None:
    at = _any(ops, chance, "start")
    ops.append(replace(ops[at], fence=ops[at].fence + 7))


def _age_a_fence(ops: list[Op], chance: random.Random) -> None:
    at = chance.choice([at for at, one in enumerate(ops) if one.op == "acquire"][3:])
    ops[at] = replace(ops[at], fence=ops[at].fence - 999)


def _settle_under_another(ops: list[Op], chance: random.Random) -> None:
    at = _any(ops, chance, "job")
    ops[at] = replace(ops[at], fence=ops[at].fence + chance.choice((-3, 3)))


def _swap_two_grants(ops: list[Op], chance: random.Random) -> None:
    found = [at for at, one in enumerate(ops) if one.op == "acquire" and one.arg("resource") == "a"]
    one, other = chance.sample(found, 2)
    ops[one], ops[other] = (
        replace(ops[one], fence=ops[other].fence),
        replace(ops[other], fence=ops[one].fence),
    )


def _grant_twice(ops: list[Op], chance: random.Random) -> None:
    at = chance.choice([at for at, one in enumerate(ops) if one.arg("what") == "granted"])
    ops.insert(at + 1, ops[at])


def _count_one_more(ops: list[Op], _chance: random.Random) -> None:
    ops.append(Op(SERVER, "counted", {"name": "succeed", "count": 41}))


def _any(ops: list[Op], chance: random.Random, op: str) -> int:
    return chance.choice([at for at, one in enumerate(ops) if one.op == op])


MUTATORS = [
    _drop_record,
    _drop_submit,
    _drop_fact,
    _refuse_what_was_accepted,
    _reopen,
    _tell_otherwise,
    _start_again,
    _take_no_job_back,
    _start_late,
    _age_a_fence,
    _settle_under_another,
    _swap_two_grants,
    _grant_twice,
    _count_one_more,
]


def test_tampering_with_a_legal_history_is_caught() -> None:
    assert judge(long_history()) == ()
    chance, missed = random.Random(2), []
    for number in range(MUTATIONS):
        ops, mutate = long_history(), MUTATORS[number % len(MUTATORS)]
        mutate(ops, chance)
        if not judge(ops):
            missed.append(mutate.__name__)
    assert len(missed) <= MUTATIONS / 100, missed
