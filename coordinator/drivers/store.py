"""Runs calls on Redis, sync and async: as functions, or as scripts where there are none, sent whole when the server
does not know them; errors translated, calls repeated while the server is away.

Repeating is safe because every call carries a request id, a fence or a count, so that a second one answers as the first
did. After a broken connection the outcome of a call is unknown; if the server does not come back in time, that is said.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

import redis

from coordinator.drivers import durable, failpoints, tls
from coordinator.drivers.connect import close_async, close_sync
from coordinator.drivers.demands import Demands, Words, no_cluster
from coordinator.drivers.direct import AsyncDirect, Direct, async_exchange, sync_exchange
from coordinator.drivers.trouble import BROKEN, knows_not, message, said
from coordinator.errors import (
    ConfigError,
    CoordinatorError,
    ProtocolError,
    ScriptsMissing,
    StorageFull,
    StoreUnavailable,
    UnknownOutcome,
    UnsafeServer,
)
from coordinator.policy.faults import fault, full
from coordinator.policy.resend import Remedy, pause, remedy
from coordinator.wire import copies, loader
from coordinator.wire.loader import Program
from coordinator.wire.replies import UNREADABLE
from coordinator.wire.step import Call, Stream

log = logging.getLogger(__name__)
OLDEST = (6, 2)
T = TypeVar("T")
# What the client library raises when a server does not answer as Redis does.
STRANGE = (*UNREADABLE, MemoryError, RecursionError)
FAILED = (redis.RedisError, redis.exceptions.RedisClusterException)


class _Attempts:
    """One call's tries: what an error means, and how long to pause before the next try."""

    def __init__(self, seconds: float, programs: _Programs, what: str, text: str = "") -> None:
        self._programs, self._what, self._text = programs, what, text
        self._ends = time.monotonic() + seconds
        self._tries = 0
        self._may_have_happened = False

    def after(self, error: Exception) -> float:
        """Seconds until the next try. Raises our error when there is none."""
        helps = self._helps(error)
        rest = self._ends - time.monotonic()
        wait = pause(self._tries, random.random())
        self._tries += 1
        if not helps or rest <= 0:
            raise self._give_up(error) from error
        return min(wait, rest)

    def final(self, error: Exception) -> CoordinatorError:
        """Our error, if that was the only try."""
        if not isinstance(error, FAILED):
            return strange(error)
        self._helps(error)
        return self._give_up(error)

    def _helps(self, error: Exception) -> bool:
        if isinstance(error, redis.exceptions.AuthenticationError):
            return False
        if isinstance(error, BROKEN):
            # redis-py says "Error 111 connecting to ..." when nothing was sent. Before the server has been looked at,
            # nothing was sent either but the question what it is.
            self._may_have_happened |= self._programs.known and "connecting to" not in str(error)
            return tls.problem(str(error)) is None
        return remedy(message(error)) in (Remedy.AGAIN, Remedy.ELSEWHERE)

    def _give_up(self, error: Exception) -> CoordinatorError:
        if self._may_have_happened:
            return UnknownOutcome(f"the call was sent, and nobody can say what came of it: {said(error)}")
        if isinstance(error, redis.exceptions.AuthenticationError):
            return ConfigError([f"Redis refuses the credentials: {error}"])
        trouble = tls.problem(str(error)) if isinstance(error, BROKEN) else None
        if trouble is not None:
            return ConfigError([f"TLS: {trouble}"])
        cure = remedy(message(error))
        if cure is Remedy.FULL:
            return StorageFull(full(message(error)))
        if cure is Remedy.GIVE_UP and isinstance(error, redis.exceptions.ResponseError):
            return fault(message(error), self._what, self._text)
        hint = "" if self._programs.known else tls.hint(str(error))
        return StoreUnavailable(f"Redis cannot be reached: {said(error)}{hint}")


