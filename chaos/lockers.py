"""The clients of the lock storm, each an entry of the nursery: take a lock, write to the store, give it back.

Some of them pause in the middle for longer than their session lasts, and then write on in the belief that they still
hold the lock, as a program does that nobody told. Some die there.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from chaos.history import Recorder
from chaos.locking import give_back, take
from chaos.store import FencedStore
from coordinator import Coordinator, Need, Settings
from coordinator.drivers import failpoints
from coordinator.errors import CoordinatorError
from coordinator.leases import Lease

COUNTED, PERMITS = "n", 3
# Seconds for which permits are held at most.
MOST_COUNTED = 0.01


def locker(url: str, settings: dict[str, Any], history: str, process: str, options: dict[str, Any]) -> None:
    """Take `grants` locks. `options`: how many, on which resources, under which seed, how often to pause and to die."""
    recorder = Recorder(Path(history), process)
    failpoints.switch_on(options["failpoints"], lambda place, how: recorder.note("failpoint", place=place, how=how))
    store = FencedStore(Path(options["store"]), recorder)
    with Coordinator.connect(url, settings=Settings.of(**settings | options.get("settings", {}))) as co:
        _Locker(co, recorder, store, options).run()
    store.close()


class _Locker:
    """One client at work."""

    def __init__(self, co: Coordinator, recorder: Recorder, store: FencedStore, options: dict[str, Any]) -> None:
        self._co, self._recorder, self._store, self._options = co, recorder, store, options
        self._chance = random.Random(options["seed"])

    def run(self) -> None:
        """Until all grants are had, or so much is refused that something is wrong.

        A request may be refused once in a while: one under way as the session ends that was slept through, say.
        """
        wanted, had = self._options["grants"], 0
        for _ in range(2 * wanted + 10):
            if had == wanted:
                break
            need, size = self._need()
            with contextlib.suppress(CoordinatorError):
                lease = take(self._co, self._recorder, need, size, wait=60)
                had += 1
                self._use(lease, need, guarded=had % 2 == 1)
                give_back(lease, self._recorder, need.resource)

    def _need(self) -> tuple[Need, int]:
        """Mostly a lock of one's own; or one that others share, or some permits of the one counted resource."""
        drawn, resource = self._chance.random(), f"r/{self._chance.randrange(self._options['resources'])}"
        if drawn < self._options.get("counted", 0.0):
            return Need(COUNTED, permits=self._chance.randint(1, 2)), PERMITS
        return Need(resource, "shared" if drawn > 1 - self._options.get("shared", 0.0) else "exclusive"), 1

    def _use(self, lease: Lease, need: Need, guarded: bool) -> None:
        # Whoever is not alone there only reads: of several who write at once fences make no order.
        writes = need.mode == "exclusive" and need.resource != COUNTED
        if writes:
            self._store.write(need.resource, lease.fence, guarded=guarded)
        elif need.resource == COUNTED:
            # Long enough that there are always more who want permits than there are.
            time.sleep(self._chance.uniform(0, MOST_COUNTED))
        drawn = self._chance.random()
        if drawn < self._options["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        if drawn < self._options["die"] + self._options["pause"]:
            self._pause()
        # Without asking `lease.held` first, which would know: what is tested is the fence, not good manners.
        if writes:
            self._store.write(need.resource, lease.fence, guarded=guarded)

    def _pause(self) -> None:
        """Stop this whole process, threads and all, for longer than its session lasts."""
        seconds = self._options["seconds"] * self._chance.uniform(1.0, 1.5)
        with subprocess.Popen(["/bin/sh", "-c", f"sleep {seconds:.3f}; kill -CONT {os.getpid()}"]):
            os.kill(os.getpid(), signal.SIGSTOP)
