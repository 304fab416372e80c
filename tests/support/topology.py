"""Small Cluster and Sentinel set-ups on loopback ports, ended by pid."""

import contextlib
import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.support.server import chosen_server
from tests.support.until import until


def free_port() -> int:
    """A free port that leaves room for the cluster bus, ten thousand above it."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, socket.socket() as bus:
            try:
                probe.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        return port


@contextlib.contextmanager
def server(folder: Path, *options: str) -> Iterator[int]:
    """A redis-server on a free port; options are redis.conf words. Yields the port."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "redis.conf"
    lines = [f"port {port}", "bind 127.0.0.1", f"dir {folder}", "save ''", *options]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = [str(chosen_server()), str(config)]
    if any(line.startswith("sentinel ") for line in lines):
        words.append("--sentinel")
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with contextlib.closing(redis.Redis(port=port)) as client:
            until(lambda: _answers(client), 20, "the server answers")
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A cluster of one node that has all slots. Yields its URL."""
    with server(folder, "cluster-enabled yes") as port:
        with contextlib.closing(redis.Redis(port=port, decode_responses=True)) as client:
            # Slot by slot: ADDSLOTSRANGE came with 7.0.
            client.execute_command("CLUSTER ADDSLOTS", *range(16384))
            until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", 30, "the cluster is up")
        yield f"redis+cluster://127.0.0.1:{port}"


@contextlib.contextmanager
def sentinel(folder: Path) -> Iterator[str]:
    """A primary and one Sentinel that watches it. Yields the URL."""
    with server(folder / "primary") as primary:
        watch = (f"sentinel monitor main 127.0.0.1 {primary} 1", "sentinel down-after-milliseconds main 5000")
        with server(folder / "sentinel", *watch) as port:
            yield f"redis+sentinel://127.0.0.1:{port}/main/0"


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
