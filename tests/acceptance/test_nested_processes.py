"""Many clients in two processes take locks one by one in any order: somebody always gets on, and no circle lasts.

What is seen is judged by a graph of its own, which is drawn from the events of the namespace in their order.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import redis

ROOT = Path(__file__).parents[2]
LONG = os.environ.get("COORDINATOR_TEST_LONG") == "1"
SECONDS = 30.0 if LONG else 0.5
EACH = 25 if LONG else 8  # clients in a process
LONGEST_MS = 100
PROGRESS = 2.0

CLIENTS = """
import asyncio
import json
import random
import sys
import time

from coordinator import AsyncCoordinator, Settings
from coordinator.errors import Deadlock

url, namespace, each, seconds = *sys.argv[1:3], int(sys.argv[3]), float(sys.argv[4])
asked, done, refused = {}, [], 0


async def client(co, ends):
    global refused
    while time.monotonic() < ends:
        held = []
        try:
            for name in random.sample(range(20), 5):
                ticket = await co.request(f"n{name}", within=held[0] if held else None)
                asked[ticket.ident] = [f"n{name}", held[0].ident if held else ticket.ident]
                held.append(await ticket.wait(20))
                await asyncio.sleep(0)
            done.append(time.monotonic())
        except Deadlock:
            refused += 1
        for lease in held:
            await lease.release()


async def main():
    settings = Settings.of(namespace=namespace, max_events=10**6)
    async with AsyncCoordinator.connect(url, settings=settings) as co:
        await co.try_acquire(f"warm-{id(co)}")
        began = time.monotonic()
        await asyncio.gather(*(client(co, began + seconds) for _ in range(each)))
        print(json.dumps([began, asked, done, refused]))


asyncio.run(main())
"""


class Graph:
    """Who waits for whom, by the work that their locks belong to."""

    def __init__(self, asked: Mapping[str, tuple[str, ...]]) -> None:
        self._asked = asked
        self._holder: dict[str, str] = {}
        self._lines: dict[str, list[str]] = {}
        self._waiting: dict[str, str] = {}

    def apply(self, event: str, ident: str) -> None:
        """Take one event in. Of equal priority, who asks last stands last."""
        if ident not in self._asked:
            return
        resource, _ = self._asked[ident]
        line = self._lines.setdefault(resource, [])
        if event == "ask":
            line.append(ident)
            self._waiting[self._flow(ident)] = ident
        elif ident in line:
            line.remove(ident)
            del self._waiting[self._flow(ident)]
        if event == "grant":
            assert self._holder.get(resource, ident) == ident, f"{resource} is held twice"
            self._holder[resource] = ident
        elif event in ("release", "lose") and self._holder.get(resource) == ident:
            del self._holder[resource]

    def in_circle(self, ident: str) -> bool:
        """Whether the work that a request belongs to waits for itself."""
        found, left = set[str](), [self._flow(ident)]
        while left:
            for flow in self._waits_for(left.pop()):
                if flow == self._flow(ident):
                    return True
                if flow not in found:
                    found.add(flow)
                    left.append(flow)
        return False

    def _flow(self, ident: str) -> str:
        return self._asked[ident][1] if ident in self._asked else ""

    def _waits_for(self, flow: str) -> Iterator[str]:
        """Each work waits for one lock at a time: for its holder, and for all who stand before it."""
        ident = self._waiting.get(flow)
        if ident is not None:
            resource = self._asked[ident][0]
            line = self._lines[resource]
            holder = self._holder.get(resource)
            yield from map(self._flow, line[: line.index(ident)] + ([holder] if holder else []))


def lasting(raw: "redis.Redis", namespace: str, graph: Graph) -> tuple[int, int, int]:
    """For how long the longest circle lasted, in ms of the server's clock; how many there were, and how many events."""
    longest, circles, count, last = 0, 0, 0, "-"
    since: dict[str, int] = {}
    while page := raw.xrange(f"co:{{{namespace}}}:events", last, "+", 1000):
        for _, fields in page:
            ident, at = fields[b"id"].decode(), int(fields[b"ms"])
            graph.apply(fields[b"event"].decode(), ident)
            # What an event closes goes through whom it is about.
            closed = {one for one in {ident, *since} if graph.in_circle(one)}
            circles += bool(closed - since.keys())
            longest = max([longest, *(at - began for began in since.values())])
            since = {one: since.get(one, at) for one in closed}
        count, last = count + len(page), b"(" + page[-1][0]
    assert not since, "a circle is left"
    return longest, circles, count


@pytest.mark.no_redis
def test_the_graph_sees_a_circle_through_a_holder_and_through_a_line() -> None:
    graph = Graph({"a1": ("a", "a1"), "a2": ("b", "a1"), "b1": ("b", "b1"), "b2": ("a", "b1"), "c1": ("b", "c1")})
    for event, ident in [("ask", "a1"), ("grant", "a1"), ("ask", "b1"), ("grant", "b1"), ("ask", "a2")]:
        graph.apply(event, ident)
    assert not graph.in_circle("a2")
    graph.apply("ask", "c1")
    graph.apply("ask", "b2")
    assert (graph.in_circle("a2"), graph.in_circle("b2"), graph.in_circle("c1")) == (True, True, False)
    graph.apply("cancel", "b2")
    assert not graph.in_circle("a2")
    with pytest.raises(AssertionError, match="held twice"):
        graph.apply("grant", "a2")


@pytest.mark.timeout(300 if LONG else 60)
def test_somebody_always_gets_on_and_no_circle_lasts(redis_url: str, raw: "redis.Redis", namespace: str) -> None:
    words = [sys.executable, "-c", CLIENTS, redis_url, namespace, str(EACH), str(SECONDS)]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, cwd=ROOT) for _ in range(2)]
    told = [json.loads(one.communicate(timeout=SECONDS + 60)[0]) for one in processes]
    began = max(one[0] for one in told)
    asked = {ident: tuple(entry) for one in told for ident, entry in one[1].items()}
    done = sorted(at for one in told for at in one[2])
    refused = sum(one[3] for one in told)
    longest, circles, events = lasting(raw, namespace, Graph(asked))
    gaps = [later - earlier for earlier, later in zip([began, *done], done, strict=False)]
    print(
        f"{len(done)} ends, {refused} gave way, longest pause {max(gaps):.3f} s, {circles} circles of {events} events"
    )
    print(f"the longest circle lasted {longest} ms")
    assert refused > 0
    assert max(gaps) <= PROGRESS
    assert longest <= LONGEST_MS