class _Programs:
    """The scripts in the form that suits the server, found out once."""

    def __init__(self, demands: Demands) -> None:
        self._demands = demands
        self.known = False
        self._functions = self._shebang = self._cluster = False

    def learn(self, info: dict[str, Any], synced: Any = None) -> None:
        """Look at the server's INFO, and at how often it syncs its file. Raises UnsafeServer."""
        version = server_version(info)
        if version < OLDEST:
            raise UnsafeServer([f"Redis {'.'.join(map(str, version))} is too old; 6.2 or newer is needed"])
        policy = str(info.get("maxmemory_policy", "noeviction"))
        if policy != "noeviction" and not self._demands.allow_unsafe:
            raise UnsafeServer([f"maxmemory-policy is {policy}: Redis may evict jobs and locks; set it to noeviction"])
        if self._demands.durable:
            durable.check(info, synced)
        self._functions = self._shebang = version >= (7, 0)
        self._cluster = info.get("redis_mode") == "cluster"
        self.known = True

    def attempts(self, call: Call, seconds: float) -> _Attempts:
        """The tries of a call that has failed once."""
        text = loader.library(self._cluster).text if self._functions else self._program(call).text
        return _Attempts(seconds, self, f"the script {call.script!r}", text if self.known else "")

    def all(self) -> list[tuple[str, ...]]:
        """The commands that load every script."""
        if self._functions:
            return [("FUNCTION LOAD", "REPLACE", loader.library(self._cluster).text)]
        return [("SCRIPT LOAD", loader.program(name, self._shebang, self._cluster).text) for name in loader.names()]

    def words(self, call: Call) -> Words:
        """The command for a call."""
        if self._functions:
            return ("FCALL", loader.function(call.script, self._cluster), 1, call.key, *call.args)
        return self._by_sha(call)

    def cure(self, call: Call, error: redis.ResponseError) -> Generator[Words, Any, Any]:
        """The commands to send when the server does not know the script. Re-raises any other error."""
        if isinstance(error, redis.exceptions.NoScriptError):
            return (yield from self._as_script(call))
        if not (self._functions and knows_not(error)):
            raise error
        try:
            yield ("FUNCTION LOAD", "REPLACE", loader.library(self._cluster).text)
        except redis.ResponseError as refusal:
            # For want of memory, of the right to do so, or of functions: a script does the same, more slowly.
            reply = yield from self._as_script(call)
            self._functions = not any(word in str(refusal).lower() for word in ("unknown", "permission", "noperm"))
            return reply
        try:
            return (yield self.words(call))
        except redis.ResponseError as once_more:
            if not knows_not(once_more):
                raise
            # Forgotten again in between; a script goes along whole.
            return (yield from self._as_script(call))

    def _as_script(self, call: Call) -> Generator[Words, Any, Any]:
        try:
            try:
                return (yield self._by_sha(call))
            except redis.exceptions.NoScriptError:
                return (yield self._whole(call))
        except redis.exceptions.NoPermissionError:
            raise ScriptsMissing from None

    def _by_sha(self, call: Call) -> Words:
        return ("EVALSHA", self._program(call).sha, 1, call.key, *call.args)

    def _whole(self, call: Call) -> Words:
        return ("EVAL", self._program(call).text, 1, call.key, *call.args)

    def _program(self, call: Call) -> Program:
        return loader.program(call.script, self._shebang, self._cluster)


def strange(error: BaseException) -> CoordinatorError:
    """The error for one of `STRANGE`."""
    if isinstance(error, CoordinatorError):
        return error
    return ProtocolError(f"the server does not answer as Redis does ({type(error).__name__})")


def server_version(info: dict[str, Any]) -> tuple[int, ...]:
    """The version in an INFO answer."""
    return tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:3] if part.isdigit())


class Store:
    """Calls on a sync client. Safe for many threads."""

    def __init__(self, client: Any, demands: Demands) -> None:
        self.client, self._demands = client, demands
        self._retry_for = demands.retry_for
        self._programs = _Programs(demands)
        self._lock = threading.Lock()
        self._exchange = sync_exchange(client, demands.proof)

    def call(self, call: Call, retry_for: float | None = None) -> Any:
        """The raw reply. Raises StoreUnavailable, UnknownOutcome, StorageFull."""
        try:
            return self._once(call)
        except FAILED as error:
            attempts = self._programs.attempts(call, self._retry_for if retry_for is None else retry_for)
            failed, call = error, copies.sent_again(call)
        try:
            while True:
                time.sleep(attempts.after(failed))
                try:
                    if failpoints.on:
                        failpoints.reach("store.before_resend")
                    return self._once(call)
                except FAILED as error:
                    failed = error
        finally:
            # Its traceback refers to this frame, and this frame to it: a cycle that would keep the broken connection
            # alive until the collector runs, which it seldom does in an application.
            del failed

    def stream(self, asked: Stream) -> list[Any]:
        """The raw replies of several calls, in order. Raises as `call`, and Unconfirmed."""
        if asked.confirmed:
            return [self._confirm(asked.calls[0])]
        if self._programs.known and isinstance(self._exchange, Direct):
            try:
                return self._exchange.stream(map(self._programs.words, asked.calls))
            except (*FAILED, *STRANGE) as error:
                # Whatever was carried out answers as the first time.
                log.debug("a stream of calls broke, and is made again one by one: %s", error)
        return [self.call(copies.sent_again(one)) for one in asked.calls]

    def _confirm(self, call: Call) -> Any:
        if not isinstance(self._exchange, Direct):
            raise no_cluster()
        try:
            replies = self._exchange.along(self._programs.words(call), self._demands.confirmed_by)
            if knows_not(replies[0]):
                self.call(call, 0.0)  # has the server learn it anew, and is answered as before
                replies = self._exchange.along(self._programs.words(call), self._demands.confirmed_by)
            return self._demands.confirmed(replies)
        except (*FAILED, *STRANGE) as error:
            raise self._programs.attempts(call, 0).final(error) from error

    def command(self, *words: Any, **options: Any) -> Any:
        """One plain command, tried once. Raises StoreUnavailable or UnknownOutcome."""
        try:
            return self.client.execute_command(*words, **options)
        except (*FAILED, *STRANGE) as error:
            raise _Attempts(0, self._programs, str(words[0])).final(error) from error

    def load(self) -> tuple[str, ...]:
        """Load all scripts. Returns their names. Raises as `call` does, and UnsafeServer."""
        self._programs.learn(self.command("INFO"), durable.asked(self.client) if self._demands.durable else None)
        for words in self._programs.all():
            self.command(*words)
        return loader.names()

    def close(self) -> None:
        """Close all connections."""
        close_sync(self.client)

    def _look(self) -> None:
        with self._lock:
            self._programs.learn(self.client.info(), durable.asked(self.client) if self._demands.durable else None)

    def _once(self, call: Call) -> Any:
        try:
            if not self._programs.known:
                self._look()
            if failpoints.on:
                failpoints.reach("store.before_send")
            reply = self._exchange(*self._programs.words(call))
            if failpoints.on:
                failpoints.reach("store.after_send")
            return reply
        except redis.ResponseError as error:
            return self._cured(self._programs.cure(call, error))
        except STRANGE as error:
            raise strange(error) from error

    def _cured(self, cure: Generator[Words, Any, Any]) -> Any:
        words = next(cure)
        while True:
            try:
                words = cure.send(self._exchange(*words))
            except redis.ResponseError as error:
                words = cure.throw(error)
            except STRANGE as error:
                raise strange(error) from error
            except StopIteration as done:
                return done.value


