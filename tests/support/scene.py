"""A namespace to break by hand: one client, a worker's calls, and the raw keys."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from coordinator import Coordinator, Settings
from coordinator.doctor import examine
from coordinator.keys import encode, key
from coordinator.ops.doctor import Finding
from coordinator.wire import calls
from coordinator.wire.calls import Claim, Report
from coordinator.wire.step import Call


class Scene:
    """What a test of faults needs at hand."""

    def __init__(self, client: Coordinator, raw: "redis.Redis") -> None:
        self.co, self.raw = client, raw
        self.scope = calls.Scope.of(client.settings.namespace, client.settings.terms())
        self._claims = 0

    def key(self, name: str, member: str = "") -> str:
        return key(self.scope.namespace, name, member)

    @property
    def session(self) -> str:
        """The client's session, opened if there is none."""
        return self.co._driver.keeper.ensure()

    def call(self, call: Call) -> Any:
        return self.co._driver.store.call(call)

    def claim(self, wanted: int = 1, queue: str = "default") -> list[tuple[str, str]]:
        """Ids and fences of the jobs a worker is given."""
        self._claims += 1
        raw = self.call(calls.claim(self.scope, self.session, Claim(self._claims, wanted, 60_000, (queue,))))
        return [(job[0].decode(), job[1].decode()) for job in raw[1:]]

    def settle(self, ident: str, fence: str, outcome: str = "succeeded", delay_ms: int = 0) -> str:
        """Report an outcome; the status of the answer."""
        report = Report(ident, fence, outcome, delay_ms, b"\x01" if outcome == "succeeded" else b"why")
        raw = self.call(calls.settle(self.scope, self.session, Claim(0, 0, 60_000, ("default",)), [report]))
        return str(raw[1][0][0].decode())

    def state(self, ident: str) -> str:
        return str((self.raw.hget(self.key("REQ", ident), "state") or b"gone").decode())

    def holders(self, resource: str) -> dict[str, str]:
        found = self.raw.hgetall(self.key("HOLDERS", encode(resource)))
        return {ident.decode(): entry.decode() for ident, entry in found.items()}

    def faults(self, subject: str) -> list[str]:
        """What the doctor says of one subject."""
        return [one.detail for one in examine(self.co).problems if one.subject == subject]

    def mend(self) -> list[Finding]:
        """Have it mended; nothing may be left."""
        report = examine(self.co, fix=True)
        assert report.healthy, report.problems
        assert report.fixed == len(report.problems) > 0
        assert examine(self.co).problems == ()
        return list(report.problems)


@pytest.fixture
def scene(redis_url: str, namespace: str, raw: "redis.Redis") -> Iterator[Scene]:
    """Its client beats and sweeps so rarely that nothing but the doctor mends what is planted."""
    settings = Settings.of(namespace=namespace, session_ttl=600.0, sweep_interval=60.0)
    with Coordinator.connect(redis_url, settings=settings) as client:
        yield Scene(client, raw)
