"""Locks in the shape of those of `threading` whose release has no answer: what was asked for happens all the same."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from coordinator import Coordinator, Lease, Settings
from coordinator.drivers.sync import SyncDriver
from coordinator.errors import CoordinatorError, LeaseLost, StoreUnavailable, UnknownOutcome
from coordinator.recipes import threads
from coordinator.wire.step import Call, Step
from tests.support.until import until

NO_ANSWER = pytest.mark.parametrize("error", [StoreUnavailable("away"), UnknownOutcome("who knows")], ids=type)


@pytest.fixture
def sync_co(redis_url: str, settings: Settings) -> Iterator[Coordinator]:
    with Coordinator.connect(redis_url, settings=settings) as client:
        yield client


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[CoordinatorError]]:
    """The errors that the next calls of the threads of the test end with."""
    errors, perform = list[CoordinatorError](), SyncDriver._perform

    def performed(driver: SyncDriver, retry_for: float | None, step: Step) -> Any:
        if errors and isinstance(step, Call):
            raise errors.pop()
        return perform(driver, retry_for, step)

    monkeypatch.setattr(SyncDriver, "_perform", performed)
    yield errors
    assert not errors


@NO_ANSWER
def test_permits_whose_release_has_no_answer_are_all_given_back(
    sync_co: Coordinator, cut: list[CoordinatorError], error: CoordinatorError
) -> None:
    permits = threads.Semaphore(sync_co, "a", 3)
    for _ in range(3):
        assert permits.acquire(timeout=10)
    cut.append(error)
    with pytest.raises(type(error)):
        permits.release(3)
    until(lambda: len(sync_co.line("a").holders) == 2)  # the client gives back the first by itself
    permits.release(2)
    assert sync_co.line("a").holders == ()


@NO_ANSWER
def test_what_had_no_answer_is_released_after_what_is_held(
    sync_co: Coordinator, cut: list[CoordinatorError], error: CoordinatorError
) -> None:
    permits = threads.Semaphore(sync_co, "a", 2)
    assert permits.acquire(timeout=10)
    for _ in range(3):
        cut.append(error)
        with pytest.raises(type(error)):
            permits.release()
        assert permits.acquire(timeout=10)
    permits.release()
    until(lambda: sync_co.line("a").holders == ())
    assert len(permits._unanswered) <= 1


def test_who_has_had_no_answer_gives_back_no_permit_of_another_thread(
    sync_co: Coordinator, cut: list[CoordinatorError]
) -> None:
    permits = threads.Semaphore(sync_co, "a", 2)
    assert permits.acquire(timeout=10)
    other = threading.Thread(target=permits.acquire)
    other.start()
    other.join(30)
    cut.append(StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        permits.release()
    permits.release()
    until(lambda: len(sync_co.line("a").holders) == 1)
    with pytest.raises(ValueError, match="too many"):
        permits.release(2)
    permits.release()
    assert sync_co.line("a").holders == ()


def fence_of(lock: threads.RLock) -> int:
    """0: this thread does not hold it."""
    return lock.lease.fence if lock.lease is not None and lock.lease.held else 0


@NO_ANSWER
def test_an_rlock_whose_release_has_no_answer_is_acquired_anew(
    sync_co: Coordinator, cut: list[CoordinatorError], error: CoordinatorError
) -> None:
    lock = threads.RLock(sync_co, "a")
    assert lock.acquire(timeout=10)
    assert lock.acquire(timeout=10)
    first = fence_of(lock)
    lock.release()
    cut.append(error)
    with pytest.raises(type(error)):
        lock.release()
    assert not fence_of(lock)
    with lock:
        assert fence_of(lock) > first
    assert sync_co.line("a").holders == ()
    with pytest.raises(RuntimeError):
        lock.release()


def test_permits_that_were_lost_do_not_pile_up(sync_co: Coordinator) -> None:
    permits, leases = threads.Semaphore(sync_co, "a", 1), list[Lease]()
    for _ in range(4):
        assert permits.acquire(timeout=10)
        leases.append(permits._entered._all[-1].lease)
        sync_co.force_release(leases[-1].ident, "an operator")
        until(lambda: not leases[-1].held)
    assert len(permits._entered) <= 2
    with pytest.raises(LeaseLost):
        permits.release()
