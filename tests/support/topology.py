"""Small Cluster and Sentinel set-ups on loopback ports, ended by pid."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from chaos.faults.cluster import clustered
from chaos.faults.sentinel import watched
from tests.support.server import chosen_server


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A cluster of one node that has all slots. Yields its URL."""
    with clustered(folder, 1, chosen_server()) as made:
        yield made.url


@contextlib.contextmanager
def sentinel(folder: Path) -> Iterator[str]:
    """A primary and one Sentinel that watches it. Yields the URL."""
    with watched(folder, replicas=0, sentinels=1, binary=chosen_server()) as made:
        yield made.url
