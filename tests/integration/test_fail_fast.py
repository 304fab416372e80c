"""A handler whose open breaker refuses: what its callers see, and what is measured of it."""

import pytest

from coordinator import BreakerPolicy, Coordinator, Settings, Submission
from coordinator.errors import BatchRefused, BreakerOpen
from coordinator.metrics.recorder import Recorder
from coordinator.wire import calls
from coordinator.wire.gates import Gates
from tests.support.scene import Scene


def refusing(scene: Scene, gates: Gates) -> None:
    """A worker has told of a handler's gates, and an operator has opened its breaker."""
    fields = {
        "kind": "worker",
        "queues": "default",
        "gates job": gates.to_wire("job", scene.co.settings.gate_defaults()),
    }
    scene.call(calls.open_session(scene.scope, "teller", fields))
    scene.co.open_breaker("job", 60, "test")


def test_a_submission_fails_at_once_and_says_when_to_come_again(scene: Scene) -> None:
    refusing(scene, Gates(("job",), BreakerPolicy(on_open="refuse")))
    scene.co._driver.meter = meter = Recorder()
    with pytest.raises(BreakerOpen, match="breaker 'job' is open") as caught:
        scene.co.submit("job", {"n": 1}, priority="low")
    assert caught.value.breaker == "job"
    assert 50 < caught.value.retry_after <= 60
    with pytest.raises(BatchRefused) as batch:
        scene.co.submit_many([Submission("job", priority="high"), Submission("other")])
    assert list(batch.value.errors) == [0]
    assert meter.take().counts == {"shed.jobs:low": 1, "shed.jobs:high": 1}
    scene.co.close_breaker("job", "test")
    assert scene.co.submit("job").ident


def test_waiting_is_the_default_and_a_setting_changes_that(scene: Scene, redis_url: str) -> None:
    assert Settings.of(breaker={"on_open": "refuse"}).gate_defaults().breaker.on_open == "refuse"
    refusing(scene, Gates(("job",)))
    assert scene.co.submit("job").state() in ("waiting", "ready")
    with Coordinator.connect(redis_url, settings=scene.co.settings) as other:
        assert other.submit("job").ident
