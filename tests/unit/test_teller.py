"""What a process tells the server anew, once, with each beat until it was answered; and what a later session has."""

from __future__ import annotations

from typing import Any

from coordinator.drivers.teller import Teller
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
