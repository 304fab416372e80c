"""A server that lost its newest writes, as after a power cut or a failover: both sides come to agree again."""

from typing import Any

from coordinator import Settings
from coordinator.drivers.embedded import EmbeddedServer
from tests.support.faces import connected
from tests.support.server import plain_client
from tests.support.until import until


def test_a_lock_whose_release_was_forgotten_is_given_back(co: Any, other: Any, raw: Any, namespace: str) -> None:
    lease = co.acquire("a")
    session = raw.hget(f"co:{{{namespace}}}:req:{lease.ident}", "session").decode()
    keys = [key for key in raw.scan_iter(match=f"co:{{{namespace}}}:*") if b":session" not in key]
    before = {key: (max(0, raw.pttl(key)), raw.dump(key)) for key in keys}
    lease.release()
    for key, kept in before.items():
        raw.restore(key, *kept, replace=True)
    assert raw.smembers(f"co:{{{namespace}}}:owns:{session}") == {lease.ident.encode()}
    again = other.acquire("a", wait=10)
    assert again.fence > lease.fence


def test_a_lock_whose_grant_was_forgotten_is_lost(co: Any, raw: Any, namespace: str) -> None:
    co.acquire("other")
    keys = list(raw.scan_iter(match=f"co:{{{namespace}}}:*"))
    before = {key: (max(0, raw.pttl(key)), raw.dump(key)) for key in keys}
    lease = co.acquire("a")
    for key in raw.scan_iter(match=f"co:{{{namespace}}}:*"):
        if key not in before:
            raw.delete(key)
        elif b":session" not in key:
            raw.restore(key, *before[key], replace=True)
    until(lambda: not lease.held, 10, "the holder is told")
    assert "knows nothing" in lease.why_lost


def test_fences_grow_past_a_namespace_that_was_lost_as_a_whole(
    kind: str, fresh_server: EmbeddedServer, settings: Settings
) -> None:
    with connected(kind, fresh_server.url, settings) as co:
        lease = co.acquire("a")
        first = lease.fence
        with plain_client(fresh_server.url) as raw:
            raw.delete(*raw.scan_iter(match=f"co:{{{settings.namespace}}}:*"))
        until(lambda: not lease.held, 10, "the holder is told")
        assert co.acquire("a", wait=10).fence > first
