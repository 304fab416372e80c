"""Standing in line at the terminal: shows the place and who is in the way, and leaves the line on a signal."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.status import Status

from coordinator.cli.failures import BY_SIGNAL, Failure
from coordinator.cli.screen import Screen
from coordinator.cli.sentences import blockers, persons
from coordinator.cli.signals import Signals, name_of
from coordinator.cli.words import clean, ordinal, word
from coordinator.client import LockTicket
from coordinator.errors import CoordinatorError, WaitCancelled, WaitTimeout
from coordinator.leases import Lease
from coordinator.model.lease import Explanation
from coordinator.model.states import State

# A wait in the client cannot be ended by a signal, so it is done in slices; each costs nothing, for nothing is sent.
SLICE_SECONDS = 0.1
LOOK_SECONDS = 1.0
# Without a terminal the place is told when it changes, but not more often than this.
LOG_SECONDS = 30.0
# The server ends a wait on time; when it is away we do.
GRACE_SECONDS = 2.0


def stand(ticket: LockTicket, view: View, wait: float | None, signals: Signals) -> Lease:
    """Wait until the lock is ours. Raises Failure on a signal and after `wait` seconds, WaitCancelled."""
    names, ends = view.names, None if wait is None else time.monotonic() + wait + GRACE_SECONDS
    with view:
        while True:
            number = signals.take()
            if number is not None:
                _leave(ticket, f"stopped by {name_of(number)}")
                raise Failure(
                    BY_SIGNAL + number, f"stopped by {name_of(number)} while waiting for {names}", "it left the line"
                )
            try:
                return ticket.wait(SLICE_SECONDS)
            except WaitTimeout:
                if ends is not None and time.monotonic() > ends:
                    _leave(ticket, "wait ran out")
                    raise ran_out(names, wait) from None
            except WaitCancelled as error:
                raise ran_out(names, wait) if error.state == "expired" else error from None


def ran_out(names: str, wait: float | None) -> Failure:
    """The failure for a wait that was too short."""
    return Failure(
        os.EX_TEMPFAIL, f"{names}: not granted within {wait or 0:g} s", "`coordinator show RESOURCE` tells who holds it"
    )


def in_line(found: Explanation, names: str) -> str:
    """`waiting for infra/prod/vpc: 2nd of 3 in line behind pr-7 (lock k3-1) since 3m 12s: "apply"`."""
    said = f"waiting for {clean(names)}"
    waiting = [one for one in found.needs if one.place is not None]
    if waiting:
        worst = max(waiting, key=lambda one: one.place or 0)
        said += f": {ordinal(worst.place or 0)} of {worst.line_length} in line"
    before = blockers(found)
    return said + (f" behind {persons(before, len(before), found.at)}" if before else "")


def _leave(ticket: LockTicket, reason: str) -> None:
    """Leave the line. Whatever is left over, or was granted at this moment, goes with the session."""
    with contextlib.suppress(CoordinatorError):
        ticket.cancel(reason)


class View:
    """Looks once a second how the request stands, in a thread of its own, and shows it on stderr."""

    def __init__(self, explain: Callable[[], Explanation], names: str, screen: Screen) -> None:
        self.names = names
        self._explain, self._screen = explain, screen
        self._over = threading.Event()
        self._status = Status(word(f"waiting for {names}"), console=screen.err) if screen.lively else None
        self._told: tuple[object, ...] = ()
        self._told_at = 0.0

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._status is not None:
            self._status.stop()

    def _watch(self) -> None:
        pause = SLICE_SECONDS
        while not self._over.wait(pause):
            pause = LOOK_SECONDS
            with contextlib.suppress(CoordinatorError):
                found = self._explain()
                if not self._over.is_set() and found.state is State.WAITING:
                    self._tell(found)

    def _tell(self, found: Explanation) -> None:
        text, standing = in_line(found, self.names), _standing(found)
        if self._status is not None:
            self._status.update(word(text))
        elif standing != self._told and (not self._told or time.monotonic() - self._told_at >= LOG_SECONDS):
            self._told, self._told_at = standing, time.monotonic()
            self._screen.note(word(text))


def _standing(found: Explanation) -> tuple[object, ...]:
    """What makes it worth telling again: places, and who is in the way."""
    return (*(one.place for one in found.needs), *(one.ident for one in blockers(found)))
