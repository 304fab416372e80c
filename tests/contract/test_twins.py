"""The sync and the asyncio client have the same names, arguments and descriptions."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from coordinator import aclient, aleases, awatches, client, leases, recipes, watches

pytestmark = pytest.mark.no_redis

TWINS = ("Coordinator", "Lease", "LockContext", "Ticket", "LockTicket", "JobTicket", "Watch")
RECIPES = ("Barrier", "CountDownLatch", "Election", "Leadership", "RWLock", "Semaphore")
# What the language calls differently when it is awaited.
DUNDERS = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__", "__anext__": "__next__"}


def pair(name: str) -> tuple[type, type]:
    if name in RECIPES:
        return getattr(recipes, name), getattr(recipes, f"Async{name}")
    if name == "Lease":
        return leases.Lease, aleases.AsyncLease
    if name == "Watch":
        return watches.Watch, awatches.AsyncWatch
    return getattr(client, name), getattr(aclient, f"Async{name}")


def public(kind: type) -> dict[str, Any]:
    """The public names of a class and what stands behind them, by the sync name."""
    found = {}
    for name in dir(kind):
        if name in DUNDERS or name in DUNDERS.values() or not name.startswith("_"):
            found[DUNDERS.get(name, name)] = inspect.getattr_static(kind, name)
    return found


def plain(text: str | None) -> str:
    """A text without the words that only the asyncio side has."""
    words = re.sub(r"\bAsync(?=[A-Z])|\b(asyncio|threading)\.(?=Event)", "", text or "")
    return re.sub(r"\basync (with|for)\b", r"\1", re.sub(r"\bawait ", "", words))


def bare(member: Any) -> Any:
    """The function behind a method, a property or a class method."""
    if isinstance(member, property):
        return member.fget
    return getattr(member, "__func__", member)


def signature(member: Any) -> str:
    return plain(str(inspect.signature(bare(member)))) if callable(bare(member)) else ""


@pytest.mark.parametrize("name", TWINS + RECIPES)
def test_the_names_are_the_same(name: str) -> None:
    sync, asynchronous = pair(name)
    assert set(public(sync)) == set(public(asynchronous))


@pytest.mark.parametrize("name", TWINS + RECIPES)
def test_the_arguments_and_descriptions_are_the_same(name: str) -> None:
    sync, asynchronous = pair(name)
    other = public(asynchronous)
    for member, one in public(sync).items():
        assert isinstance(one, property) == isinstance(other[member], property), member
        assert signature(one) == signature(other[member]), member
        assert plain(inspect.getdoc(bare(one))) == plain(inspect.getdoc(bare(other[member]))), member


@pytest.mark.parametrize("name", TWINS + RECIPES)
def test_the_classes_are_made_and_described_alike(name: str) -> None:
    sync, asynchronous = pair(name)
    assert plain(sync.__doc__) == plain(asynchronous.__doc__)
    assert [one.__name__ for one in sync.__mro__] == [plain(one.__name__) for one in asynchronous.__mro__]


def test_every_recipe_is_for_both() -> None:
    assert {name.removeprefix("Async") for name in recipes.__all__} == set(RECIPES)


def test_every_public_class_has_its_twin() -> None:
    def classes(module: Any, strip: str) -> set[str]:
        return {
            name.removeprefix(strip)
            for name, one in vars(module).items()
            if inspect.isclass(one) and one.__module__ == module.__name__ and not name.startswith("_")
        }

    assert classes(client, "") == classes(aclient, "Async") == set(TWINS) - {"Lease", "Watch"}


def test_what_waits_can_be_awaited() -> None:
    """Whatever asks the store is a coroutine on the asyncio side, and nothing else is."""
    for name in TWINS:
        sync, asynchronous = pair(name)
        for member, one in public(sync).items():
            asks = (
                callable(bare(one))
                and not isinstance(one, property)
                and "self" in signature(one)
                and "run(" in inspect.getsource(bare(one))
            )
            if asks and member != "lock":
                assert inspect.iscoroutinefunction(bare(public(asynchronous)[member])), f"{name}.{member}"
