"""The sync lock; see `coordinator.compat.redis`."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any, Literal

from redis import lock as redis_lock
from redis.exceptions import RedisError
from tenacity import Retrying

from coordinator.client import Coordinator
from coordinator.compat import plain
from coordinator.compat.clients import coordinator_of
from coordinator.compat.errors import as_redis
from coordinator.compat.held import LEAST, Aim, Held, Terms, Token, outside
from coordinator.compat.plain import Patience, Place
from coordinator.compat.renewer import Duty, Renewer
from coordinator.drivers import clock
from coordinator.errors import CoordinatorError, LeaseLost, LineFull, WaitTimeout
from coordinator.leases import Lease
from coordinator.ops.asking import LockOptions


class Lock(Held[Lease], redis_lock.Lock):
    """redis-py's `Lock` with a waiting line: arguments, methods and errors are the same.

    `timeout` None: held until it is released, and no longer than `session_ttl` after the process has died. `sleep` is
    the longest pause after which the head of the line, and it alone, tries again while an old user holds the lock.
    Beside that `lease` and `fence`, as of our own locks.
    """

    # Whatever arguments the redis-py that is installed takes.
    __signature__ = inspect.signature(redis_lock.Lock)

    def __init__(self, redis: Any, name: Any, *args: Any, **options: Any) -> None:
        super().__init__(redis, name, *args, **options)
        self._begin()
        self._take = redis.register_script(plain.TAKE)

    @property
    def coordinator(self) -> Coordinator:
        """Who keeps the line. Raises ConfigError if it cannot be made from the client."""
        return coordinator_of(self.redis)

    def acquire(
        self,
        sleep: float | None = None,
        blocking: bool | None = None,
        blocking_timeout: float | None = None,
        token: Any = None,
    ) -> bool:
        """Wait in line for the lock. False if it could not be had within `blocking_timeout` seconds, or at once if not
        `blocking`. Raises LineUnavailable, LineRefused."""
        pause = self.sleep if sleep is None else sleep
        waits = self.blocking if blocking is None else blocking
        # Who gives a pause that cannot be is told when it comes to that, as by redis-py.
        never = waits and pause < 0
        patience = Patience.of(
            clock.now(),
            pause,
            waits and not never,
            self.blocking_timeout if blocking_timeout is None else blocking_timeout,
        )
        taken = self._acquire(patience, token)
        if never and not taken:
            raise ValueError("sleep length must be non-negative")
        return taken

    def do_acquire(self, token: Any) -> bool:
        """One try, without waiting."""
        return self._acquire(Patience(clock.now(), self.sleep), token)

    def do_release(self, expected_token: Any) -> None:
        """Give back the lock that has this token, be it one that another process has taken. Raises NotOwned."""
        lease = self._leases.pop(expected_token, None)
        with as_redis(self.name):
            if lease is not None:
                Renewer.of(self.coordinator).drop(lease)
            try:
                super().do_release(expected_token)
            except BaseException:
                # Whatever became of the plain key, the next in line waits for it by itself.
                with contextlib.suppress(CoordinatorError):
                    self._leave(lease, expected_token)
                raise
            self._leave(lease, expected_token)

    def do_extend(self, additional_time: float, replace_ttl: bool) -> Literal[True]:
        """Move the end of the lock. Raises NotOwned, LineRefused for an end that is not later than now."""
        with as_redis(self.name):
            self._check_has_end()
            if replace_ttl or additional_time < 0:
                self._check_is_later(additional_time, 0 if replace_ttl else self.redis.pttl(self.name))
            super().do_extend(additional_time, replace_ttl)
            return self._extend_lease(self.redis.pttl(self.name) / 1000)

    def do_reacquire(self) -> Literal[True]:
        """Let the lock end `timeout` from now. Raises NotOwned, LineRefused for a timeout of 0."""
        with as_redis(self.name):
            self._check_is_later(self.timeout or 0)
            super().do_reacquire()
            return self._extend_lease(float(self.timeout or 0.0))

    def _acquire(self, patience: Patience, token: Any) -> bool:
        aim = self._aim(token)
        with as_redis(self.name):
            terms = Terms.of(self.timeout, self.coordinator.settings)
            while True:
                lease = self._stand_in_line(aim, patience, terms)
                if lease is None:
                    return False
                try:
                    return self._at_head(aim, lease, terms, patience)
                except LeaseLost:
                    continue  # while it waited for an old user; it has to queue again

    def _keep(self, word: bytes, lease: Lease, terms: Terms, sent: float) -> None:
        """The plain key is ours, by a call sent at `sent`."""
        if terms.watched:
            duty = Duty(lease, self.redis, self.name, word, terms.ttl if terms.renewed else None)
            Renewer.of(self.coordinator).add(duty, sent)
        self._forget_lapsed()
        self._leases[word], self.local.token = lease, word

    def _stand_in_line(self, aim: Aim, patience: Patience, terms: Terms) -> Lease | None:
        try:
            return self._come_to_head(aim, patience, terms)
        except LineFull:
            return Retrying(**outside(patience))(self._come_to_head, aim, patience, terms)

    def _come_to_head(self, aim: Aim, patience: Patience, terms: Terms) -> Lease | None:
        """The place at the head of the line; None if there is no time left. Raises LineFull."""
        left = patience.left(clock.now())
        try:
            if left == 0:
                return self.coordinator._try(aim.resource, LockOptions(wait=0, ttl=terms.line), terms.try_for)
            return self.coordinator.acquire(aim.resource, wait=left, ttl=terms.line)
        except WaitTimeout:
            return None
        except LineFull:
            if left == 0:
                return None
            raise

    def _at_head(self, aim: Aim, lease: Lease, terms: Terms, patience: Patience) -> bool:
        """Whether the plain key could be had; else, and whatever goes wrong, the line is left."""
        token: Token | None = None
        sent: float | None = None
        try:
            token = self._token(aim, self.coordinator.settings.namespace, lease)
            sent = self._wait_for_plain(token, lease, terms, patience)
            if sent is not None:
                self._keep(token.word, lease, terms, sent)
                return True
        except BaseException:
            self._undo(token, lease, sure=sent is not None)
            raise
        lease.release()
        return False

    def _undo(self, token: Token | None, lease: Lease, sure: bool) -> None:
        Renewer.of(self.coordinator).drop(lease)
        if token is not None and (sure or token.made):
            self._leases.pop(token.word, None)
            # It may have been set by a call that was interrupted; nobody would renew it or give it back.
            with contextlib.suppress(RedisError, OSError):
                redis_lock.Lock.do_release(self, token.word)  # type: ignore[arg-type]
        with contextlib.suppress(CoordinatorError):
            lease.release()

    def _wait_for_plain(self, token: Token, lease: Lease, terms: Terms, patience: Patience) -> float | None:
        """When the call was sent that made the plain key ours; None if there is no time left."""
        tries = 0
        while True:
            sent = clock.now()
            taken, ttl_ms = self._take(keys=[self.name], args=token.arguments(terms), client=self.redis)
            if taken:
                if tries and terms.line is not None:
                    lease.extend(terms.line)
                return sent
            pause = patience.pause(clock.now(), int(ttl_ms), tries)
            if pause is None:
                return None
            if not tries and terms.line is not None:
                # The time that it was granted for begins when the old user has gone.
                lease.extend(terms.longest)
            tries += 1
            lease.lost.wait(pause)
            lease.check()

    def _extend_lease(self, seconds: float) -> Literal[True]:
        lease = self.lease
        if lease is not None:
            lease.extend(max(LEAST, seconds))
        return True

    def _leave(self, lease: Lease | None, token: bytes) -> None:
        if lease is not None:
            lease.release()
            return
        place = Place.read(token)
        if place is not None and place.namespace == self.coordinator.settings.namespace:
            # Taken by another process, which is told so; if this user may not do that, its lease ends by itself.
            with contextlib.suppress(CoordinatorError):
                self.coordinator.force_release(place.ident, "released by its token")
