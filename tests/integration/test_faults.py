"""What the clients do when replies are lost, scripts are forgotten, connections break and the server restarts."""

import gc
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from chaos.proxy import Proxy
from coordinator import AsyncBarrier, Barrier, Settings, State
from coordinator.drivers.embedded import EmbeddedServer
from coordinator.errors import StoreUnavailable, UnknownOutcome
from tests.support.faces import connected
from tests.support.server import plain_client
from tests.support.until import until


@pytest.fixture
def proxy(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    made = Proxy(Path(redis_url.removeprefix("unix://").partition("?")[0]), tmp_path_factory.mktemp("p"))
    yield made
    made.close()


@pytest.fixture
def through(kind: str, proxy: Proxy, settings: Settings) -> Iterator[Any]:
    """A client whose every byte goes through the proxy."""
    with connected(kind, proxy.url, settings) as client:
        yield client


@pytest.mark.parametrize("fault", ["drop_reply", "drop_request"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_lost_exchange_changes_nothing_for_the_caller(
    through: Any, proxy: Proxy, raw: Any, namespace: str, fault: Any, times: int
) -> None:
    with through.lock("warm"):
        pass

    def spoil() -> None:
        proxy.fail_next(times, fault)

    spoil()
    lease = through.acquire("a")
    spoil()
    lease.extend(30)
    spoil()
    lease.release()
    spoil()
    ticket = through.submit("job", {"n": 1})
    spoil()
    assert ticket.cancel()
    assert proxy.spoiled >= 4 * times
    counted = {name: int(count) for name, count in raw.hgetall(f"co:{{{namespace}}}:stats").items()}
    stats = {name: count for name, count in counted.items() if not name.endswith(b"_ms")}  # how long is chance
    assert stats == {b"ask": 3, b"grant": 2, b"release": 2, b"offer": 1, b"cancel": 1}


def test_forgotten_scripts_are_sent_again(co: Any, raw: Any) -> None:
    for _ in range(3):
        raw.script_flush()
        with co.lock("a"):
            raw.script_flush()


@pytest.fixture
def nothing_is_logged() -> Iterator[None]:
    """Records of what went wrong keep the errors, and the test would keep the records."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_nothing_is_left_of_connections_that_broke(co: Any, raw: Any, nothing_is_logged: None) -> None:
    """What breaks again and again would otherwise fill a process that lives for weeks."""
    # What every broken connection leaves behind is there `turns` times; what comes and goes meanwhile is less.
    turns = 40

    def break_all() -> None:
        for _ in range(turns):
            raw.client_kill_filter(_type="normal", skipme=True)
            with co.lock("a"):
                ticket = co.request("a")
            ticket.wait(10).release()

    break_all()
    before, sockets = objects(), psutil.Process().num_fds()
    break_all()
    after = objects()
    # An event loop keeps timers that were called off until there are a hundred of them.
    grown = {name: after[name] - before[name] for name in after if name not in {"TimerHandle", "Context", "method"}}
    assert {name: count for name, count in grown.items() if count >= turns} == {}
    assert psutil.Process().num_fds() - sockets < turns / 2


def objects() -> Counter[str]:
    """How many objects there are, by type. Threads are among them."""
    gc.collect()
    return Counter(type(one).__qualname__ for one in gc.get_objects())


def test_a_broken_inbox_connection_loses_no_grant(through: Any, other: Any, proxy: Proxy) -> None:
    held = other.acquire("a")
    ticket = through.request("a")
    proxy.sever()
    held.release()
    assert ticket.wait(10).held


def test_a_message_lost_on_its_way_is_missed_at_the_next_heartbeat(
    co: Any, other: Any, raw: Any, namespace: str
) -> None:
    held = other.acquire("a")
    ticket = co.request("a")
    session = raw.hget(f"co:{{{namespace}}}:req:{ticket.ident}", "session").decode()
    # A message that was counted and never came, as after a connection that died with it.
    raw.hincrby(f"co:{{{namespace}}}:session:{session}", "mail", 1)
    held.release()
    assert ticket.wait(10).held


def test_without_a_server_the_error_says_so(kind: str, proxy: Proxy, settings: Settings) -> None:
    proxy.refuse = True
    with (
        connected(kind, proxy.url, settings.model_copy(update={"retry_for": 0.2})) as client,
        pytest.raises((StoreUnavailable, UnknownOutcome)),
    ):
        client.acquire("a")


def test_an_interrupted_ask_is_withdrawn_later(kind: str, proxy: Proxy, settings: Settings, other: Any) -> None:
    with connected(kind, proxy.url, settings.model_copy(update={"retry_for": 0.0})) as client:
        with client.lock("warm"):
            pass
        proxy.fail_next(2, "drop_reply")  # the ask, and the attempt to take it back
        with pytest.raises(UnknownOutcome):
            client.acquire("a")
        assert other.acquire("a", wait=10).held


def test_a_release_that_met_an_outage_is_made_in_the_background(
    kind: str, proxy: Proxy, settings: Settings, other: Any
) -> None:
    with connected(kind, proxy.url, settings.model_copy(update={"retry_for": 0.0})) as client:
        lease = client.acquire("a")
        proxy.plan = lambda request: "drop_request" if lease.ident.encode() in request.raw else "none"
        with pytest.raises(UnknownOutcome):
            lease.release()
        assert not lease.held
        assert other.try_acquire("a") is None, "it is given back when the store answers"
        proxy.plan = lambda _request: "none"
        assert other.acquire("a", wait=10).held, "and not only with the session, which lives on"
        lease.release()


def test_who_came_to_a_barrier_and_was_not_told_so_leaves_it_in_the_background(
    kind: str, proxy: Proxy, settings: Settings, raw: Any, namespace: str
) -> None:
    def come() -> int:
        return sum(raw.hlen(key) for key in raw.scan_iter(f"co:{{{namespace}}}:came:*"))

    with connected(kind, proxy.url, settings.model_copy(update={"retry_for": 0.0})) as client:
        with client.lock("warm"):
            pass
        barrier: Any = Barrier(client, "phase", 2) if kind == "sync" else AsyncBarrier(client.target, "phase", 2)
        proxy.plan = lambda request: "drop_reply" if b"barrier" in request.raw else "none"
        with pytest.raises(UnknownOutcome):
            barrier.wait(5) if kind == "sync" else client._loop.run(barrier.wait(5))
        proxy.plan = lambda _request: "none"
        until(lambda: not come())


def test_a_restart_of_the_server_loses_nothing(kind: str, fresh_server: EmbeddedServer, settings: Settings) -> None:
    patient = settings.model_copy(update={"session_ttl": 30.0, "retry_for": 20.0})
    with connected(kind, fresh_server.url, patient) as client, connected(kind, fresh_server.url, patient) as second:
        lease = client.acquire("a")
        ticket = second.request("a")
        jobs = client.submit_many([])
        job = client.submit("job", [1, 2, 3])
        fresh_server.stop()
        released = threading.Thread(target=lease.release)
        released.start()
        fresh_server.start()
        released.join(30)
        assert jobs == []
        assert ticket.wait(30).fence > lease.fence
        assert job.state() == State.READY


def test_the_first_call_may_come_before_the_server(kind: str, tmp_path: Path, settings: Settings) -> None:
    with EmbeddedServer(tmp_path / "d") as server:
        url = server.url
        server.stop()
        with connected(kind, url, settings.model_copy(update={"retry_for": 20.0})) as client:
            asked = threading.Thread(target=lambda: client.submit("job"))
            asked.start()
            server.start()
            asked.join(20)
            with plain_client(server.url) as raw:
                until(lambda: raw.exists(f"co:{{{settings.namespace}}}:ready:default"))
