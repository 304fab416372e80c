"""From how a run ended to what is reported."""

from typing import Any

import pytest

from coordinator import RetryPolicy
from coordinator.errors import InvalidInput
from coordinator.metrics.recorder import Recorder, Taken
from coordinator.model.names import Priority
from coordinator.policy.backoff import Tally, octave
from coordinator.policy.on_error import Ruled, Rules
from coordinator.policy.outcome import (
    Cancelled,
    Failed,
    Limited,
    Outcome,
    Poisoned,
    Released,
    Retry,
    Snooze,
    Succeeded,
    after_failure,
)
from tests.support.fleet import FakeDriver, claimed
from workers import GiveUp, RateLimited, RetryLater, SnoozeFor, judge, words
from workers.control import HandlerFailed, plain
from workers.job import Job, Stop
from workers.measure import Runs
from workers.registry import Handler


def job_of(retry: RetryPolicy | None = None, **more: Any) -> Job:
    return Job(claimed(**more), Handler("job", print, "thread", retry), FakeDriver())  # type: ignore[arg-type]


STEADY = RetryPolicy(max_attempts=2, base=4, jitter=0)


@pytest.mark.parametrize(
    ("policy", "attempts", "outcome"),
    [
        (None, 0, Retry(1.0, "ValueError: no")),
        (None, 2, Failed("ValueError: no")),
        (STEADY, 0, Retry(4.0, "ValueError: no")),
        (STEADY, 1, Failed("ValueError: no")),
    ],
)
def test_the_handlers_policy_decides_else_the_default(
    policy: RetryPolicy | None, attempts: int, outcome: Outcome
) -> None:
    assert judge.failure(job_of(policy, attempts=attempts), ValueError("no"), 0.5) == outcome


def test_the_default_is_that_of_the_settings_in_force() -> None:
    driver = FakeDriver(retry={"max_attempts": 2, "base": 7, "jitter": 0})
    job = Job(claimed(), Handler("job", print, "thread"), driver)  # type: ignore[arg-type]
    assert judge.failure(job, ValueError("no"), 0.5) == Retry(7.0, "ValueError: no")
    driver.settings = driver.settings.revised({"retry.max_attempts": 1})
    assert judge.failure(job, ValueError("no"), 0.5) == Failed("ValueError: no")


def test_the_jobs_own_policy_wins_and_an_unreadable_one_is_ignored() -> None:
    own = Job(claimed(retry="3 500 500 1 0"), Handler("job", print, "thread", STEADY), FakeDriver())  # type: ignore[arg-type]
    assert judge.failure(own, ValueError("no"), 0.5) == Retry(0.5, "ValueError: no")
    broken = Job(claimed(retry="0 what"), Handler("job", print, "thread", STEADY), FakeDriver())  # type: ignore[arg-type]
    assert judge.failure(broken, ValueError("no"), 0.5) == Retry(4.0, "ValueError: no")


@pytest.mark.parametrize(
    ("error", "attempts", "outcome"),
    [
        (SnoozeFor(3), 9, Snooze(3)),
        (RateLimited(7), 2, Limited(7)),
        (GiveUp("hopeless"), 0, Failed("hopeless", blameless=True)),
        (GiveUp(), 0, Failed("given up", blameless=True)),
        (RetryLater(0, "soon"), 0, Retry(0, "soon", blameless=True)),
        (RetryLater(9), 1, Retry(9, "to be retried", blameless=True)),
        (RetryLater(9, "again"), 2, Failed("again", blameless=True)),
        (HandlerFailed("ValueError: x", blameless=True), 2, Failed("ValueError: x", blameless=True)),
        (HandlerFailed("KeyError: 'x'"), 2, Failed("KeyError: 'x'")),
        (SystemExit(3), 2, Failed("SystemExit: 3")),
    ],
)
def test_an_exception_can_be_an_answer(error: BaseException, attempts: int, outcome: Outcome) -> None:
    assert judge.failure(job_of(attempts=attempts), error, 0.5) == outcome


