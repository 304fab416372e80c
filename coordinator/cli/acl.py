"""`coordinator acl` prints users with no more rights than they need; `coordinator load` does what these may not."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from coordinator.cli.failures import Failure
from coordinator.cli.options import Common, command, settings_of
from coordinator.cli.screen import Screen
from coordinator.cli.words import count, word
from coordinator.drivers.connect import locate, sync_client
from coordinator.drivers.demands import Demands
from coordinator.drivers.store import Store
from coordinator.errors import InvalidInput
from coordinator.model.names import label, one_of, whole
from coordinator.wire import roles

FROM_ENVIRONMENT = "COORDINATOR_ACL_SECRET"
SECRET_BYTES = 32
LEAST_SECRET = 16
MAX_DATABASE = 1_000_000
_VERSIONS = {"6.2": (6, 2), "7.0": (7, 0), "7.2": (7, 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AclOptions:
    """Which users, for which server, and where their passwords are."""

    role: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(roles.NAMES)}; may be repeated. Default: all of them.")
    ] = None
    secrets: Annotated[
        Path | None,
        typer.Option(help="A directory with one file per role that holds its password. Missing files are made, 0600."),
    ] = None
    ask: Annotated[bool, typer.Option("--ask", help="Ask for the password of each user at the terminal.")] = False
    redis: Annotated[str, typer.Option(help="The version of the server: 6.2, 7.0 or 7.2 (and newer).")] = "7.0"
    db: Annotated[int, typer.Option(help="The number of the database at the end of the URL.")] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """Nothing to choose."""


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    prints = (
        "coordinator acl --secrets /etc/coordinator/secrets > /etc/redis/coordinator.acl",
        "coordinator acl --role worker --ask",
        "coordinator acl --secrets secrets | sed 's/^user/ACL SETUSER/' | redis-cli",
    )
    command(app, "acl", examples=prints)(acl)
    command(app, "load", examples=("coordinator load",))(load)


def acl(options: AclOptions, common: Common) -> None:
    """Print users for an ACL file, one for each role, with no more rights than it needs.

    Asks no server. Passwords are printed as SHA-256, never as they are, and never taken from the command line: they
    come from files (--secrets), from the terminal (--ask), or for a single --role from $COORDINATOR_ACL_SECRET. A user
    without a password is printed as `off` and cannot log in until `ACL SETUSER NAME on >PASSWORD`.

    Only the loader may load scripts: run `coordinator load` as it after installing another version of Coordinator,
    and on Redis 6.2 after every restart of the server, and print the users again for that version.
    """
    names = tuple(one_of(one, "--role", roles.NAMES) for one in options.role or roles.NAMES)
    version = _VERSIONS[one_of(options.redis, "--redis", tuple(_VERSIONS))]
    whole(options.db, "--db", 0, MAX_DATABASE)
    if options.ask and options.secrets is not None:
        raise InvalidInput("--ask", True, "does not go with --secrets")
    namespace = label(settings_of(common).namespace, "namespace")
    users = []
    for name in dict.fromkeys(names):
        secret = _secret(options, name, alone=len(names) == 1)
        rules = roles.rules(name, namespace, version, options.db)
        users.append({"user": f"co-{namespace}-{name}", "role": name, "rules": [*_login(secret), *rules]})
    if common.json:
        Screen(as_json=True).show({"namespace": namespace, "users": users})
        return
    for one in users:
        # Not through a console, which would break the lines at the width of a terminal.
        typer.echo(f"user {one['user']} {' '.join(one['rules'])}")


def _login(secret: str) -> tuple[str, ...]:
    """The rules that come first: everything that the user had before is gone."""
    return ("reset", "on", f"#{hashlib.sha256(secret.encode()).hexdigest()}") if secret else ("reset", "off")


def _secret(options: AclOptions, name: str, *, alone: bool) -> str:
    """The password of a role's user; empty for none. Raises Failure."""
    if options.secrets is not None:
        found, where = _from_file(options.secrets / name), str(options.secrets / name)
    elif options.ask:
        if not sys.stdin.isatty():
            raise Failure(os.EX_USAGE, "there is no terminal to ask for a password at", "use --secrets DIRECTORY")
        found, where = (
            typer.prompt(f"Password of the {name}", hide_input=True, confirmation_prompt=True, err=True),
            name,
        )
    else:
        found, where = os.environ.get(FROM_ENVIRONMENT, "") if alone else "", f"${FROM_ENVIRONMENT}"
        if not found:
            return ""
    if len(found) < LEAST_SECRET:
        raise Failure(os.EX_DATAERR, f"{where}: a password has at least {LEAST_SECRET} characters")
    return str(found)


def _from_file(path: Path) -> str:
    """The first line of the file, made with a new password if there is none. Raises Failure."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as made:
                made.write(secrets.token_urlsafe(SECRET_BYTES) + "\n")
        return path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "is not text"
        raise Failure(os.EX_NOINPUT, f"{path}: {said}") from None


def load(_options: LoadOptions, common: Common) -> None:
    """Load the scripts of this version into the server, for users that may not do so themselves."""
    settings = settings_of(common)
    client: Any = sync_client(locate(settings.url, settings.allow_insecure_tls), settings.operation_timeout, 1)
    with closing(Store(client, Demands.of(settings))) as store:
        loaded = store.load()
    Screen(common.json).show({"loaded": list(loaded)}, word(f"{count(len(loaded), 'script')} loaded"))
