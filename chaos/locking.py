"""Locks taken and given back, with both in the history."""

from __future__ import annotations

import time
from typing import Any

from chaos.history import Recorder
from coordinator import Coordinator, Need
from coordinator.drivers import clock
from coordinator.leases import Lease


def take(co: Coordinator, recorder: Recorder, need: str | Need, size: int = 1, **options: Any) -> Lease:
    """Acquire a lock; of a counted resource, `size` is how many permits it has. Raises what the client raises."""
    asked = Need(need) if isinstance(need, str) else need
    how = {"permits": asked.permits, "size": size} if size > 1 else {"mode": asked.mode}
    with recorder.doing("acquire", resource=asked.resource, **how) as pending:
        lease = co.acquire(asked, **options)
        pending.fence, pending.args["request"] = lease.fence, lease.ident
        # On one machine the server's clock is ours.
        pending.args["trusted_us"] = round((time.time() + co._driver.keeper.trusted_until - clock.now()) * 1e6)
    return lease


def give_back(lease: Lease, recorder: Recorder, resource: str) -> None:
    """Release a lock. Raises what the client raises."""
    with recorder.doing("release", lease.fence, resource=resource, request=lease.ident):
        lease.release()
