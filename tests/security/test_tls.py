"""TLS against a real server: what is right works for all faces, and what is wrong is refused with the way out."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from coordinator import Settings, State
from coordinator.drivers.connect import locate
from coordinator.errors import ConfigError, StoreUnavailable
from tests.security.certificates import Certificates, did_not_start, tls_server
from tests.support.cli import Cli
from tests.support.faces import connected
from tests.support.server import CHOICE
from tests.support.until import until
from workers import Registry, Worker

TASKS = """
from workers import Registry

jobs = Registry()


@jobs.handler("echo")
def echo(ctx, payload):
    return payload
"""
LAX = ("tls-auth-clients no",)


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def ports(certs: Certificates) -> Iterator[tuple[int, int]]:
    """A server as it should be, but for clients, which need no certificate."""
    with tls_server(certs, certs.issue("server", "localhost", "127.0.0.1"), *LAX) as found:
        yield found


@pytest.fixture
def url(certs: Certificates, ports: tuple[int, int]) -> str:
    return f"rediss://localhost:{ports[0]}/0?ssl_ca_certs={certs.ca}"


def refused(kind: str, url: str, settings: Settings) -> Exception:
    """What a first call on a URL raises, at once and not after the time for tries."""
    patient = settings.model_copy(update={"retry_for": 30.0})
    with connected(kind, url, patient) as co, pytest.raises((ConfigError, StoreUnavailable)) as caught:
        co.acquire("a", wait=5)
    return caught.value


@pytest.mark.parametrize(
    ("said", "complete", "server", "outcome"),
    [
        (">>> 'tls-port 1'\nBad directive", "", "", pytest.skip.Exception),
        (">>> 'tls-port 1'\nBad directive", "1", "bundled", pytest.skip.Exception),
        (">>> 'tls-port 1'\nBad directive", "1", "path", pytest.fail.Exception),
        ("Failed to configure TLS", "", "", pytest.fail.Exception),
        ("Address already in use", "1", "bundled", pytest.fail.Exception),
    ],
)
def test_tls_goes_untested_only_where_there_is_none_and_else_only_on_the_bundled_server(
    monkeypatch: pytest.MonkeyPatch, said: str, complete: str, server: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("COORDINATOR_TEST_COMPLETE", complete)
    monkeypatch.setenv(CHOICE, server)
    with pytest.raises(outcome):
        did_not_start(said)


def test_locks_and_jobs_over_tls(kind: str, url: str, settings: Settings) -> None:
    with connected(kind, url, settings) as co, connected(kind, url, settings) as other:
        with co.lock("a") as lease:
            ticket = other.request("a")
        with ticket.wait(10) as got:
            assert got.fence > lease.fence
        job = co.submit("job")
        assert job.state() is State.READY
        assert job.cancel()


async def test_a_worker_over_tls(url: str, settings: Settings) -> None:
    jobs = Registry()

    @jobs.handler("echo")
    async def echo(ctx: Any, payload: Any) -> Any:
        return payload

    async with Worker(jobs, url, settings=settings):
        with connected("sync", url, settings) as co:
            assert await asyncio.to_thread(co.submit("echo", 7).result, 10) == 7


def test_the_command_line_over_tls(url: str, namespace: str) -> None:
    cli = Cli(url, namespace)
    assert cli.call("lock", "a", "--", "true").returncode == os.EX_OK
    assert cli.json("doctor")["healthy"]
    assert cli.json("load")["loaded"]


def test_worker_processes_over_tls(url: str, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "tls_tasks.py").write_text(TASKS)
    cli = Cli(url, namespace)
    cli.env["PYTHONPATH"] += f":{tmp_path}"
    worker = cli.start("worker", "run", "tls_tasks:jobs", "--processes", "2", "--grace", "1")
    try:
        done = cli.run("submit", "echo", "--payload", "7", "--wait", "--timeout", "20")
        assert (done.returncode, done.stdout.strip()) == (0, "7"), done.stderr
        worker.terminate()
        assert worker.wait(20) == 0
    finally:
        cli.close()


@pytest.mark.parametrize(
    ("parameters", "host", "way_out"),
    [
        ("", "localhost", "name its CA with ?ssl_ca_certs=FILE"),
        ("?ssl_ca_certs={wrong_ca}", "localhost", "name its CA with ?ssl_ca_certs=FILE"),
    ],
)
def test_a_certificate_of_an_unknown_authority_is_refused(
    kind: str,
    certs: Certificates,
    ports: tuple[int, int],
    settings: Settings,
    *,
    parameters: str,
    host: str,
    way_out: str,
) -> None:
    error = refused(kind, f"rediss://{host}:{ports[0]}/0{parameters.format(wrong_ca=certs.wrong_ca)}", settings)
    assert isinstance(error, ConfigError)
    assert way_out in str(error)


@pytest.mark.parametrize(
    ("hosts", "days", "said"),
    [
        (("example.com",), 1, "is for another host name"),
        (("localhost",), -1, "has expired"),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused(
    kind: str, certs: Certificates, settings: Settings, *, hosts: tuple[str, ...], days: int, said: str
) -> None:
    pair = certs.issue(f"odd-{kind}", *hosts, days=days)
    with tls_server(certs, pair, *LAX) as (port, _plain):
        error = refused(kind, f"rediss://localhost:{port}/0?ssl_ca_certs={certs.ca}", settings)
    assert isinstance(error, ConfigError)
    assert said in str(error)


def test_an_address_that_the_certificate_has_not_is_refused(kind: str, certs: Certificates, settings: Settings) -> None:
    with tls_server(certs, certs.issue(f"name-only-{kind}", "localhost"), *LAX) as (port, _plain):
        error = refused(kind, f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certs.ca}", settings)
    assert "not for this address" in str(error)


@pytest.mark.parametrize(("scheme", "port"), [("redis", 0), ("rediss", 1)])
def test_tls_where_there_is_none_and_none_where_there_is_is_refused(
    kind: str, certs: Certificates, ports: tuple[int, int], settings: Settings, *, scheme: str, port: int
) -> None:
    quick = settings.model_copy(update={"retry_for": 0.2, "operation_timeout": 0.5})
    url = f"{scheme}://localhost:{ports[port]}/0" + (f"?ssl_ca_certs={certs.ca}" if scheme == "rediss" else "")
    with connected(kind, url, quick) as co, pytest.raises(StoreUnavailable) as caught:
        co.acquire("a", wait=5)
    assert "rediss:// is with TLS, redis:// without" in str(caught.value)


def test_a_server_that_speaks_only_what_is_too_old_is_refused(
    kind: str, certs: Certificates, settings: Settings
) -> None:
    pair = certs.issue(f"old-{kind}", "localhost")
    # OpenSSL itself does not take part in such old versions unless its level of security is lowered.
    old = ('tls-protocols "TLSv1.1"', "tls-ciphers DEFAULT@SECLEVEL=0", *LAX)
    with tls_server(certs, pair, *old) as (port, _plain):
        error = refused(kind, f"rediss://localhost:{port}/0?ssl_ca_certs={certs.ca}", settings)
    assert "no TLS from 1.2 on" in str(error)


def test_a_server_may_ask_for_a_certificate_of_ours(kind: str, certs: Certificates, settings: Settings) -> None:
    cert, key = certs.issue("client", "client")
    odd_cert, odd_key = certs.issue("stranger", "client", stranger=True)
    with tls_server(certs, certs.issue(f"strict-{kind}", "localhost"), "tls-auth-clients yes") as (port, _plain):
        base = f"rediss://localhost:{port}/0?ssl_ca_certs={certs.ca}"
        with connected(kind, f"{base}&ssl_certfile={cert}&ssl_keyfile={key}", settings) as co, co.lock("a") as lease:
            assert lease.held
        assert "asks for a certificate of ours" in str(refused(kind, base, settings))
        stranger = refused(kind, f"{base}&ssl_certfile={odd_cert}&ssl_keyfile={odd_key}", settings)
        assert "does not trust the CA of our certificate" in str(stranger)


# --- what makes it unsafe


@pytest.mark.parametrize(
    "parameter",
    [
        "ssl_cert_reqs=none",
        "ssl_cert_reqs=none&ssl_cert_reqs=required",
        "ssl_check_hostname=false",
        "ssl_check_hostname=0",
        "ssl_min_version=769",
        "ssl_exclude_verify_flags=VERIFY_X509_STRICT",
        "ssl_ciphers=aNULL:%40SECLEVEL%3D0",
        "ssl_ciphers=HIGH:%40SECLEVEL%3D0",
    ],
)
@pytest.mark.parametrize("scheme", ["rediss://h:1/0", "rediss+sentinel://h:1/main/0", "rediss+cluster://h:1"])
def test_what_makes_tls_unsafe_takes_a_setting_and_warns(
    parameter: str, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = scheme.replace("//", "//u:canary@") + f"?{parameter}"
    with pytest.raises(ConfigError, match="allow_insecure_tls or --insecure allows it") as caught:
        locate(url)
    assert "canary" not in str(caught.value)
    for _start in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            locate(url, allow_insecure_tls=True)
        assert ["insecure connection" in one for one in caplog.messages] == [True]
        assert "canary" not in caplog.text


def test_other_ciphers_may_be_chosen() -> None:
    assert dict(locate("rediss://h:1/0?ssl_ciphers=ECDHE%2BAESGCM").options)["ssl_ciphers"] == "ECDHE+AESGCM"


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("ssl_ca_certs=/no/such/file", "no such file"),
        ("ssl_certfile=/no/such/file", "no such file"),
        ("ssl_min_version=old", "give 771"),
        ("ssl_cert_reqs=maybe", "must be one of"),
        ("ssl_ciphers=none-such", "knows no such cipher"),
    ],
)
def test_parameters_that_mean_nothing_are_refused_at_once(parameter: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        locate(f"rediss://h:1/0?{parameter}", allow_insecure_tls=True)


def test_an_insecure_client_works_once_it_is_allowed(kind: str, ports: tuple[int, int], settings: Settings) -> None:
    url = f"rediss://127.0.0.1:{ports[0]}/0?ssl_cert_reqs=none"
    with connected(kind, url, settings.model_copy(update={"allow_insecure_tls": True})) as co, co.lock("a") as lease:
        assert lease.held


def test_the_command_line_needs_the_option_and_warns_each_time(ports: tuple[int, int], namespace: str) -> None:
    cli = Cli(f"rediss://localhost:{ports[0]}/0?ssl_cert_reqs=none", namespace)
    done = cli.run("ls")
    assert done.returncode == os.EX_CONFIG
    assert "--insecure" in done.stderr
    done = cli.run("ls", "--insecure", "--json")
    assert done.returncode == os.EX_OK, done.stderr
    assert "insecure connection" in done.stderr
    assert "insecure" not in done.stdout


def test_a_worker_needs_the_option_and_warns(ports: tuple[int, int], namespace: str, tmp_path: Path) -> None:
    (tmp_path / "tls_idle.py").write_text(TASKS)
    cli = Cli(f"rediss://localhost:{ports[0]}/0?ssl_cert_reqs=none", namespace)
    cli.env["PYTHONPATH"] += f":{tmp_path}"
    try:
        refusing = cli.run("worker", "run", "tls_idle:jobs")
        assert refusing.returncode == os.EX_CONFIG
        assert "--insecure" in refusing.stderr
        worker = cli.start("worker", "run", "tls_idle:jobs", "--insecure", "--processes", "2", "--grace", "1")
        until(lambda: len(cli.json("ls", "--sessions", "--insecure")["sessions"]) == 2, 20)
        worker.terminate()
        assert worker.communicate(timeout=20)[1].count("insecure connection") == 2
    finally:
        cli.close()


def test_a_cluster_over_tls(kind: str, certs: Certificates, settings: Settings) -> None:
    pair = certs.issue(f"cluster-{kind}", "localhost", "127.0.0.1")
    with tls_server(certs, pair, *LAX, "cluster-enabled yes", "tls-cluster yes") as (port, plain):
        with contextlib.closing(redis.Redis(port=plain, decode_responses=True)) as admin:
            admin.execute_command("CLUSTER ADDSLOTS", *range(16384))
            until(lambda: admin.execute_command("CLUSTER INFO")["cluster_state"] == "ok", 30, "the cluster is up")
        url = f"rediss+cluster://localhost:{port}?ssl_ca_certs={certs.ca}"
        with connected(kind, url, settings) as co, co.lock("a") as lease:
            assert lease.held


def test_a_sentinel_over_tls(kind: str, certs: Certificates, settings: Settings) -> None:
    pair = certs.issue(f"sentinel-{kind}", "localhost", "127.0.0.1")
    with tls_server(certs, pair, *LAX, "tls-replication yes") as (primary, _plain):
        watch = (f"sentinel monitor main 127.0.0.1 {primary} 1", "tls-replication yes")
        with tls_server(certs, pair, *LAX, *watch) as (port, _plain):
            url = f"rediss+sentinel://localhost:{port}/main/0?ssl_ca_certs={certs.ca}"
            with connected(kind, url, settings) as co, co.lock("a") as lease:
                assert lease.held
