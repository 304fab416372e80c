"""What `why` says of the policy that holds a job back, and of its figures."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.cli import delays
from coordinator.model.lease import GateView
from coordinator.model.names import MAX_SECONDS
from coordinator.model.states import State
from coordinator.ops.lessons import Learnt
from coordinator.policy.escalation import Escalation, EscalationPolicy
from tests.unit.test_cli_render import NOW, a_request

BREAKER = {"terms": ":5:3:30000:60000:1", "since": str(round((NOW - 4) * 1000))}


def at_gate(kind: str, fields: dict[str, str]) -> str:
    gate = GateView(kind, "work", 0, 2, NOW - 3, NOW + 26, fields)
    return " ".join(delays.at_gate(a_request(State.WAITING), gate))


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("breaker", {**BREAKER, "state": "open"}, "has been open for 4.0s; in 26s the first in line"),
        ("breaker", {**BREAKER, "state": "open"}, "5 failures within 1m, or a probe that fails, open it for 30s"),
        ("breaker", {**BREAKER, "state": "half_open", "passed": "2"}, "no probes running, 2 of 3 succeeded so far"),
        ("breaker", {"terms": "?", "state": "open"}, "The breaker has been open; in 26s"),
        ("rate", {"terms": ":10:2500"}, "The limit is 2.5 a second, and up to 10 at once."),
        ("adaptive", {"terms": ":10000:1000:100000:1000:500", "pace": "4"}, "is 4 a second now, between 1 and 100"),
        ("rate", {"until": str(round((NOW + 26) * 1000))}, "told to come back later: nobody passes in the next 26s"),
    ],
)
def test_a_gate_is_told_with_its_figures(kind: str, fields: dict[str, str], said: str) -> None:
    assert said in at_gate(kind, fields)


@pytest.mark.parametrize(
    ("seconds", "said"), [(500 * 86400, "in 499d"), (MAX_SECONDS, "It is open until somebody closes it.")]
)
def test_what_is_open_for_very_long_is_told_from_what_somebody_has_to_close(seconds: float, said: str) -> None:
    gate = GateView("breaker", "work", 0, 2, NOW - 3, NOW - 4 + seconds, {**BREAKER, "state": "open"})
    assert said in " ".join(delays.at_gate(a_request(State.WAITING), gate))


@pytest.mark.parametrize(
    ("retry", "said"),
    [
        ({}, ["The pause of 20s is by the retry policy of its handler, or of the settings."]),
        (
            {"retry": "5 20000 30000 2 0 linear"},
            ["The pause of 20s is by the job's own retry policy: linear, from 20s to at most 30s, 5 attempts in all."],
        ),
        ({"attempts": "0"}, []),
    ],
)
def test_a_pause_is_told_with_the_policy_that_chose_it(retry: dict[str, Any], said: list[str]) -> None:
    fields = {"name": "work", "waited": "20000", "attempts": "1", **retry}
    assert delays.pause(a_request(State.SCHEDULED, fields=fields)) == said


def test_a_level_and_a_likeness_are_told_where_there_are_any() -> None:
    assert delays.escalated("work", Learnt()) == []
    (told,) = delays.escalated("work", Learnt(Escalation(2, 1)))
    assert "level 2 of 5, so a run that begins now has 2.25 times its time; 1 timeout in a row" in told
    # As far as a lowered highest level allows.
    (told,) = delays.escalated("work", Learnt(Escalation(2, 1, EscalationPolicy(most=1))))
    assert "level 1 of 1, so a run that begins now has 1.5 times its time" in told
    assert delays.likeness(a_request(State.READY)) == []
    found = a_request(State.READY, fields={"similar": "k-7 0.912"})
    assert delays.likeness(found) == ["Its text is nearly that of job k-7 (similarity 0.912)."]
