"""A primary with replicas and Sentinels, on this host or on both sides of a link that can be cut."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.faults.network import Network
from chaos.faults.node import Node
from chaos.faults.waiting import until

SERVICE = "main"
DOWN_AFTER_MS = 1000
# A primary that no replica has heard from for so long takes no more writes.
SAFE = ("min-replicas-to-write 1", "min-replicas-max-lag 2")
# How soon a replica that was shut out comes back, and how soon a Sentinel tries again.
QUICK = ("repl-timeout 5", "repl-ping-replica-period 1", "repl-diskless-sync-delay 0")


@dataclass(frozen=True, slots=True)
class Watched:
    """A watched set-up. `primary` is the one it began with; use `current` for the one of now."""

    primary: Node
    replicas: tuple[Node, ...]
    sentinels: tuple[Node, ...]
    near: Callable[[], AbstractContextManager[None]]

    @property
    def url(self) -> str:
        """Where clients find the primary."""
        hosts = ",".join(f"{one.host}:{one.port}" for one in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    @property
    def servers(self) -> tuple[Node, ...]:
        """All servers with data."""
        return (self.primary, *self.replicas)

    def current(self) -> Node:
        """The primary of now, as a Sentinel says."""
        with self.near():
            answer = self.sentinels[0].ask("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(one for one in self.servers if one.port == int(answer[1]))


@contextlib.contextmanager
def watched(folder: Path, replicas: int, sentinels: int, binary: Path | None = None) -> Iterator[Watched]:
    """A set-up on the loopback interface."""
    with ExitStack() as stack:
        primary = stack.enter_context(Node(folder / "primary", QUICK, binary=binary))
        others = (f"replicaof 127.0.0.1 {primary.port}", *QUICK)
        followers = [stack.enter_context(Node(folder / f"replica{n}", others, binary=binary)) for n in range(replicas)]
        guards = [
            stack.enter_context(Node(folder / f"sentinel{n}", _guard(primary, sentinels), binary=binary))
            for n in range(sentinels)
        ]
        made = Watched(primary, tuple(followers), tuple(guards), contextlib.nullcontext)
        _await_settled(made)
        yield made


@contextlib.contextmanager
def across(folder: Path, network: Network) -> Iterator[Watched]:
    """The primary on host `a`; two replicas and three Sentinels on host `b`."""
    with ExitStack() as stack:
        a, b = network.address["a"], network.address["b"]
        with network.inside("a"):
            primary = stack.enter_context(Node(folder / "primary", (*SAFE, *QUICK), host=a))
        lines = (f"replicaof {a} {primary.port}", *SAFE, *QUICK)
        with network.inside("b"):
            followers = [stack.enter_context(Node(folder / f"replica{n}", lines, host=b)) for n in range(2)]
            guards = [stack.enter_context(Node(folder / f"sentinel{n}", _guard(primary, 3), host=b)) for n in range(3)]
        made = Watched(primary, tuple(followers), tuple(guards), lambda: network.inside("b"))
        _await_settled(made)
        yield made


def followers(told: dict[str, Any], wanted: int) -> list[dict[str, Any]]:
    """What a primary tells of each of its replicas (`INFO replication`): nothing of one whose connection has just
    ended, until it has come back."""
    return [told.get(f"slave{n}", {}) for n in range(wanted)]


def await_whole(setup: Watched) -> None:
    """Return when the primary of now has all others as replicas that are up to date. Raises TimeoutError."""
    wanted = len(setup.servers) - 1

    def whole() -> bool:
        with setup.near(), contextlib.closing(setup.current().client(decode_responses=True)) as client:
            info: Any = client.info("replication")
        # One that is online may still be loading; then it has not said yet how far it is.
        fresh = [one for one in followers(info, wanted) if one.get("state") == "online" and int(one["offset"]) > 0]
        return info["role"] == "master" and len(fresh) == wanted

    until(whole, "all replicas follow the primary")


def _guard(primary: Node, sentinels: int) -> tuple[str, ...]:
    quorum = sentinels // 2 + 1
    return (
        f"sentinel monitor {SERVICE} {primary.host} {primary.port} {quorum}",
        f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
        f"sentinel failover-timeout {SERVICE} 4000",
    )


def _await_settled(setup: Watched) -> None:
    await_whole(setup)

    def known() -> bool:
        for one in setup.sentinels:
            with setup.near():
                said = one.ask("SENTINEL MASTER", SERVICE)
            facts = said if isinstance(said, dict) else dict(zip(said[::2], said[1::2], strict=True))
            if int(facts["num-slaves"]) < len(setup.replicas):
                return False
            if int(facts["num-other-sentinels"]) < len(setup.sentinels) - 1:
                return False
        return True

    until(known, "the Sentinels know everybody")
