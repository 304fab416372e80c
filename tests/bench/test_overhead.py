"""Everything on against everything off."""

import pytest

from bench.peers import OURS, PEERS
from bench.workloads import overhead
from bench.workloads.base import Sizes
from coordinator.sections import Section
from coordinator.settings import Settings

pytestmark = pytest.mark.no_redis


def test_every_policy_that_has_a_switch_is_off_on_one_side_and_on_on_the_other(monkeypatch):
    switches = {"enabled", "budget", "learn"}
    for name, value in overhead.OFF.items():
        monkeypatch.setenv(name, value)
    off = Settings()
    sections = [name for name in Settings.model_fields if isinstance(getattr(off, name), Section)]
    found = {
        f"{name}.{field}": getattr(getattr(off, name), field)
        for name in sections
        for field in type(getattr(off, name)).model_fields
        if field in switches
    }
    assert set(found) >= {"metrics.enabled", "retries.budget", "shed.enabled", "stealing.enabled", "timeouts.learn"}
    assert not any(found.values()), found
    assert (off.terms().retry_floor, off.terms().shedding) == (0, 0)
    assert overhead.ON == {}


def test_the_ratio_is_that_of_neighbours_and_each_side_is_first_in_turn(monkeypatch):
    order = []

    def done(_scene, peer, _sizes):
        order.append(peer.workers["drain"].words.split()[3])
        # The machine becomes slower all the while; a job costs one side a quarter more.
        speed = (2.0 if "none" in order[-1] else 1.6) / (1 + (len(order) - 1) // 2)
        return dict.fromkeys(("drain", "flow", "pairs", "commands", "redis_us", "worker_us"), speed)

    monkeypatch.setattr(overhead, "_done", done)
    found = overhead.overhead(None, Sizes(turns=4))
    assert [one.rpartition(":")[2] for one in order] == [
        "none",
        "every",
        "every",
        "none",
        "none",
        "every",
        "every",
        "none",
    ]
    assert {found[what] for what in ("drain", "flow", "pairs")} == {0.8}
    assert set(found) == {figure.key for figure in overhead.OVERHEAD.figures}


def test_the_sides_are_ourselves():
    assert PEERS[0].name == OURS
    assert PEERS[0].workers["drain"].words.startswith("{bin}/coordinator worker run bench.actors.ours:jobs ")
