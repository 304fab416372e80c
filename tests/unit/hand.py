"""Feeds an operation by hand: what a driver does, written out as a list of steps and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coordinator.wire.step import Call, Operation, Step, Stream

Check = type[Any] | str | Callable[[Any], bool]


class Hand:
    """Runs an operation one step at a time.

    `expects(step, answer)` says what the operation must ask for, by its type, the name of a script (a list of them
    for a stream), or a whole step,
    and what it is told; an exception is thrown in.
    """

    def __init__(self, operation: Operation[Any]) -> None:
        self._operation = operation
        self._step: Step | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self._go(lambda: operation.send(None))

    @property
    def over(self) -> bool:
        """Whether the operation has returned or raised."""
        return self._step is None

    def expects(self, wanted: object, answer: object = None) -> Step:
        """The step that the operation stands at, which must be `wanted`; it goes on with the answer."""
        step = self._step
        assert step is not None, f"already over: {self.result!r} {self.error!r}"
        if isinstance(wanted, list):
            assert isinstance(step, Stream), step
            assert [one.script for one in step.calls] == wanted
        elif isinstance(wanted, str):
            assert isinstance(step, Call), step
            assert step.script == wanted, step
        elif isinstance(wanted, type):
            assert isinstance(step, wanted), step
        else:
            assert (type(step), step) == (type(wanted), wanted)
        if isinstance(answer, BaseException):
            error = answer
            self._go(lambda: self._operation.throw(error))
        else:
            self._go(lambda: self._operation.send(answer))
        return step

    def returns(self) -> Any:
        """What the operation returned."""
        assert self.over, self._step
        assert self.error is None, self.error
        return self.result

    def raises(self, kind: type[BaseException]) -> Any:
        """The error the operation ended with."""
        assert self.over, self._step
        assert isinstance(self.error, kind), (self.error, self.result)
        return self.error

    def _go(self, forward: Callable[[], Step]) -> None:
        try:
            self._step = forward()
        except StopIteration as done:
            self._step, self.result = None, done.value
        except BaseException as error:
            self._step, self.error = None, error
