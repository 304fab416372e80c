"""What a client keeps grows with what is alive, and not with all that ever was."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from coordinator.drivers import entries, messages
from coordinator.errors import LeaseLost, WaitCancelled, WaitTimeout
from coordinator.keys import key
from tests.support.until import until

MOST, TIMES = 3, 12


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there is more than that in no time."""
    monkeypatch.setattr(messages, "MOST_OVER", MOST)
    monkeypatch.setattr(entries, "LEAST_SWEPT", MOST)


def cancelled(co: Any, other: Any) -> Any:
    ticket = co.request("busy")
    other.cancel(ticket.ident)
    return ticket


def cancelled_here(co: Any, _other: Any) -> Any:
    ticket = co.request("busy")
    ticket.cancel()
    return ticket


def run_out(co: Any, _other: Any) -> Any:
    return co.request("busy", wait=0.001)


def taken_back_unseen(co: Any, other: Any) -> Any:
    ticket = co.request("free")
    other.force_release(ticket.ident, "test")
    return ticket


def taken_back(co: Any, other: Any) -> Any:
    lease = co.acquire("free")
    other.force_release(lease.ident, "test")
    return lease


def ended_by_itself(co: Any, _other: Any) -> Any:
    return co.acquire(f"free {time.monotonic_ns()}", ttl=0.05)


def entered(co: Any, other: Any) -> Any:
    lease = co.acquire("free", reentrant=True, owner=f"owner {time.monotonic_ns()}")
    other.force_release(lease.ident, "test")
    until(lambda: not lease.held)
    return lease


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "one", [cancelled, cancelled_here, run_out, taken_back_unseen, taken_back, ended_by_itself, entered]
)
def test_a_client_forgets_what_is_over_and_nobody_asks_about(
    co: Any, other: Any, raw: Any, namespace: str, one: Callable[[Any, Any], Any]
) -> None:
    with other.lock("busy"):
        found = [one(co, other) for _ in range(TIMES)]
        driver = co._driver
        # A message is lost now and then, where a connection is given up; who waits looks at the truth then.
        lost = lambda: driver.postman.tally._known_gap  # noqa: E731
        until(lambda: len(driver.postman._slots) <= MOST + lost())
        until(lambda: len(driver.postman.asked()) <= lost())
        assert len(co._entries._times) <= 2 * MOST
        for last in found[0], found[-1]:
            with pytest.raises(WaitTimeout if one is run_out else (WaitCancelled, LeaseLost)):
                (last.wait(0) if hasattr(last, "position") else last).check()
        assert raw.zcard(key(namespace, "LINE", "busy")) == 0, "nobody is put in line anew by asking"
