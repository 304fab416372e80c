"""A job as it is handed in: checked at once, and nothing of it lost on the way to the wire."""

from typing import Any

import pytest

from coordinator.errors import InvalidInput, PayloadTooLarge
from coordinator.model.codec import unpack
from coordinator.model.names import Priority
from coordinator.model.need import Need
from coordinator.ops.submission import OPTION_NAMES, Dedup, Submission, to_ask
from coordinator.policy.retry import RetryPolicy
from coordinator.wire.calls import JobAsk


def ask(payload: Any = None, **options: Any) -> JobAsk:
    return to_ask("j", Submission("deploy.apply", payload, **options), 1000)


def test_a_plain_job_has_no_options_on_the_wire() -> None:
    found = ask({"pull": 1498})
    assert (found.ident, found.name, found.queue, found.priority) == ("j", "deploy.apply", "default", 1)
    assert unpack(found.payload, "payload") == {"pull": 1498}
    assert found.options == {}


def test_every_option_reaches_the_wire_in_its_unit() -> None:
    found = ask(
        resources=["b", Need("a c", "shared")],
        priority="high",
        queue="bulk",
        dedup=Dedup("k 1", "reject", "ttl", 1.5),
        delay=2,
        wait_timeout=0.5,
        run_timeout=3,
        total_timeout=4.0001,
        retry=RetryPolicy.none(),
        owner="me",
        reason="because",
        metadata={"a": 1},
    )
    assert (found.queue, found.priority) == ("bulk", Priority.HIGH)
    assert found.options == {
        "needs": "s1:a%20c x1:b",
        "delay_ms": 2000,
        "wait_ms": 500,
        "run_ms": 3000,
        "end_ms": 4001,
        "retry": "1 1000 30000 2 0.1",
        "owner": "me",
        "reason": "because",
        "metadata": '{"a": 1}',
        "dedup": "k%201",
        "on_conflict": "reject",
        "scope": "ttl",
        "ttl_ms": 1500,
    }


def test_rerun_frees_its_key_at_the_start_whatever_was_said() -> None:
    assert ask(dedup=Dedup("k", "rerun")).options["scope"] == "until_started"


def test_a_wrong_option_names_the_right_one() -> None:
    with pytest.raises(InvalidInput, match="did you mean 'priority'"):
        Submission("a", None, prioritiy=1)
    assert "resources" in OPTION_NAMES


@pytest.mark.parametrize(
    "options",
    [
        {"resources": "a*"},
        {"priority": 7},
        {"queue": "a b"},
        {"delay": -1},
        {"wait_timeout": 0},
        {"run_timeout": float("nan")},
        {"total_timeout": "1"},
        {"retry": 3},
        {"dedup": "k"},
        {"owner": "x" * 2000},
        {"metadata": {"a": b"x"}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_bad_option_is_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ask(**options)


def test_a_name_is_checked_and_a_payload_has_its_limit() -> None:
    with pytest.raises(InvalidInput, match="name"):
        to_ask("j", Submission("a b"), 1000)
    with pytest.raises(PayloadTooLarge):
        ask(b"x" * 1000)


@pytest.mark.parametrize(
    "arguments",
    [
        ("",),
        ("k", "merge"),
        ("k", "join", "for_ever"),
        ("k", "join", "ttl"),
        ("k", "join", "until_started", 5),
        ("k", "join", "ttl", 0),
        ("k", "rerun", "ttl", 5),
    ],
)
def test_a_dedup_that_cannot_work_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidInput):
        Dedup(*arguments)
