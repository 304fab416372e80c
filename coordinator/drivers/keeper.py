"""Keeps the session of this process alive, and says in time when a lease cannot be trusted any more.

Two threads, so that a handler that blocks its event loop loses nothing, and a server that hangs delays no warning: the
*beater* renews the session and sweeps for the namespace, the *watch* does no I/O at all and only looks at the clock. A
session that lapsed is not revived: whatever it held may be somebody else's by now. Its leases are told, and the next
call that needs a session opens another.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from coordinator.drivers import clock, failpoints
from coordinator.drivers.agreement import Agreement
from coordinator.drivers.holdings import Early, Holding, Holdings
from coordinator.drivers.ids import new_id
from coordinator.drivers.store import Store
from coordinator.errors import ClientClosed, CoordinatorError, UnsafeServer
from coordinator.ops import locks
from coordinator.policy.adaptive import CONNECTION, RENEWAL
from coordinator.policy.trust import LEAST_PAUSE, beat_interval, pause_after, trusted_until
from coordinator.wire import calls, replies
from coordinator.wire.calls import Scope
from coordinator.wire.step import Call, Step

log = logging.getLogger(__name__)

# The longest pause before a heartbeat that was not answered is tried again, in seconds.
MOST_PAUSE = 0.5
# The reason for a loss whose message arrived before the holding itself was known here.
TAKEN_BACK = "the server took it back"
# Lock requests withdrawn between two heartbeats.
MAX_ORPHANS = 256
# Batches in which a session is closed; what is left lapses.
MAX_CLOSING = 100_000


def _nothing() -> Iterable[Any]:
    return ()


def _not_claiming() -> float:
    return math.inf


def _ignore(*_told: object) -> None:
    return


@dataclass(frozen=True, slots=True)
class Duties:
    """What the keeper is told about its process. `opened` gets each new session id, `lost` each lapsed one, `mail` how
    many messages the server has sent it in all and how many lie in the inbox. `started` gives jobs begun since, `asked`
    the requests on their way or in line, `claiming` since when a claim of jobs has had no answer (inf: none).
    `configured` gets the version of the fleet's configuration with each heartbeat that was answered.
    `beaten` is called after each heartbeat that was answered, `leaving` before a session is ended; both may make a
    call. `timed` is told how many seconds it took to open a session or to renew it, and whether it was answered.
    `over` gets the id of each holding that was lost."""

    fields: dict[str, str]
    opened: Callable[[str], None]
    lost: Callable[[str], None]
    mail: Callable[[int, int], None]
    started: Callable[[], Iterable[tuple[str, str]]] = field(default=_nothing)
    asked: Callable[[], Iterable[str]] = field(default=_nothing)
    claiming: Callable[[], float] = field(default=_not_claiming)
    beaten: Callable[[str], None] = field(default=_ignore)
    leaving: Callable[[str], None] = field(default=_ignore)
    timed: Callable[[str, float, bool], None] = field(default=_ignore)
    over: Callable[[str], None] = field(default=_ignore)
    configured: Callable[[int], None] = field(default=_ignore)


class Keeper:
    """One session at a time. `ensure` opens it, `close` ends it in good order."""

    def __init__(self, store: Store, scope: Scope, session_ttl: float, sweep_interval: float, duties: Duties) -> None:
        self._store, self._scope, self._duties = store, scope, duties
        self._ttl, self._sweep_ms = session_ttl, round(sweep_interval * 1000)
        self._interval = beat_interval(session_ttl, sweep_interval)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._opening = threading.Lock()
        self._stop = threading.Event()
        self._beat_now = threading.Event()
        self._holdings = Holdings(clock.now())
        self._orphans: dict[str, Call | None] = {}
        self._lost_early, self._asked_early = Early[None](), Early[float | None]()
        self._threads: list[threading.Thread] = []
        self._session = ""
        # Until when anything held under the session may be believed in. Read for every job and lease, so no property.
        self.trusted_until = 0.0
        self._begun: list[tuple[str, str]] = []
        self._pause = 0.0
        self._agreement = Agreement(session_ttl)

    @property
    def session(self) -> str:
        """The id of the live session, or empty."""
        return self._session if clock.now() < self.trusted_until else ""

    def ensure(self, lost: str = "", retry_for: float | None = None) -> str:
        """The live session, opened if there is none. `lost` is one the server has given up; `retry_for`: seconds for
        which the call is repeated, if not as in the settings. Raises ClientClosed."""
        # Two locks: while a session is being opened, which may take as long as the server is away, whoever only wants
        # to let a holding go (an event loop, say) must not wait.
        session = self._session
        if session and session != lost and clock.now() < self.trusted_until and not self._stop.is_set():
            return session  # the usual case, without a lock: it could lapse right after a locked look as well
        with self._opening:
            with self._lock:
                if self._stop.is_set():
                    raise ClientClosed
                if self._session and (self._session == lost or clock.now() >= self.trusted_until):
                    self._drop("the session has lapsed")
                if self._session:
                    return self._session
            return self._open(retry_for)

    def hold(self, holding: Holding, session: str = "") -> None:
        """Watch over a holding until `let_go`. It was granted to `session`, if that is named: where that lapsed before
        the answer was here, the holding is lost, whatever session there is by now."""
        with self._lock:
            lapsed = session not in ("", self._session)
            early = self._lost_early.take(holding.ident, holding.fence)
            asked = self._asked_early.take(holding.ident, holding.fence)
            if not early and not lapsed and self._holdings.add(holding):
                self._changed.notify()
        if early:
            holding.lose(TAKEN_BACK)
        elif lapsed:
            holding.lose("the session has lapsed")
            self._duties.over(holding.ident)
        elif asked:
            holding.ask_to_yield(*asked)

    def hold_all(self, holdings: Sequence[Holding]) -> None:
        """As `hold`, of many at once."""
        with self._lock:
            early = bool(self._lost_early or self._asked_early)
            if not early and sum(map(self._holdings.add, holdings)):
                self._changed.notify()
        for one in holdings if early else ():
            self.hold(one)

    def let_go(self, ident: str) -> None:
        """No longer watch over it."""
        with self._lock:
            self._holdings.drop(ident)

    def let_go_all(self, idents: Iterable[str]) -> None:
        """As `let_go`, of many at once."""
        with self._lock:
            for ident in idents:
                self._holdings.drop(ident)

    def lose(self, ident: str, fence: int, why: str) -> None:
        """The server says that a holding is over."""
        with self._lock:
            holding = self._holdings.get(ident, fence)
            if holding is None:
                # Perhaps it is on its way: what was granted may be taken back before its holder has heard of it.
                self._lost_early.note(ident, fence, None)
            else:
                self._holdings.drop(ident)
        if holding is not None:
            holding.lose(why)
        self._duties.over(ident)

    def ask_to_yield(self, ident: str, fence: int, grace: float | None) -> None:
        """The server says that somebody more urgent waits for a holding."""
        with self._lock:
            holding = self._holdings.get(ident, fence)
            if holding is None:
                self._asked_early.note(ident, fence, grace)
                return
        holding.ask_to_yield(grace)

    def abandon(self, ident: str, undo: Call | None = None) -> None:
        """Withdraw a lock request, or make the call that undoes something else, as soon as the server answers again."""
        with self._lock:
            self._orphans[ident] = undo
        self._beat_now.set()

    def adopt(self, scope: Scope) -> None:
        """Make calls under other terms from now on."""
        self._scope = scope

    def beat_soon(self) -> None:
        """Beat without waiting for the next turn."""
        self._beat_now.set()

    def close(self) -> None:
        """End the session: what it holds is released, what waits is cancelled. Safe to call twice."""
        self._stop.set()
        self._beat_now.set()
        with self._changed:
            self._changed.notify()
            session, self._session, self.trusted_until = self._session, "", 0.0
            threads, self._threads = self._threads, []
            holdings = self._holdings.take_all(clock.now())
        for holding in holdings:
            holding.lose("the client was closed")
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(5)
        if session:
            self._close_session(session)

    def _close_session(self, session: str) -> None:
        if failpoints.on:
            failpoints.reach("keeper.before_close")
        self._duties.leaving(session)
        try:
            self._give_back(session)
        except CoordinatorError as error:
            log.warning("session %s was not closed and will lapse: %s", session, error)
        if failpoints.on:
            failpoints.reach("keeper.after_close")

    def _give_back(self, session: str) -> None:
        """In parts, of which the server says how much is left. One whose answer is lost is asked for once more, for
        thousands of locks would stay for a time to live; not the first, for the server may be gone."""
        answered = False
        for _ in range(MAX_CLOSING):
            try:
                raw = self._store.call(calls.close_session(self._scope, session), 0.0)
            except CoordinatorError as error:
                if not answered:
                    raise
                log.debug("a part of session %s is given back once more: %s", session, error)
                answered = False
                continue
            answered = True
            if replies.number(replies.part(raw, 1)) <= 0:
                return

    def _open(self, retry_for: float | None) -> str:
        """Open a session. Not with the lock of the holdings: the server may be away for long."""
        session = new_id()
        sent = clock.now()
        if failpoints.on:
            failpoints.reach("keeper.before_open")
        raw = self._store.call(calls.open_session(self._scope, session, self._duties.fields), retry_for)
        if failpoints.on:
            failpoints.reach("keeper.after_open")
        if replies.expect(raw, "ok", "schema") == "schema":
            found = replies.text(replies.part(raw, 1))
            raise UnsafeServer(
                [f"namespace {self._scope.namespace!r} has data of layout {found}; use another namespace"]
            )
        self._duties.timed(CONNECTION, clock.now() - sent, True)
        self._duties.opened(session)
        with self._changed:
            closed = self._stop.is_set()
            if not closed:
                self._session, self.trusted_until = session, trusted_until(sent, self._ttl)
                self._start_threads()
                self._changed.notify()
        if closed:
            self._close_session(session)
            raise ClientClosed
        return session

    def _start_threads(self) -> None:
        for work in () if self._threads else (self._beats, self._watches):
            thread = threading.Thread(target=work, name=f"coordinator-{work.__name__.strip('_')}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _drop(self, why: str) -> None:
        """Give up the session and tell everything it held. Called with the lock."""
        session, self._session, self.trusted_until = self._session, "", 0.0
        holdings = self._holdings.take_all(clock.now())
        self._orphans.clear()
        if session:
            log.warning("session %s is lost: %s", session, why)
            for holding in holdings:
                holding.lose(why)
                self._duties.over(holding.ident)
            self._duties.lost(session)

    def _watches(self) -> None:
        """Tell holdings that end, at the moment when they cannot be trusted any more."""
        with self._changed:
            while not self._stop.is_set():
                now = clock.now()
                if self._session and now >= self.trusted_until:
                    self._drop("the session could not be renewed in time")
                for one in self._holdings.over(now):
                    one.lose("the lease ran out")
                    self._duties.over(one.ident)
                looks_at = self._holdings.sleep_until(self.trusted_until if self._session else math.inf)
                self._changed.wait(max(0.0, looks_at - clock.now()) if looks_at < math.inf else None)

    def _beats(self) -> None:
        wait = self._interval
        while not self._stop.is_set():
            self._beat_now.wait(wait)
            self._beat_now.clear()
            session = self._session
            if self._stop.is_set():
                return
            try:
                wait = self._beat(session) if session else self._interval
            except Exception:
                # Without heartbeats everything that is held is lost.
                log.exception("heartbeat failed by a fault")
                wait = self._interval

    def _beat(self, session: str) -> float:
        if failpoints.on:
            failpoints.reach("keeper.before_beat")
        sent = clock.now()
        # Kept until a beat was answered; telling one twice does no harm.
        self._begun += self._duties.started()
        try:
            raw = self._store.call(calls.beat(self._scope, session, self._sweep_ms, self._begun), 0.0)
            word = replies.expect(raw, "ok", "session_lost")
            mail, waiting, due, owned, version = _numbers(raw) if word == "ok" else (0, 0, 0, 0, 0)
        except CoordinatorError as error:
            self._duties.timed(RENEWAL, clock.now() - sent, False)
            log.warning("heartbeat failed: %s", error)
            # A connection that broke shows it here, and the next try is on a new one: at once, then less often.
            pause, self._pause = self._pause, min(MOST_PAUSE, 2 * self._pause or LEAST_PAUSE)
            return min(self._interval, pause)
        if failpoints.on:
            failpoints.reach("keeper.after_beat")
        self._begun.clear()
        self._pause = 0.0
        took = clock.now() - sent
        self._duties.timed(RENEWAL, took, True)
        with self._changed:
            if session != self._session:
                return self._interval
            if word == "session_lost":
                self._drop("the server has given it up")
                return self._interval
            self.trusted_until = trusted_until(sent, self._ttl)
            self._changed.notify()
        self._duties.mail(mail, waiting)
        self._withdraw_orphans()
        self._agree(session, owned)
        self._duties.configured(version)
        self._duties.beaten(session)
        return LEAST_PAUSE if self._orphans else pause_after(due, took, self._interval)

    def _agree(self, session: str, owned: int) -> None:
        """A server that lost its newest writes has things of ours that we gave back, and lacks others."""
        now = clock.now()
        with self._lock:
            held = self._holdings.fences()
        known = held.keys() | set(self._duties.asked())
        if not self._agreement.doubted(owned, len(known), now):
            return
        question = self._agreement.question(held, known, self._duties.claiming(), now)
        call = calls.reconcile(self._scope, session, question.strays, question.believed)
        try:
            raw = self._store.call(call, 0.0)
            if replies.expect(raw, "ok", "session_lost") == "session_lost":
                return
        except CoordinatorError as error:
            log.debug("what the session has could not be looked at: %s", error)
            return
        if question.strays:
            log.warning("given back, because the server has it as ours and we do not: %s", ", ".join(question.strays))
        found = [[replies.text(ident) for ident in part] for part in raw[1:3]]
        for ident in self._agreement.answer(found[0], found[1], question, now):
            self.lose(ident, int(held[ident]), "the server knows nothing of it any more")

    def _withdraw_orphans(self) -> None:
        """A bounded number, so that the next heartbeat is in time."""
        for ident, undo in list(self._orphans.items())[:MAX_ORPHANS]:
            if failpoints.on:
                failpoints.reach("keeper.before_withdraw")
            try:
                replies.carried_out(locks.withdraw(self._scope, ident, undo), self._once)
            except CoordinatorError as error:
                log.warning("%s could not be withdrawn yet: %s", ident, error)
                return
            self._orphans.pop(ident, None)

    def _once(self, step: Step) -> Any:
        if not isinstance(step, Call):
            raise TypeError("withdrawing consists of calls only")
        return self._store.call(step, 0.0)


def _numbers(raw: Any) -> tuple[int, int, int, int, int]:
    """What a heartbeat is told: messages ever sent, messages that wait, ms until the next sweep is worth while or -1,
    holdings the session has, the version of the configuration."""
    mail, waiting, due, owned, version = (replies.number(replies.part(raw, place)) for place in (1, 2, 3, 4, 5))
    return mail, waiting, due, owned, version
