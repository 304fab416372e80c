"""A redis-server that speaks TLS, and certificates of every kind for it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest
import trustme

from chaos.faults.node import free_port
from coordinator.drivers.redis_server import answers
from tests.support.server import chosen_kind, chosen_server
from tests.support.until import until

# What a server says of its configuration that was built without TLS.
NO_TLS = re.compile(r">>> 'tls-")


class Certificates:
    """Two authorities in a folder: ours, and one that nobody knows."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._ca, self._stranger = trustme.CA(), trustme.CA()
        self.ca, self.wrong_ca = folder / "ca.pem", folder / "wrong-ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca))
        self._stranger.cert_pem.write_to_path(str(self.wrong_ca))

    def issue(self, name: str, *hosts: str, days: int = 1, stranger: bool = False) -> tuple[Path, Path]:
        """A certificate that ends in so many days, and its key."""
        now = datetime.now(UTC)
        begins, ends = now - timedelta(days=10), now + timedelta(days=days)
        made = (self._stranger if stranger else self._ca).issue_cert(*hosts, not_before=begins, not_after=ends)
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        made.cert_chain_pems[0].write_to_path(str(cert))
        made.private_key_pem.write_to_path(str(key))
        return cert, key


@contextlib.contextmanager
def tls_server(certs: Certificates, pair: tuple[Path, Path], *lines: str) -> Iterator[tuple[int, int]]:
    """A server with a TLS port and a plain one. Yields both. Skips the test if the server has no TLS, and in
    CI only if it is the bundled one: what it says of everything else is a failure."""
    tls, plain, home = free_port(), free_port(), Path(tempfile.mkdtemp(prefix="server-", dir=certs.folder))
    config = [
        f"port {plain}",
        f"tls-port {tls}",
        "bind 127.0.0.1",
        f"dir {home}",
        "save ''",
        f"tls-ca-cert-file {certs.ca}",
    ]
    config += [f"tls-cert-file {pair[0]}", f"tls-key-file {pair[1]}", f"unixsocket {home}/s", *lines]
    (home / "redis.conf").write_text("\n".join(config) + "\n")
    sentinel = ["--sentinel"] if any(line.startswith("sentinel ") for line in lines) else []
    with open(home / "log", "wb") as log:
        process = subprocess.Popen([chosen_server(), home / "redis.conf", *sentinel], stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or answers(home / "s"), 20, "the server answers")
        if process.poll() is not None:
            did_not_start((home / "log").read_text(errors="replace"))
        yield tls, plain
    finally:
        process.terminate()
        process.wait(10)


def did_not_start(said: str) -> NoReturn:
    """Skip or fail, by what the server said when it ended."""
    without = NO_TLS.search(said) is not None
    if not without or (os.environ.get("COORDINATOR_TEST_COMPLETE") == "1" and chosen_kind() != "bundled"):
        pytest.fail(f"no server with TLS: {said}")
    pytest.skip("this redis-server was built without TLS")
