"""Who holds what, with both clients."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator import Need
from coordinator.errors import InvalidInput


def test_who_holds_what_is_told_from_both_sides(co: Any, other: Any) -> None:
    lease = co.acquire([Need("p/ü", "shared"), "p/b"], owner="pr 1", reason="apply")
    ticket = other.request("p/ü", owner="pr 2")
    page = co.holders("p/*", most=1)
    [first] = page.resources
    [holder] = first.holders
    assert (first.name, first.line_length, holder.owner, holder.mode) == ("p/ü", 1, "pr 1", "shared")
    assert (holder.fence, holder.until is not None) == (lease.fence, True)
    assert [one.name for one in co.holders("p/*", page.after).resources] == ["p/b"]
    assert not co.holders("p/ü/*").resources
    [mine] = co.held_by("pr 1").requests
    assert (mine.request.state, mine.fence, mine.request.reason) == ("held", lease.fence, "apply")
    assert set(mine.needs) == {Need("p/b"), Need("p/ü", "shared")}
    [theirs] = co.held_by("pr 2").requests
    assert (theirs.request.ident, theirs.request.state, theirs.fence) == (ticket.ident, "waiting", None)
    lease.release()
    assert (co.held_by("pr 1").total, co.held_by("pr 2").requests[0].request.state) == (0, "held")
    for wrong in (lambda: co.holders("a*b"), lambda: co.held_by(""), lambda: co.holders("**", most=0)):
        with pytest.raises(InvalidInput):
            wrong()
