"""Histories in which something is wrong, with the rule that is broken."""

from collections.abc import Callable

from chaos.checker import Rule
from tests.chaos import legal
from tests.chaos.stories import MS, Story

ILLEGAL: list[tuple[Rule, Callable[[Story], None]]] = []


def breaks(rule: Rule) -> Callable[[Callable[[Story], None]], Callable[[Story], None]]:
    """Marks a history with the rule that it breaks."""

    def mark(made: Callable[[Story], None]) -> Callable[[Story], None]:
        ILLEGAL.append((rule, made))
        return made

    return mark


@breaks("exclusion")
def a_leaf_of_a_subtree_that_is_held(s: Story) -> None:
    s.acquire("p1", 1, "a/**")
    s.acquire("p2", 2, "a/b")
    s.release("p1", 1, "a/**")
    s.release("p2", 2, "a/b")


@breaks("exclusion")
def a_subtree_around_one_that_is_held(s: Story) -> None:
    s.acquire("p1", 1, "a/b/**")
    s.acquire("p2", 2, "a/**")
    s.release("p1", 1, "a/b/**")


@breaks("exclusion")
def a_subtree_granted_above_a_holder(s: Story) -> None:
    s.asked("leaf", 1, ("a",))
    s.granted("leaf", 1)
    s.asked("tree", 2, ("a/**",))
    s.granted("tree", 2)
    s.ended("leaf")
    s.ended("tree")


@breaks("order")
def a_leaf_overtakes_a_subtree(s: Story) -> None:
    s.asked("leaf", 1, ("a/b",))
    s.granted("leaf", 1)
    s.asked("tree", 2, ("a/**",))
    s.asked("later", 3, ("a/c",))
    s.granted("later", 2)
    s.ended("leaf")
    s.ended("later")
    s.granted("tree", 3)
    s.ended("tree")


@breaks("fence")
def a_subtree_with_an_older_fence_than_what_was_held_in_it(s: Story) -> None:
    s.asked("leaf", 1, ("a/b",))
    s.granted("leaf", 9)
    s.ended("leaf")
    s.asked("tree", 2, ("a/**",))
    s.granted("tree", 8)
    s.ended("tree")


@breaks("lost")
def an_accepted_job_is_nowhere(s: Story) -> None:
    s.submit("j")


@breaks("lost")
def one_of_many_is_nowhere(s: Story) -> None:
    legal.counters_that_agree(s)
    s.submit("forgotten")


@breaks("lost")
def accepted_the_second_time_and_nowhere(s: Story) -> None:
    s.submit("j", "unknown")
    s.submit("j")


@breaks("lost")
def a_job_is_cancelled_that_nobody_cancelled(s: Story) -> None:
    s.submit("j")
    s.record("j", "cancelled")


@breaks("lost")
def a_job_without_a_limit_expires(s: Story) -> None:
    s.submit("j")
    s.run("j", 10)
    s.record("j", "expired")


@breaks("unworked")
def a_job_failed_that_nobody_began(s: Story) -> None:
    s.submit("j")
    s.op("w1", "raised", 9, job="j")
    s.record("j", "failed", 10)


@breaks("unraised")
def a_job_failed_whose_handler_did_not(s: Story) -> None:
    s.submit("j")
    s.run("j", 10)
    s.record("j", "failed", 10)


@breaks("unfinished")
def a_job_still_waits(s: Story) -> None:
    s.submit("j")
    s.record("j", "waiting")


@breaks("unfinished")
def a_job_runs_for_ever(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, done=False)
    s.record("j", "running")


@breaks("refused")
def a_refused_job_ran(s: Story) -> None:
    s.submit("j", "failed")
    s.run("j", 10)
    s.record("j", fence=10)


@breaks("stranger")
def a_job_that_nobody_submitted(s: Story) -> None:
    s.run("j", 10)
    s.record("j", fence=10)


@breaks("stranger")
def one_unknown_caller_and_two_strangers(s: Story) -> None:
    legal.an_unknown_submission_whose_name_nobody_knows(s)
    s.run("k", 11)
    s.record("k", fence=11)


@breaks("unworked")
def success_without_a_run(s: Story) -> None:
    s.submit("j")
    s.record("j", fence=10)


@breaks("unworked")
def settled_under_a_fence_nobody_had(s: Story) -> None:
    s.submit("j")
    s.run("j", 10)
    s.record("j", fence=11)


@breaks("twice")
def counted_twice(s: Story) -> None:
    legal.a_job_runs(s)
    s.counted(succeed=2)


@breaks("twice")
def failed_and_counted_twice(s: Story) -> None:
    legal.a_job_that_fails(s)
    s.counted(fail=2)


@breaks("twice")
def one_lease_given_to_two_workers(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, "w1")
    s.run("j", 10, "w2")
    s.record("j", fence=10)


@breaks("twice")
def started_twice_by_one_worker(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, "w1", done=False)
    s.run("j", 10, "w1")
    s.record("j", fence=10)


@breaks("after_end")
def a_run_after_the_commit(s: Story) -> None:
    s.submit("j")
    s.run("j", 10)
    s.run("j", 20)
    s.record("j", fence=10)


@breaks("after_end")
def a_run_after_the_failure(s: Story) -> None:
    legal.a_job_that_fails(s)
    s.run("j", 20)


