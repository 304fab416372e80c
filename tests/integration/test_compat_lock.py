"""The drop-in for redis-py's `Lock` beside redis-py's own, sync and asyncio."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.exceptions import DataError, LockError, LockNotOwnedError, ResponseError
from redis.lock import Lock as OldLock

from coordinator import AsyncCoordinator
from coordinator.compat import held, renewer
from coordinator.compat.held import Held
from coordinator.compat.plain import Place, resource_of
from coordinator.compat.redis import AsyncLock, LineUnavailable, Lock, NotOwned, patch
from coordinator.errors import StoreUnavailable
from coordinator.wire import calls
from tests.support.faces import Face
from tests.support.until import until

Make = Callable[..., Any]


@pytest.fixture
def name(namespace: str) -> str:
    return f"lock:{namespace}"


@pytest.fixture
def new(kind: str, co: Any, redis_url: str) -> Iterator[Make]:
    """Makes locks of the test's kind, from patched clients."""
    with contextlib.ExitStack() as stack:
        if kind == "sync":
            client = stack.enter_context(patch(redis.Redis.from_url(redis_url), co))
            yield client.lock
        else:
            other = patch(redis.asyncio.Redis.from_url(redis_url), co.target)
            stack.callback(lambda: co._loop.run(other.aclose()))
            # The loop has a thread of its own, whose token nobody else would see.
            yield lambda *args, **options: Face(co._loop, other.lock(*args, **{"thread_local": False, **options}))


def test_a_patched_client_gives_our_locks_with_the_usual_arguments(new: Make, kind: str, name: str) -> None:
    lock = new(name, timeout=5, sleep=0.2, blocking=False, blocking_timeout=1, thread_local=False)
    found = lock.target if kind == "async" else lock
    assert isinstance(found, AsyncLock if kind == "async" else Lock)
    assert (found.timeout, found.sleep, found.blocking, found.blocking_timeout) == (5, 0.2, False, 1)
    assert not found.thread_local


def test_the_plain_key_is_there_while_it_is_held(new: Make, raw: Any, co: Any, name: str, namespace: str) -> None:
    lock = new(name, timeout=5)
    assert lock.acquire()
    place = Place.read(raw.get(name))
    assert place == Place(namespace, lock.lease.ident, lock.fence)
    assert 4000 < raw.pttl(name) <= 5000
    assert lock.locked()
    assert lock.owned()
    lock.release()
    assert raw.get(name) is None
    assert not lock.locked()
    assert co.line(resource_of(name)).holders == ()
    with pytest.raises(LockError):
        lock.release()


def test_ours_and_theirs_exclude_each_other(new: Make, raw: Any, name: str) -> None:
    old, ours = OldLock(raw, name, timeout=5), new(name, timeout=5)
    assert ours.acquire()
    assert not old.acquire(blocking=False)
    ours.release()
    assert old.acquire(blocking=False)
    assert not ours.acquire(blocking=False)
    assert not ours.acquire(blocking_timeout=0.02)
    old.release()
    assert ours.acquire(blocking=False)
    ours.release()


def test_the_head_waits_for_an_old_user_and_its_own_time_begins_then(new: Make, raw: Any, co: Any, name: str) -> None:
    old, ours = OldLock(raw, name, timeout=60), new(name, timeout=30, sleep=0.01, thread_local=False)
    assert old.acquire()
    got: list[bool] = []
    waiter = threading.Thread(target=lambda: got.append(ours.acquire()))
    waiter.start()
    until(lambda: co.line(resource_of(name)).holders)
    assert not got
    old.release()
    waiter.join(5)
    assert got == [True]
    assert 20_000 < raw.pttl(name) <= 30_000
    assert ours.lease.held
    ours.release()


def noted(script: Make, tries: list[int], number: int) -> Make:
    """The script, which notes down who runs it."""
    return lambda **options: (tries.append(number), script(**options))[1]


def test_only_the_head_asks(new: Make, raw: Any, co: Any, name: str) -> None:
    """While an old user holds it, many that wait cost as many calls as one."""
    raw.set(name, "old user")
    waiting = [new(name, thread_local=False, sleep=0.05) for _ in range(8)]
    tries: list[int] = []
    for number, one in enumerate(waiting):
        found = getattr(one, "target", one)
        found._take = noted(found._take, tries, number)
    threads = [threading.Thread(target=one.acquire) for one in waiting]
    for one in threads:
        one.start()
    until(lambda: co.line(resource_of(name)).line_length == 7)
    until(lambda: tries)
    assert len(co.line(resource_of(name)).holders) == len(set(tries)) == 1
    raw.delete(name)
    for _ in waiting:
        holder = until(lambda: next((one for one in waiting if one.lease), None))
        holder.release()
    for one in threads:
        one.join(5)
    assert raw.get(name) is None


