"""Locks taken and given back, with both in the history."""

from __future__ import annotations

from typing import Any

from chaos.history import Recorder
from coordinator import Coordinator
from coordinator.leases import Lease


def take(co: Coordinator, recorder: Recorder, resource: str, **options: Any) -> Lease:
    """Acquire a lock. Raises what the client raises."""
    with recorder.doing("acquire", resource=resource) as pending:
        lease = co.acquire(resource, **options)
        pending.fence, pending.args["request"] = lease.fence, lease.ident
    return lease


def give_back(lease: Lease, recorder: Recorder, resource: str) -> None:
    """Release a lock. Raises what the client raises."""
    with recorder.doing("release", lease.fence, resource=resource, request=lease.ident):
        lease.release()
