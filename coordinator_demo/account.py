"""The server's account of a run: its events stream, turned into facts for the checker.

The stream is written by the same scripts that make the changes, so its order is the order in which they happened. What
an event leaves out (which resources, for which pull) is read from the request's own keys. The counters of the
namespace are kept apart from the stream, so they tell whether any of it is missing.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordinator import Settings
from coordinator.drivers.connect import locate, sync_client
from coordinator.keys import decode, key, prefix
from coordinator.model import states
from coordinator.model.need import Need
from coordinator.wire.needs import from_wire
from coordinator_demo.facts import Fact

BATCH = 1000
ENDS = frozenset({"release", "lose", "succeed", "fail", "bury", "cancel", "expire", "shed"})
BACK = {"give_back": "returned", "crash": "returned", "due": "returned", "retry": "parked", "snooze": "parked"}

EVENTS = frozenset({*(str(event) for event in states.Event), "join"})

Event = dict[str, str]


@dataclass(frozen=True, slots=True)
class Account:
    """What the server says happened. `missing` counts events that are no longer in the stream, by name."""

    facts: tuple[Fact, ...]
    times: tuple[float, ...]
    joined: int
    missing: Mapping[str, int]


@contextlib.contextmanager
def raw_client(url: str) -> Iterator[Any]:
    """A plain Redis client for looking at a namespace from outside."""
    client = sync_client(locate(url), Settings.of().operation_timeout, 2)
    try:
        yield client
    finally:
        client.close()


def read_account(client: Any, namespace: str) -> Account:
    """The whole account of a namespace."""
    found = list(events(client, namespace))
    asked = [event["id"] for event in found if event["event"] in ("ask", "delay")]
    details = _details(client, namespace, asked)
    facts, times = [], []
    for event in found:
        for fact in _facts(event, details):
            facts.append(fact)
            times.append(int(event["ms"]) / 1000)
    seen = Counter(event["event"] for event in found)
    # Other things are counted there, too, such as ms.
    happened = {name: count for name, count in counters(client, namespace).items() if name in EVENTS}
    missing = {name: count - seen[name] for name, count in happened.items() if count != seen[name]}
    return Account(tuple(facts), tuple(times), seen["join"], missing)


def counters(client: Any, namespace: str) -> dict[str, int]:
    """What the server has counted."""
    return {name.decode(): int(count) for name, count in client.hgetall(key(namespace, "STATS")).items()}


def is_empty(client: Any, namespace: str) -> bool:
    """Whether nothing has ever used the namespace."""
    return not client.exists(key(namespace, "META"))


def remove(client: Any, namespace: str) -> None:
    """Delete all keys of a namespace. Only for one that the demonstration has made itself."""
    # The braces and dashes of the prefix are no pattern characters, and a namespace cannot contain any.
    batch = list(client.scan_iter(match=prefix(namespace) + "*", count=BATCH))
    for start in range(0, len(batch), BATCH):
        client.unlink(*batch[start : start + BATCH])


def events(client: Any, namespace: str) -> Iterator[Event]:
    """The whole events stream, the oldest first."""
    return (fields for _, fields in entries(client, namespace, "EVENTS"))


def entries(client: Any, namespace: str, stream: str) -> Iterator[tuple[str, Event]]:
    """All entries of a stream with their ids, the oldest first."""
    after = "-"
    while True:
        page = client.xrange(key(namespace, stream), min=after, count=BATCH)
        for ident, fields in page:
            yield ident.decode(), {name.decode(): value.decode() for name, value in fields.items()}
        if len(page) < BATCH:
            return
        after = "(" + page[-1][0].decode()


def _details(client: Any, namespace: str, ids: Sequence[str]) -> dict[str, tuple[tuple[Need, ...], str]]:
    found = {}
    for start in range(0, len(ids), BATCH):
        chunk = ids[start : start + BATCH]
        pipe = client.pipeline(transaction=False)
        for ident in chunk:
            pipe.hget(key(namespace, "REQ", ident), "needs")
            pipe.get(key(namespace, "NEEDS", ident))
            pipe.hget(key(namespace, "NOTE", ident), "owner")
        answers = pipe.execute()
        for at, ident in enumerate(chunk):
            short, long, owner = answers[3 * at : 3 * at + 3]
            # Long needs have a key of their own, and the record their count.
            found[ident] = (tuple(from_wire((long or short or b"").decode())), (owner or b"").decode())
    return found


def _facts(event: Event, details: Mapping[str, tuple[tuple[Need, ...], str]]) -> Iterator[Fact]:
    name, ident = event["event"], event["id"]
    fence, stamp, priority = (int(event.get(field, 0)) for field in ("fence", "stamp", "priority"))
    if name in ("ask", "delay"):
        needs, pull = details[ident]
        shared = frozenset(need.resource for need in needs if need.mode == "shared")
        permits = {need.resource: need.permits for need in needs if need.permits > 1}
        resources = frozenset(need.resource for need in needs)
        yield Fact("asked", ident, pull, resources, priority, stamp, shared=shared, permits=permits)
        if name == "delay":
            yield Fact("parked", ident)
    elif name in ("grant", "claim", "again"):
        yield Fact("regranted" if name == "again" else "granted", ident, fence=fence)
    elif name in BACK:
        yield Fact("returned" if BACK[name] == "returned" else "parked", ident, stamp=stamp)
    elif name == "reprioritise":
        yield Fact("reprioritised", ident, priority=priority)
    elif name == "define":
        yield from _defined(decode(ident), event)
    elif name in ENDS:
        yield Fact("ended", ident, fence=int(event.get("settled", 0)), state=event["state"])


def _defined(resource: str, event: Event) -> Iterator[Fact]:
    if "mode" in event:
        yield Fact("ordered", "", resources=frozenset({resource}), state=event["mode"])
    if "capacity" in event:
        yield Fact("sized", "", permits={resource: int(event["capacity"] or 1)})
