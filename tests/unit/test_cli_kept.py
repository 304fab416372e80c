"""What `why` says of jobs beside a worker that something keeps, and of those that were taken over from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordinator.cli import details, shapes
from coordinator.cli.sentences import Fleet
from coordinator.model.states import State
from tests.unit.test_cli_render import NOW, a_request, printed, said


def test_a_ready_job_behind_a_worker_that_is_kept_does_not_wait_for_a_slot() -> None:
    found = a_request(State.READY, queue_place=0, queue_length=1, idle_workers=0, on_offer=3)
    text = said(found, Fleet(serving=1))
    assert "Nobody asks for it now (1 live worker): 3 jobs of the queue are claimed by workers that cannot" in text
    assert "slots" not in text
    assert "free slots" in said(replace(found, idle_workers=1), Fleet(serving=2))


def test_a_job_on_offer_says_who_could_take_it_over() -> None:
    fields = {"queue": "bulk", "session": "w-1", "fence": "7", "spare": f"2 {(NOW - 5) * 1000:.0f}"}
    found = a_request(State.RUNNING, fields=fields)
    alone = said(found, Fleet(serving=1, holder_live=True))
    assert "w-1 claimed it and cannot begin it, 2nd of what it has not begun" in alone
    assert "For 5.0s it has been on offer: no other live worker serves queue bulk, so it waits for process w-1" in alone
    for around in (Fleet(serving=2, holder_live=True), Fleet(serving=1, holder_live=False), Fleet()):
        assert "the next idle worker of its queue takes it over" in said(found, around)


@pytest.mark.parametrize("state", [State.RUNNING, State.SUCCEEDED, State.FAILED, State.SCHEDULED])
def test_a_theft_is_told_of_as_long_as_the_record_is_there(state: State) -> None:
    fields = {"session": "w-2", "fence": "7", "stolen": "7 w-1"}
    found = a_request(state, fields=fields)
    assert "It was taken over from process w-1, which had claimed it and could not begin it." in said(found)
    assert shapes.request(found)["stolen_from"] == "w-1"
    assert "taken over from" in printed(details.request(found))
    assert "An earlier run of it was taken over from process w-1" in said(
        a_request(state, fields={**fields, "fence": "9"})
    )
    for broken in ("", "7", "x w-1"):
        none = a_request(state, fields={**fields, "stolen": broken})
        assert "taken over" not in said(none)
        assert shapes.request(none)["stolen_from"] is None
