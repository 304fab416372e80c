"""Runs calls on Redis, sync and async: EVALSHA, the script sent whole when the server does not know it, errors
translated, calls repeated while the server is away.

Repeating is safe because every call carries a request id, a fence or a count, so that a second one answers as the first
did. After a broken connection the outcome of a call is unknown; if the server does not come back in time, that is said.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import Any

import redis

from coordinator.drivers import tls
from coordinator.drivers.connect import close_async, close_sync
from coordinator.errors import (
    ConfigError,
    CoordinatorError,
    ScriptsMissing,
    StorageFull,
    StoreUnavailable,
    UnknownOutcome,
    UnsafeServer,
)
from coordinator.policy.faults import fault
from coordinator.policy.resend import Remedy, pause, remedy
from coordinator.wire import loader
from coordinator.wire.loader import Program
from coordinator.wire.step import Call

OLDEST = (6, 2)
BROKEN = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)


class _Attempts:
    """One call's tries: what an error means, and how long to pause before the next try."""

    def __init__(self, seconds: float, programs: _Programs, what: str, text: str = "") -> None:
        self._programs, self._what, self._text = programs, what, text
        self._ends = time.monotonic() + seconds
        self._tries = 0
        self._may_have_happened = False

    def after(self, error: redis.RedisError) -> float:
        """Seconds until the next try. Raises our error when there is none."""
        helps = self._helps(error)
        rest = self._ends - time.monotonic()
        wait = pause(self._tries, random.random())
        self._tries += 1
        if not helps or rest <= 0:
            raise self._give_up(error) from error
        return min(wait, rest)

    def _helps(self, error: redis.RedisError) -> bool:
        if isinstance(error, redis.exceptions.AuthenticationError):
            return False
        if isinstance(error, BROKEN):
            # redis-py says "Error 111 connecting to ..." when nothing was sent. Before the server has been looked at,
            # nothing was sent either but the question what it is.
            self._may_have_happened |= self._programs.known and "connecting to" not in str(error)
            return tls.problem(str(error)) is None
        return remedy(_message(error)) is Remedy.AGAIN

    def _give_up(self, error: redis.RedisError) -> CoordinatorError:
        if self._may_have_happened:
            return UnknownOutcome(f"the connection broke after the call was sent, and could not be made again: {error}")
        if isinstance(error, redis.exceptions.AuthenticationError):
            return ConfigError([f"Redis refuses the credentials: {error}"])
        trouble = tls.problem(str(error)) if isinstance(error, BROKEN) else None
        if trouble is not None:
            return ConfigError([f"TLS: {trouble}"])
        cure = remedy(_message(error))
        if cure is Remedy.FULL:
            return StorageFull(f"Redis takes nothing new: {error}")
        if cure is Remedy.GIVE_UP and isinstance(error, redis.exceptions.ResponseError):
            return fault(_message(error), self._what, self._text)
        hint = "" if self._programs.known or "closed" not in str(error) else "; if it speaks TLS, use rediss://"
        return StoreUnavailable(f"Redis cannot be reached: {error}{hint}")


class _Programs:
    """The scripts in the form that suits the server, found out once."""

    def __init__(self) -> None:
        self._shebang: bool | None = None

    @property
    def known(self) -> bool:
        """Whether the server has been looked at."""
        return self._shebang is not None

    def learn(self, info: dict[str, Any], allow_unsafe: bool) -> None:
        """Look at the server's INFO. Raises UnsafeServer."""
        version = server_version(info)
        if version < OLDEST:
            raise UnsafeServer([f"Redis {'.'.join(map(str, version))} is too old; 6.2 or newer is needed"])
        policy = str(info.get("maxmemory_policy", "noeviction"))
        if policy != "noeviction" and not allow_unsafe:
            raise UnsafeServer([f"maxmemory-policy is {policy}: Redis may evict jobs and locks; set it to noeviction"])
        self._shebang = version >= (7, 0)

    def attempts(self, call: Call, seconds: float) -> _Attempts:
        """The tries of a call that has failed once."""
        return _Attempts(seconds, self, f"the script {call.script!r}", self.get(call.script).text if self.known else "")

    def all(self) -> list[tuple[str, ...]]:
        """The commands that load every script."""
        return [("SCRIPT LOAD", self.get(name).text) for name in loader.names()]

    def get(self, name: str) -> Program:
        """A script for the server."""
        return loader.program(name, bool(self._shebang))


