"""The compatible lock beside redis-py's own, at random: the same calls on both, and both kinds on one name.

No call waits for more than a moment, and a key that is gone is looked at at once, as is done every second otherwise; so
what is answered does not depend on the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import redis
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from redis.lock import Lock as OldLock

from coordinator import Coordinator
from coordinator.compat.plain import Place, resource_of
from coordinator.compat.redis import Lock
from coordinator.compat.renewer import Renewer
from coordinator.model.lease import Person
from tests.support.until import until

MOMENT = 0.002
# ms by which two calls on the same end of a lock may lie apart.
SLACK_MS = 60_000
GONE = -2
which = st.integers(0, 30)
timeouts = st.sampled_from((None, 500, 500.0, 900))
waits = st.sampled_from(
    ({"blocking": False}, {"blocking": False}, {"blocking_timeout": 0}, {"blocking_timeout": MOMENT})
)
losses = st.sampled_from(("deleted", "ended", "another's"))


class Site(NamedTuple):
    """A coordinator with a patched client, a plain client, and a second thread."""

    co: Coordinator
    ours: redis.Redis
    plain: redis.Redis
    aside: ThreadPoolExecutor

    def lose(self, name: str, how: str) -> None:
        """The key of a lock goes without its holder, or is somebody else's."""
        if how == "ended":
            self.plain.pexpire(name, 1)
            until(lambda: not self.plain.exists(name))
        elif how == "deleted":
            self.plain.delete(name)
        else:
            self.plain.set(name, "another")
        self.look()

    def look(self) -> None:
        """Whoever looks after keys that are held sees which are gone, and leaves the line."""
        renewer = Renewer.of(self.co)
        with renewer._lock:
            due = renewer._due()
        for batch in due:
            renewer._look(batch)

    def line(self, name: str) -> tuple[Person, ...]:
        """Who of ours has a place before the key."""
        return self.co.line(resource_of(name)).holders


def heard(call: Callable[[], Any]) -> tuple[Any, ...]:
    """What came of a call: a value, or an error as users of redis-py know it."""
    try:
        return "returned", call()
    except Exception as error:
        known = next(one for one in type(error).__mro__ if one.__module__ in ("redis.exceptions", "builtins"))
        return "raised", known.__name__, str(error)


@dataclass
class Pair:
    """A lock of each kind, made with the same arguments."""

    theirs: Any
    ours: Any


class TwinMachine(RuleBasedStateMachine):
    """Three locks of redis-py on one name, and three of ours on another, which are told the same."""

    site: ClassVar[Site]
    names: ClassVar[tuple[str, str]]

    @initialize(timeout=timeouts, local=st.lists(st.booleans(), min_size=3, max_size=3))
    def begin(self, timeout: float | None, local: list[bool]) -> None:
        # All with a timeout or none: the token of one can become that of another, and redis-py extends no key that has
        # no end, as all have here.
        self.timed, self.pairs = timeout is not None, []
        for one in local:
            options = {"timeout": timeout, "thread_local": one, "sleep": 0.001, "blocking_timeout": MOMENT}
            theirs, ours = self.site.plain.lock(self.names[0], **options), self.site.ours.lock(self.names[1], **options)
            assert (type(theirs), type(ours)) == (OldLock, Lock)
            self.pairs.append(Pair(theirs, ours))

    def teardown(self) -> None:
        for name in self.names:
            self.site.lose(name, "deleted")
            assert not self.site.line(name), "somebody has a place in the line, and not the key"

    def both(self, n: int, aside: bool, call: Callable[[Any], Any]) -> None:
        """The same call on a lock of each kind, in this thread or in the other."""
        pair = self.pairs[n % len(self.pairs)]

        def told(lock: Any) -> tuple[Any, ...]:
            if aside and lock is pair.theirs and lock.thread_local:
                # In a thread that has never had the lock, redis-py's lacks the attribute, and says so.
                self.site.aside.submit(lambda: lock.local.__dict__.setdefault("token")).result(30)
            return self.site.aside.submit(heard, lambda: call(lock)).result(30) if aside else heard(lambda: call(lock))

        wanted, found = told(pair.theirs), told(pair.ours)
        note(f"{n % len(self.pairs)} {'aside' if aside else ''}: {wanted}")
        assert found == wanted

    @rule(n=which, aside=st.booleans(), wait=waits, chosen=st.booleans())
    def acquire(self, n: int, aside: bool, wait: dict[str, Any], chosen: bool) -> None:
        # Of two that choose the same, redis-py takes one for the other after it has lost the key, and ours does not.
        token = f"of {n % len(self.pairs)}" if chosen else None
        self.both(n, aside, lambda lock: lock.acquire(**wait, token=token))

    @rule(n=which, aside=st.booleans())
    def enter(self, n: int, aside: bool) -> None:
        self.both(n, aside, lambda lock: lock.__enter__() is lock)

    @rule(n=which, aside=st.booleans(), leaves=st.booleans())
    def release(self, n: int, aside: bool, leaves: bool) -> None:
        self.both(n, aside, lambda lock: lock.__exit__(None, None, None) if leaves else lock.release())
        # By another lock, too, if that was told the token.
        self.site.look()

    @rule(n=which, token=st.sampled_from((b"of 0", b"of 1", b"of 2", b"another")))
    def release_by_token(self, n: int, token: bytes) -> None:
        """Also one that is held by another lock, which does not know of it."""
        self.both(n, False, lambda lock: lock.do_release(token))
        self.site.look()

    @rule(n=which, aside=st.booleans(), seconds=st.sampled_from((200, 300.0)), replace=st.booleans())
    def extend(self, n: int, aside: bool, seconds: float, replace: bool) -> None:
        self.both(n, aside, lambda lock: lock.extend(seconds, replace_ttl=replace))

    @rule(n=which, aside=st.booleans())
    def reacquire(self, n: int, aside: bool) -> None:
        self.both(n, aside, lambda lock: lock.reacquire())

    @rule(n=which, to=which)
    def hand_on(self, n: int, to: int) -> None:
        """The token is told to another lock, as one process may tell it to another."""
        first, second = self.pairs[n % len(self.pairs)], self.pairs[to % len(self.pairs)]
        second.theirs.local.token, second.ours.local.token = first.theirs.local.token, first.ours.local.token

    @rule(how=losses)
    def lose(self, how: str) -> None:
        for name in self.names:
            self.site.lose(name, how)

    @invariant()
    def all_is_alike(self) -> None:
        for n in range(len(getattr(self, "pairs", ()))):
            for aside in (False, True):
                self.both(n, aside, lambda lock: (lock.owned(), lock.locked()))
        theirs, ours = (self.site.plain.pttl(name) for name in self.names)
        if getattr(self, "timed", True):
            assert abs(theirs - ours) < SLACK_MS
        else:
            assert (theirs == GONE) == (ours == GONE)