def test_without_a_timeout_the_key_is_renewed_with_the_session(new: Make, raw: Any, name: str) -> None:
    lock = new(name)
    with lock:
        first = raw.pttl(name)
        assert 0 < first <= 2000
        raw.persist(name)
        until(lambda: raw.pttl(name) > 0)
        assert lock.owned()
        assert lock.lease.held


def test_a_key_that_is_taken_away_is_noticed(new: Make, raw: Any, co: Any, name: str) -> None:
    lock = new(name)
    assert lock.acquire()
    lease = lock.lease
    raw.set(name, "somebody else")
    until(lambda: not lease.held)
    until(lambda: not co.line(resource_of(name)).holders)  # nobody of ours waits behind it
    with pytest.raises(NotOwned) as caught:
        lock.release()
    assert isinstance(caught.value, LockNotOwnedError)
    assert raw.get(name) == b"somebody else"


def test_whoever_deletes_the_key_has_unlocked_it_for_ours_too(new: Make, raw: Any, co: Any, name: str) -> None:
    """As people unlock the locks of redis-py, long before the end of a timeout."""
    lock, following = new(name, timeout=60, thread_local=False), new(name, timeout=60, thread_local=False)
    assert lock.acquire()
    lease = lock.lease
    raw.delete(name)
    assert following.acquire(blocking_timeout=30)
    assert not lease.held
    assert following.owned()
    following.release()


