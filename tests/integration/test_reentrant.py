"""Locks that their owner acquires again while it holds them."""

from typing import Any

import pytest

from coordinator import Need
from coordinator.errors import InvalidInput, UpgradeRefused


def test_the_same_owner_has_a_reentrant_lock_again(co: Any, other: Any, raw: Any) -> None:
    with co.lock("a", owner="ann", reentrant=True) as outer:
        before = raw.info("commandstats").get("cmdstat_xadd", {})
        with co.lock("a", owner="ann", reentrant=True) as inner:
            assert inner.fence == outer.fence
        assert raw.info("commandstats").get("cmdstat_xadd", {}) == before, "nobody was asked"
        assert outer.held
        assert co.try_acquire("a", owner="bob", reentrant=True) is None
        assert other.try_acquire("a", owner="ann", reentrant=True) is None
        with pytest.raises(UpgradeRefused):
            co.acquire(Need("a", "shared"), owner="ann", reentrant=True)
    assert other.try_acquire("a").fence > outer.fence
    for ask, options in ((co.acquire, {"reentrant": True}), (co.request, {"owner": "ann", "reentrant": True})):
        with pytest.raises(InvalidInput):
            ask("b", **options)


def test_what_is_acquired_again_is_checked_as_the_first_time(co: Any) -> None:
    with co.lock("a", owner="ann", reentrant=True):
        for wrong in ({"ttl": -5}, {"priority": "bogus"}, {"within": 7}, {"durability": "bogus"}):
            with pytest.raises(InvalidInput):
                co.acquire("a", owner="ann", reentrant=True, **wrong)
        with pytest.raises(InvalidInput, match="acquired first"):
            co.try_acquire("a", owner="ann", reentrant=True, durability="replicated")
        assert co.try_acquire("a", owner="ann", reentrant=True).held
    with pytest.raises(InvalidInput, match="reentrant"):
        co.steal("a", "for now", owner="ann", reentrant=True)
