"""Histories in which two had one job, or somebody lost it too soon."""

from tests.chaos.illegal import ILLEGAL, breaks
from tests.chaos.stories import Story

__all__ = ["ILLEGAL"]


@breaks("double")
def handed_to_two_workers_at_once(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, "w1", done=False)
    s.run("j", 11, "w2", done=False)
    s.op("w1", "done", 10, job="j")
    s.op("w2", "done", 11, job="j")
    s.record("j", fence=11)


@breaks("double")
def handed_out_twice_and_begun_once(s: Story) -> None:
    s.submit("j")
    s.run("j", 11)
    s.record("j", fence=11, deliveries=2)


@breaks("double")
def handed_to_two_of_whom_one_died(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, "w1", done=False)
    s.run("j", 11, "w2", done=False)
    s.back("j")
    s.run("j", 12, "w3")
    s.record("j", fence=12, deliveries=3)


@breaks("robbed")
def taken_from_a_worker_that_lives(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, "w1", done=False, trusted_us=s.now // 1000 + 1_000_000)
    s.back("j")
    s.run("j", 11, "w2")
    s.record("j", fence=11, deliveries=2)


@breaks("robbed")
def a_lock_taken_from_one_who_lives(s: Story) -> None:
    s.acquire("app", 10, trusted_us=s.now // 1000 + 1_000_000)
    s.back("a10", "lose")
    s.release("app", 10, outcome="failed")
    s.hold("other", 11)


@breaks("lost")
def settled_and_the_result_is_not_there(s: Story) -> None:
    s.submit("j")
    s.run("j", 10)
    s.server("job", 10, job="j", state="succeeded", result_fence=0)


@breaks("told")
def cancelled_as_a_caller_was_told_and_run_all_the_same(s: Story) -> None:
    s.submit("j")
    s.op("app", "cancel", job="j", ended=True)
    s.run("j", 10)
    s.record("j", fence=10)
