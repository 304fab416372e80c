"""Errors as exit codes and one line. The codes are those of sysexits.h, so that a script can tell "try later" (75) from
"mend the call" (64) without reading text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from coordinator import errors
from coordinator.cli.words import clean

FAILED = 1
LOST = os.EX_PROTOCOL
NOT_EXECUTABLE = 126
NOT_A_COMMAND = 127
BY_SIGNAL = 128


class Failure(Exception):
    """A command that cannot go on, found out here and not by the client. `hint` is the way out."""

    def __init__(self, code: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.hint = code, hint


@dataclass(frozen=True, slots=True)
class Exit:
    """How one kind of error ends a command."""

    error: type[Exception]
    code: int
    hint: str = ""


# The first that fits counts, so children come before their parents.
EXITS: tuple[Exit, ...] = (
    Exit(errors.InvalidInput, os.EX_USAGE),
    Exit(errors.OverCapacity, os.EX_USAGE),
    Exit(errors.PayloadTooLarge, os.EX_DATAERR),
    Exit(errors.IllegalTransition, os.EX_DATAERR, "`coordinator show ID` tells how it stands"),
    Exit(
        errors.Frozen, os.EX_TEMPFAIL, "`coordinator freezes` lists what is frozen, `coordinator pass ID` lets one pass"
    ),
    Exit(errors.NotFrozen, os.EX_NOINPUT, "`coordinator freezes` lists what is frozen"),
    Exit(errors.NotFound, os.EX_NOINPUT, "`coordinator ls` shows what there is; is --namespace right?"),
    Exit(errors.ServerStartError, os.EX_UNAVAILABLE),
    Exit(errors.StorageFull, os.EX_UNAVAILABLE, "free memory or disk on the server"),
    Exit(errors.Unconfirmed, os.EX_UNAVAILABLE, "nothing is held, try again; do the replicas keep up?"),
    Exit(errors.StoreUnavailable, os.EX_UNAVAILABLE, "is Redis up, and --url or $COORDINATOR_URL right?"),
    Exit(errors.Duplicate, os.EX_CANTCREAT, "--on-conflict join gives its id instead"),
    Exit(errors.TooSimilar, os.EX_CANTCREAT, "--on-similar join gives its id instead"),
    Exit(errors.IdConflict, os.EX_CANTCREAT),
    Exit(errors.UnknownOutcome, os.EX_IOERR, "`coordinator ls` shows whether it happened"),
    Exit(errors.QueueFull, os.EX_TEMPFAIL),
    Exit(errors.LineFull, os.EX_TEMPFAIL),
    Exit(errors.BreakerOpen, os.EX_TEMPFAIL),
    Exit(errors.MemoryFull, os.EX_TEMPFAIL),
    Exit(errors.NotDrained, os.EX_TEMPFAIL, "`coordinator show RESOURCE` tells by whom"),
    Exit(errors.Deadlock, os.EX_TEMPFAIL, "let go of what is held meanwhile (--within), and begin anew"),
    Exit(errors.WaitTimeout, os.EX_TEMPFAIL, "`coordinator why ID` tells what it waits for"),
    Exit(errors.WaitCancelled, os.EX_TEMPFAIL),
    Exit(errors.JobFailed, FAILED, "`coordinator show ID` has the details"),
    Exit(errors.SessionLost, LOST),
    Exit(errors.LeaseLost, LOST),
    Exit(errors.ConfigError, os.EX_CONFIG),
    Exit(errors.AccessDenied, os.EX_NOPERM, "`coordinator acl` prints what each role needs"),
    Exit(errors.ScriptsMissing, os.EX_CONFIG),
    Exit(errors.Corrupt, os.EX_SOFTWARE, "`coordinator doctor` tells what is wrong"),
    Exit(errors.UnsafeServer, os.EX_CONFIG),
    Exit(errors.CoordinatorError, os.EX_SOFTWARE),
)

MEANINGS: tuple[tuple[str, str], ...] = (
    ("0", "done"),
    ("1", "the job did not succeed; doctor found faults"),
    ("64", "bad input: mend the command line"),
    ("65", "payload too large or no JSON; request in no state for that"),
    ("66", "no such request, or no such file"),
    ("69", "Redis is away or full"),
    ("70", "a fault of Coordinator, or something in Redis that is not its own"),
    ("73", "a job with this dedup key, or nearly this text, exists already"),
    ("74", "the connection broke: it may or may not have happened"),
    ("75", "not now: busy, full, or the wait ran out; try again later"),
    ("76", "lock: the lock was lost and the command was stopped"),
    ("77", "not confirmed, or not allowed by Redis"),
    ("78", "bad configuration, or an unsafe server"),
    ("126, 127", "lock: the command cannot be run, or is not there"),
    ("128 + n", "stopped by signal n"),
)


def failure_of(error: Exception) -> Failure | None:
    """How an error ends a command; None for one that nobody foresaw."""
    if isinstance(error, Failure):
        return error
    # A fault of the command line; the class has moved between versions of the parser, the method has not.
    if hasattr(error, "format_message"):
        return Failure(os.EX_USAGE, error.format_message() or "Missing command.", "see --help")
    for one in EXITS:
        if isinstance(error, one.error):
            return Failure(one.code, _said(error), one.hint)
    return None


def _said(error: Exception) -> str:
    """The message; without "(got None)" and the like where an option was not given, or is a switch."""
    if isinstance(error, errors.InvalidInput) and (isinstance(error.value, bool | None) or error.value == ""):
        return f"{error.argument}: {error.problem}"
    return str(error)


def line(failure: Failure) -> str:
    """The failure in one line for people."""
    hint = f" ({failure.hint})" if failure.hint else ""
    return clean(f"coordinator: {failure}{hint}")


def document(failure: Failure, error: Exception) -> dict[str, Any]:
    """The failure for programs: `{"error": {"type", "message", "hint", "exit_code"}}`."""
    # A command that found a better hint for an error of the client keeps its type.
    kind = error.__cause__ if isinstance(error.__cause__, errors.CoordinatorError) else error
    said = {"type": type(kind).__name__, "message": str(failure), "hint": failure.hint, "exit_code": failure.code}
    return {"error": said}
