"""From raw replies to values and errors. One table for the refusals, so that a status means the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from coordinator.errors import (
    BreakerOpen,
    CoordinatorError,
    Corrupt,
    Duplicate,
    IdConflict,
    IllegalTransition,
    InvalidInput,
    LineFull,
    LineOverloaded,
    MemoryFull,
    NotFound,
    OverCapacity,
    Overloaded,
    PayloadTooLarge,
    ProtocolError,
    QueueFull,
    SessionLost,
)
from coordinator.keys import decode
from coordinator.policy import shed
from coordinator.wire import gates
from coordinator.wire.step import Operation, Step

Raw = Sequence[Any]
T = TypeVar("T")
# Tuples: the union of two types is made anew wherever it is written.
_LIST, _WORD = (list, tuple), (bytes, str)

# What reading a reply raises when it is not what its script answers: a word missing, or one of another kind.
UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


def misread(error: Exception) -> CoordinatorError:
    """The error for a reply whose reading failed with one of `UNREADABLE`."""
    if isinstance(error, CoordinatorError):
        return error
    return Corrupt(f"Redis holds, or answers, something that Coordinator does not write ({type(error).__name__})")


def advance(operation: Operation[Any], reply: Any, failure: BaseException | None, first: bool) -> Step:
    """The next step of an operation that is handed a reply or what went wrong. Raises StopIteration at its end, and our
    error if a reply could not be read. Before the first step there is none: the caller is at fault then."""
    try:
        return operation.send(reply) if failure is None else operation.throw(failure)
    except UNREADABLE as error:
        if first or error is failure:
            raise
        raise misread(error) from error
    finally:
        # An error and a frame that has it keep each other, until the collector comes round.
        failure = None


def carried_out(operation: Operation[T], perform: Callable[[Step], Any]) -> T:
    """What an operation returns whose steps `perform` carries out, here and now. What goes wrong with a step, or
    interrupts it, is thrown into the operation, and what that still asks for is done. Raises as `advance`."""
    try:
        step = operation.send(None)
        while True:
            # As `advance`, written out: to go on costs as much as many a step.
            try:
                reply, failure = perform(step), None
            except BaseException as error:
                reply, failure = None, error
            try:
                step = operation.send(reply) if failure is None else operation.throw(failure)
            except UNREADABLE as error:
                if error is failure:
                    raise
                raise misread(error) from error
            finally:
                failure = None  # as there
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


@contextmanager
def readable() -> Iterator[None]:
    """What is raised inside for want of a reply that can be read is raised as our error."""
    try:
        yield
    except UNREADABLE as error:
        raise misread(error) from error


def text(value: Any) -> str:
    """A word of a reply as text. Raises Corrupt."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise Corrupt("a reply holds bytes that are not UTF-8") from None
    if isinstance(value, str | int):
        try:
            return str(value)
        except ValueError:
            raise Corrupt("a reply holds a number without end") from None
    raise Corrupt(f"a reply holds a {type(value).__name__} where text belongs")


def number(value: Any) -> int:
    """A word of a reply as a whole number. Raises Corrupt."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise Corrupt("a reply holds something that is not a number") from None


def status(raw: Any) -> str:
    """The status word of a reply. Raises ProtocolError if the reply is no list with a word in front."""
    if not isinstance(raw, _LIST) or not raw or not isinstance(raw[0], _WORD):
        raise ProtocolError("a script answered something that is not a reply")
    return text(raw[0])


def part(raw: Any, place: int) -> Any:
    """A word of a reply by its place. Raises ProtocolError if there is none."""
    if not isinstance(raw, _LIST) or len(raw) <= place:
        raise ProtocolError("a script answered less than a whole reply")
    return raw[place]


def fields(raw: Raw) -> dict[str, str]:
    """A flat list of names and values as a dict."""
    words = [text(word) for word in raw]
    return dict(zip(words[::2], words[1::2], strict=True))


def overloaded(queue: str, figures: Sequence[Any], ident: str = "") -> Overloaded:
    """The error of a job that was refused or displaced under load: jobs, limit, below how many such jobs are let in, ms
    that the middle one has waited, and its place."""
    count, limit, until, waited, place = (number(one) for one in figures)
    return Overloaded(queue, limit, count, place, shed.retry_after(waited / 1000, count, until), ident)


def line_overloaded(resource: str, figures: Sequence[Any], ident: str = "") -> LineOverloaded:
    """The error of a request that was refused or displaced where a line is full, from the same figures."""
    count, limit, until, waited, place = (number(one) for one in figures)
    pause = shed.retry_after(waited / 1000, count, until)
    return LineOverloaded(decode(resource), limit, count, place, pause, ident)


NOT_WITHIN = "must be a lock that is held or waited for; this one is over, or never was"
REFUSALS: dict[str, Callable[[Raw, str], CoordinatorError]] = {
    "queue_full": lambda raw, _ident: QueueFull(text(raw[1]), number(raw[2])),
    "overloaded": lambda raw, _ident: overloaded(text(raw[1]), raw[2:]),
    "breaker_open": lambda raw, _ident: BreakerOpen(gates.shown(text(raw[1]))[1], number(raw[2]) / 1000),
    "line_overloaded": lambda raw, _ident: line_overloaded(text(raw[1]), raw[2:]),
    "line_full": lambda raw, _ident: LineFull(decode(text(raw[1])), number(raw[2])),
    "memory_full": lambda raw, _ident: MemoryFull(number(raw[1]), number(raw[2]), number(raw[3]), shed.MEMORY_PAUSE),
    "over_capacity": lambda raw, _ident: OverCapacity(decode(text(raw[1])), number(raw[2])),
    "too_large": lambda raw, _ident: PayloadTooLarge("payload", number(raw[1]), number(raw[2])),
    "rejected": lambda raw, _ident: Duplicate(text(raw[1]), text(raw[2])),
    "conflict": lambda raw, _ident: IdConflict(text(raw[1])),
    "not_within": lambda raw, _ident: InvalidInput("within", text(raw[1]), NOT_WITHIN),
    "refused": lambda raw, _ident: IllegalTransition(text(raw[1]), "do that to"),
    "gone": lambda _raw, ident: NotFound(ident),
    "session_lost": lambda _raw, _ident: SessionLost("the session of this process has lapsed"),
}


def expect(raw: Any, *wanted: str, ident: str = "") -> str:
    """The status of a reply, which must be one of `wanted`; a refusal is raised as its error."""
    word = status(raw)
    if word in wanted:
        return word
    refusal = REFUSALS.get(word)
    if refusal is None:
        raise ProtocolError(f"unexpected reply {word!r}")
    try:
        raise refusal(raw, ident)
    except UNREADABLE as error:
        raise misread(error) from None
