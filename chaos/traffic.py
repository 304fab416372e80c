"""Applications for runs: children that hand in jobs and take locks until SIGTERM, and write down what they were told.

Ids are drawn before the call, so that a call whose outcome is unknown can be told from one that was never made.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import logging
import queue
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chaos.history import Recorder
from chaos.roles import STEP
from coordinator import Coordinator, Settings, State, Submission
from coordinator.drivers.ids import new_id
from coordinator.errors import CoordinatorError, JobFailed
from coordinator.ops import work
from coordinator.ops.submission import to_ask
from coordinator.wire.calls import Scope

# How long a producer that is told to stop still waits for the results it has asked for.
LAST_RESULTS = 20.0
# Seconds between two full collections. By itself a process that does as little as these has two or three in an hour.
COLLECT = 10.0


def producer(url: str, settings: dict[str, Any], history: str, process: str, options: dict[str, Any]) -> None:
    """Hands in `rate` jobs a second, each working `ms`; every `tell`th is waited for. Of `resources` resources each
    takes one, if there are any; `delay` is in seconds."""
    with _client(url, settings, history, process) as (co, recorder, stopping):
        _Producer(co, recorder, stopping, options).work()


def locker(url: str, settings: dict[str, Any], history: str, process: str, options: dict[str, Any]) -> None:
    """`threads` threads that take one of `resources` locks, keep it `ms`, and give it back."""
    with _client(url, settings, history, process) as (co, recorder, stopping):
        threads = [
            threading.Thread(target=_lock, args=(co, recorder, stopping, options), name=f"locker-{n}")
            for n in range(int(options["threads"]))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class _Producer:
    def __init__(self, co: Coordinator, recorder: Recorder, stopping: threading.Event, options: dict[str, Any]) -> None:
        self._co, self._recorder, self._stopping, self._options = co, recorder, stopping, options
        self._scope = Scope.of(co.settings.namespace, co.settings.terms())
        # Not a SimpleQueue: with several readers its `get` may outlast its timeout for ever.
        self._asked: queue.Queue[str] = queue.Queue()
        self._ended = threading.Event()

    def work(self) -> None:
        """Hand in jobs until told to stop."""
        tellers = [threading.Thread(target=self._tell, name=f"teller-{n}") for n in range(8)]
        for teller in tellers:
            teller.start()
        gap, tell = 1 / float(self._options["rate"]), int(self._options["tell"])
        next_at, number = time.monotonic(), 0
        while not self._stopping.wait(max(0.0, next_at - time.monotonic())):
            # Not faster after a pause: a load that makes up for lost time would be another load.
            next_at = max(next_at, time.monotonic() - gap) + gap
            number += 1
            ident = new_id()
            if self._submit(ident, number) and number % tell == 0:
                self._asked.put(ident)
        self._ended.set()
        for teller in tellers:
            teller.join()

    def _submit(self, ident: str, number: int) -> bool:
        options: dict[str, Any] = {}
        if self._options.get("resources"):
            options["resources"] = f"r{number % int(self._options['resources'])}"
        if self._options.get("delay"):
            options["delay"] = float(self._options["delay"])
        limit = self._co.settings.max_payload
        job = to_ask(ident, Submission(STEP, {"ms": self._options["ms"]}, **options), limit)
        with contextlib.suppress(CoordinatorError), self._recorder.doing("submit", job=ident):
            self._co.run(work.submit(self._scope, limit, job))
            return True
        return False

    def _tell(self) -> None:
        while not (self._ended.is_set() and self._asked.empty()):
            try:
                ident = self._asked.get(timeout=0.1)
            except queue.Empty:
                continue
            seconds = LAST_RESULTS if self._ended.is_set() else 60.0
            with contextlib.suppress(CoordinatorError), self._recorder.doing("told", job=ident) as told:
                try:
                    self._co.run(work.result(self._scope, ident, seconds))
                    told.args["state"] = str(State.SUCCEEDED)
                except JobFailed as error:
                    told.args["state"] = str(error.state)


def _lock(co: Coordinator, recorder: Recorder, stopping: threading.Event, options: dict[str, Any]) -> None:
    while not stopping.is_set():
        resource = f"lock{random.randrange(int(options['resources']))}"
        try:
            with recorder.doing("acquire", resource=resource) as asked:
                lease = co.acquire(resource, wait=float(options.get("wait", 30)))
                asked.fence = lease.fence
                asked.args["request"] = lease.ident
            stopping.wait(float(options["ms"]) / 1000)
            _release(lease, recorder, resource)
        except CoordinatorError:
            # In the history already. Not at once again: a client that is refused would do nothing but ask.
            stopping.wait(0.05)


def _release(lease: Any, recorder: Recorder, resource: str) -> None:
    with recorder.doing("release", resource=resource, request=lease.ident) as ended:
        ended.fence = lease.fence
        lease.release()


@contextlib.contextmanager
def _client(
    url: str, settings: dict[str, Any], history: str, process: str
) -> Iterator[tuple[Coordinator, Recorder, threading.Event]]:
    """A client, a history, and the event that SIGTERM sets."""
    logging.basicConfig(format=f"{process} %(asctime)s %(levelname)s %(name)s: %(message)s")
    # A process that does not end when it is told to is asked where it hangs.
    faulthandler.register(signal.SIGUSR1)
    stopping = threading.Event()
    # Not in the handler itself: it may have interrupted a wait for the event, which holds the lock that setting needs.
    stop: Callable[..., None] = lambda *_: threading.Thread(target=stopping.set).start()  # noqa: E731
    signal.signal(signal.SIGTERM, stop)
    recorder = Recorder(Path(history), process)
    threading.Thread(target=_collect, args=(stopping,), name="collector", daemon=True).start()
    with Coordinator.connect(url, settings=Settings.of(**settings)) as co:
        yield co, recorder, stopping
    recorder.close()


def _collect(stopping: threading.Event) -> None:
    """So that what is measured of the process is what it keeps, and not what waits for the collector."""
    while not stopping.wait(COLLECT):
        gc.collect()
