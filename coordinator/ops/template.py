"""Names of resources made from the arguments of a function: `"report/{customer_id}"`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from string import Formatter
from typing import Any

from coordinator.errors import InvalidInput
from coordinator.keys import encode
from coordinator.model.names import resource_or_subtree

_NOT_BY_NAME = inspect.Parameter("_", inspect.Parameter.POSITIONAL_ONLY)


@dataclass(frozen=True, slots=True)
class Template:
    """A template for one function. `parts` are literals and the fields after them (empty: none)."""

    text: str
    parts: tuple[tuple[str, str], ...]
    signature: inspect.Signature

    @classmethod
    def of(cls, text: str, function: Callable[..., Any], supplied: str = "") -> Template:
        """Checks a template against the function it is for. `supplied` is an argument that the caller does not give.

        Raises InvalidInput that names an argument the function does not have.
        """
        parts = _parts(text)
        signature = _signature(function)
        known = dict(signature.parameters)
        if supplied and known.pop(supplied, _NOT_BY_NAME).kind is inspect.Parameter.POSITIONAL_ONLY:
            raise InvalidInput("pass_as", supplied, f"{_name(function)}() has no such argument that is given by name")
        for _, field in parts:
            if field:
                _refuse_unfit(text, field.partition(".")[0], known, function)
        made = cls(text, parts, signature.replace(parameters=list(known.values())))
        resource_or_subtree(made._joined(dict.fromkeys((field for _, field in parts), "x")), "template")
        return made

    def fill(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """The resource of a call. Each value is escaped, a `/` in it too, so it stays one segment. Raises TypeError for
        arguments that do not fit the function, InvalidInput for a value or a name that cannot be."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return resource_or_subtree(
            self._joined({field: _value(bound.arguments, field) for _, field in self.parts if field})
        )

    def _joined(self, values: Mapping[str, str]) -> str:
        return "".join(literal + (values[field] if field else "") for literal, field in self.parts)


def check(text: object) -> None:
    """Raises InvalidInput for a template that is none, say the function itself."""
    if not isinstance(text, str):
        raise InvalidInput("template", text, 'must be a string, as in `@co.locked("report/{customer_id}")`')


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        raise InvalidInput("function", function, "must be a function that says which arguments it takes") from None


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call returns a coroutine, as far as one can see: of partial functions and of objects, too."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def done(function: Callable[..., Any], result: Any) -> Any:
    """What a function under a lock has returned. Raises InvalidInput for a coroutine: nothing of it has run."""
    if not inspect.iscoroutine(result):
        return result
    result.close()
    raise InvalidInput("function", function, "must not return what is to be awaited: it would run without the lock")


def _refuse_unfit(text: str, name: str, known: Mapping[str, inspect.Parameter], function: Callable[..., Any]) -> None:
    if name not in known:
        raise InvalidInput("template", text, f"{_name(function)}() has no argument {name!r}")
    if known[name].kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        said = f"{name!r} of {_name(function)}() is all that is left over of a call, and not one argument"
        raise InvalidInput("template", text, said)


def _parts(text: str) -> tuple[tuple[str, str], ...]:
    check(text)
    try:
        found = list(Formatter().parse(text))
    except ValueError as error:
        raise InvalidInput("template", text, str(error)) from None
    for _, field, spec, conversion in found:
        words = (field or "").split(".")
        if spec or conversion or (field is not None and not all(_is_public(one) for one in words)):
            raise InvalidInput("template", text, "takes names of arguments only, as {customer_id} or {customer.id}")
    return tuple((literal, field or "") for literal, field, _, _ in found)


def _is_public(word: str) -> bool:
    return word.isidentifier() and not word.startswith("_")


def _value(arguments: Mapping[str, Any], field: str) -> str:
    name, *attributes = field.split(".")
    value = arguments[name]
    for one in attributes:
        value = getattr(value, one)
    try:
        return encode(str(value)).replace("/", "%2F")
    except UnicodeEncodeError:
        raise InvalidInput(field, value, "must be valid Unicode") from None


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
