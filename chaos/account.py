"""The server's own account of a run, taken when it is over and written into the history for the judge."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from chaos import history
from chaos.checker.lines import to_op
from chaos.checker.runs import AGAIN, TAKEN_BACK
from chaos.history import SERVER, Op
from coordinator import Coordinator, Settings
from coordinator.errors import NotFound
from coordinator.keys import key, prefix
from coordinator.model.lease import Explanation
from coordinator.model.states import State
from coordinator.ops import work
from coordinator_demo.account import raw_client, read_account

PAGE, RESULT_SECONDS = 1000, 10.0
# Between whom a job went, as far as it is streamed: the everyday claims of jobs that need no resource are not.
MOVES = TAKEN_BACK | {AGAIN, "claim", "lose"}


def record(url: str, settings: Settings, folder: Path) -> None:
    """Write what the server says of a namespace: every job, every event, every counter."""
    with raw_client(url) as client, Coordinator.connect(url, settings=settings) as co:
        ops = [*_requests(co, client, settings.namespace), *_events(client, settings.namespace)]
    history.write(folder, SERVER, ops)


def known(url: str, namespace: str) -> frozenset[str]:
    """The ids of all requests of which there is a record."""
    head = key(namespace, "REQ")
    with raw_client(url) as client:
        return frozenset(name.decode().removeprefix(head) for name in client.scan_iter(match=head + "*", count=PAGE))


def _requests(co: Coordinator, client: Any, namespace: str) -> Iterator[Op]:
    head = key(namespace, "REQ")
    for page in batched(client.scan_iter(match=head + "*", count=PAGE), PAGE):
        pipe = client.pipeline(transaction=False)
        for name in page:
            pipe.hget(name, "kind")
        # Locks are in the events with all their steps; of jobs the record says more.
        for name, kind in zip(page, pipe.execute(), strict=True):
            if kind != b"lock":
                with contextlib.suppress(NotFound):
                    yield _job(co, co.explain(name.decode().removeprefix(head)))


def _job(co: Coordinator, found: Explanation) -> Op:
    numbers = {name: int(found.fields.get(name) or 0) for name in ("attempts", "deliveries", "crashes")}
    if found.state is State.SUCCEEDED:
        # By convention of the runs' handlers, the last word of a result is the fence it was made under.
        result = co.run(work.result(co._driver.scope, found.ident, RESULT_SECONDS))
        numbers["result_fence"] = int(str(result).rpartition(" ")[2]) if result else 0
    numbers["needs"] = len(found.needs)
    args = {"job": found.ident, "state": str(found.state), "why": found.fields.get("why", ""), **numbers}
    return Op(SERVER, "job", args, fence=int(found.fields.get("settled") or 0))


def _events(client: Any, namespace: str) -> Iterator[Op]:
    account = read_account(client, namespace)
    yield from map(to_op, account.facts)
    yield from _moves(client, namespace)
    counted = {name.decode(): int(count) for name, count in client.hgetall(key(namespace, "STATS")).items()}
    for name, count in counted.items():
        yield Op(SERVER, "counted", {"name": name, "count": count})
        yield Op(SERVER, "seen", {"name": name, "count": count - account.missing.get(name, 0)})


def _moves(client: Any, namespace: str) -> Iterator[Op]:
    after = "-"
    while entries := client.xrange(key(namespace, "EVENTS"), min=after, count=PAGE):
        after = "(" + entries[-1][0].decode()
        for _, fields in entries:
            event = {name.decode(): value.decode() for name, value in fields.items()}
            if event["event"] in MOVES:
                fence = int(event.get("fence") or event.get("settled") or 0)
                args = {"event": event["event"], "job": event["id"]}
                args |= {name: event[name] for name in ("session", "why") if name in event}
                yield Op(SERVER, "move", args, fence=fence, server_us=int(event["ms"]) * 1000)


def lasting(url: str, namespace: str) -> frozenset[str]:
    """The keys of a namespace that will never go by themselves."""
    with raw_client(url) as client:
        names = list(client.scan_iter(match=prefix(namespace) + "*", count=PAGE))
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.pttl(name)
        return frozenset(name.decode() for name, ttl in zip(names, pipe.execute(), strict=True) if ttl == -1)


def batched(items: Iterable[Any], most: int) -> Iterator[list[Any]]:
    """The items in lists of at most so many."""
    left = iter(items)
    while page := list(islice(left, most)):
        yield page
