"""Which handler runs which job. Names are all that Redis ever says about code; what they mean is decided here, by the
process that was started with this registry."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from coordinator.errors import ConfigError, InvalidInput
from coordinator.model.names import label, milliseconds, one_of
from coordinator.policy import on_error
from coordinator.policy.adaptive import Adaptive
from coordinator.policy.breaker import BreakerPolicy
from coordinator.policy.rate import AdaptiveLimit, RateLimit
from coordinator.policy.retry import RetryPolicy
from coordinator.policy.timeout import TimeoutPolicy
from coordinator.wire.gates import Gates
from workers.gates import gates_of, ignored

Executor = Literal["async", "thread", "process"]
Function = Callable[..., Any]
F = TypeVar("F", bound=Function)


@dataclass(frozen=True, slots=True)
class Handler:
    """One handler and how it is run. `timeout` in seconds, for jobs that bring no run timeout of their own; `adaptive`
    where the fleet is to learn it: by rules of its own, or by those of the settings."""

    name: str
    function: Function
    executor: Executor
    retry: RetryPolicy | None = None
    timeout: float | None = None
    queue: str | None = None
    adaptive: Adaptive | Literal["adaptive"] | None = None
    on_error: on_error.Rules = field(default_factory=dict)
    gates: Gates = field(default_factory=Gates)
    breaker_ignores: tuple[type[BaseException], ...] = ()
    escalate: bool = True


class HandlerOptions(TypedDict, total=False):
    """What else can be said of a handler, see `Registry.handler`."""

    on_error: on_error.Rules | None
    breaker: bool | str | Sequence[str]
    breaker_policy: BreakerPolicy | None
    breaker_ignores: tuple[type[BaseException], ...]
    rate: RateLimit | AdaptiveLimit | Literal["default", "adaptive"] | None
    escalate: bool


class Registry:
    """Handlers by name.

    jobs = Registry()

    @jobs.handler("deploy.apply", retry=RetryPolicy(max_attempts=5), timeout=600)
    async def apply(ctx, payload):
        return {"applied": True}
    """

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self.get = self._handlers.get

    def handler(
        self,
        name: str,
        *,
        executor: Executor | None = None,
        retry: RetryPolicy | None = None,
        timeout: TimeoutPolicy | Adaptive | float | Literal["adaptive"] | None = None,
        queue: str | None = None,
        **more: Unpack[HandlerOptions],
    ) -> Callable[[F], F]:
        """Register a function `(ctx, payload) -> result` under `name`. It stays callable as it is.

        `executor`: `async def` runs on the loop, `def` in a thread; `"process"` runs a `def` in a process of its own
        that is killed when it runs out of time or is cancelled. `retry` and `timeout` hold for jobs that bring none;
        `timeout="adaptive"`, or `Adaptive(base=600)`, is what the fleet has learnt of this handler: docs/timeouts.md.
        `queue` names the queue its jobs come by, so that a worker started without queues serves it.

        `on_error` maps exceptions to `"retry"`, `"give up"` or `Snooze(seconds)`: the most specific class wins, and
        exceptions in a group are looked into. All others are retried as the retry policy has it. `escalate=False`: its
        timeout does not grow when runs keep running out of time.

        While handlers of the name keep failing, in whichever worker, its breaker holds its jobs back, in their order;
        `breaker="github"` (or several names) adds those of what it depends on, `breaker=False` switches them off.
        `breaker_ignores` are exceptions that say nothing of that, `breaker_policy` says when breakers open and close.
        `rate` limits how often the handler is run in the whole fleet (`"default"`: as the settings have it);
        `"adaptive"`, or an `AdaptiveLimit`, finds out how often it can be: docs/gates.md.
        Raises InvalidInput for a name that is taken or cannot be one.
        """
        label(name, "name")
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise InvalidInput("retry", retry, "must be a RetryPolicy")
        adaptive = _adaptive(timeout)
        seconds = None if isinstance(timeout, Adaptive | str) else _seconds(timeout)
        if queue is not None:
            label(queue, "queue")
        for option in more:
            one_of(option, "option", tuple(HandlerOptions.__annotations__))
        rules, escalates = on_error.checked(more.get("on_error")), _flag(more.get("escalate", True), "escalate")
        gates, ignores = gates_of(name, more), ignored(more.get("breaker_ignores", ()))

        def register(function: F) -> F:
            taken = self._handlers.get(name)
            if taken is not None:
                raise InvalidInput("name", name, f"is taken by {_place(taken.function)}")
            how = _executor(function, executor)
            self._handlers[name] = Handler(
                name, function, how, retry, seconds, queue, adaptive, rules, gates, ignores, escalates
            )
            return function

        return register

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that handlers were registered for; `default` if some named none."""
        found = {one.queue or "default" for one in self}
        return tuple(sorted(found)) or ("default",)

    def __iter__(self) -> Iterator[Handler]:
        return iter(list(self._handlers.values()))

    def __len__(self) -> int:
        return len(self._handlers)


def load(target: str) -> Registry:
    """The registry of `module:name`, imported from the current directory or the path. Raises ConfigError."""
    module_name, colon, name = target.partition(":")
    if not (colon and module_name and name):
        raise ConfigError([f"{target!r} is not module:registry, as in app.tasks:jobs"])
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ConfigError([f"there is no module {error.name!r}, neither in {here} nor installed"]) from None
    found = getattr(module, name, None)
    if isinstance(found, Registry):
        return found
    known = [each for each, value in vars(module).items() if isinstance(value, Registry)]
    near = get_close_matches(name, known, 1) or known
    hint = f"; did you mean {module_name}:{near[0]}?" if near else ""
    raise ConfigError([f"{target!r} is not a workers.Registry{hint}"])


def _executor(function: Function, asked: Executor | None) -> Executor:
    if not callable(function):
        raise InvalidInput("function", function, "must be callable")
    # A bound or callable object hides what it really is one attribute further.
    call = getattr(function, "__call__", None)  # noqa: B004
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
    if asked is None:
        return "async" if is_async else "thread"
    one_of(asked, "executor", ("async", "thread", "process"))
    if is_async != (asked == "async"):
        kind = "an async def" if is_async else "a plain def"
        fitting = "'async'" if is_async else "'thread' or 'process'"
        raise InvalidInput("executor", asked, f"must be {fitting} for {kind}")
    return asked


def _flag(given: object, name: str) -> bool:
    if not isinstance(given, bool):
        raise InvalidInput(name, given, "must be True or False")
    return given


def _adaptive(timeout: object) -> Adaptive | Literal["adaptive"] | None:
    if isinstance(timeout, str):
        one_of(timeout, "timeout", ("adaptive",))
        return "adaptive"
    return timeout if isinstance(timeout, Adaptive) else None


def _seconds(timeout: TimeoutPolicy | float | None) -> float | None:
    if isinstance(timeout, TimeoutPolicy):
        if timeout.wait is not None or timeout.total is not None:
            raise InvalidInput("timeout", timeout, "only `run` is the handler's; `wait` and `total` belong to the job")
        return timeout.run
    if timeout is not None:
        milliseconds(timeout, "timeout", least=0.001)
    return timeout


def _place(function: Function) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
