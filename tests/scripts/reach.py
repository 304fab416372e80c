"""Says which replies a test reaches, so that none in a script's header is left untested."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def reaches(script: str, *statuses: str) -> Callable[[F], F]:
    """`@reaches("request", "busy")`: the test fails unless the script gives that reply in it, and the contract test
    fails unless every reply of every header is reached by some test."""

    def mark(test: F) -> F:
        test.reached = getattr(test, "reached", set()) | {(script, status) for status in statuses}  # type: ignore[attr-defined]
        return test

    return mark
