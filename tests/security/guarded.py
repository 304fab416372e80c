"""A server whose users are those that `coordinator acl` prints, and what each of them may be seen doing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis

from coordinator import Coordinator, Settings
from coordinator.drivers.embedded import EmbeddedServer
from coordinator.drivers.store import server_version
from coordinator.wire import roles
from tests.support.cli import Cli
from tests.support.server import chosen_server, plain_client

NAMESPACE = "guarded"


def _newest(version: tuple[int, ...]) -> str:
    return max(one for one in ("6.2", "7.0", "7.2") if tuple(map(int, one.split("."))) <= version)


class Guarded:
    """The server, its administrator, and a URL for each role."""

    def __init__(self, server: EmbeddedServer, secrets: Path) -> None:
        self.admin = plain_client(server.url)
        self.version = server_version(self.admin.info())
        self._path = server.url.removeprefix("unix://")
        self._secrets = secrets
        words = ("acl", "--secrets", str(secrets), "--redis", _newest(self.version), "--json")
        for one in json.loads(self.cli("loader", anybody=True).call(*words).stdout)["users"]:
            self.admin.execute_command("ACL SETUSER", one["user"], *one["rules"])

    def url(self, role: str) -> str:
        """Where a role's processes connect."""
        secret = (self._secrets / role).read_text().strip()
        return f"unix://{quote(f'co-{NAMESPACE}-{role}')}:{quote(secret)}@{self._path}"

    def cli(self, role: str, *, anybody: bool = False) -> Cli:
        """The command line as a role has it."""
        return Cli("redis://nobody" if anybody else self.url(role), NAMESPACE)

    def client(self, role: str) -> Coordinator:
        """A client with short waits."""
        return Coordinator.connect(self.url(role), settings=self.settings())

    def settings(self) -> Settings:
        return Settings.of(namespace=NAMESPACE, session_ttl=2.0, sweep_interval=0.2, operation_timeout=2, retry_for=0.5)

    def connection(self, role: str) -> redis.Redis:
        """One bare connection as a role's user."""
        return redis.Redis.from_url(self.url(role), single_connection_client=True)

    def refused(self) -> list[str]:
        """What Redis has refused anybody since the last time, and forget it."""
        found = [f"{one['username']}: {one['reason']} {one['object']}" for one in self.admin.acl_log()]
        self.admin.acl_log_reset()
        return found

    def commands(self) -> dict[str, tuple[int, int]]:
        """Every command of the server, with the number of its words and the place of its first key."""
        found = {}
        for one in self.admin.execute_command("COMMAND").values():
            subcommands = one.get("subcommands") or []
            if not subcommands:
                found[one["name"]] = abs(one["arity"]), one["first_key_pos"]
            for sub in subcommands:
                name = sub[0].decode() if isinstance(sub[0], bytes) else sub[0]
                found[name] = abs(sub[1]), sub[3]
        return found


@contextmanager
def guarded(folder: Path) -> Iterator[Guarded]:
    """Starts the server; the scripts are loaded by the loader, as an operator would."""
    with EmbeddedServer(binary=chosen_server()) as server:
        made = Guarded(server, folder / "secrets")
        with closing(made.admin):
            done = made.cli("loader").call("load")
            assert done.returncode == os.EX_OK, done.stderr
            yield made


def may_call(made: Guarded, role: str, script: str) -> list[Any]:
    """The words that call a script, as `roles` says it."""
    rule, _on_a_cluster = roles.address([script], made.version)
    command, _, name = rule.partition("|")
    return [command.upper(), name]
