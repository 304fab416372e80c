"""Every recipe in several processes on one server, of which one is killed while it holds.

What each says of itself, by the clock that all processes of a machine share, is put together and judged.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.until import until

ROOT = Path(__file__).parents[2]
LONG = os.environ.get("COORDINATOR_TEST_LONG") == "1"
SECONDS = 20.0 if LONG else 0.6
PARTIES, PERMITS, ROUNDS, COUNTS = 4, 3, 20, 5

PLAYER = """
import json
import random
import sys
import time

from coordinator import Barrier, Coordinator, CountDownLatch, Election, RWLock, Semaphore, Settings

url, namespace, kind = sys.argv[1:4]
seconds, parties, permits, rounds, counts, ttl = json.loads(sys.argv[4])


def say(what, number, fence=0):
    print(json.dumps([time.monotonic(), what, number, fence]), flush=True)


def hold(leased, number):
    with leased as lease:
        say("in", number, lease.fence)
        time.sleep(random.uniform(0, 0.004))
        say("out", number, lease.fence)


soon = Settings.of(namespace=namespace, session_ttl=ttl, sweep_interval=0.5, operation_timeout=2.0)
with Coordinator.connect(url, settings=soon) as co:
    if kind == "barrier":
        for number in range(rounds):
            say("comes", number)
            Barrier(co, "phase", parties).wait(20)
            say("goes", number)
    elif kind == "latch":
        latch = CountDownLatch(co, "ready", parties * counts)
        for number in range(counts):
            say("counts", number)
            latch.count_down()
        latch.wait(20)
        say("goes", 0)
    ends = time.monotonic() + seconds
    while kind not in ("barrier", "latch") and time.monotonic() < ends:
        if kind == "semaphore":
            number = random.choice((1, 2))
            hold(Semaphore(co, "runners", permits).hold(number, wait=60), number)
        elif kind == "rwlock":
            writes = random.random() < 0.3
            lock = RWLock(co, "config")
            hold(lock.write(wait=60) if writes else lock.read(wait=60), int(writes))
        else:
            hold(Election(co, "scheduler").campaign(60), 1)
"""


class Said(NamedTuple):
    """One line of one process."""

    at: float
    what: str
    number: int
    fence: int
    who: int


class Players:
    """Processes that all play the same recipe.

    What they say goes to files: a pipe that is full would stop one that holds.
    """

    def __init__(self, url: str, namespace: str, kind: str, folder: Path) -> None:
        played = [SECONDS, PARTIES, PERMITS, ROUNDS, COUNTS]
        self._told = [folder / f"{who}.told" for who in range(PARTIES)]
        self._all = []
        for who, path in enumerate(self._told):
            # The one that is killed is seen dead soon; the others may be kept waiting by the machine.
            words = json.dumps([*played, 10.0 if who else 2.0])
            command = [sys.executable, "-c", PLAYER, url, namespace, kind, words]
            with path.open("w") as told:
                self._all.append(subprocess.Popen(command, cwd=ROOT, stdout=told))

    def kill_one_that_holds(self) -> None:
        """End the first as soon as it says that it has something."""
        until(lambda: '"in"' in self._told[0].read_text(), 60)
        self._all[0].kill()

    def said(self, killed: bool) -> list[Said]:
        """All that they said, in order."""
        assert [one.wait(SECONDS + 60) for one in self._all] == [-9 if killed else 0, *[0] * (PARTIES - 1)]
        lines = [(who, line) for who, path in enumerate(self._told) for line in path.read_text().splitlines()]
        return sorted(Said(*json.loads(line), who) for who, line in lines if line.endswith("]"))


def permits_fit(said: list[Said]) -> None:
    taken = Counter[int]()
    for one in said:
        taken[one.who] = one.number if one.what == "in" else 0
        assert taken.total() <= PERMITS, one


def writers_are_alone(said: list[Said]) -> None:
    inside: dict[int, int] = {}
    for one in said:
        if one.what == "out":
            del inside[one.who]
        else:
            assert not inside or not (one.number or any(inside.values())), one
            inside[one.who] = one.number


def one_leads_and_fences_grow(said: list[Said]) -> None:
    leader, newest = -1, 0
    for one in said:
        if one.what == "in":
            assert (leader, one.fence > newest) == (-1, True), one
            leader, newest = one.who, one.fence
        else:
            leader = -1


def all_go_on_together(said: list[Said]) -> None:
    come = Counter[int]()
    for one in said:
        come[one.number] += one.what == "comes"
        assert one.what == "comes" or come[one.number] == PARTIES, one
    assert come == dict.fromkeys(range(ROUNDS), PARTIES)


def none_goes_before_all_was_counted(said: list[Said]) -> None:
    assert [one.what for one in said] == ["counts"] * PARTIES * COUNTS + ["goes"] * PARTIES


JUDGES: dict[str, Callable[[list[Said]], Any]] = {
    "semaphore": permits_fit,
    "rwlock": writers_are_alone,
    "election": one_leads_and_fences_grow,
    "barrier": all_go_on_together,
    "latch": none_goes_before_all_was_counted,
}


ILLEGAL: dict[str, list[tuple[float, str, int, int, int]]] = {
    "semaphore": [(1, "in", 2, 1, 0), (2, "in", 2, 2, 1)],
    "rwlock": [(1, "in", 0, 1, 0), (2, "in", 1, 2, 1)],
    "election": [(1, "in", 1, 5, 0), (2, "out", 1, 5, 0), (3, "in", 1, 4, 1)],
    "barrier": [(1, "comes", 0, 0, 0), (2, "goes", 0, 0, 0)],
    "latch": [(1, "counts", 0, 0, 0), (2, "goes", 0, 0, 1)],
}


@pytest.mark.no_redis
@pytest.mark.parametrize("kind", JUDGES)
def test_the_judges_see_what_must_not_be(kind: str) -> None:
    with pytest.raises(AssertionError):
        JUDGES[kind]([Said(*one) for one in ILLEGAL[kind]])


@pytest.mark.timeout(200 if LONG else 150)
@pytest.mark.parametrize("kind", JUDGES)
def test_a_recipe_keeps_its_word_among_processes(kind: str, redis_url: str, namespace: str, tmp_path: Path) -> None:
    players, killed = Players(redis_url, namespace, kind, tmp_path), kind not in ("barrier", "latch")
    if killed:
        players.kill_one_that_holds()
    said = players.said(killed)
    # The others go on after what it held has lapsed.
    assert {one.who for one in said if one.what in ("out", "goes")} >= set(range(1 if killed else 0, PARTIES))
    mine = [one for one in said if one.who == 0]
    if killed and mine[-1].what == "in":
        said = sorted([*said, mine[-1]._replace(at=mine[-1].at + 1e-9, what="out")])
    JUDGES[kind](said)
