"""The doctor knows jobs that wait at a gate, names every fault of theirs that is planted, and mends it."""

import pytest

from coordinator.wire import calls
from coordinator.wire.gates import Gates
from tests.support.health import assert_healthy
from tests.support.scene import Scene
from tests.support.until import until

pytestmark = pytest.mark.plants_faults

GATE = "breaker/job"


def gated(scene: Scene) -> str:
    """A job that needs a resource and waits behind an open breaker."""
    scope = scene.co._driver.scope
    fields = {"kind": "worker", "queues": "default", "gates job": Gates(("job",)).to_wire("job")}
    scene.co._driver.store.call(calls.open_session(scope, "teller", fields))
    scene.co.open_breaker("job", reason="test")
    ident = scene.co.submit("job", {"n": 1}, resources=["x"]).ident
    assert scene.claim() == []
    assert scene.co.explain(ident).gate is not None
    return ident


def lines_again(scene: Scene, ident: str) -> None:
    """It is mended, and goes on when the gate opens."""
    scene.mend()
    scene.co.close_breaker("job")
    assert until(scene.claim)[0][0] == ident


def test_a_job_that_waits_at_a_gate_is_no_fault(scene: Scene) -> None:
    gated(scene)
    assert_healthy(scene.co)


@pytest.mark.parametrize("place", ["GATED", "WAITING"])
def test_a_job_that_is_not_where_it_waits_is_put_back(scene: Scene, place: str) -> None:
    ident = gated(scene)
    scene.raw.zrem(scene.key(place, f"{GATE}:default" if place == "GATED" else "default"), ident)
    assert any("is waiting, but is not in" in fault for fault in scene.faults(ident))
    lines_again(scene, ident)


def test_a_gate_that_nobody_looks_at_lets_its_jobs_go_on(scene: Scene) -> None:
    ident = gated(scene)
    scene.raw.delete(scene.key("CLOCKS"))
    assert scene.faults(ident) == ["nobody looks at the gate it waits at"]
    lines_again(scene, ident)


def test_a_job_at_a_gate_stands_in_no_line(scene: Scene) -> None:
    ident = gated(scene)
    scene.raw.zadd(scene.key("LINE", "x"), {ident: 1})
    scene.raw.zadd(scene.key("RESOURCES"), {"x": 0})
    assert scene.faults(ident) == ["is waiting, but is in line:x"]
    lines_again(scene, ident)


def test_a_stranger_at_a_gate_is_taken_out_and_does_no_harm(scene: Scene) -> None:
    ident = gated(scene)
    scene.raw.zadd(scene.key("GATED", f"{GATE}:default"), {"ghost": 1})
    assert scene.faults("ghost") == [f"has no record, but is in gated:{GATE}:default"]
    scene.co.close_breaker("job")
    assert until(scene.claim)[0][0] == ident


def test_what_a_gate_remembers_may_be_lost(scene: Scene) -> None:
    ident = gated(scene)
    scene.raw.delete(scene.key("GATE", GATE), scene.key("GATES"))
    scene.raw.zadd(scene.key("CLOCKS"), {f"default {GATE}": 0})
    assert until(scene.claim)[0][0] == ident
