"""Where the threads of a sync client wait for messages, and who of them reads the inbox.

To read in one thread and wait in another costs a message two switches of threads where one would do. So a thread that
waits has the *turn*: it reads the inbox itself, hands on what is for others, and passes the turn on when it has what
it waits for, to the one that waits longest. While nobody waits the listener watches in the background: messages come
that nobody waits for.

One lock guards who has the turn, and only who has it touches the connection, so there are never two, and never nobody:

- Who leaves with the turn passes it on in the same moment, or the listener takes it: that looks for it `SOON`, or is
  woken. Not at once, for to wake it costs whoever has just got a lock a moment, and two in a row need not do so.
- The listener may be deposed while it only sleeps on the connection, by whoever comes to wait. It finds out before it
  touches anything, and stands back until it is woken.
- Only the listener connects, and only to a connection that works does it give the turn away. Who breaks it leaves the
  turn to the listener, which has everybody look at the truth again: messages may be lost.

A Cluster's listener always reads: redis-py looks for the node of each command.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import Any

from coordinator.drivers import clock
from coordinator.drivers.connect import close_sync
from coordinator.drivers.messages import GOODBYE, RESYNC, Postman, Words, is_news
from coordinator.drivers.store import FAILED, Store
from coordinator.drivers.tap import ClusterTap, Tap
from coordinator.errors import CoordinatorError
from coordinator.wire.replies import UNREADABLE

log = logging.getLogger(__name__)

# How long, in seconds, a message that nobody waits for may lie unread behind a wait that is over.
SOON = 0.01
LONGEST_NAP = 60.0


class _Sleeper:
    """A thread that may be woken. `wake` and `woken` with the lock of the hall."""

    def __init__(self) -> None:
        self._signal = threading.Lock()
        self._signal.acquire()
        self._told = False

    def sleep(self, seconds: float = -1) -> None:
        self._signal.acquire(timeout=seconds)

    def wake(self) -> None:
        if not self._told:
            self._told = True
            self._signal.release()

    def woken(self) -> None:
        """To be called before it looks whether to sleep again."""
        if self._told:
            self._told = False
            # The signal is still set if it never slept, or slept until its time was over: take it back.
            self._signal.acquire(blocking=False)


class _Place(_Sleeper):
    """A thread that waits. `listener`: that of which it has the turn."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()
        self.listener: Listener | None = None


class Slot:
    """Messages about one request; several threads may wait for them."""

    __slots__ = ("_hall", "messages", "places")

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self.messages: list[Words] = []
        self.places: list[_Place] = []

    def put(self, words: Words) -> None:
        """Keep a message. From any thread."""
        self._hall.put(self, words)

    def get(self, seconds: float | None) -> Words | None:
        """The next message; None after so many seconds, if any."""
        return self._hall.get(self, seconds)


