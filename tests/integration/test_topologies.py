"""The same clients behind Sentinel and on a Cluster."""

from pathlib import Path

import pytest

from coordinator import Settings, State
from tests.support import topology
from tests.support.faces import connected


@pytest.mark.parametrize("kind_of_server", ["cluster", "sentinel"])
def test_locks_and_jobs(kind: str, kind_of_server: str, settings: Settings, tmp_path: Path) -> None:
    with (
        getattr(topology, kind_of_server)(tmp_path) as url,
        connected(kind, url, settings) as co,
        connected(kind, url, settings) as other,
    ):
        with co.lock(["a", "ü b"]) as lease:
            assert other.try_acquire("a") is None
            ticket = other.request("a", priority="high")
        following = ticket.wait(10)
        assert following.fence > lease.fence
        job = co.submit("job", {"n": 1}, resources="a")
        assert job.state() == State.WAITING
        assert job.cancel()
        with co.watch("a") as changes:
            following.release()
            assert next(changes).what == "released"
