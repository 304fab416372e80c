"""What arrives in a session's inbox, and who it is for. Shared by both drivers.

A message is a hint of a few plain words. `granted` and `ended` are for whoever waits for that request; `cancel` and
`bell` go to the worker; `stale` to the copies of answers that the process keeps; `lost` and `yield` go to the keeper,
as does `left`: lines were left half walked, and a beat walks on.
Whether messages were lost shows in the heartbeat's answer (see `tally`): then everybody who waits looks at the truth
again (`resync`).
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Collection
from typing import Protocol

from coordinator.drivers.tally import Tally
from coordinator.errors import Corrupt
from coordinator.wire.replies import number, text

log = logging.getLogger(__name__)

Words = tuple[str, ...]
RESYNC: Words = ("resync",)
# Told to a waiter whose request is no longer kept track of: it has to ask the server.
FORGOTTEN: Words = ("forgotten",)
# Followed by the session; without one it is whichever there is.
SESSION_LOST: Words = ("session_lost",)

# Wakes a listener that is to stop and cannot be woken otherwise.
GOODBYE = "bye"
_GOODBYE = GOODBYE.encode()

# How long one blocking read lasts. Short enough that a listener of a lapsed session goes away, long enough to be rare.
READ_SECONDS = 20
BATCH = 1000
# Messages that come closer together than this are taken out of the inbox many at a time.
BURST_SECONDS = 0.0005
# Unread messages about one request that are kept.
MOST_UNREAD = 8
# Requests that are over and that messages are kept about, for whoever has yet to wait for them.
MOST_OVER = 256


def is_news(words: Words, unread: Collection[Words]) -> bool:
    """Whether a message is worth keeping behind those that nobody has read yet. Each of them has its reader look at the
    truth, so more of them are of no use; and where nobody reads, as with a lock that is held for days, they would pile
    up."""
    return len(unread) < MOST_UNREAD and words not in unread


class Slot(Protocol):
    """Where messages about one request are kept for whoever waits."""

    def put(self, words: Words) -> None:
        """Keep a message. Called from any thread or from the loop, as the driver does it."""


class Postman:
    """Hands messages out and keeps count of them."""

    def __init__(self, lost: Callable[[str, int, str], None]) -> None:
        self._slots: dict[str, dict[str, Slot]] = {}
        # Those that are over, of which the shared reader has not asked what became of them, the oldest first.
        self._over: dict[str, None] = {}
        self._readers = itertools.count(1)
        self._lost = lost
        self._lock = threading.Lock()
        self.tally = Tally()
        self._complained = False
        self.on_bell: Callable[[str], None] = _ignore
        self.on_cancel: Callable[[str, str], None] = _ignore_two
        self.on_left: Callable[[], None] = _ignore_none
        self.on_yield: Callable[[str, int, float | None], None] = _ignore_three
        self.on_stale: Callable[[tuple[str, ...]], None] = _ignore_words

    def keep(self, ident: str, slot: Slot, own: bool) -> str:
        """Keep messages about `ident` in `slot`, unless its shared reader has one. Returns the reader's name."""
        reader = str(next(self._readers)) if own else ""
        with self._lock:
            self._slots.setdefault(ident, {}).setdefault(reader, slot)
            if not reader:
                self._over.pop(ident, None)
        return reader

    def slot(self, ident: str, reader: str) -> Slot | None:
        """The slot of a reader of `ident`."""
        return self._slots.get(ident, {}).get(reader)

    def drop(self, ident: str, reader: str) -> None:
        """No longer keep messages about `ident` for that reader."""
        with self._lock:
            self._drop(ident, reader)

    def _drop(self, ident: str, reader: str) -> None:
        slots = self._slots.get(ident, {})
        slots.pop(reader, None)
        if not slots:
            self._slots.pop(ident, None)
        if not reader:
            self._over.pop(ident, None)

    def over(self, ident: str) -> None:
        """A request has ended, or is no longer held. Who waits for it has been told. Many a caller never asks again, so
        what is kept for those who will is only that of the last ones; who comes later looks at the truth."""
        with self._lock:
            if "" in self._slots.get(ident, ()):
                self._over[ident] = None
                if len(self._over) > MOST_OVER:
                    self._drop(next(iter(self._over)), "")

    def asked(self) -> list[str]:
        """The requests of this process that are not over and that messages are kept about, by the reader they share."""
        with self._lock:
            return [ident for ident, readers in self._slots.items() if "" in readers and ident not in self._over]

    def new_session(self) -> None:
        """The count begins anew."""
        self.tally = Tally()
        self._complained = False

    def deliver_all(self, found: object) -> None:
        """Take several messages, or None for none."""
        for raw in found if isinstance(found, list) else ():
            self.deliver(raw)

    def deliver(self, raw: object) -> None:
        """Take one message from the inbox."""
        if raw == _GOODBYE:
            # Meant for a listener that was replaced, and no message of the server's: it is not in its count.
            return
        self.tally.arrived += 1
        self.hand_out(raw)

    def hand_out(self, raw: object) -> None:
        """Hand a message out without counting it: one that came another way than by the inbox."""
        try:
            self._hand_out(tuple(text(raw).split(" ")))
        except Corrupt as error:
            self._complain(str(error))

    def _hand_out(self, words: Words) -> None:
        match words:
            case ("granted" | "ended", ident, *_):
                self._put(ident, words)
            case ("lost", ident, fence):
                self._lost(ident, number(fence), "the server took it back")
            case ("yield", ident, fence, grace):
                self.on_yield(ident, number(fence), None if grace == "-" else number(grace) / 1000)
            case ("cancel", ident, fence):
                self.on_cancel(ident, fence)
            case ("bell", queue):
                self.on_bell(queue)
            case ("stale", *dedup_keys):
                self.on_stale(tuple(dedup_keys))
            case ("left",):
                self.on_left()
            case _:
                self._complain(f"unknown message {words[0][:40]!r}")

    def _put(self, ident: str, words: Words) -> None:
        for slot in list(self._slots.get(ident, {}).values()):
            slot.put(words)
        if words[0] == "ended":
            self.over(ident)

    def _complain(self, what: str) -> None:
        """Once in a session: whoever can write to an inbox could fill the log otherwise."""
        log.log(logging.DEBUG if self._complained else logging.WARNING, "unreadable message in the inbox: %s", what)
        self._complained = True

    def tell_all(self, words: Words) -> None:
        """The same message to everybody who waits, and a bell to the worker. Copies of answers are not to be trusted
        either: a message that said so may be among those that were lost."""
        self.on_stale(("*",))
        with self._lock:
            slots = [slot for readers in self._slots.values() for slot in readers.values()]
        for slot in slots:
            slot.put(words)
        self.on_bell("")


def _ignore_none() -> None:
    return None


def _ignore_words(_words: tuple[str, ...]) -> None:
    return None


def _ignore(_word: str) -> None:
    return None


def _ignore_three(_ident: str, _fence: int, _grace: float | None) -> None:
    return None


def _ignore_two(_word: str, _other: str) -> None:
    return None
