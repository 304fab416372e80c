"""What the fleet shares, seen from processes of their own: turns by weights, a limit that finds its rate, texts that
are nearly the same, and alerts. Each process does what it is told, step by step, so that little is left to chance.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from coordinator import Coordinator, Settings, Submission
from coordinator.keys import key
from coordinator.policy.rate import AdaptiveLimit
from coordinator.policy.share import WEIGHTS
from coordinator.wire import calls
from coordinator.wire.gates import Gates
from tests.support.until import until

pytestmark = pytest.mark.any_version
ROOT = Path(__file__).parents[2]
PROCESSES = 2
# Reads a step in each line: the namespace, what to do, and with what. Answers in a line of its own.
PLAYER = """
import json, sys

from coordinator import Coordinator, Settings, Similar
from coordinator.wire import calls
from coordinator.wire.calls import Claim, Report

url, scenes = sys.argv[1], {}
DEEP = {"figure": "fleet.depth", "warning": 5, "hold": 0}
METRICS = {"interval": 0.05, "alerts_every": 0.05, "alerts": {"deep": DEEP}}


class Scene:
    def __init__(self, namespace):
        self.co = Coordinator.connect(url, settings=Settings.of(namespace=namespace, metrics=METRICS))
        self.scope = calls.Scope.of(namespace, self.co.settings.terms())
        self.claims = 0

    def claim(self, queue, times, wanted):
        found = []
        for _ in range(times):
            self.claims += 1
            ask = Claim(self.claims, wanted, 60_000, (queue,))
            raw = self.co._driver.store.call(calls.claim(self.scope, self.co._driver.keeper.ensure(), ask))
            found += [[one[0].decode(), int(one[1])] for one in raw[1:]]
        return found

    def settle(self, queue, jobs, outcome):
        reports = [Report(ident, str(fence), outcome, 0, b"\\x01") for ident, fence in jobs]
        ask = Claim(0, 0, 60_000, (queue,))
        self.co._driver.store.call(calls.settle(self.scope, self.co._driver.keeper.ensure(), ask, reports))

    def similar(self, text):
        ticket = self.co.submit("triage", {"title": text}, similar=Similar())
        return [ticket.ident, ticket.similar and ticket.similar.ident]

    def use(self, times):
        for _ in range(times):
            self.co.survey()


for line in sys.stdin:
    namespace, step, *given = json.loads(line)
    if namespace not in scenes:
        scenes[namespace] = Scene(namespace)
    print(json.dumps(getattr(scenes[namespace], step)(*given)), flush=True)
for one in scenes.values():
    one.co.close()
"""


class Players:
    """Processes that are told what to do."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-c", PLAYER, url]
        self._all = [
            subprocess.Popen(
                command, env={"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(PROCESSES)
        ]

    def together(self, *steps: tuple[Any, ...]) -> list[Any]:
        """Each does its step, all at the same time; their answers."""
        for one, step in zip(self._all, steps, strict=False):
            assert one.stdin is not None
            one.stdin.write(json.dumps(step) + "\n")
            one.stdin.flush()
        return [json.loads(one.stdout.readline()) for one, _ in zip(self._all, steps, strict=False) if one.stdout]

    def everybody(self, *step: Any) -> list[Any]:
        """All do the same at the same time."""
        return self.together(*[step] * PROCESSES)

    def end(self) -> None:
        for one in self._all:
            one.communicate(timeout=20)


@pytest.fixture(scope="module")
def players(redis_url: str) -> Iterator[Players]:
    made = Players(redis_url)
    yield made
    made.end()


@pytest.fixture
def co(redis_url: str, namespace: str) -> Iterator[Coordinator]:
    with Coordinator.connect(redis_url, settings=Settings.of(namespace=namespace)) as client:
        yield client


def test_processes_that_share_a_queue_by_weights_take_one_round_of_turns(
    players: Players, co: Coordinator, namespace: str
) -> None:
    priorities = ("emergency", "critical", "high", "normal", "low")
    known = {
        ticket.ident: priority
        for priority in priorities
        for ticket in co.submit_many([Submission("any", queue="fair", priority=priority) for _ in range(60)])
    }
    queue = f"fair {':'.join(map(str, WEIGHTS))}"
    found = players.everybody(namespace, "claim", queue, sum(WEIGHTS), 1)
    in_turn = [known[ident] for ident, _ in sorted((one for each in found for one in each), key=lambda one: one[1])]
    assert len(set(in_turn)) == len(WEIGHTS)
    assert all(len(each) == sum(WEIGHTS) for each in found)
    for start in range(0, len(in_turn), sum(WEIGHTS)):
        turns = Counter(in_turn[start : start + sum(WEIGHTS)])
        assert [turns[one] for one in priorities] == list(WEIGHTS)


def test_processes_that_fail_together_cut_an_adaptive_limit_once_and_find_its_rate_together(
    players: Players, co: Coordinator, namespace: str
) -> None:
    limit = AdaptiveLimit(initial=12, least=1, most=100, increase=6, decrease=0.5)
    gates = {"gates metered": Gates(rate=limit).to_wire("metered", co.settings.gate_defaults())}
    driver = co._driver
    fields = {"kind": "worker", "queues": "paced", **gates}
    driver.store.call(calls.open_session(driver.scope, "teller", fields))
    co.submit_many([Submission("metered", queue="paced") for _ in range(100)])

    def pace() -> float:
        [found] = [one for one in co.limits() if one.kind == "adaptive"]
        assert found.per_second is not None
        return found.per_second

    began = time.monotonic()
    claimed = players.everybody(namespace, "claim", "paced", 1, 10)
    taken = sum(map(len, claimed))
    # One bucket for all of them: 20 were asked for.
    assert 12 <= taken <= 12 + 12 * (time.monotonic() - began) + 1
    players.together(*((namespace, "settle", "paced", jobs, "failed") for jobs in claimed))
    assert pace() == pytest.approx(6, abs=0.01)

    def claims() -> list[Any] | None:
        found = players.everybody(namespace, "claim", "paced", 1, 2)
        return found if any(found) else None

    # Each settles what it has claimed itself, if it was only one of them.
    again = until(claims)
    players.together(*((namespace, "settle", "paced", jobs, "succeeded") for jobs in again))
    successes = sum(map(len, again))
    assert 6 + 0.9 * successes / 2 < pace() <= 6 + successes


def test_a_text_is_compared_with_what_other_processes_handed_in(players: Players, namespace: str) -> None:
    text = "The login page shows an error after the password was changed"
    [[first, nothing]] = players.together((namespace, "similar", text))
    assert nothing is None
    _, [_, hit] = players.together((namespace, "use", 0), (namespace, "similar", f"{text} twice"))
    assert hit == first


def test_an_alert_is_raised_once_however_many_processes_look(
    players: Players, co: Coordinator, namespace: str, raw: redis.Redis
) -> None:
    co.submit_many([Submission("any") for _ in range(6)])
    pulse, looks = key(namespace, "PULSE"), set[bytes]()

    def looked() -> bool:
        players.everybody(namespace, "use", 20)
        looks.add(raw.hget(pulse, "judged") or b"")
        return len(looks) > 5

    until(looked)
    told = [fields for _, fields in raw.xrange(key(namespace, "EVENTS")) if fields[b"event"] == b"alert"]
    assert [one[b"state"] for one in told if one[b"id"] == b"deep"] == [b"raised"]
