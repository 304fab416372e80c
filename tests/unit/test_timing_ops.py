"""What is learnt from a lock that was asked for first and waited for later."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from coordinator.errors import WaitCancelled, WaitTimeout
from coordinator.model.lease import Grant
from coordinator.model.need import Need
from coordinator.ops import locks, timing
from coordinator.wire.calls import LockAsk, Scope
from coordinator.wire.step import Forget
from tests.support.engine import TERMS

ASKED = LockAsk("r", 1, "x1:a", trying=False, wait_ms=30_000, hold_ms=1000)
NEEDS = (Need("a"),)
GRANT = Grant("r", 1, 100.0)
STANDING = locks.Asked(None, "s", 40.0)


class Book:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def now(self) -> float:
        return 50.0

    def took(self, key: str, seconds: float) -> None:
        self.told.append(("took", key, seconds))

    def ran_out(self, key: str, limit: float) -> None:
        self.told.append(("ran out", key, limit))


def waited(
    monkeypatch: pytest.MonkeyPatch, answers: dict[float | None, Any], seconds: float | None
) -> tuple[Any, Book]:
    """What came of a wait whose parts are answered like this, and what was learnt."""

    def await_grant(
        _scope: Any, _asked: Any, part: float | None, standing: Any = None, session: str = ""
    ) -> Generator[None, None, Any]:
        yield from ()
        assert session == (STANDING.session if part == 0 else "")
        # What lies there already may be old; a message that comes while it is waited for is enough.
        assert standing is (None if part == 0 else STANDING)
        answer = answers[part]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(locks, "await_grant", await_grant)
    book: Any = Book()
    operation = timing.await_grant(Scope.of("n", TERMS), book, ASKED, NEEDS, STANDING, seconds)
    with pytest.raises((StopIteration, WaitTimeout, WaitCancelled)) as ended:
        _to_its_end(operation, book.told)
    return ended.value, book


def _to_its_end(operation: Any, asked: list[object]) -> None:
    while True:
        asked.append(next(operation))


def test_a_grant_that_comes_while_it_is_waited_for_is_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, book = waited(monkeypatch, {0.0: None, 5.0: GRANT}, 5.0)
    assert ended.value == GRANT
    assert book.told == [("took", "lock/a", 10.0)]


def test_of_one_that_was_there_before_nobody_knows_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, book = waited(monkeypatch, {0.0: GRANT}, None)
    assert (ended.value, book.told) == (GRANT, [])


@pytest.mark.parametrize(("answers", "seconds"), [({0.0: None}, 0.0), ({0.0: None, 5.0: None}, 5.0)])
def test_a_wait_that_is_only_broken_off_is_nothing(
    monkeypatch: pytest.MonkeyPatch, answers: dict[float | None, Any], seconds: float
) -> None:
    ended, book = waited(monkeypatch, answers, seconds)
    assert (ended.value, book.told) == (None, [])


def test_a_request_whose_time_ran_out_counts_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    _ended, book = waited(monkeypatch, {0.0: None, None: WaitTimeout("r", 30.0, "lock request")}, None)
    assert book.told == [("ran out", "lock/a", 30.0)]


def test_of_a_wait_that_was_ended_no_messages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, book = waited(monkeypatch, {0.0: None, 5.0: WaitCancelled("r", "cancelled", "session lost")}, 5.0)
    assert isinstance(ended, WaitCancelled)
    assert book.told == [Forget("r")]
