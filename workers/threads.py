"""Threads for plain `def` handlers.

Not `concurrent.futures`: its threads are joined when the interpreter ends, so one handler that never returns would keep
a worker from ever exiting. These are daemons. There are as many as handlers at work at once, which the worker's slots
bound, and idle ones are used again first.
"""

from __future__ import annotations

import contextvars
import itertools
import queue
import threading
from collections.abc import Callable
from typing import Any

Done = Callable[[Any, BaseException | None], None]
_Work = tuple[contextvars.Context, Callable[[], Any], Done]


class Threads:
    """Runs functions in threads. `run` and `stop` are called by one thread only, that of the loop."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._numbers = itertools.count(1)
        self._count = 0

    def run(self, function: Callable[[], Any], done: Done) -> None:
        """Run `function` in a thread, then `done(value, error)` in the same thread."""
        self._work.put((contextvars.copy_context(), function, done))
        if not self._idle.acquire(blocking=False):
            self._count += 1
            name = f"coordinator-handler-{next(self._numbers)}"
            threading.Thread(target=self._loop, name=name, daemon=True).start()

    def stop(self) -> None:
        """Let idle threads end, and busy ones when they are through."""
        for _ in range(self._count):
            self._work.put(None)
        self._count = 0

    def _loop(self) -> None:
        while (work := self._work.get()) is not None:
            context, function, done = work
            value, error = None, None
            try:
                value = context.run(function)
            except BaseException as problem:
                error = problem
            done(value, error)
            # Nothing of this run may stay alive until the next one comes.
            del work, context, function, done, value, error
            self._idle.release()