@pytest.mark.parametrize("refused", [False, True])
def test_many_are_looked_at_with_one_call(
    new: Make, raw: Any, name: str, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    """Whether renewed or only looked at; one by one where a server does not take them together."""
    asked, really = [0], renewer.call

    def noted(batch: Any) -> Any:
        asked.append(len(batch) if name in batch[0].duty.name else 0)
        if refused and asked[-1] > 1:
            raise ResponseError("CROSSSLOT")
        return really(batch)

    monkeypatch.setattr(renewer, "call", noted)
    monkeypatch.setattr(held, "PACE", 0.1)
    locks = [new(f"{name}:{at}", timeout=60 if at % 2 else None) for at in range(20)]
    assert all(lock.acquire() for lock in locks)
    leases = [lock.lease for lock in locks]
    until(lambda: asked.count(20) > 2)
    assert (1 in asked) is refused
    raw.delete(f"{name}:4", f"{name}:6")
    raw.hset(f"{name}:6", "of another", "type")
    raw.set(f"{name}:7", "somebody else")
    until(lambda: asked.count(17) > 2)
    assert [at for at, lease in enumerate(leases) if not lease.held] == [4, 6, 7]
    for lock in locks:
        with contextlib.suppress(NotOwned, ResponseError):
            lock.release()
    assert [raw.exists(f"{name}:{at}") for at in range(20)] == [at in (6, 7) for at in range(20)]


def test_extend_and_reacquire_move_both_ends(new: Make, raw: Any, name: str) -> None:
    lock = new(name, timeout=1)
    assert lock.acquire()
    before = lock.lease.trusted_until
    assert lock.extend(5)
    assert 5000 < raw.pttl(name) <= 6000
    assert lock.lease.trusted_until - before > 3
    assert lock.extend(2, replace_ttl=True)
    assert 1000 < raw.pttl(name) <= 2000
    assert lock.reacquire()
    assert 0 < raw.pttl(name) <= 1000
    raw.delete(name)
    for call in (lambda: lock.extend(1), lock.reacquire, lock.release):
        with pytest.raises(NotOwned):
            call()
    unlimited = new(name)
    assert unlimited.acquire()
    with pytest.raises(LockError):
        unlimited.extend(1)
    unlimited.release()


def test_a_token_can_be_handed_over(new: Make, raw: Any, co: Any, name: str) -> None:
    first, second = new(name, timeout=9, thread_local=False), new(name, timeout=9, thread_local=False)
    assert first.acquire()
    second.local.token = raw.get(name)
    assert second.owned()
    second.release()
    assert raw.get(name) is None
    assert co.line(resource_of(name)).holders == ()
    chosen = new(name, timeout=9)
    assert chosen.acquire(token="mine")
    assert raw.get(name) == b"mine"
    chosen.release()


def test_a_token_that_a_caller_chose_may_be_anybodys(
    new: Make, raw: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = OldLock(raw, name, timeout=5)
    assert old.acquire(token="worker")
    raw.pexpire(name, 1000)
    assert not new(name, timeout=60).acquire(token="worker", blocking=False)
    assert 0 < raw.pttl(name) <= 1000
    assert old.owned()
    broken = new(name, timeout=60)

    def lost(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(getattr(broken, "target", broken), "_take", lost)
    with pytest.raises(redis.ConnectionError):
        broken.acquire(token="worker", blocking=False)
    assert old.owned()
    old.release()


def test_what_cannot_be_sent_is_refused_before_it_stands_in_line(new: Make, co: Any, name: str) -> None:
    lock = new(name)
    with pytest.raises(DataError):
        lock.acquire(token=object())
    assert co.line(resource_of(name)).holders == ()
    for refused in (None, True, [name]):
        with pytest.raises(DataError):
            new(refused).acquire(blocking=False)


def test_whatever_fails_after_the_grant_gives_the_place_back(
    new: Make, raw: Any, co: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = new(name)

    def fails(*_args: Any) -> Any:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(Held, "_forget_lapsed", fails)
        with pytest.raises(RuntimeError):
            lock.acquire()
    assert raw.get(name) is None
    assert co.line(resource_of(name)).holders == ()
    assert lock.acquire(blocking=False)
    lock.release()


@pytest.mark.parametrize("way", ["cancelled", "away"])
def test_a_release_that_leads_nowhere_leaves_the_line(redis_url: str, namespace: str, name: str, way: str) -> None:
    async def releases() -> None:
        client = redis.asyncio.Redis.from_url(redis_url)
        async with AsyncCoordinator.connect(redis_url, namespace) as co, client:
            lock = patch(client, co).lock(name)
            await lock.acquire()
            sending, really = asyncio.Event(), lock.lua_release

            async def leads_nowhere(**_options: Any) -> None:
                lock.lua_release = really
                sending.set()
                if way == "cancelled":
                    await asyncio.Event().wait()
                raise redis.ConnectionError("away")

            lock.lua_release = leads_nowhere
            task = asyncio.create_task(lock.release())
            await sending.wait()
            if way == "cancelled":
                task.cancel()
            with pytest.raises(asyncio.CancelledError if way == "cancelled" else redis.ConnectionError):
                await task
            assert not (await co.line(resource_of(name))).holders
            assert bool(await client.get(name)) == (way == "away"), "nobody can say: it ends by itself"
            await client.delete(name)

    asyncio.run(releases())


@pytest.mark.parametrize("of", [int, float, str, str.encode, lambda text: memoryview(text.encode())])
def test_a_name_is_what_the_client_sends(new: Make, raw: Any, co: Any, namespace: str, of: Make) -> None:
    given = of(str(int(sha256(namespace.encode()).hexdigest()[:12], 16)))
    lock = new(given, timeout=5)
    assert lock.acquire(blocking=False)
    sent = repr(given).encode() if isinstance(given, int | float) else given
    assert co.line(resource_of(sent)).holders
    assert raw.exists(given)
    lock.release()
    assert not raw.exists(given)


def test_what_could_not_be_given_back_is_given_back_later(
    new: Make, co: Any, kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = new(name, timeout=60, thread_local=False)
    assert lock.acquire()

    def fails(*_args: Any) -> Any:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(calls, "release", fails)
        with pytest.raises(LineUnavailable):
            lock.release()
    until(lambda: not co.line(resource_of(name)).holders)


def test_locks_that_end_by_themselves_do_not_pile_up(new: Make, name: str) -> None:
    lock = new(name, timeout=0.05, thread_local=False)
    for _ in range(4):
        assert lock.acquire()
    assert len(getattr(lock, "target", lock)._leases) == 1


def test_the_context_manager_says_what_redis_py_says(new: Make, raw: Any, name: str) -> None:
    raw.set(name, "old user")
    with pytest.raises(LockError), new(name, blocking=False):
        pass
    raw.delete(name)
    with new(name, timeout=5, raise_on_release_error=False):
        raw.delete(name)
    with pytest.raises(LockNotOwnedError), new(name, timeout=5):
        raw.delete(name)


def test_a_thread_sees_its_own_token_only(co: Any, kind: str, redis_url: str, name: str) -> None:
    if kind == "async":
        pytest.skip("tasks share a thread")
    with patch(redis.Redis.from_url(redis_url), co) as client:
        lock = client.lock(name, timeout=5)
        assert lock.acquire()
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.extend([lock.owned(), lock.lease]))
        thread.start()
        thread.join(5)
        assert seen == [False, None]
        lock.release()
