"""No secret comes out anywhere: canaries are put wherever a secret can be, everything is run at DEBUG, and all that was
said, logged, listed or passed on is searched for them."""

import asyncio
import json
import logging
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from coordinator import AsyncCoordinator, Coordinator, Settings
from coordinator.doctor import examine
from coordinator.drivers.connect import locate
from coordinator.drivers.embedded import EmbeddedServer
from coordinator.errors import CoordinatorError
from tests.support.cli import Cli
from tests.support.server import chosen_server, plain_client
from tests.support.until import until

CANARY = "canary-9f3b"
SECRET = f"{CANARY}-{'s' * 32}"
USER = "co-user"
URLS = (
    "redis://{user}:{secret}@127.0.0.1:1/0",
    "redis://:{secret}@127.0.0.1:1/0",
    "redis://127.0.0.1:1/0?password={secret}&username={user}",
    "redis://{user}:{secret}@127.0.0.1:port/0",
    "redis://{user}:{secret}@127.0.0.1:1/nowhere",
    "redis://{user}:{secret}@127.0.0.1:1/0?socket_timeout={secret}",
    "rediss://{user}:{secret}@127.0.0.1:1/0?ssl_cert_reqs=none&ssl_password={secret}",
    "unix://{user}:{secret}@/nowhere/redis.sock",
    "unix:///nowhere/redis.sock?password={secret}",
    "redis+sentinel://{user}:{secret}@127.0.0.1:1/main/0",
    "redis+cluster://{user}:{secret}@127.0.0.1:1?password={secret}",
    "redis+cluster://{user}:{secret}@127.0.0.1",
    "redis://{user}:x/{secret}@127.0.0.1:1/0",
    "redis://{user}:{secret}/x@127.0.0.1:1/0",
    "redis://{user}:{secret}#x@127.0.0.1:1/0",
    "redis://{user}:x?{secret}@127.0.0.1:1/0",
    "redis+cluster://{user}:{secret}/x@127.0.0.1:1",
    "nonsense://{user}:{secret}@host/0",
    "redis://{user}:{secret}@[::1/0",
    "redis://{user}:x[{secret}]x@127.0.0.1:1/0",
    "redis://{user}:{secret}\u2100@127.0.0.1:1/0",
    "redis://127.0.0.1:1/0#{secret}",
    "rediss://{user}:x@127.0.0.1:1/0?ssl_password=x#{secret}",
    "{user}:{secret}@host",
    "{secret}",
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server with a user whose password is the canary; the default user has another one."""
    with EmbeddedServer(binary=chosen_server()) as server:
        with plain_client(server.url) as admin:
            admin.execute_command("ACL SETUSER", USER, "on", f">{SECRET}", "~*", "&*", "+@all")
        yield server.url.replace("unix://", f"unix://{USER}:{SECRET}@")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A settings file with a signing key."""
    file = tmp_path / "co.toml"
    file.write_text(f'signing_keys = {{ k = "{SECRET}" }}\nsession_ttl = 5\nsweep_interval = 0.2\n')
    return file


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """At DEBUG, and nothing of it has the canary."""
    with caplog.at_level(logging.DEBUG):
        yield
    silent("the log", caplog.text)


def silent(where: str, said: str) -> None:
    """Fails without repeating the secret in full."""
    at = said.find(CANARY)
    assert at < 0, f"{where} tells: ...{said[max(0, at - 150) : at]}<secret>"


def whole(error: BaseException) -> str:
    """All that a traceback shows, with what an error came from."""
    return "".join(traceback.format_exception(error)) + repr(error)


def of_url(url: str) -> str:
    return url.format(user=USER, secret=SECRET)


async def _use(kind: Any, settings: Settings) -> None:
    """Connect, which may fail, and submit a job, which does."""
    client = kind.connect(settings=settings)
    try:
        made = client.submit("job")
        if asyncio.iscoroutine(made):
            await made
    finally:
        silent("a client", f"{client!r} {client._driver!r} {client._driver.target!r} {client._driver.target.shown}")
        closed = client.close()
        if closed is not None:
            await closed


@pytest.mark.parametrize("kind", [Coordinator, AsyncCoordinator])
@pytest.mark.parametrize("given", URLS)
async def test_a_url_that_does_not_work(given: str, kind: Any, capfd: pytest.CaptureFixture[str]) -> None:
    settings = Settings.of(url=of_url(given), retry_for=0, operation_timeout=0.3, allow_insecure_tls=True)
    silent("the settings", f"{settings!r} {settings}")
    with pytest.raises(CoordinatorError) as caught:
        await _use(kind, settings)
    silent("an error", whole(caught.value))
    silent("the terminal", "".join(capfd.readouterr()))


@pytest.mark.parametrize("given", URLS)
@pytest.mark.parametrize("where", ["option", "environment", "file"])
def test_a_command_that_fails(given: str, where: str, tmp_path: Path, namespace: str) -> None:
    cli = Cli(of_url(given) if where == "environment" else "redis://127.0.0.1:1/0", namespace)
    options = {"option": ("--url", of_url(given)), "file": ("--config", str(tmp_path / "c.toml"))}.get(where, ())
    (tmp_path / "c.toml").write_text(f"url = {json.dumps(of_url(given))}\nretry_for = 0\noperation_timeout = 0.3\n")
    for words in (("ls",), ("submit", "job", "--json"), ("doctor", "--json"), ("load",)):
        done = cli.call(*words, *options, COORDINATOR_RETRY_FOR="0", COORDINATOR_OPERATION_TIMEOUT="0.3")
        assert done.returncode != 0
        silent(" ".join(words), done.stdout + done.stderr)


@pytest.mark.parametrize(
    "text",
    [
        'signing_keys = {{ k = "{secret}", }}\nmax_line = 0\n',
        'signing_keys = "{secret}"\n',
        'signing_keys = {{ "k k" = "{secret}" }}\n',
        'signing_keys = {{ k = ["{secret}"] }}\n',
        "signing_keys = {{ k = {secret} }}\n",
        'signing_keys = {{ k = "{secret}", l = "{secret}" }}\n',
        'signing_key = "{secret}"\n',
        'url = ["{secret}"]\n',
    ],
)
def test_settings_that_are_wrong(text: str, tmp_path: Path, namespace: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text.format(secret=SECRET))
    done = Cli("redis://127.0.0.1:1/0", namespace).call("ls", "--config", str(file))
    assert done.returncode == os.EX_CONFIG
    silent("a command", done.stdout + done.stderr)
    with pytest.raises(CoordinatorError) as caught:
        Settings.from_toml(file).signer()
    silent("an error", whole(caught.value))
    wrong = Cli("redis://127.0.0.1:1/0", namespace).call("ls", COORDINATOR_SIGNING_KEYS=SECRET)
    silent("a command", wrong.stdout + wrong.stderr)


def test_a_client_that_works(url: str, keys: Path, namespace: str, capfd: pytest.CaptureFixture[str]) -> None:
    settings = Settings.from_toml(keys, url=url, namespace=namespace)
    silent("the settings", f"{settings!r} {settings} {settings.signer()!r}")
    with Coordinator.connect(settings=settings) as co, co.lock("a") as lease:
        ticket = co.submit("job", 1)
        silent(
            "what a client gives", " ".join(map(repr, (co, co._driver, co._driver.scope, lease, ticket, co.survey())))
        )
        silent("the doctor", repr(examine(co)))
        with plain_client(url) as raw:
            silent("CLIENT LIST", str(raw.client_list()))
            silent("INFO", str(raw.info("everything")))
            for found in raw.scan_iter(f"co:{{{namespace}}}:*"):
                silent("a key", str(raw.dump(found)))
    silent("the terminal", "".join(capfd.readouterr()))


def test_a_wrong_password(url: str, namespace: str) -> None:
    wrong = url.replace(SECRET, f"{SECRET}-wrong")
    with Coordinator.connect(wrong, settings=Settings.of(namespace=namespace)) as co:
        with pytest.raises(CoordinatorError) as caught:
            co.submit("job")
        silent("an error", whole(caught.value))
    done = Cli(wrong, namespace).call("ls", "--json")
    silent("a command", done.stdout + done.stderr)


def test_commands_and_what_they_start(url: str, keys: Path, namespace: str, tmp_path: Path) -> None:
    cli = Cli("redis://127.0.0.1:1/0", namespace)
    cli.env["COORDINATOR_URL"] = url
    commands = [("ls",), ("ls", "--sessions"), ("stats",), ("doctor",), ("submit", "job"), ("acl",), ("load",)]
    for words in commands:
        for more in ((), ("--json",)):
            done = cli.call(*words, *more, "--config", str(keys))
            assert done.returncode == 0, done.stderr
            silent(" ".join(words), done.stdout + done.stderr)
    passed = cli.call("acl", "--role", "worker", COORDINATOR_ACL_SECRET=SECRET)
    assert "#" in passed.stdout
    silent("acl", passed.stdout + passed.stderr)
    started = cli.start("lock", "a", "--config", str(keys), "--", "sleep", "30")
    until(lambda: len(psutil.Process(started.pid).children(recursive=True)) >= 1, 20)
    silent("the command lines", _command_lines(started.pid))
    cli.close()


def test_worker_processes(url: str, keys: Path, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "secret_tasks.py").write_text(
        "from workers import Registry\njobs = Registry()\n"
        "@jobs.handler('echo', executor='process')\ndef echo(ctx, payload):\n    return payload\n"
        "@jobs.handler('fail')\ndef fail(ctx, payload):\n    raise ValueError('no')\n"
    )
    cli = Cli("redis://127.0.0.1:1/0", namespace)
    cli.env["PYTHONPATH"] += f":{tmp_path}"
    words = ("--url", url, "--config", str(keys), "--namespace", namespace)
    supervisor = _without_argv(cli, url, keys)
    try:
        done = cli.run("submit", "echo", "--payload", "7", "--wait", "--timeout", "30", *words)
        assert done.stdout.strip() == "7", done.stderr
        failed = cli.run("submit", "fail", "--wait", "--timeout", "0.5", *words)
        silent("a command", done.stdout + done.stderr + failed.stdout + failed.stderr)
        silent("the command lines", _command_lines(supervisor.pid))
        supervisor.terminate()
        silent("a worker", "".join(supervisor.communicate(timeout=30)))
    finally:
        cli.close()


def _without_argv(cli: Cli, url: str, keys: Path) -> Any:
    """A supervisor of two workers that has its URL from the environment, so that only it could put it into an argv."""
    cli.env["COORDINATOR_URL"] = url
    options = ("--processes", "2", "--grace", "1", "--log-level", "debug", "--config", str(keys))
    started = cli.start("worker", "run", "secret_tasks:jobs", *options)
    until(lambda: len(psutil.Process(started.pid).children(recursive=True)) >= 2, 20)
    return started


def _command_lines(pid: int) -> str:
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return " ".join(word for one in processes for word in one.cmdline())


def test_a_url_shows_its_server_and_nothing_else() -> None:
    for given in (
        "redis://u:{s}@h:1/0?client_name={s}",
        "redis://h/0?password={s}",
        "unix://:{s}@/run/r.sock",
        "redis://{s}@h/0",
    ):
        shown = locate(given.format(s=SECRET)).shown
        assert SECRET not in shown
        assert "h" in shown or "/run" in shown


def test_a_plain_client_shows_why_this_matters() -> None:
    with pytest.raises(AssertionError, match="tells"):
        silent("it", f"a password: {SECRET}")
    assert SECRET in str(redis.ConnectionPool.from_url(of_url(URLS[0])).connection_kwargs)
