"""Opening and closing breakers by name: one that nobody knows is not taken for done."""

from functools import partial

import pytest

from coordinator.errors import InvalidInput
from coordinator.wire import calls
from coordinator.wire.gates import Gates
from tests.support.scene import Scene


@pytest.fixture
def told(scene: Scene) -> Scene:
    """A worker has told of the breakers of a handler."""
    gates = Gates(("job", "github")).to_wire("job", scene.co.settings.gate_defaults())
    scene.call(calls.open_session(scene.scope, "teller", {"kind": "worker", "queues": "default", "gates job": gates}))
    return scene


def states(scene: Scene) -> dict[str, str]:
    return {one.name: one.state for one in scene.co.breakers()}


def test_a_name_that_no_worker_has_told_of_is_an_error_that_lists_those_there_are(told: Scene) -> None:
    for change in (partial(told.co.open_breaker, reason="test"), told.co.close_breaker):
        with pytest.raises(InvalidInput, match=r"there are github, job; .*got 'githbu'"):
            change("githbu")
    assert states(told) == {"job": "closed", "github": "closed"}


def test_who_means_it_opens_one_that_is_to_come(told: Scene) -> None:
    told.co.open_breaker("to-come", 60, "not yet", undeclared=True)
    assert states(told)["to-come"] == "open"
    told.co.close_breaker("to-come")  # it is there now
    assert "to-come" not in states(told) or states(told)["to-come"] == "closed"
    told.co.close_breaker("another", undeclared=True)


def test_where_nobody_has_told_of_anything_that_is_said(scene: Scene) -> None:
    with pytest.raises(InvalidInput, match="no worker has told of any yet"):
        scene.co.open_breaker("github", reason="test")
