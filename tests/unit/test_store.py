"""What is sent when a server does not know our functions."""

from typing import Any

import pytest
import redis

from coordinator.drivers.demands import Demands
from coordinator.drivers.store import _Programs
from coordinator.wire.step import Call

INFO = {"redis_version": "7.0.15", "maxmemory_policy": "noeviction"}
GONE = redis.ResponseError("Function not found")


def cured(*answers: Any) -> list[str]:
    """The commands that follow when a function is missing, each answered in turn, and what comes of it."""
    programs = _Programs(Demands(retry_for=1))
    programs.learn(INFO)
    sent, cure = [], programs.cure(Call("holders", "co:{n}:meta", ()), GONE)
    words = next(cure)
    for answer in answers:
        sent.append(words[0])
        try:
            words = cure.throw(answer) if isinstance(answer, Exception) else cure.send(answer)
        except StopIteration as over:
            return [*sent, str(over.value)]
    raise AssertionError(f"it goes on with {words[0]}")


def test_the_library_is_loaded_and_the_call_made_again() -> None:
    assert cured("name", "done") == ["FUNCTION LOAD", "FCALL", "done"]


def test_what_was_forgotten_again_goes_along_whole() -> None:
    missing = redis.exceptions.NoScriptError("NOSCRIPT")
    assert cured("name", GONE, missing, "done") == ["FUNCTION LOAD", "FCALL", "EVALSHA", "EVAL", "done"]


def test_any_other_error_is_the_callers() -> None:
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        cured("name", redis.ResponseError("WRONGTYPE"))