class MixedMachine(RuleBasedStateMachine):
    """Two old users and three of ours, in two processes, on one name: one has it, and the key tells whose it is."""

    sites: ClassVar[tuple[Site, Site]]
    name: ClassVar[str]

    @initialize(timeout=timeouts)
    def begin(self, timeout: float | None) -> None:
        first, second = self.sites
        clients = (first.plain, second.plain, first.ours, first.ours, second.ours)
        options = {"timeout": timeout, "thread_local": False, "sleep": 0.001, "blocking_timeout": MOMENT}
        self.locks: list[Any] = [client.lock(self.name, **options) for client in clients]
        # Who has it, and who had it when somebody took its key away.
        self.owner: int | None = None
        self.robbed: set[int] = set()
        self.token: bytes | None = None
        self.newest = 0

    def teardown(self) -> None:
        for site in self.sites:
            site.lose(self.name, "deleted")

    def call(self, n: int, call: Callable[[Any], Any]) -> bool:
        """Whether it did what was asked; else it says what redis-py says of one that was robbed, or never had it."""
        at = n % len(self.locks)
        status, *found = heard(lambda: call(self.locks[at]))
        note(f"{at}: {found}")
        if status == "raised":
            assert found[0] == ("LockNotOwnedError" if at in self.robbed else "LockError")
            return False
        return bool(found[0])

    @rule(n=which, wait=waits)
    def acquire(self, n: int, wait: dict[str, Any]) -> None:
        at = n % len(self.locks)
        assert self.call(n, lambda lock: lock.acquire(**wait)) == (self.token is None)
        if self.token is None:
            self.owner, self.token = at, self.locks[at].local.token
            self.robbed.discard(at)
            place = Place.read(self.token or b"")
            assert (place is not None) == isinstance(self.locks[at], Lock)
            if place is not None:
                assert (place.ident, place.fence) == (self.locks[at].lease.ident, self.locks[at].fence)
                assert place.fence > self.newest
                self.newest = place.fence

    @rule(n=which)
    def release(self, n: int) -> None:
        at = n % len(self.locks)
        assert self.call(n, lambda lock: lock.release() is None) == (at == self.owner)
        self.robbed.discard(at)
        if at == self.owner:
            self.owner = self.token = None

    @rule(n=which, replace=st.booleans())
    def extend(self, n: int, replace: bool) -> None:
        if self.locks[0].timeout is not None:
            assert self.call(n, lambda lock: lock.extend(300, replace_ttl=replace)) == (
                n % len(self.locks) == self.owner
            )

    @rule(how=losses)
    def lose(self, how: str) -> None:
        for site in self.sites:
            site.lose(self.name, how)
        self.robbed |= {self.owner} - {None}
        self.owner, self.token = None, b"another" if how == "another's" else None

    @invariant()
    def one_has_it(self) -> None:
        if hasattr(self, "locks"):
            assert self.sites[0].plain.get(self.name) == self.token
            assert [lock.owned() for lock in self.locks] == [at == self.owner for at in range(len(self.locks))]
            ours = self.owner is not None and isinstance(self.locks[self.owner], Lock)
            assert len(self.sites[0].line(self.name)) == int(ours), (
                "a place in the line without the key, or the other way round"
            )
