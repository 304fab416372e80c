"""Text for terminals, and errors as exit codes."""

import os
import unicodedata

import pytest

from coordinator.cli import failures, tables, words
from coordinator.cli.main import main
from coordinator.errors import (
    CoordinatorError,
    InvalidInput,
    LeaseLost,
    NotFound,
    QueueFull,
    StorageFull,
    StoreUnavailable,
    UnknownOutcome,
    WaitTimeout,
)
from coordinator.ops.history import Happening

NOW = 1_700_000_000.0
HOSTILE = "\x1b[31mred\x1b]0;title\x07\x1b[H\u202eevil\u2028 [bold]loud[/bold] [/] :smile: a\r\nb \x9b1m \ud800"


# --- words


def test_clean_shows_what_is_not_visible() -> None:
    shown = words.clean(HOSTILE)
    assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in shown)
    assert shown.startswith("\\x1b[31mred\\x1b]0;title\\x07")
    assert "\\u202eevil\\u2028" in shown
    assert "a\\r\\nb \\x9b1m \\ud800" in shown
    assert words.clean("plain ünïcödé 漢字 [x]") == "plain ünïcödé 漢字 [x]"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0.0s"),
        (0.26, "0.3s"),
        (12, "12s"),
        (59.9, "60s"),
        (60, "1m"),
        (192, "3m 12s"),
        (3600, "1h"),
        (14_700, "4h 5m"),
        (183_600, "2d 3h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_ordinals_and_counts() -> None:
    places = [words.ordinal(place) for place in (0, 1, 2, 3, 10, 11, 12, 20, 21, 100, 110)]
    assert places == ["first", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th"]
    assert [words.count(number, "worker") for number in (0, 1, 2)] == ["no workers", "1 worker", "2 workers"]
    assert words.moment(NOW) == "2023-11-14 22:13:20Z"


def test_the_end_of_a_freeze_is_a_time_for_people() -> None:
    said = tables.happening(Happening("1-0", NOW, "freeze", "a", {"by": "ann", "until": "1795646800160"})).plain
    assert "until=2026-11-25 22:46:40Z" in said


# --- failures


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("ttl", 0, "must be more"), os.EX_USAGE),
        (NotFound("k"), os.EX_NOINPUT),
        (StoreUnavailable("away"), os.EX_UNAVAILABLE),
        (StorageFull("full"), os.EX_UNAVAILABLE),
        (UnknownOutcome("?"), os.EX_IOERR),
        (QueueFull("q", 1), os.EX_TEMPFAIL),
        (WaitTimeout("k", 1, "job"), os.EX_TEMPFAIL),
        (LeaseLost("k", "gone"), os.EX_PROTOCOL),
        (CoordinatorError("?"), os.EX_SOFTWARE),
        (failures.Failure(77, "no"), 77),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, code: int) -> None:
    failure = failures.failure_of(error)
    assert failure is not None
    assert failure.code == code
    assert failures.document(failure, error)["error"]["exit_code"] == code


@pytest.mark.parametrize(("value", "shown"), [(None, ""), (True, ""), ("", ""), (0, " (got 0)"), ("x", " (got 'x')")])
def test_an_option_that_was_not_given_is_not_shown_as_a_value_of_python(value: object, shown: str) -> None:
    failure = failures.failure_of(InvalidInput("place", value, "give one"))
    assert failure is not None
    assert failures.line(failure) == f"coordinator: place: give one{shown}"


def test_an_error_with_another_hint_keeps_its_type() -> None:
    error = failures.Failure(os.EX_NOINPUT, "none", "look there")
    error.__cause__ = NotFound("k")
    assert failures.document(error, error)["error"]["type"] == "NotFound"
    own = failures.Failure(77, "no")
    assert failures.document(own, own)["error"]["type"] == "Failure"


def test_a_group_without_a_command_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["breaker"]) == os.EX_USAGE
    assert capsys.readouterr().err.endswith("coordinator: Missing command. (see --help)\n")


def test_a_fault_nobody_foresaw_is_not_hidden() -> None:
    assert failures.failure_of(KeyError("x")) is None
