"""Functions that run under a lock. A part of `Coordinator`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, TypeVar, cast

from coordinator.errors import InvalidInput
from coordinator.ops import asking
from coordinator.ops.template import Template, check, done

F = TypeVar("F", bound=Callable[..., Any])


class Guarding:
    """What decorates functions."""

    lock: Callable[..., AbstractContextManager[Any]]

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
            if _runs_later(function) or _runs_later(type(_within(function)).__call__):
                raise InvalidInput("function", function, "must be a plain function; AsyncCoordinator is for async ones")
            made = Template.of(template, function, pass_as)

            @wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                with self.lock(made.fill(args, kwargs), **options) as lease:
                    return done(function, function(*args, **kwargs, **({pass_as: lease} if pass_as else {})))

            return cast(F, call)

        return decorate


def _runs_later(function: Callable[..., Any]) -> bool:
    """Whether a call only returns what is to be awaited, or iterated over."""
    return iscoroutinefunction(function) or isasyncgenfunction(function) or isgeneratorfunction(function)


def _within(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, or object, that a partial one calls."""
    while isinstance(function, partial):
        function = function.func
    return function
