"""The drop-in looks and speaks like the lock of the redis-py that is installed."""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.lock
import redis.lock
from redis.exceptions import LockError, LockNotOwnedError

from coordinator.compat.redis import AsyncLock, LineRefused, Lock, patch
from tests.support.faces import Face

PAIRS = [(Lock, redis.lock.Lock), (AsyncLock, redis.asyncio.lock.Lock)]
Make = Callable[..., Any]


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(one.name, one.kind, one.default) for one in inspect.signature(function).parameters.values()]


@pytest.mark.no_redis
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_every_method_takes_what_that_of_redis_py_takes(ours: Any, theirs: Any) -> None:
    assert parameters(ours) == parameters(theirs)
    entering = ("__enter__", "__exit__", "__aenter__", "__aexit__")
    methods = [name for name, _ in inspect.getmembers(theirs, inspect.isfunction) if name[0] != "_" or name in entering]
    assert {"acquire", "release", "extend", "reacquire", "locked", "owned"} <= set(methods)
    for name in methods:
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert parameters(mine) == parameters(other), name
        assert inspect.iscoroutinefunction(mine) == inspect.iscoroutinefunction(other), name


@pytest.fixture
def clients(kind: str, co: Any, redis_url: str) -> Iterator[tuple[Make, Make]]:
    """Makes locks of ours and of redis-py."""
    with contextlib.ExitStack() as stack:
        if kind == "sync":
            plain, client = (stack.enter_context(redis.Redis.from_url(redis_url)) for _ in range(2))
            yield patch(client, co).lock, plain.lock
        else:
            made = [redis.asyncio.Redis.from_url(redis_url) for _ in range(2)]
            for one in made:
                stack.callback(lambda each=one: co._loop.run(each.aclose()))
            patch(made[0], co.target)
            # The loop has a thread of its own, whose token nobody else would see.
            yield tuple(
                lambda *args, each=one, **more: Face(co._loop, each.lock(*args, **{"thread_local": False, **more}))
                for one in made
            )  # type: ignore[misc]


@pytest.mark.parametrize("timeout", [Decimal("60.5"), Fraction(121, 2)])
def test_a_timeout_of_any_kind_of_number_is_taken(
    clients: tuple[Make, Make], raw: Any, namespace: str, timeout: Any
) -> None:
    name = f"lock:{namespace}"
    for make in clients:
        lock = make(name, timeout=timeout)
        assert lock.acquire()
        assert lock.reacquire()
        assert 30_000 < raw.pttl(name) <= 60_500
        lock.release()


def test_all_arguments_may_be_given_by_position(clients: tuple[Make, Make], kind: str, namespace: str) -> None:
    positions = (30, 0.1, True, None, None, *([False] if kind == "sync" else []))
    for make in clients:
        lock = make(f"lock:{namespace}", *positions)
        assert lock.acquire()
        lock.release()


def test_a_pause_that_cannot_be_is_refused_only_when_it_comes_to_sleep(
    clients: tuple[Make, Make], kind: str, namespace: str
) -> None:
    name = f"lock:{namespace}"
    for make in clients:
        lock = make(name, timeout=60, sleep=-1)
        assert lock.acquire()
        assert not make(name, sleep=-1).acquire(blocking=False)
        if kind == "sync":  # asyncio knows no pause that cannot be
            with pytest.raises(ValueError, match="non-negative"):
                make(name).acquire(sleep=-1)
        lock.release()


@pytest.mark.parametrize("gone", ["deleted", "another's"])
@pytest.mark.parametrize(
    "use",
    [
        lambda lock, lose: lock.release(),
        lambda lock, lose: (lock.acquire(), lock.release(), lock.release()),
        lambda lock, lose: (lock.acquire(), lose(), lock.release()),
        lambda lock, lose: lock.extend(1),
        lambda lock, lose: (lock.acquire(), lose(), lock.extend(1)),
        lambda lock, lose: (lock.acquire(), lose(), lock.extend(1, replace_ttl=True)),
        lambda lock, lose: lock.reacquire(),
        lambda lock, lose: (lock.acquire(), lose(), lock.reacquire()),
        lambda lock, lose: (lose(), lock.__enter__()),
        lambda lock, lose: (lock.__enter__(), lose(), lock.__exit__(None, None, None)),
        lambda lock, lose: lock.acquire(wait=1),
    ],
)
@pytest.mark.parametrize("timeout", [None, 30])
def test_what_goes_wrong_is_said_in_the_same_words(
    clients: tuple[Make, Make], raw: Any, namespace: str, use: Any, gone: str, timeout: float | None
) -> None:
    def heard(make: Make, name: str) -> tuple[list[str], Any]:
        def lose() -> None:
            raw.delete(name)
            if gone != "deleted":
                raw.set(name, "another")

        try:
            use(make(name, timeout=timeout, blocking_timeout=0.05), lose)
        except Exception as error:
            kinds = [one.__name__ for one in type(error).__mro__]
            return kinds, (str(error).replace("Async", ""), getattr(error, "message", ""), len(error.args))
        finally:
            raw.delete(name)
        return [], ()

    (mine, said), (other, wanted) = (heard(make, f"lock:{namespace}:{n}") for n, make in enumerate(clients))
    assert said == wanted
    assert other[:1] == [one for one in mine if one in other[:1]], (mine, other)


def test_a_lock_with_a_timeout_of_0_cannot_be_extended(clients: tuple[Make, Make], namespace: str) -> None:
    for n, make in enumerate(clients):
        lock = make(f"lock:{namespace}:{n}", timeout=0)
        assert lock.acquire()
        with pytest.raises(LockNotOwnedError, match="no longer owned"):
            lock.extend(1)
        assert lock.owned()
        lock.release()


@pytest.mark.parametrize(
    ("timeout", "use"),
    [
        (0, lambda lock: lock.reacquire()),
        (60, lambda lock: lock.extend(-60)),
        (60, lambda lock: lock.extend(0, replace_ttl=True)),
        (60, lambda lock: lock.extend(0.0001, replace_ttl=True)),
    ],
)
def test_an_end_that_is_not_later_than_now_is_refused_and_changes_nothing(
    clients: tuple[Make, Make], namespace: str, timeout: float, use: Any
) -> None:
    """redis-py deletes the key and says that it went well."""
    theirs, ours = clients[1](f"lock:{namespace}", timeout=timeout), clients[0](f"lock:{namespace}", timeout=timeout)
    assert theirs.acquire()
    assert use(theirs)
    assert not theirs.owned()
    assert ours.acquire()
    with pytest.raises(LineRefused, match="later than now"):
        use(ours)
    assert ours.owned()
    assert ours.lease.held
    ours.release()


def test_an_end_may_be_moved_nearer(clients: tuple[Make, Make], raw: Any, namespace: str) -> None:
    name = f"lock:{namespace}"
    for make in clients:
        lock = make(name, timeout=60)
        assert lock.acquire()
        assert lock.extend(-30)
        assert 20_000 < raw.pttl(name) <= 30_000
        lock.release()
        with pytest.raises(LockError):
            lock.extend(-30)
