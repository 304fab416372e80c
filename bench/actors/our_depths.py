"""Coordinator with many jobs queued: what a submission costs then, and what recording outcomes and claiming costs.

The latter by the very operation that the worker uses, a hundred jobs at a time, without a worker around it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

from bench.actors.speech import said
from coordinator import Coordinator, Submission
from coordinator.ops.fleet import Claimed, exchange
from coordinator.settings import Settings
from coordinator.wire.calls import Claim, Report, Scope

PAYLOAD = "x" * 100
BATCH = 100
CHUNK = 1_000
ROUNDS = 6
ROUND = 5 * BATCH
MAX_QUEUE = 10_000_000


class Actor:
    def __init__(self) -> None:
        self._settings = Settings.of(max_queue=MAX_QUEUE)
        self._coordinator = Coordinator.connect(said("URL"), settings=self._settings)
        self._scope = Scope.of(self._settings.namespace, self._settings.terms())
        self._jobs: Sequence[Claimed] = ()
        self._number = 0
        self._queued = 0

    def fill(self, depth: int) -> int:
        """Queue jobs until so many are there."""
        while self._queued < depth:
            self._coordinator.submit_many([Submission("noop", PAYLOAD)] * CHUNK)
            self._queued += CHUNK
        return self._queued

    def costs(self) -> dict[str, float]:
        """Median us of a submission, and of a job in an exchange. The depth is the same before and after."""
        submits, exchanges = [], []
        for _ in range(ROUNDS):
            for _ in range(ROUND):
                begun = time.perf_counter()
                self._coordinator.submit("noop", PAYLOAD)
                submits.append(time.perf_counter() - begun)
            for _ in range(ROUND // BATCH):
                begun = time.perf_counter()
                self._exchange()
                exchanges.append(time.perf_counter() - begun)
        return {"enqueue": median(submits) * 1e6, "settle": median(exchanges) * 1e6 / BATCH}

    def _exchange(self) -> None:
        self._number += 1
        ask = Claim(self._number, BATCH, round(self._settings.max_hold * 1000), ("default",))
        reports = [Report(one.ident, str(one.fence), "succeeded", 0, b"") for one in self._jobs]
        self._jobs = list(self._coordinator.run(exchange(self._scope, ask, reports)).jobs())
        if len(self._jobs) != BATCH:
            raise RuntimeError(f"claimed {len(self._jobs)} jobs of {BATCH}")
