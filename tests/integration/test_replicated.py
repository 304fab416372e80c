"""The tier `replicated`: an answer means that a replica has it."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chaos.faults.sentinel import Watched, watched
from coordinator import Settings
from coordinator.drivers import durable
from coordinator.drivers.embedded import EmbeddedServer
from coordinator.errors import ConfigError, Unconfirmed, UnknownOutcome, UnsafeServer
from tests.support import topology
from tests.support.faces import connected
from tests.support.server import chosen_server, plain_client
from tests.support.until import until


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Watched]:
    with watched(tmp_path, replicas=1, sentinels=1, binary=chosen_server()) as made:
        yield made


@pytest.fixture
def careful(settings: Settings) -> Settings:
    changes = {"durability": "replicated", "replica_timeout": 0.1, "retry_for": 0.3, "session_ttl": 10.0}
    return settings.model_copy(update=changes)


def test_what_no_replica_has_is_not_acknowledged(kind: str, setup: Watched, careful: Settings) -> None:
    with connected(kind, setup.url, careful) as co:
        assert co.submit("job").ident
        setup.replicas[0].pause()
        with pytest.raises(UnknownOutcome, match="0 of 1 replicas"):
            co.submit("job")
        with pytest.raises(UnknownOutcome):
            co.acquire("a")
        setup.replicas[0].resume()
        assert co.acquire("a", wait=10).held, "the grant that nobody was told of was taken back"


def test_a_grant_that_only_a_message_tells_of_is_not_handed_out_before_a_replica_has_it(
    kind: str, setup: Watched, careful: Settings
) -> None:
    with connected(kind, setup.url, careful) as co, connected(kind, setup.url, careful) as other:
        lease, mine = co.acquire("a"), other.acquire("b")
        came: list[Any] = []

        def take() -> None:
            try:
                came.append(co.acquire("b", wait=10))
            except UnknownOutcome as error:
                came.append(str(error))

        taken = threading.Thread(target=take)
        taken.start()
        waits = other.request("a", wait=10)
        prefix = f"co:{{{careful.namespace}}}"
        until(lambda: setup.primary.ask("ZCARD", f"{prefix}:line:b") == 1)
        setup.replicas[0].pause()
        for held in (lease, mine):
            with pytest.raises(UnknownOutcome):
                held.release()
        assert setup.primary.ask("HEXISTS", f"{prefix}:holders:a", waits.ident) == 1
        with pytest.raises(UnknownOutcome, match="0 of 1 replicas"):
            waits.wait(10)
        taken.join(10)
        assert "0 of 1 replicas" in came[0]
        setup.replicas[0].resume()
        assert waits.wait(10).fence > lease.fence


def test_a_call_is_repeated_until_it_is_certain(kind: str, setup: Watched, careful: Settings) -> None:
    with connected(kind, setup.url, careful.model_copy(update={"retry_for": 20.0})) as co:
        co.submit("warm")
        setup.replicas[0].pause()
        made: list[Any] = []
        asked = threading.Thread(target=lambda: made.append(co.submit("job", resources="a")))
        asked.start()
        ready = f"co:{{{careful.namespace}}}:ready:default"
        until(lambda: setup.primary.ask("ZCARD", ready) == 2, what="the primary has it")
        asked.join(0.3)
        assert not made, "it was acknowledged before a replica had it"
        setup.replicas[0].resume()
        asked.join(20)
        assert made
        assert setup.primary.ask("ZCARD", ready) == 2, "repeating it made no second job"


def test_a_call_that_writes_nothing_is_proven_by_what_goes_to_the_replicas_behind_it(
    kind: str, setup: Watched, careful: Settings
) -> None:
    """Since Redis 7.2 WAIT counts only what its own connection has written."""
    with connected(kind, setup.url, careful) as co:
        ticket = co.submit("job")
        sent = lambda: int(setup.primary.ask("INFO", "replication")["master_repl_offset"])  # noqa: E731
        before = sent()
        ticket.state()
        assert sent() > before
        setup.replicas[0].pause()
        with pytest.raises(UnknownOutcome, match="0 of 1 replicas"):
            ticket.state()
        setup.replicas[0].resume()


def test_a_single_grant_is_on_replicas_or_given_back(kind: str, setup: Watched, careful: Settings) -> None:
    plain = careful.model_copy(update={"durability": "fast"})
    with connected(kind, setup.url, plain) as co, connected(kind, setup.url, plain) as other:
        sure = {"durability": "replicated", "wait": 10}
        lease = co.acquire("a", **sure)
        assert setup.replicas[0].ask("HEXISTS", f"co:{{{careful.namespace}}}:holders:a", lease.ident) == 1
        waits, next_one = other.request("a", **sure), co.request("a")
        setup.replicas[0].pause()
        lease.release()
        with pytest.raises(Unconfirmed, match="0 of 1 replicas"):
            waits.wait(10)
        assert next_one.wait(10).fence > lease.fence, "it was given back, and who asked for nothing of the kind has it"
        with pytest.raises(Unconfirmed):
            co.acquire("b", **sure)
        assert other.try_acquire("b", durability=None).held
        setup.replicas[0].resume()
        until(lambda: setup.primary.ask("WAIT", 1, 100), what="the replica is back")
        assert co.acquire("c", **sure).held


def test_a_cluster_cannot_promise_it(kind: str, careful: Settings, tmp_path: Path) -> None:
    with (
        topology.cluster(tmp_path) as url,
        connected(kind, url, careful.model_copy(update={"durability": "fast"})) as co,
    ):
        with pytest.raises(ConfigError, match="not for a Cluster"), connected(kind, url, careful):
            pass
        with pytest.raises(ConfigError, match="not for a Cluster"):
            co.acquire("a", durability="replicated")
        assert co.try_acquire("a").held, "it was given back"


def test_durable_needs_an_append_only_file(kind: str, redis_url: str, settings: Settings) -> None:
    with (
        connected(kind, redis_url, settings.model_copy(update={"durability": "durable"})) as co,
        pytest.raises(UnsafeServer, match="append-only"),
    ):
        co.submit("job")


@pytest.mark.parametrize(("fsync", "serves"), [("always", True), ("everysec", False), ("no", False)])
def test_durable_needs_each_write_to_be_synced(
    kind: str, settings: Settings, tmp_path: Path, fsync: str, serves: bool
) -> None:
    lasting = settings.model_copy(update={"durability": "durable"})
    with (
        EmbeddedServer(tmp_path, binary=chosen_server(), config={"appendfsync": fsync}) as server,
        connected(kind, server.url, lasting) as co,
    ):
        if serves:
            assert co.submit("job").ident
        else:
            with pytest.raises(UnsafeServer, match=f"appendfsync is {fsync}: set"):
                co.submit("job")


def test_an_embedded_server_for_durable_syncs_each_write(kind: str, settings: Settings, tmp_path: Path) -> None:
    lasting = settings.model_copy(update={"durability": "durable"})
    with connected(kind, f"embedded://{tmp_path}", lasting) as co:
        assert co.submit("job").ident


def test_where_nobody_may_ask_how_often_it_syncs_that_is_said(
    kind: str, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lasting = settings.model_copy(update={"durability": "durable"})
    durable._nobody_knows.cache_clear()
    with EmbeddedServer(tmp_path, binary=chosen_server()) as server:
        with closing(plain_client(server.url)) as raw:
            raw.execute_command("ACL SETUSER", "app", "on", ">secret", "+@all", "-config", "~*", "&*")
        url = server.url.replace("unix://", "unix://app:secret@")
        for _ in range(2):
            with connected(kind, url, lasting) as co:
                assert co.submit("job").ident
    said = [one for one in caplog.messages if "may not ask" in one]
    assert len(said) == 1
