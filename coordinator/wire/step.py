"""What an operation asks of its driver.

An operation is a generator: it yields one of these, is sent what came of it, and returns a typed value or raises one of
our errors. All waiting logic is written once that way; the drivers only carry it out.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Call(NamedTuple):
    """Run a script. Sends back its reply, a list that begins with a status word."""

    script: str
    key: str
    args: tuple[str | bytes | int, ...]


class Stream(NamedTuple):
    """Run several scripts in order, each sent while the one before is still at work. Sends back a list of replies.

    `confirmed`: of one that was run before, when replicas have all that was written until then; raises Unconfirmed if
    too few of them say so in time.
    """

    calls: Sequence[Call]
    confirmed: bool = False


class Session(NamedTuple):
    """Make sure this process has a live session. Sends back its id, and the time as `Now` does. `lost` names one that
    the server has given up."""

    lost: str = ""


class Expect(NamedTuple):
    """Keep messages about `ident` from now on, so that none is missed between a call and the wait for it.

    Sends back the name of the reader they are kept for: with `own` a new one, so that several operations can wait for
    the same request and each is told; else the one that all operations on that request share.
    """

    ident: str
    own: bool = False


class Forget(NamedTuple):
    """No longer keep messages about `ident` for that reader; without one, nor watch over what is held under it."""

    ident: str
    reader: str = ""


class Wait(NamedTuple):
    """Wait for a message about `ident`, at most so many seconds (None: for ever). Sends back its words, or None.

    Also ends, with the words `("resync",)`, when messages may have been lost: look at the truth then. So it does at
    once, with `("forgotten",)`, where no messages are kept: it was over long ago, or another thread has asked.
    """

    ident: str
    seconds: float | None
    reader: str = ""


class Abandon(NamedTuple):
    """Withdraw a lock request in the background as soon as the store answers again: nobody waits for it any more. With
    `undo`, make that call instead."""

    ident: str
    undo: Call | None = None


class Hear(NamedTuple):
    """Hand out a message that came with a reply, ahead of the same message in the inbox."""

    message: object


@dataclass(frozen=True, slots=True)
class Now:
    """Sends back the time, in seconds of a clock that only goes forward."""


Step = Call | Stream | Session | Expect | Forget | Wait | Abandon | Hear | Now
Operation = Generator[Step, Any, T]
