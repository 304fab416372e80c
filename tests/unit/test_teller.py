"""What a process tells the server anew, once, with each beat until it was answered; and what a later session has."""

from __future__ import annotations

from typing import Any

from coordinator.drivers.teller import AGAIN, Teller
from coordinator.errors import AccessDenied, CoordinatorError, StoreUnavailable
from coordinator.settings import Settings
from coordinator.wire.calls import Scope


class Server:
    """Answers as it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: list[str] | CoordinatorError = ["ok"]
        self.told: list[tuple[str, ...]] = []

    def call(self, call: Any, _retry_for: float) -> Any:
        self.told.append(call.args[1:])
        if isinstance(self.answer, CoordinatorError):
            raise self.answer
        return self.answer


def made() -> tuple[Server, Teller, dict[str, str]]:
    server, fields = Server(), {"kind": "app"}

    scope = Scope.of("n", Settings.of().terms())
    return server, Teller(server, lambda: scope, fields), fields  # type: ignore[arg-type]


def test_a_version_is_told_once_and_a_later_session_begins_with_it() -> None:
    server, teller, fields = made()
    teller.tell("s")
    teller.took(5, ())
    teller.took(6, ("retry: no", "rate: no"))
    assert "config" not in fields
    teller.tell("s")
    teller.tell("s")
    assert server.told == [("s", "6 retry: no; rate: no")]
    assert fields["config"] == "6 retry: no; rate: no"


def test_gates_are_told_again_once_a_day() -> None:
    server, now = Server(), [0.0]
    fields = {"kind": "worker", "gates a": "x", "gates b": "y"}
    scope = Scope.of("n", Settings.of().terms())
    teller = Teller(server, lambda: scope, fields, lambda: now[0])  # type: ignore[arg-type]
    for beat in (AGAIN - 1, AGAIN, AGAIN + 1, 2 * AGAIN):
        now[0] = beat
        teller.change({"b": "z"})
        teller.tell("s")
    everything = ("s", "", "a", "x", "b", "z")
    assert server.told == [("s", "", "b", "z"), everything, everything]
    # Of those that have none nothing is told.
    server, teller, _fields = made()
    teller._again = 0
    teller.tell("s")
    assert not server.told


def test_what_was_not_answered_is_told_again() -> None:
    server, teller, fields = made()
    teller.took(5, ())
    for answer in (StoreUnavailable("away"), ["session_lost"], ["ok"], ["ok"]):
        server.answer = answer
        teller.tell("s")
    assert server.told == [("s", "5")] * 3
    assert fields["config"] == "5"


def test_a_user_who_may_not_tell_is_not_asked_again() -> None:
    server, teller, _fields = made()
    server.answer = AccessDenied("no rights")
    teller.took(5, ())
    teller.tell("s")
    teller.tell("s")
    assert len(server.told) == 1