@breaks("after_end")
def a_run_after_the_caller_was_told(s: Story) -> None:
    legal.a_job_runs(s)
    s.run("j", 5, "w2")


@breaks("told")
def told_another_end(s: Story) -> None:
    s.submit("j")
    s.run("j", 10)
    s.record("j", fence=10)
    s.told("j", "failed")


@breaks("told")
def told_the_end_of_a_job_that_is_not_there(s: Story) -> None:
    s.submit("j", "unknown")
    s.told("j", "succeeded")


@breaks("real_time")
def a_run_before_the_submission(s: Story) -> None:
    s.run("j", 10)
    s.submit("j")
    s.record("j", fence=10)


@breaks("real_time")
def a_later_grant_with_a_smaller_fence(s: Story) -> None:
    s.hold("p", 20)
    s.hold("q", 10)


@breaks("real_time")
def a_fence_that_goes_back_after_many(s: Story) -> None:
    for fence in range(10, 20):
        s.hold("p", fence)
    s.hold("q", 15)


@breaks("fence")
def the_same_fence_to_two(s: Story) -> None:
    s.hold("p", 10)
    s.hold("q", 10)


@breaks("fence")
def a_grant_without_a_fence(s: Story) -> None:
    s.hold("p", 0)


@breaks("fence")
def a_release_of_a_fence_nobody_had(s: Story) -> None:
    s.hold("p", 10)
    s.release("q", 11)


@breaks("exclusion")
def granted_while_another_held_it(s: Story) -> None:
    s.acquire("p", 10)
    s.acquire("q", 11)
    s.release("p", 10)
    s.release("q", 11)


@breaks("exclusion")
def held_through_a_third(s: Story) -> None:
    s.acquire("p", 10)
    s.hold("q", 11)
    s.hold("r", 12)
    s.release("p", 10)


@breaks("exclusion")
def given_back_by_another(s: Story) -> None:
    s.acquire("p", 10)
    s.release("p", 10)
    s.release("q", 10)


@breaks("stale_write")
def an_old_fence_after_a_new_one(s: Story) -> None:
    s.write("q", 11, 1)
    s.write("p", 10, 2)


@breaks("stale_write")
def an_old_fence_after_a_new_one_in_the_order_of_the_store(s: Story) -> None:
    s.write("p", 10, 2)
    s.write("q", 11, 1)


@breaks("exclusion")
def two_writers_under_one_fence(s: Story) -> None:
    s.write("p", 10, 1)
    s.write("q", 10, 2)


@breaks("order")
def overtaken_in_line(s: Story) -> None:
    for request, stamp in (("a10", 1), ("a12", 2), ("a11", 3)):
        s.asked(request, stamp)
    for fence in (10, 11, 12):
        s.granted(f"a{fence}", fence)
        s.ended(f"a{fence}")
        s.hold("p", fence)


@breaks("order")
def the_more_urgent_first_where_the_oldest_is_next(s: Story) -> None:
    s.ordered("oldest_first")
    legal.the_more_urgent_first(s)


@breaks("order")
def the_less_urgent_first(s: Story) -> None:
    s.asked("a10", 1, priority=1)
    s.asked("a11", 2, priority=4)
    for fence in (10, 11):
        s.granted(f"a{fence}", fence)
        s.ended(f"a{fence}")
        s.hold("p", fence)


@breaks("exclusion")
def two_holders_at_the_server(s: Story) -> None:
    s.asked("a10", 1)
    s.granted("a10", 10)
    s.asked("a11", 2)
    s.granted("a11", 11)
    s.ended("a10")
    s.ended("a11")


@breaks("fence")
def a_fence_that_goes_back_at_the_server(s: Story) -> None:
    s.asked("x", 1)
    s.granted("x", 11)
    s.ended("x", "lost")
    s.asked("y", 2)
    s.granted("y", 10)
    s.ended("y", "lost")


@breaks("stale")
def settled_under_an_old_fence(s: Story) -> None:
    s.submit("j")
    s.asked("j", 1)
    s.granted("j", 10)
    s.returned("j")
    s.granted("j", 11)
    s.ended("j", "succeeded", 10)
    s.run("j", 10)
    s.run("j", 11)
    s.record("j", fence=11)


@breaks("stale")
def settled_with_the_result_of_an_older_run(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, "w1")
    s.run("j", 11, "w2")
    s.server("job", 11, job="j", state="succeeded", result_fence=10)


@breaks("sequence")
def granted_after_its_end(s: Story) -> None:
    legal.a_line_served_in_order(s)
    s.granted("a10", 12)


@breaks("lost")
def a_waiter_that_is_forgotten(s: Story) -> None:
    s.asked("a10", 1)


@breaks("lost")
def a_release_without_a_holder(s: Story) -> None:
    s.asked("x", 1)
    s.granted("x", 10)
    s.ended("x")


@breaks("incomplete")
def an_event_that_is_not_in_the_stream(s: Story) -> None:
    legal.an_account_that_is_whole(s)
    s.ops = [one for one in s.ops if one.args.get("name") != "release" or one.op != "seen"]


@breaks("real_time")
def a_fence_below_one_that_was_out_before_it_was_asked_for(s: Story) -> None:
    s.acquire("p", 20)
    s.release("p", 20, outcome="failed")
    s.now += 10 * MS
    s.acquire("q", 19)
