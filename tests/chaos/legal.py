"""Histories in which nothing is wrong, each for a reason of its own."""

from tests.chaos.stories import MS, Story


def nothing_happens(s: Story) -> None:
    del s


def a_job_runs(s: Story) -> None:
    s.submit("j")
    s.run("j", 10)
    s.record("j", fence=10)
    s.told("j")


def a_job_dies_with_its_worker_and_runs_again(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, "w1", done=False)
    s.back("j")
    s.run("j", 20, "w2")
    s.record("j", fence=20, deliveries=2)
    s.told("j")


def a_worker_that_was_paused_finishes_for_nothing(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, "w1", done=False)
    s.back("j")
    s.run("j", 20, "w2")
    s.op("w1", "done", 10, job="j")
    s.record("j", fence=20)


def an_unknown_submission_that_arrived(s: Story) -> None:
    s.submit("j", "unknown")
    s.run("j", 10)
    s.record("j", fence=10)


def an_unknown_submission_that_did_not(s: Story) -> None:
    s.submit("j", "unknown")


def an_unknown_submission_whose_name_nobody_knows(s: Story) -> None:
    s.op("app", "submit", outcome="unknown")
    s.run("j", 10)
    s.record("j", fence=10)


def a_submission_that_was_under_way_when_the_caller_died(s: Story) -> None:
    s.ops.append(s.op("app", "submit", job="j").__class__("app", "submit", {"job": "k"}, 5 * MS, None, "unknown"))
    s.run("j", 10)
    s.record("j", fence=10)


def a_refused_submission(s: Story) -> None:
    s.submit("j", "failed")


def refused_first_and_accepted_later(s: Story) -> None:
    s.submit("j", "failed")
    s.submit("j")
    s.run("j", 10)
    s.record("j", fence=10)


def a_job_that_fails(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, done=False)
    s.op("w1", "raised", 10, job="j")
    s.record("j", "failed", fence=10)
    s.told("j", "failed")


def a_job_set_aside_without_a_run(s: Story) -> None:
    s.submit("j")
    s.record("j", "dead", fence=10)
    s.told("j", "dead")


def a_job_cancelled_before_it_ran(s: Story) -> None:
    s.submit("j")
    s.op("app", "cancel", job="j")
    s.record("j", "cancelled")
    s.told("j", "cancelled")


def a_caller_that_gave_up_waiting(s: Story) -> None:
    s.submit("j")
    s.told("j", "", "failed")
    s.run("j", 10)
    s.record("j", fence=10)


def a_job_handed_back_and_run_elsewhere(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, "w1", done=False)
    s.back("j", "give_back", "")
    s.run("j", 11, "w2")
    s.record("j", fence=11)
    s.counted(succeed=1, give_back=1)
    s.server("seen", name="give_back", count=1)


def a_job_that_dies_with_its_worker_before_it_began(s: Story) -> None:
    s.submit("j")
    s.back("j")
    s.run("j", 20)
    s.record("j", fence=20, deliveries=2)


def a_job_that_runs_again_at_once(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, done=False)
    s.back("j", "again", "")
    s.run("j", 11)
    s.record("j", fence=11)


