"""Names of resources from the arguments of a function."""

import asyncio
import inspect
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.errors import InvalidInput
from coordinator.keys import decode
from coordinator.model.names import resource_name
from coordinator.ops.template import Template, done, is_async


def report(customer_id: object, day: str = "today", *, lease: object = None) -> None: ...


class Reports:
    def __init__(self, name: str) -> None:
        self.name = name

    def build(self, customer: SimpleNamespace) -> None: ...


def test_it_is_filled_from_arguments_however_they_are_given() -> None:
    made = Template.of("report/{customer_id}/{day}", report)
    assert made.fill((7,), {}) == "report/7/today"
    assert made.fill((), {"day": "monday", "customer_id": 7}) == "report/7/monday"
    assert Template.of("all", report).fill((7,), {}) == "all"
    assert Template.of("report/{customer_id}/**", report).fill(("**",), {}) == "report/%2A%2A/**"


def test_it_takes_attributes() -> None:
    made = Template.of("{self.name}/{customer.ids.main}", Reports.build)
    assert made.fill((Reports("eu"), SimpleNamespace(ids=SimpleNamespace(main=7))), {}) == "eu/7"


@settings(max_examples=40)
@given(st.text(max_size=20), st.text(max_size=20))
def test_values_are_escaped_so_that_different_ones_stay_apart(one: str, other: str) -> None:
    made = Template.of("report/{customer_id}/x", report)
    try:
        first, second = made.fill((one,), {}), made.fill((other,), {})
    except InvalidInput:
        return
    assert resource_name(first).count("/") == 2
    assert decode(first.split("/")[1]) == one
    assert (first == second) == (one == other)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("report/{customer}", "report() has no argument 'customer'"),
        ("report/{customer_id.x}/{nobody.y}", "has no argument 'nobody'"),
        ("report/{lease}", "has no argument 'lease'"),
        ("report/{}", "names of arguments only"),
        ("report/{0}", "names of arguments only"),
        ("report/{customer_id!r}", "names of arguments only"),
        ("report/{customer_id:>5}", "names of arguments only"),
        ("report/{customer_id[0]}", "names of arguments only"),
        ("report/{customer_id.__class__}", "names of arguments only"),
        ("report/{customer_id", "expected '}'"),
        ("report/*/{customer_id}", "must not contain '*'"),
        ("", "must not be empty"),
    ],
)
def test_a_bad_one_is_refused_when_the_function_is_decorated(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Template.of(text, report, "lease")
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["report/{args}", "report/{kwargs}", "report/{kwargs.day}"])
def test_what_is_left_over_of_a_call_is_no_argument(text: str) -> None:
    def many(*args: object, **kwargs: object) -> None: ...

    with pytest.raises(InvalidInput, match="left over"):
        Template.of(text, many)
    assert Template.of("report", many).fill((1, 2), {"day": 3}) == "report"


def test_the_argument_that_is_supplied_must_be_there() -> None:
    with pytest.raises(InvalidInput, match="has no such argument"):
        Template.of("a", Reports.build, "lease")


def test_a_call_that_does_not_fit_is_the_callers_fault() -> None:
    with pytest.raises(TypeError):
        Template.of("report/{customer_id}", report).fill((), {})


def test_a_value_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Unicode") as refused:
        Template.of("report/{customer_id}", report).fill(("\ud800",), {})
    assert refused.value.argument == "customer_id"


async def test_a_coroutine_is_not_done_and_what_is_under_way_is() -> None:
    async def later() -> None: ...

    coroutine, future = later(), asyncio.get_running_loop().create_future()
    with pytest.raises(InvalidInput, match="awaited"):
        done(report, coroutine)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
    for result in (7, future):
        assert done(report, result) is result


def test_partial_functions_and_objects_are_async_as_what_they_call_is() -> None:
    class Asynchronous:
        async def __call__(self) -> None: ...

    for one in (
        Asynchronous.__call__,
        Asynchronous(),
        partial(Asynchronous()),
        partial(partial(Asynchronous.__call__, 1)),
    ):
        assert is_async(one)
    for plain in (report, partial(report), Asynchronous):
        assert not is_async(plain)


def by_place(lease: object, /) -> None: ...


@pytest.mark.parametrize(("function", "argument"), [(7, "function"), (by_place, "pass_as")])
def test_what_cannot_be_called_with_a_lease_is_refused_when_it_is_decorated(function: Any, argument: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Template.of("report", function, "lease")
    assert refused.value.argument == argument
