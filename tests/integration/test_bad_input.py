"""Arguments that can never work are refused with a clear error, and nothing is written."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from coordinator.errors import InvalidInput

BAD: dict[str, Callable[[Any], Any]] = {
    "an id that is none": lambda co: co.cancel(None),
    "an id that is no text": lambda co: co.get(b"x"),
    "an id that is no Unicode": lambda co: co.explain("\udcff"),
    "an id to replay": lambda co: co.replay(["x"]),
    "an id to force": lambda co: co.force_release("\udcff", "reason"),
    "an id to reprioritise": lambda co: co.reprioritise({}, "high"),
    "a wait that is empty": lambda co: co.acquire("a", wait=[]),
    "a wait that is False": lambda co: co.acquire("a", wait=False),
    "a wait beyond all floats": lambda co: co.acquire("a", wait=10**400),
    "a delay beyond all floats": lambda co: co.submit("job", delay=10**400),
    "a submission that is none": lambda co: co.submit_many(["job"]),
    "a page of no size": lambda co: co.survey(most=float("nan")),
    "a page after no name": lambda co: co.survey(after=7),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_before_anything_is_written(co: Any, what: str, raw: "redis.Redis", namespace: str) -> None:
    with pytest.raises(InvalidInput):
        BAD[what](co)
    assert raw.keys(f"co:{{{namespace}}}:*") == []


def test_what_is_no_lease_is_refused(co: Any) -> None:
    for wrong in (None, "a", 7):
        with pytest.raises(InvalidInput):
            co.release(wrong)
        with pytest.raises(InvalidInput):
            co.extend(wrong, 5)


def test_a_lock_within_what_is_not_held_is_refused_by_name(co: Any) -> None:
    over = co.acquire("a")
    over.release()
    for within in ("nope", over, 7, ""):
        with pytest.raises(InvalidInput) as told:
            co.acquire("b", within=within)
        assert told.value.argument == "within"
    assert co.line("b").holders == ()
