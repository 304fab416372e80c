"""A forked child goes on where another thread of the parent was inside of something."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

from coordinator.drivers.entries import Entries
from coordinator.fencing import MemoryFences
from coordinator.model.need import Need, needs_of
from coordinator.recipes import threads


@dataclass(eq=False)
class Lease:
    ident: str
    needs: tuple[Need, ...] = needs_of("a")
    held: bool = True

    def release(self) -> None:
        self.held = False


class Within:
    """Another thread stays inside of something, until the block is left."""

    def __init__(self, enter: Callable[[], Any], leave: Callable[[], Any]) -> None:
        self._enter, self._leave = enter, leave
        self._inside, self._out = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._stay)

    def _stay(self) -> None:
        self._enter()
        self._inside.set()
        self._out.wait(30)
        self._leave()

    def __enter__(self) -> None:
        self.thread.start()
        self._inside.wait(30)

    def __exit__(self, *_given: object) -> None:
        self._out.set()
        self.thread.join(30)


def said_in_child(work: Callable[[], bool]) -> bool:
    """Whether a forked child comes to an end with it, and with True."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            # A child that hangs is ended.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(3)
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def test_what_owners_hold_is_not_held_by_those_of_a_forked_child() -> None:
    entries, lease = Entries[Lease](), Lease("r1")
    entries.entered("ann", lease)
    entries.again("ann", lease.needs)

    def child() -> bool:
        nothing = entries.again("ann", lease.needs) is None
        own = entries.entered("ann", Lease("r2"))
        return nothing and entries.again("ann", own.needs) is own and entries.leave("ann", lease)

    with Within(entries._lock.acquire, entries._lock.release):
        assert said_in_child(child)
    assert not entries.leave("ann", lease), "the parent still counts"


def test_fences_in_memory_are_still_known_in_a_forked_child() -> None:
    fences = MemoryFences()
    fences.advance("a", 7)
    with Within(fences._lock.acquire, fences._lock.release):
        assert said_in_child(lambda: fences.advance("a", 3) == 7)


def test_a_forked_child_releases_a_permit_where_another_thread_does(monkeypatch: pytest.MonkeyPatch) -> None:
    permits = threads.Semaphore(cast(Any, None), "a")
    for number in range(2):
        permits._entered.add(None, cast(Any, Lease(str(number))))
    inside, go_on, take = threading.Event(), threading.Event(), permits._entered.take

    def slow(*args: Any, **options: Any) -> Any:
        if threading.current_thread() is other:
            inside.set()
            go_on.wait(30)
        return take(*args, **options)

    monkeypatch.setattr(permits._entered, "take", slow)
    other = threading.Thread(target=permits.release)
    other.start()
    inside.wait(30)

    def child() -> bool:
        permits.release()
        return len(permits._entered) == 1

    ended = said_in_child(child)
    go_on.set()
    other.join(30)
    assert ended
    assert len(permits._entered) == 1