def server_version(info: dict[str, Any]) -> tuple[int, ...]:
    """The version in an INFO answer."""
    return tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:3] if part.isdigit())


class Store:
    """Calls on a sync client. Safe for many threads."""

    def __init__(self, client: Any, retry_for: float, allow_unsafe: bool = False) -> None:
        self.client = client
        self._retry_for = retry_for
        self._allow_unsafe = allow_unsafe
        self._programs = _Programs()
        self._lock = threading.Lock()

    def call(self, call: Call, retry_for: float | None = None) -> Any:
        """The raw reply. Raises StoreUnavailable, UnknownOutcome, StorageFull."""
        try:
            return self._once(call)
        except redis.RedisError as error:
            attempts = self._programs.attempts(call, self._retry_for if retry_for is None else retry_for)
            failed = error
        while True:
            time.sleep(attempts.after(failed))
            try:
                return self._once(call)
            except redis.RedisError as error:
                failed = error

    def command(self, *words: Any, **options: Any) -> Any:
        """One plain command, tried once. Raises StoreUnavailable or UnknownOutcome."""
        try:
            return self.client.execute_command(*words, **options)
        except redis.RedisError as error:
            _Attempts(0, self._programs, str(words[0])).after(error)
            raise

    def load(self) -> tuple[str, ...]:
        """Load all scripts. Returns their names. Raises as `call` does, and UnsafeServer."""
        self._look()
        for words in self._programs.all():
            self.command(*words)
        return loader.names()

    def close(self) -> None:
        """Close all connections."""
        close_sync(self.client)

    def _look(self) -> None:
        if not self._programs.known:
            with self._lock:
                self._programs.learn(self.client.info(), self._allow_unsafe)

    def _once(self, call: Call) -> Any:
        self._look()
        program = self._programs.get(call.script)
        try:
            return self.client.execute_command("EVALSHA", program.sha, 1, call.key, *call.args)
        except redis.exceptions.NoScriptError:
            try:
                return self.client.execute_command("EVAL", program.text, 1, call.key, *call.args)
            except redis.exceptions.NoPermissionError:
                raise ScriptsMissing from None


class AsyncStore:
    """Calls on an asyncio client; see `Store`."""

    def __init__(self, client: Any, retry_for: float, allow_unsafe: bool = False) -> None:
        self.client = client
        self._retry_for = retry_for
        self._allow_unsafe = allow_unsafe
        self._programs = _Programs()

    async def call(self, call: Call, retry_for: float | None = None) -> Any:
        """The raw reply. Raises StoreUnavailable, UnknownOutcome, StorageFull."""
        try:
            return await self._once(call)
        except redis.RedisError as error:
            attempts = self._programs.attempts(call, self._retry_for if retry_for is None else retry_for)
            failed = error
        while True:
            await asyncio.sleep(attempts.after(failed))
            try:
                return await self._once(call)
            except redis.RedisError as error:
                failed = error

    async def command(self, *words: Any, **options: Any) -> Any:
        """One plain command, tried once. Raises StoreUnavailable or UnknownOutcome."""
        try:
            return await self.client.execute_command(*words, **options)
        except redis.RedisError as error:
            _Attempts(0, self._programs, str(words[0])).after(error)
            raise

    async def close(self) -> None:
        """Close all connections."""
        await close_async(self.client)

    async def _once(self, call: Call) -> Any:
        if not self._programs.known:
            self._programs.learn(await self.client.info(), self._allow_unsafe)
        program = self._programs.get(call.script)
        try:
            return await self.client.execute_command("EVALSHA", program.sha, 1, call.key, *call.args)
        except redis.exceptions.NoScriptError:
            try:
                return await self.client.execute_command("EVAL", program.text, 1, call.key, *call.args)
            except redis.exceptions.NoPermissionError:
                raise ScriptsMissing from None


def _message(error: redis.RedisError) -> str:
    """The message with its code in front; redis-py takes the code of some errors away and makes it their class."""
    names = {
        redis.exceptions.ReadOnlyError: "READONLY",
        redis.exceptions.BusyLoadingError: "LOADING",
        redis.exceptions.OutOfMemoryError: "OOM",
        redis.exceptions.NoScriptError: "NOSCRIPT",
        redis.exceptions.NoPermissionError: "NOPERM",
    }
    for kind, code in names.items():
        if isinstance(error, kind):
            return f"{code} {error}"
    return str(error)
