"""The asyncio lock; see `coordinator.compat.redis`."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from typing import Any, Literal
from weakref import WeakKeyDictionary

from redis.asyncio import lock as redis_lock
from redis.exceptions import RedisError
from tenacity import AsyncRetrying

from coordinator.aclient import AsyncCoordinator
from coordinator.aleases import AsyncLease
from coordinator.compat import plain
from coordinator.compat.clients import async_coordinator_of
from coordinator.compat.errors import as_redis
from coordinator.compat.held import LEAST, Aim, Held, Terms, Token, outside
from coordinator.compat.plain import Patience, Place
from coordinator.compat.renewer import AsyncRenewer, Duty
from coordinator.drivers import clock
from coordinator.errors import CoordinatorError, LeaseLost, LineFull, WaitTimeout
from coordinator.ops.asking import LockOptions


class AsyncLock(Held[AsyncLease], redis_lock.Lock):
    """redis-py's asyncio `Lock` with a waiting line: arguments, methods and errors are the same.

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
        # Those whose time is over are never given back.
        self._renewing: WeakKeyDictionary[AsyncLease, AsyncRenewer] = WeakKeyDictionary()

    @property
    def coordinator(self) -> AsyncCoordinator:
        """Who keeps the line. Raises ConfigError if it cannot be made from the client."""
        return async_coordinator_of(self.redis)

    async def acquire(
        self, blocking: bool | None = None, blocking_timeout: float | None = None, token: Any = None
    ) -> bool:
        """Wait in line for the lock. False if it could not be had within `blocking_timeout` seconds, or at once if not
        `blocking`. Raises LineUnavailable, LineRefused."""
        patience = Patience.of(
            clock.now(),
            self.sleep,
            self.blocking if blocking is None else blocking,
            self.blocking_timeout if blocking_timeout is None else blocking_timeout,
        )
        return await self._acquire(patience, token)

    async def do_acquire(self, token: Any) -> bool:
        """One try, without waiting."""
        return await self._acquire(Patience(clock.now(), self.sleep), token)

    async def do_release(self, expected_token: Any) -> None:
        """Give back the lock that has this token, be it one that another process has taken. Raises NotOwned."""
        lease = self._leases.get(expected_token)
        if lease is not None:
            # It would find the key gone, and give back the place in the line itself.
            self._stop_renewing(lease)
        with as_redis(self.name):
            try:
                await super().do_release(expected_token)
            except (RedisError, OSError):
                # Whatever became of the plain key, the next in line waits for it by itself.
                await self._forget(lease, expected_token)
                raise
            except BaseException:
                # Nobody has the token any more who could release it again.
                if lease is not None:
                    token = Token(expected_token, made=False)
                    await asyncio.shield(asyncio.ensure_future(self._undo(token, lease, sure=True)))
                raise
            await self._forget(lease, expected_token, strict=True)

    async def do_extend(self, additional_time: float, replace_ttl: bool) -> Literal[True]:
        """Move the end of the lock. Raises NotOwned, LineRefused for an end that is not later than now."""
        with as_redis(self.name):
            self._check_has_end()
            if replace_ttl or additional_time < 0:
                self._check_is_later(additional_time, 0 if replace_ttl else await self.redis.pttl(self.name))
            await super().do_extend(additional_time, replace_ttl)
            return await self._extend_lease(await self.redis.pttl(self.name) / 1000)

    async def do_reacquire(self) -> Literal[True]:
        """Let the lock end `timeout` from now. Raises NotOwned, LineRefused for a timeout of 0."""
        with as_redis(self.name):
            self._check_is_later(self.timeout or 0)
            await super().do_reacquire()
            return await self._extend_lease(float(self.timeout or 0.0))

    async def _acquire(self, patience: Patience, token: Any) -> bool:
        aim = self._aim(token)
        with as_redis(self.name):
            terms = Terms.of(self.timeout, self.coordinator.settings)
            while True:
                lease = await self._stand_in_line(aim, patience, terms)
                if lease is None:
                    return False
                try:
                    return await self._at_head(aim, lease, terms, patience)
                except LeaseLost:
                    continue  # while it waited for an old user; it has to queue again

    def _keep(self, word: bytes, lease: AsyncLease, terms: Terms, sent: float) -> None:
        """The plain key is ours, by a call sent at `sent`."""
        if terms.watched:
            duty = Duty(lease, self.redis, self.name, word, terms.ttl if terms.renewed else None)
            renewer = self._renewing[lease] = AsyncRenewer.of(self.coordinator)
            renewer.add(duty, sent)
        self._forget_lapsed()
        self._leases[word], self.local.token = lease, word

    async def _stand_in_line(self, aim: Aim, patience: Patience, terms: Terms) -> AsyncLease | None:
        try:
            return await self._come_to_head(aim, patience, terms)
        except LineFull:
            return await AsyncRetrying(**outside(patience))(self._come_to_head, aim, patience, terms)

    async def _come_to_head(self, aim: Aim, patience: Patience, terms: Terms) -> AsyncLease | None:
        """The place at the head of the line; None if there is no time left. Raises LineFull."""
        left = patience.left(clock.now())
        try:
            if left == 0:
                return await self.coordinator._try(aim.resource, LockOptions(wait=0, ttl=terms.line), terms.try_for)
            return await self.coordinator.acquire(aim.resource, wait=left, ttl=terms.line)
        except WaitTimeout:
            return None
        except LineFull:
            if left == 0:
                return None
            raise

    async def _at_head(self, aim: Aim, lease: AsyncLease, terms: Terms, patience: Patience) -> bool:
        """Whether the plain key could be had; else, and whatever goes wrong, the line is left."""
        token: Token | None = None
        sent: float | None = None
        try:
            token = self._token(aim, self.coordinator.settings.namespace, lease)
            sent = await self._wait_for_plain(token, lease, terms, patience)
            if sent is not None:
                self._keep(token.word, lease, terms, sent)
                return True
        except BaseException:
            # It may have been set by a call that was cancelled; nobody would renew it or give it back.
            await asyncio.shield(asyncio.ensure_future(self._undo(token, lease, sure=sent is not None)))
            raise
        await lease.release()
        return False

    async def _undo(self, token: Token | None, lease: AsyncLease, sure: bool) -> None:
        self._stop_renewing(lease)
        if token is not None and (sure or token.made):
            self._leases.pop(token.word, None)
            with contextlib.suppress(RedisError, OSError):
                await super().do_release(token.word)
        with contextlib.suppress(CoordinatorError):
            await lease.release()

    def _stop_renewing(self, lease: AsyncLease) -> None:
        renewer = self._renewing.pop(lease, None)
        if renewer is not None:
            renewer.drop(lease)

    async def _wait_for_plain(self, token: Token, lease: AsyncLease, terms: Terms, patience: Patience) -> float | None:
        """When the call was sent that made the plain key ours; None if there is no time left."""
        tries = 0
        while True:
            sent = clock.now()
            taken, ttl_ms = await self._take(keys=[self.name], args=token.arguments(terms), client=self.redis)
            if taken:
                if tries and terms.line is not None:
                    await lease.extend(terms.line)
                return sent
            pause = patience.pause(clock.now(), int(ttl_ms), tries)
            if pause is None:
                return None
            if not tries and terms.line is not None:
                # The time that it was granted for begins when the old user has gone.
                await lease.extend(terms.longest)
            tries += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await lease.lost.wait()
            lease.check()

    async def _extend_lease(self, seconds: float) -> Literal[True]:
        lease = self.lease
        if lease is not None:
            await lease.extend(max(LEAST, seconds))
        return True

    async def _forget(self, lease: AsyncLease | None, token: bytes, *, strict: bool = False) -> None:
        """Leave the line after the plain key. `strict`: raises if the place in it was lost."""
        if lease is not None:
            self._leases.pop(token, None)
            self._stop_renewing(lease)
            with contextlib.suppress(*(() if strict else (CoordinatorError,))):
                await lease.release()
            return
        place = Place.read(token)
        if place is not None and place.namespace == self.coordinator.settings.namespace:
            # Taken by another process, which is told so; if this user may not do that, its lease ends by itself.
            with contextlib.suppress(CoordinatorError):
                await self.coordinator.force_release(place.ident, "released by its token")