def taken_back_when_its_worker_had_to_doubt(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, "w1", done=False, trusted_us=s.now // 1000 + 2000)
    s.back("j")
    s.run("j", 20, "w2")
    s.record("j", fence=20, deliveries=2)


def handed_back_in_time_and_lost_by_the_next(s: Story) -> None:
    s.submit("j")
    s.run("j", 10, "w1", done=False, trusted_us=10**9)
    s.back("j", "give_back", "")
    s.back("j")
    s.run("j", 30, "w3")
    s.record("j", fence=30, deliveries=3)


def counters_that_agree(s: Story) -> None:
    for number in range(3):
        s.submit(f"j{number}")
        s.run(f"j{number}", 10 + number)
        s.record(f"j{number}", fence=10 + number)
    s.counted(succeed=3)


def a_lock_from_hand_to_hand(s: Story) -> None:
    s.hold("p", 10)
    s.hold("q", 11)
    s.hold("p", 12)


def locks_side_by_side(s: Story) -> None:
    s.acquire("p", 10, "a")
    s.acquire("q", 11, "b")
    s.release("q", 11, "b")
    s.release("p", 10, "a")


def smaller_fences_on_another_resource(s: Story) -> None:
    s.hold("p", 100, "a")
    s.hold("p", 50, "b")


def a_holder_that_was_lost_and_still_believes(s: Story) -> None:
    s.acquire("p", 10)
    s.acquire("q", 11)
    s.release("p", 10, outcome="failed")
    s.release("q", 11)


def a_release_nobody_answered(s: Story) -> None:
    s.acquire("p", 10)
    s.release("p", 10, outcome="unknown")
    s.hold("q", 11)


def a_lost_grant_is_withdrawn(s: Story) -> None:
    s.acquire("p", 0, outcome="unknown")
    s.hold("q", 11)


def two_that_asked_at_the_same_time(s: Story) -> None:
    first, second = s.op("p", "acquire", 11, resource="a"), s.op("q", "acquire", 10, resource="a")
    # q asked before p was answered, and p after q: either order is right.
    s.ops[-2:] = [
        type(first)("p", "acquire", first.args, 1 * MS, 9 * MS, fence=11),
        type(second)("q", "acquire", second.args, 2 * MS, 5 * MS, fence=10),
    ]
    s.now = 4 * MS
    s.op("q", "release", 10, resource="a")


def an_attempt_that_failed(s: Story) -> None:
    s.acquire("p", 0, outcome="failed")


def writes_in_the_order_of_their_fences(s: Story) -> None:
    s.write("p", 10, 1)
    s.write("p", 10, 2)
    s.write("q", 11, 3)


def a_stale_write_that_was_refused(s: Story) -> None:
    s.write("q", 11, 1)
    s.write("p", 10, 0, outcome="failed")


def a_store_that_compares_nothing(s: Story) -> None:
    s.write("q", 11, 1, guarded=False)
    s.write("p", 10, 2, guarded=False)


def writes_recorded_out_of_order(s: Story) -> None:
    s.write("q", 11, 2)
    s.write("p", 10, 1)


def a_line_served_in_order(s: Story) -> None:
    s.asked("a10", 1)
    s.granted("a10", 10)
    s.asked("a11", 2)
    s.ended("a10")
    s.granted("a11", 11)
    s.ended("a11")
    s.hold("p", 10)
    s.hold("q", 11)


def the_newest_first_where_it_is_next(s: Story) -> None:
    s.ordered("newest_first")
    s.asked("a11", 1, priority=4)
    s.asked("a10", 2)
    for fence in (10, 11):
        s.granted(f"a{fence}", fence)
        s.ended(f"a{fence}")
        s.hold("p", fence)


def the_more_urgent_first(s: Story) -> None:
    s.asked("a10", 1)
    s.granted("a10", 10)
    s.asked("a12", 2)
    s.asked("a11", 3, priority=4)
    s.ended("a10")
    for fence in (11, 12):
        s.granted(f"a{fence}", fence)
        s.ended(f"a{fence}")
    for fence in (10, 11, 12):
        s.hold("p", fence)


def a_crashed_job_keeps_its_place(s: Story) -> None:
    s.submit("j")
    s.asked("j", 1)
    s.granted("j", 10)
    s.returned("j")
    s.granted("j", 11)
    s.ended("j", "succeeded", 11)
    s.run("j", 10, "w1", done=False)
    s.back("j")
    s.run("j", 11, "w2")
    s.record("j", fence=11)
    s.told("j")


def a_waiter_that_was_cancelled(s: Story) -> None:
    s.asked("a10", 1)
    s.granted("a10", 10)
    s.asked("x", 2)
    s.ended("x", "cancelled")
    s.ended("a10")
    s.hold("p", 10)


def a_grant_that_reached_nobody(s: Story) -> None:
    s.acquire("p", 0, outcome="unknown")
    s.asked("x", 1)
    s.granted("x", 9)
    s.ended("x")


def subtrees_one_after_the_other(s: Story) -> None:
    s.acquire("p1", 1, "a/**")
    s.acquire("p2", 2, "ab/c")
    s.release("p1", 1, "a/**")
    s.acquire("p3", 3, "a/b")
    s.release("p2", 2, "ab/c")
    s.release("p3", 3, "a/b")


def subtrees_in_the_account(s: Story) -> None:
    for fence, resource in enumerate(("a/b", "a/**", "a/b/**"), 10):
        s.asked(f"{resource}{fence}", fence, (resource,))
        s.granted(f"{resource}{fence}", fence)
        s.ended(f"{resource}{fence}")
        s.hold("p", fence, resource)


def readers_at_once_and_a_writer_after_them(s: Story) -> None:
    s.acquire("p1", 1, mode="shared")
    s.acquire("p2", 2, "a/**", mode="shared")
    s.acquire("p3", 3, "a/b", mode="shared")
    for fence, resource in enumerate(("a", "a/**", "a/b"), 1):
        s.release(f"p{fence}", fence, resource)
    s.hold("p4", 4, "a/**")


def permits_as_many_as_there_are(s: Story) -> None:
    s.acquire("p1", 1, permits=2, size=3)
    s.acquire("p2", 2, permits=1, size=3)
    s.release("p1", 1)
    s.acquire("p3", 3, permits=2, size=3)
    s.release("p2", 2)
    s.release("p3", 3)


def readers_across_levels_in_the_account(s: Story) -> None:
    """One who shares goes past a shared subtree that waits for somebody else: across levels, and not in one line."""
    s.asked("w10", 1, ("a/x",))
    s.granted("w10", 10)
    s.shares("a/**12", 2, "a/**")
    s.shares("a/b11", 3, "a/b")
    s.granted("a/b11", 11)
    s.ended("w10", "cancelled")
    s.granted("a/**12", 12)
    s.ended("a/b11", "cancelled")
    s.ended("a/**12", "cancelled")


def permits_in_the_account_of_which_some_are_taken_away(s: Story) -> None:
    s.sized(3)
    for number in (1, 2, 3):
        s.asked(f"a{number}", number)
        s.granted(f"a{number}", number)
    s.sized(1)
    s.asked("a4", 4)
    for number in (1, 2, 3):
        s.ended(f"a{number}", "cancelled")
    s.granted("a4", 4)
    s.ended("a4", "cancelled")


def an_account_that_is_whole(s: Story) -> None:
    s.asked("a10", 1)
    s.granted("a10", 10)
    s.ended("a10")
    s.hold("p", 10)
    s.counted(grant=1, release=1)
    s.server("seen", name="grant", count=1)
    s.server("seen", name="release", count=1)


LEGAL = [
    made for name, made in list(globals().items()) if callable(made) and getattr(made, "__module__", "") == __name__
]