@pytest.mark.parametrize("make", [lambda: RetryLater(-1), lambda: SnoozeFor(float("nan")), lambda: GiveUp("x" * 5000)])
def test_answers_that_make_no_sense_are_refused(make: Any) -> None:
    with pytest.raises(InvalidInput):
        make()


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        (Stop.CANCEL, Cancelled("why")),
        (Stop.RELEASE, Released()),
        (Stop.TIMEOUT, Retry(1.0, "why")),
    ],
)
def test_whatever_a_stopped_handler_raises_the_reason_to_stop_counts(how: Stop, outcome: Outcome) -> None:
    job = job_of()
    job.stop(how, "why")
    assert judge.failure(job, RuntimeError("while cleaning up"), 0.5) == outcome


@pytest.mark.parametrize(
    ("outcome", "reported"),
    [
        (Succeeded(None), ("succeeded", 0, b"")),
        (Succeeded({"a": 1}), ("succeeded", 0, b"\x81\xa1a\x01")),
        (Succeeded(judge.Packed(b"xx")), ("succeeded", 0, b"xx")),
        (Failed("why"), ("failed", 0, "why")),
        (Failed("why", pause=0.5), ("failed", 500, "why")),
        (Failed("why", blameless=True, pause=0.5), ("failed-", 0, "why")),
        (Retry(1, "why", blameless=True), ("retry-", 1000, "why")),
        (Limited(0.5), ("limited", 500, b"")),
        (Cancelled("why"), ("cancelled", 0, "why")),
        (Poisoned("why"), ("dead", 0, "why")),
        (Retry(0, "why"), ("retry", 0, "why")),
        (Retry(0.0001, "why"), ("retry", 1, "why")),
        (Snooze(1.5), ("snooze", 1500, b"")),
        (Snooze(1.5, "busy"), ("snooze", 1500, "busy")),
        (Released(), ("released", 0, b"")),
    ],
)
def test_each_outcome_has_its_words(outcome: Outcome, reported: Any) -> None:
    found = judge.report(job_of(), outcome, 1000)
    assert (found.ident, found.fence) == ("j-1", "7")
    assert (found.outcome, found.delay_ms, found.value) == reported


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("x" * 2000, "PayloadTooLarge: result of 2003 bytes"),
        (object(), "InvalidInput: result: cannot carry values of type object"),
    ],
)
def test_a_result_that_cannot_be_kept_fails_the_job(result: Any, said: str) -> None:
    found = judge.report(job_of(), Succeeded(result), 1000)
    assert found.outcome == "failed-"
    assert str(found.value).startswith(said)


RULES: Rules = {KeyError: "give up", OSError: Snooze(7), TimeoutError: "give up"}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KeyError("k"), Failed("no retry after KeyError: KeyError: 'k'")),
        (BlockingIOError("busy"), Snooze(7, "BlockingIOError: busy")),
        (ValueError("no"), Retry(1.0, "ValueError: no")),
        (
            HandlerFailed("KeyError: 'k'", Ruled("give up", "LookupError")),
            Failed("no retry after LookupError: KeyError: 'k'"),
        ),
        (GiveUp("hopeless"), Failed("hopeless", blameless=True)),
    ],
)
def test_a_handlers_rules_decide_of_its_exceptions(error: BaseException, outcome: Outcome) -> None:
    job = Job(claimed(), Handler("job", print, "thread", on_error=RULES), FakeDriver())  # type: ignore[arg-type]
    assert judge.failure(job, error, 0.5) == outcome


def test_a_rule_for_timeouts_is_for_runs_that_ran_out_of_time_too() -> None:
    job = Job(claimed(), Handler("job", print, "thread", on_error=RULES), FakeDriver())  # type: ignore[arg-type]
    job.stop(Stop.TIMEOUT, "timed out after 1 s")
    assert judge.failure(job, RuntimeError(), 0.5) == Failed("no retry after TimeoutError: timed out after 1 s")


