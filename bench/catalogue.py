"""All workloads and all libraries, and how they are named on the command line."""

from __future__ import annotations

from typing import TypeVar

from bench.peers import OURS, PEERS, Peer
from bench.workloads import drain, enqueue, keyed, latency, locks, memory, ours, overhead
from bench.workloads.base import Workload

T = TypeVar("T")
WORKLOADS: tuple[Workload, ...] = (
    *enqueue.WORKLOADS,
    *drain.WORKLOADS,
    *latency.WORKLOADS,
    ours.DEPTH,
    *memory.WORKLOADS,
    *keyed.WORKLOADS,
    *locks.WORKLOADS,
    ours.WAITERS,
    overhead.OVERHEAD,
)


class UnknownName(Exception):
    """A workload or a library that there is not."""


def chosen_workloads(names: str) -> list[Workload]:
    """Those named, with commas between; all if empty. Raises UnknownName."""
    known = {one.name: one for one in WORKLOADS}
    return [_known(known, name, "workload") for name in _split(names)] or list(WORKLOADS)


def chosen_peers(names: str) -> list[Peer]:
    """Ourselves and those named; `all`, or `none` for us alone. Raises UnknownName."""
    if names == "all":
        return list(PEERS)
    known = {one.name: one for one in PEERS}
    named = [] if names == "none" else [_known(known, name, "library") for name in _split(names)]
    return [known[OURS], *(one for one in named if one.name != OURS)]


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _known(known: dict[str, T], name: str, kind: str) -> T:
    if name not in known:
        raise UnknownName(f"there is no {kind} {name!r}; there are {', '.join(known)}")
    return known[name]
