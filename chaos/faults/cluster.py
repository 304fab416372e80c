"""A small cluster on the loopback interface, and moving a slot between its nodes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from chaos.faults.node import Node
from chaos.faults.waiting import until

SLOTS = 16384
KEYS_PER_STEP = 100


class Cluster:
    """Nodes that share the slots out evenly, in order."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self._names = {node.port: str(node.ask("CLUSTER MYID")) for node in nodes}
        self._moved: dict[int, Node] = {}
        share = -(-SLOTS // len(nodes))
        self._first = [(node, range(n * share, min(SLOTS, (n + 1) * share))) for n, node in enumerate(nodes)]
        for node, slots in self._first:
            # Slot by slot: ADDSLOTSRANGE came with 7.0.
            node.ask("CLUSTER ADDSLOTS", *slots)
            # Without epochs of their own the nodes would first have to quarrel about the slots.
            node.ask("CLUSTER SET-CONFIG-EPOCH", nodes.index(node) + 1)
        for node in nodes[1:]:
            nodes[0].ask("CLUSTER MEET", node.host, node.port, node.port + 10_000)
        until(lambda: all(_is_up(node, len(nodes)) for node in nodes), "the cluster is up")

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis+cluster://{self.nodes[0].host}:{self.nodes[0].port}"

    def owner(self, slot: int) -> Node:
        """The node that has a slot."""
        return self._moved.get(slot) or next(node for node, slots in self._first if slot in slots)

    def move(self, slot: int, target: Node, linger: float = 0.0) -> float:
        """Move a slot with its keys, as operators do; `linger` seconds in between it is on both nodes in part.
        Returns how long the slot was between the two, in seconds."""
        source = self.owner(slot)
        began = time.monotonic()
        target.ask("CLUSTER SETSLOT", slot, "IMPORTING", self._names[source.port])
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", self._names[target.port])
        first = True
        while keys := source.ask("CLUSTER GETKEYSINSLOT", slot, KEYS_PER_STEP):
            some = keys[: len(keys) // 2 + 1] if first else keys
            source.ask("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *some)
            if first:
                time.sleep(linger)
                first = False
        for node in (target, source, *self.nodes):
            node.ask("CLUSTER SETSLOT", slot, "NODE", self._names[target.port])
        self._moved[slot] = target
        return time.monotonic() - began


@contextlib.contextmanager
def clustered(folder: Path, nodes: int, binary: Path | None = None) -> Iterator[Cluster]:
    """A cluster on the loopback interface."""
    lines = ("cluster-enabled yes", "cluster-node-timeout 5000")
    with ExitStack() as stack:
        made = [stack.enter_context(Node(folder / f"node{n}", lines, binary=binary)) for n in range(nodes)]
        yield Cluster(tuple(made))


def _is_up(node: Node, nodes: int) -> bool:
    said = node.ask("CLUSTER INFO")
    return bool(said["cluster_state"] == "ok" and int(said["cluster_known_nodes"]) == nodes)
