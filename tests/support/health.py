"""Proves after a test that its namespace is as it should be."""

from coordinator import Coordinator, Settings
from coordinator.doctor import examine
from coordinator.wire import calls
from coordinator.wire.step import Call, Operation

MAX_SWEEPS = 1000


def assert_healthy(where: str | Coordinator, namespace: str | None = None) -> None:
    """Fails with all findings if the doctor finds anything in a namespace; `where` is a URL or a client.

    What lapsed is not held against a test that killed its processes: as the next live process would, this sweeps first.
    """
    if isinstance(where, Coordinator):
        _assert_healthy(where)
        return
    with Coordinator.connect(where, settings=Settings.of(namespace=namespace)) as client:
        _assert_healthy(client)


def _assert_healthy(client: Coordinator) -> None:
    problems = examine(client).problems
    if problems:
        sweep(client)
        problems = examine(client).problems
    assert not problems, "\n".join(f"{one.kind} {one.subject}: {one.detail}" for one in problems)


def sweep(client: Coordinator) -> None:
    """Take back all that is due, as the live processes of the namespace would within a second."""
    client.run(_sweep(client))


def _sweep(client: Coordinator) -> Operation[None]:
    scope = calls.Scope.of(client.settings.namespace, client.settings.terms())
    for _ in range(MAX_SWEEPS):
        call: Call = calls.sweep(scope)
        raw = yield call
        if int(raw[1]) == 0:
            return