class Hall:
    """All threads of one process that wait for messages of one client."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._waiting: dict[_Place, None] = {}
        self._listener: Listener | None = None

    def put(self, slot: Slot, words: Words) -> None:
        """Put a message where it is waited for."""
        with self.lock:
            if is_news(words, slot.messages):
                slot.messages.append(words)
            for place in slot.places:
                _tell(place)

    def get(self, slot: Slot, seconds: float | None) -> Words | None:
        """The next message of a slot; None after so many seconds, if any."""
        ends = None if seconds is None else clock.now() + seconds
        while True:
            words = self._get(slot, ends)
            # Another thread that waits for the same may have been quicker.
            if words is not None or (ends is not None and clock.now() >= ends):
                return words

    def _get(self, slot: Slot, ends: float | None) -> Words | None:
        place = _Place()
        with self.lock:
            if slot.messages:
                return slot.messages.pop(0)
            if ends is not None and ends <= clock.now():
                return None
            slot.places.append(place)
            self._seat(place)
        over = False
        try:
            while not over:
                over = self._over(place, slot, ends)
        finally:
            with self.lock:
                slot.places.remove(place)
                self._leave(place)
                words = slot.messages.pop(0) if over and slot.messages else None
        return words

    def _over(self, place: _Place, slot: Slot, ends: float | None) -> bool:
        """Wait for a while. True: something came, or the time is over."""
        left = None if ends is None else ends - clock.now()
        if left is not None and left <= 0:
            return True
        listener = place.listener
        if listener is not None:
            listener.read(left)
            if slot.messages:
                return True
        else:
            place.sleep(-1 if left is None else left)
        with self.lock:
            place.woken()
            if place.listener is None:
                return bool(slot.messages)
            place.listener.tap.turn.answer()
            if not place.listener.open:
                # It was replaced, or its connection broke.
                self._leave(place)
                self._seat(place)
            return bool(slot.messages)

    def listen(self, listener: Listener | None) -> None:
        """Have another listener from now on, or none."""
        with self.lock:
            before, self._listener = self._listener, listener
            if before is not None:
                before.retire()
        if listener is not None:
            listener.start()

    @property
    def listener(self) -> Listener | None:
        """The listener there is."""
        return self._listener

    def retire(self) -> None:
        """Have the listener stop soon, if there is one."""
        with self.lock:
            if self._listener is not None:
                self._listener.retire()

    # --- with the lock

    def _seat(self, place: _Place) -> None:
        listener = self._listener
        if listener is None or not listener.depose(place):
            self._waiting[place] = None

    def _leave(self, place: _Place) -> None:
        self._waiting.pop(place, None)
        listener, place.listener = place.listener, None
        if listener is not None:
            listener.turn = None
            if not self.pass_on(listener):
                listener.come_back()

    def pass_on(self, listener: Listener) -> bool:
        """Give the turn to who waits longest, if that can be."""
        if not self._waiting or listener is not self._listener or not listener.open:
            return False
        place = next(iter(self._waiting))
        del self._waiting[place]
        listener.turn, place.listener = place, listener
        place.wake()
        return True


def _tell(place: _Place) -> None:
    if place.listener is None:
        place.wake()
    elif place.thread != threading.get_ident():
        place.listener.tap.turn.ring()
    # Otherwise this very thread has read the message, and sees it when it returns from reading.


class Listener(threading.Thread):
    """Watches over one session's inbox, and reads it while nobody waits."""

    def __init__(self, hall: Hall, client: Any, tap: Tap | ClusterTap, postman: Postman) -> None:
        super().__init__(name="coordinator-listener", daemon=True)
        self._hall, self._client, self.tap, self._postman = hall, client, tap, postman
        self._retired = threading.Event()
        self._sleeper = _Sleeper()
        # Who has the turn: a place, the listener itself, or nobody, while the listener watches or is on its way.
        self.turn: _Place | Listener | None = None
        self._watching = False
        # While waiting threads do the reading it sleeps for `_nap` seconds at a time, now until `_sleeps_until`.
        self._nap, self._sleeps_until = SOON, 0.0
        self._pause = 0.0

    @property
    def open(self) -> bool:
        """Whether a thread that waits may have the turn."""
        return self.tap.ready and not self._retired.is_set()

    def read(self, seconds: float | None) -> None:
        """Read, with the turn, until something has come, so many seconds are over, or the one who reads is told of
        something else."""
        try:
            self.tap.ask()
            if self.tap.sleep(self.tap.turn, seconds):
                self.tap.take()
                self._pause = 0.0
        except (*FAILED, *UNREADABLE) as error:
            log.debug("listening failed: %s", error)

    def run(self) -> None:
        """Watch until told to stop."""
        on = True
        while on:
            try:
                on = self._round()
            except (*FAILED, *UNREADABLE) as error:
                log.debug("listening failed: %s", error)
        self._end()

    def stop(self, store: Store) -> None:
        """Stop because the session is over."""
        with self._hall.lock:
            self.retire()
        if isinstance(self.tap, ClusterTap):
            try:
                store.command("RPUSH", self.tap.name, GOODBYE)
                # With the session went whoever would delete a message that nobody reads.
                store.command("EXPIRE", self.tap.name, 60)
            except CoordinatorError as error:
                log.debug("the listener will stop by itself: %s", error)
                return
        if self is not threading.current_thread():
            self.join(1)

    # --- with the lock of the hall

    def depose(self, place: _Place) -> bool:
        """Give the turn to somebody who comes to wait, if nobody has it."""
        if self.turn is not None or not self.open:
            return False
        self.turn, place.listener = place, self
        if self._watching:
            self.tap.watch.ring()
        return True

    def come_back(self) -> None:
        """Nobody has the turn."""
        # If it still watches it has been told that it was deposed, and will see.
        if not self._watching and not (self.open and self._sleeps_until - clock.now() <= SOON):
            self._sleeper.wake()

    def retire(self) -> None:
        """Stop soon; what has come by then is handed over."""
        self._retired.set()
        self._sleeper.wake()
        self.tap.watch.ring()
        self.tap.turn.ring()

    # --- in the background

    def _round(self) -> bool:
        """Take the turn if nobody has it, and watch for the next message. False: there is nothing more to do."""
        with self._hall.lock:
            self._sleeper.woken()
            mine = self.turn is None or self.turn is self
            if mine:
                self.turn, self._nap = self, SOON
            else:
                nap, self._nap = self._nap, min(LONGEST_NAP, 2 * self._nap)
                self._sleeps_until = clock.now() + nap
        if not mine:
            self._sleeper.sleep(nap)
            return True
        if self.tap.torn:
            self._mend()
        if self._retired.is_set():
            return False
        self.tap.connect()
        self.tap.ask()
        if self._watched():
            self.tap.take()
            self._pause = 0.0
        return True

    def _mend(self) -> None:
        self.tap.torn = False
        self._postman.tell_all(RESYNC)
        self._pause = min(0.5, self._pause * 2 + 0.05)
        self._retired.wait(self._pause)

    def _watched(self) -> bool:
        """Leave the turn to who waits, or watch until something comes. True: it came, and the turn is ours."""
        with self._hall.lock:
            self.turn = None
            if self._hall.pass_on(self):
                return False
            self._watching = True
        came = False
        try:
            came = self.tap.sleep(self.tap.watch, None)
        finally:
            with self._hall.lock:
                self._watching = False
                self.tap.watch.answer()
                if came := came and self.turn is None:
                    self.turn = self
        return came

    def _end(self) -> None:
        with contextlib.suppress(*FAILED, *UNREADABLE):
            if self.tap.ready and self.tap.sleep(self.tap.watch, 0):
                self.tap.take()
        self.tap.drop()
        close_sync(self._client)
        with self._hall.lock:
            self.tap.watch.close()
            self.tap.turn.close()
