"""Private Redis servers for runs: the real program, reached by a Unix socket, or by TCP where a fault needs that.

The product's own embedded server does the work. One that was killed (`os.kill(server.pid, SIGKILL)`) is started again
by `server.start()`, at the same address and with the data it had kept.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from coordinator.drivers.embedded import EmbeddedServer


@contextlib.contextmanager
def private_server(
    folder: Path | None = None, config: Mapping[str, str] | None = None, binary: Path | None = None
) -> Iterator[EmbeddedServer]:
    """A server of the run's own. With a folder it keeps its data there, in an append-only file."""
    with EmbeddedServer(folder, binary, config) as server:
        yield server


def socket_of(server: EmbeddedServer) -> Path:
    """The Unix socket a server listens on."""
    return Path(unquote(server.url.removeprefix("unix://").partition("?")[0]))


def free_port() -> int:
    """A TCP port of this machine that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
