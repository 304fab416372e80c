"""Coordinator with many jobs queued: what a submission costs then, and what recording outcomes and claiming costs.

The latter by the very operation that the worker uses, a hundred jobs at a time, without a worker around it.

The machine may be half as fast a minute later. So what depth costs is the ratio to a second, shallow server, the two
measured in turns of a few milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

from bench.actors.speech import said
from coordinator import Coordinator, Submission
from coordinator.ops.fleet import Claimed, exchange
from coordinator.settings import Settings
from coordinator.wire.calls import Claim, Report, Scope

PAYLOAD = "x" * 100
BATCH = 100
CHUNK = 1_000
TURN = 20  # submissions; a turn of exchanges is one batch
ROUNDS = 40  # of as many submissions as one exchange takes out
MAX_QUEUE = 10_000_000
# No heartbeat comes between: it would give back what is claimed here, since no worker says that it has it.
SESSION_SECONDS = 3_600.0


class Side:
    """One of the two servers."""

    def __init__(self, url: str) -> None:
        self._settings = Settings.of(max_queue=MAX_QUEUE, session_ttl=SESSION_SECONDS)
        self._coordinator = Coordinator.connect(url, settings=self._settings)
        self._scope = Scope.of(self._settings.namespace, self._settings.terms())
        self._jobs: Sequence[Claimed] = ()
        self._number = 0
        self._queued = 0

    def fill(self, depth: int) -> None:
        """Queue jobs until so many are there."""
        while self._queued < depth:
            self._coordinator.submit_many([Submission("noop", PAYLOAD)] * CHUNK)
            self._queued += CHUNK

    def submit(self) -> float:
        """Seconds of a submission: the median of a turn of them."""
        taken = []
        for _ in range(TURN):
            begun = time.perf_counter()
            self._coordinator.submit("noop", PAYLOAD)
            taken.append(time.perf_counter() - begun)
        return median(taken)

    def exchange(self) -> float:
        """Seconds per job of an exchange: the batch claimed last is settled, another claimed."""
        begun = time.perf_counter()
        self._number += 1
        ask = Claim(self._number, BATCH, round(self._settings.max_hold * 1000), ("default",))
        reports = [Report(one.ident, str(one.fence), "succeeded", 0, b"") for one in self._jobs]
        self._jobs = list(self._coordinator.run(exchange(self._scope, ask, reports)).jobs())
        if len(self._jobs) != BATCH:
            raise RuntimeError(f"claimed {len(self._jobs)} jobs of {BATCH}")
        return (time.perf_counter() - begun) / BATCH


class Actor:
    def __init__(self) -> None:
        self._deep = Side(said("URL"))

    def beside(self, url: str, depth: int) -> None:
        """Set the second server up, with so many jobs queued."""
        self._shallow = Side(url)
        self._shallow.fill(depth)

    def fill(self, depth: int) -> None:
        """Queue jobs on the first server until so many are there."""
        self._deep.fill(depth)

    def costs(self) -> dict[str, float]:
        """Median us of a submission, and of a job in an exchange; and how many times those of the other server.
        How many jobs that were, and their processor time here, in seconds.

        The depths are the same before and after.
        """
        cpu, submits, exchanges = time.process_time(), Turns(Side.submit), Turns(Side.exchange)
        for _ in range(ROUNDS):
            for _ in range(BATCH // TURN):
                submits.take(self._deep, self._shallow)
            exchanges.take(self._deep, self._shallow)
        return {
            "enqueue": submits.microseconds(),
            "settle": exchanges.microseconds(),
            "enqueue_growth": submits.growth(),
            "settle_growth": exchanges.growth(),
            "jobs": ROUNDS * BATCH,
            # Both servers had the same done.
            "cpu": (time.process_time() - cpu) / 2,
        }


class Turns:
    """What something took on the one server and on the other, one directly after the other."""

    def __init__(self, work: Callable[[Side], float]) -> None:
        self._work = work
        self._pairs: list[tuple[float, float]] = []

    def take(self, deep: Side, shallow: Side) -> None:
        """One turn of each. Who is first changes, as the second may find the machine warmer."""
        if len(self._pairs) % 2:
            other, own = self._work(shallow), self._work(deep)
        else:
            own, other = self._work(deep), self._work(shallow)
        self._pairs.append((own, other))

    def microseconds(self) -> float:
        """The median of the deep server."""
        return median(own for own, _ in self._pairs) * 1e6

    def growth(self) -> float:
        """The median of the ratios of neighbours: what slows both cancels out, and one disturbed turn counts once."""
        return median(own / other for own, other in self._pairs)