class AsyncStore:
    """Calls on an asyncio client; see `Store`."""

    def __init__(self, client: Any, demands: Demands) -> None:
        self.client, self._demands = client, demands
        self._retry_for = demands.retry_for
        self.programs = _Programs(demands)
        self._exchange, self._seconds = async_exchange(client, demands.proof)

    async def call(self, call: Call, retry_for: float | None = None) -> Any:
        """The raw reply. Raises StoreUnavailable, UnknownOutcome, StorageFull."""
        try:
            return await self._once(call)
        except FAILED as error:
            attempts = self.programs.attempts(call, self._retry_for if retry_for is None else retry_for)
            failed, call = error, copies.sent_again(call)
        try:
            while True:
                await asyncio.sleep(attempts.after(failed))
                try:
                    if failpoints.on:
                        failpoints.reach("store.before_resend")
                    return await self._once(call)
                except FAILED as error:
                    failed = error
        finally:
            del failed

    async def stream(self, asked: Stream) -> list[Any]:
        """The raw replies of several calls, in order. Raises as `call`, and Unconfirmed."""
        if asked.confirmed:
            return [await self._confirm(asked.calls[0])]
        if self.programs.known and isinstance(self._exchange, AsyncDirect):
            try:
                return await self._exchange.stream(map(self.programs.words, asked.calls))
            except (*FAILED, *STRANGE) as error:
                # Whatever was carried out answers as the first time.
                log.debug("a stream of calls broke, and is made again one by one: %s", error)
        return [await self.call(copies.sent_again(one)) for one in asked.calls]

    async def _confirm(self, call: Call) -> Any:
        if not isinstance(self._exchange, AsyncDirect):
            raise no_cluster()
        try:
            replies = await self._exchange.along(self.programs.words(call), self._demands.confirmed_by)
            if knows_not(replies[0]):
                await self.call(call, 0.0)  # has the server learn it anew, and is answered as before
                replies = await self._exchange.along(self.programs.words(call), self._demands.confirmed_by)
            return self._demands.confirmed(replies)
        except (*FAILED, *STRANGE) as error:
            raise self.programs.attempts(call, 0).final(error) from error

    async def command(self, *words: Any, **options: Any) -> Any:
        """One plain command, tried once. Raises StoreUnavailable or UnknownOutcome."""
        try:
            return await self._patiently(self.client.execute_command(*words, **options))
        except (*FAILED, *STRANGE) as error:
            raise _Attempts(0, self.programs, str(words[0])).final(error) from error

    async def close(self) -> None:
        """Close all connections."""
        await close_async(self.client)

    async def _patiently(self, command: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._seconds):
                return await command
        except TimeoutError:
            raise redis.exceptions.TimeoutError(f"no reply within {self._seconds:g} s") from None

    async def _look(self) -> None:
        synced = await self._patiently(durable.asked_async(self.client)) if self._demands.durable else None
        self.programs.learn(await self._patiently(self.client.info()), synced)

    async def _once(self, call: Call) -> Any:
        try:
            if not self.programs.known:
                await self._look()
            if failpoints.on:
                failpoints.reach("store.before_send")
            reply = await self._exchange(*self.programs.words(call))
            if failpoints.on:
                failpoints.reach("store.after_send")
            return reply
        except redis.ResponseError as error:
            return await self._cured(self.programs.cure(call, error))
        except STRANGE as error:
            raise strange(error) from error

    async def _cured(self, cure: Generator[Words, Any, Any]) -> Any:
        words = next(cure)
        while True:
            try:
                words = cure.send(await self._exchange(*words))
            except redis.ResponseError as error:
                words = cure.throw(error)
            except STRANGE as error:
                raise strange(error) from error
            except StopIteration as done:
                return done.value