class RetrySpecially(RetryLater):
    def __init__(self) -> None:
        super().__init__(3, "special")


def test_an_answer_leaves_its_process_without_what_the_application_added() -> None:
    sent = plain(RetrySpecially())
    assert type(sent) is RetryLater
    assert isinstance(sent, RetryLater)
    assert (sent.delay, sent.reason) == (3, "special")
    assert plain(SnoozeFor(2)).args == (2,)
    assert plain(GiveUp("x")).args == ("x",)


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("a\x1b[31m\nb\u202e"), "ValueError: a\\x1b[31m\\nb\\u202e"),
        (ValueError(), "ValueError"),
        (Mute(), "Mute: (its message cannot be shown)"),
        (ValueError("na\u00efve"), "ValueError: na\u00efve"),
        (ValueError("\ud800"), "ValueError: \\ud800"),
    ],
)
def test_errors_are_said_in_one_clean_line(error: BaseException, said: str) -> None:
    assert words.of_error(error) == said


def test_errors_are_bounded() -> None:
    assert len(words.of_error(ValueError("\x00" * 100_000))) == 1000
    assert words.of_error(ValueError("x" * 100_000)).endswith("...")


def measured(outcome: Outcome) -> Taken:
    """What a sample says of one run of half a second, two seconds after its end."""
    recorder, runs, job = Recorder(), Runs(), job_of()
    job.began = 100.0
    runs.ended(recorder, job, outcome, 100.5)
    runs.tell(recorder, 102.5)
    return recorder.take()


def test_a_retry_is_counted_by_how_its_pause_was_chosen() -> None:
    chosen = after_failure(RetryPolicy(strategy="linear"), 1, "broke", 0.5)
    assert measured(chosen).counts["retry.scheduled:linear"] == 1
    assert measured(Retry(3, "said so")).counts["retry.scheduled:handler"] == 1
    poor = {octave(500): Tally(10, 1)}
    passed = measured(
        after_failure(RetryPolicy(strategy="adaptive", base=0.5, factor=4, jitter=0), 1, "broke", 0.5, poor)
    )
    assert passed.counts["retry.adjusted"] == passed.counts["retry.scheduled:adaptive"] == 1


def test_the_newest_run_tells_how_long_it_took_and_how_long_ago_it_ended() -> None:
    gauges = measured(Succeeded()).gauges
    assert (gauges["queue.last_run"], gauges["queue.since_run"]) == (0.5, 2.0)


def test_what_began_tells_how_long_it_had_waited_by_priority() -> None:
    recorder, runs = Recorder(), Runs()
    for priority, waited in ((Priority.LOW, 4000), (Priority.LOW, 2000), (Priority.HIGH, 30)):
        runs.begun(job_of(priority=priority, waited_ms=waited))
    for ms, began in (({"low": 6000, "high": 30}, {"low": 2, "high": 1}), ({}, {})):
        runs.tell(recorder, 1.0)
        counts = recorder.take().counts
        assert {name: n for name, n in counts.items() if "started" in name} == {
            f"queue.started:{label}": n for label, n in began.items()
        }
        assert {name: n for name, n in counts.items() if "waited" in name} == {
            f"queue.waited_ms:{label}": n for label, n in ms.items()
        }


@pytest.mark.parametrize(("outcome", "told"), [(Succeeded(), 1), (Failed("broke"), 1), (Snooze(3), 0)])
def test_runs_after_a_first_attempt_tell_how_long_they_took(outcome: Outcome, told: int) -> None:
    for attempts in (0, 1):
        recorder, runs, job = Recorder(), Runs(), job_of(attempts=attempts)
        job.began = 100.0
        runs.ended(recorder, job, outcome, 100.5)
        found = recorder.take().observed.get("retry.latency")
        assert (found.count if found else 0) == told * attempts
        assert found is None or found.mean == 0.5
