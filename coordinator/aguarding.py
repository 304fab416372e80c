"""Functions that run under a lock. A part of `AsyncCoordinator`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import Any, TypeVar, cast

from coordinator.errors import InvalidInput
from coordinator.ops import asking
from coordinator.ops.template import Template, check, done, is_async

F = TypeVar("F", bound=Callable[..., Any])


class AsyncGuarding:
    """What decorates functions."""

    lock: Callable[..., AbstractAsyncContextManager[Any]]

    def locked(self, template: str, *, pass_as: str = "", **options: Any) -> Callable[[F], F]:
        """A decorator that holds a lock around each call: `@co.locked("report/{customer_id}")`.

        The template is filled from the arguments of the call, their values escaped; `{customer.id}` takes an attribute.
        `pass_as` names an argument that the function is given the lease in; `options` are those of `lock`. Raises
        InvalidInput, when the function is decorated, for a template that names an argument it does not have and for
        what `lock` would refuse. Calls raise as `lock`, and InvalidInput where the function returns what is to be
        awaited: that would run when the lock is given back.
        """
        check(template)
        asking.refuse_bad(options)

        def decorate(function: F) -> F:
            if not is_async(function):
                raise InvalidInput("function", function, "must be an async function; Coordinator is for plain ones")
            made = Template.of(template, function, pass_as)

            @wraps(function)
            async def call(*args: Any, **kwargs: Any) -> Any:
                async with self.lock(made.fill(args, kwargs), **options) as lease:
                    return done(function, await function(*args, **kwargs, **({pass_as: lease} if pass_as else {})))

            return cast(F, call)

        return decorate
