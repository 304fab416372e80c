"""Processes for handlers that must be killable: pebble's pool, started by the first job that needs it.

A child imports the module that was named on the command line and is told a function by module and name, both of this
process's registry; nothing from Redis decides what code runs. What the handler returns is packed in the child, and what
it raises comes back as words, so no object of the handler's is unpickled here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import logging
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from coordinator.errors import ConfigError, CoordinatorError
from coordinator.policy import on_error
from workers import judge, logs, words
from workers.context import ProcessContext
from workers.control import Control, HandlerFailed, plain
from workers.judge import Packed
from workers.registry import Handler, Registry

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Errand:
    """What a child is asked to do."""

    module: str
    name: str
    context: ProcessContext
    payload: Any
    max_result: int
    rules: on_error.Rules = field(default_factory=dict)
    ignores: tuple[type[BaseException], ...] = ()


class Places:
    """As many at once as there are processes; the others wait. `spent`: how long all of them were taken, in seconds."""

    def __init__(self, size: int) -> None:
        self.size, self.taken, self.spent = size, 0, 0.0
        self._free = asyncio.Semaphore(size)
        self._since = 0.0

    async def __aenter__(self) -> None:
        await self._free.acquire()
        self._count(1)

    async def __aexit__(self, *_error: object) -> None:
        self._count(-1)
        self._free.release()

    def _count(self, more: int) -> None:
        now = time.monotonic()
        self.spent += self.taken / self.size * (now - self._since)
        self.taken, self._since = self.taken + more, now


class Processes:
    """The pool of one worker. `size` processes, one handler in each at a time."""

    def __init__(self, registry: Registry, size: int, max_result: int) -> None:
        handlers = [one for one in registry if one.executor == "process"]
        self._places = {one.name: _place(one) for one in handlers}
        self._handlers = {one.name: one for one in handlers}
        self._size, self._max_result = size, max_result
        self._pool: ProcessPool | None = None
        self._asked: dict[str, ProcessFuture[Any]] = {}
        self.slots = Places(size)

    async def run(self, context: ProcessContext, payload: Any, seconds: float | None) -> Any:
        """Run a handler. Cancelling kills its process. Raises TimeoutError when it was killed for taking too long,
        Control, HandlerFailed."""
        module, name = self._places[context.name]
        handler = self._handlers[context.name]
        errand = Errand(module, name, context, payload, self._max_result, handler.on_error, handler.breaker_ignores)
        asked = self._asked[context.id] = self._ready().schedule(run_errand, (errand,), timeout=seconds)
        try:
            answer = await asyncio.wrap_future(asked)
        except ProcessExpired as error:
            raise HandlerFailed(f"its process died with exit code {error.exitcode}") from None
        finally:
            if self._asked.get(context.id) is asked:
                del self._asked[context.id]
        if isinstance(answer, Control | HandlerFailed):
            raise answer
        return Packed(answer) if answer else None

    def starting(self, ident: str) -> bool:
        """Whether a job is with the pool and no process has taken it yet: one that starts needs its time."""
        asked = self._asked.get(ident)
        return asked is not None and not asked.running() and not asked.done()

    async def stop(self) -> None:
        """Kill all processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]
            await asyncio.to_thread(pool.join)

    def _ready(self) -> ProcessPool:
        """The pool; a new one if a process that died at the wrong moment broke the last."""
        if self._pool is None or not self._pool.active:
            if self._pool is not None:
                log.warning("the process pool broke and is started anew")
                self._pool.stop()  # type: ignore[no-untyped-call]
            modules = tuple(sorted({module for module, _ in self._places.values()}))
            self._pool = ProcessPool(
                self._size,
                initializer=prepare,
                initargs=(os.getpid(), modules, logs.style()),
                context=multiprocessing.get_context("spawn"),
            )
        return self._pool


def prepare(parent: int, modules: tuple[str, ...], style: logs.Style | None) -> None:
    """In a new child: end with the parent, log as the parent does, and import what will be needed."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    if style is not None:
        logs.configure(style)
    for module in modules:
        # The errand says what is wrong, to each job; a child that died here would break the pool.
        with contextlib.suppress(Exception):
            importlib.import_module(module)


def run_errand(errand: Errand) -> bytes | Control | HandlerFailed:
    """In a child: run a handler, and say in plain data what came of it."""
    try:
        function = reduce(getattr, errand.name.split("."), importlib.import_module(errand.module))
        result = function(errand.context, errand.payload)  # type: ignore[operator]
    except Control as answer:
        return plain(answer)
    except BaseException as error:
        errand.context.log.warning("handler raised", error=words.of_error(error), exc_info=error)
        ruled, blameless = on_error.find(errand.rules, error), isinstance(error, errand.ignores)
        return HandlerFailed(words.of_error(error), ruled, blameless)
    try:
        return judge.pack_result(result, errand.max_result)
    except CoordinatorError as error:
        return judge.unfit(error)


def _place(handler: Handler) -> tuple[str, str]:
    """Where a child finds the function. Raises ConfigError for one that only exists here."""
    module, name = getattr(handler.function, "__module__", None), getattr(handler.function, "__qualname__", "")
    found: Any = sys.modules.get(module or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    if module is None or found is not handler.function:
        raise ConfigError([f"handler {handler.name!r}: for a process it must be a function at the top of a module"])
    return module, name
