"""Signatures of texts, and the buckets in which near ones meet. Needs the extra `similar` (rensa).

Measured for a text of 300 shingles and 88 hash functions: rensa takes 26 us, 1.3 MB on disk and 6 ms to import;
datasketch 1,300 us, with the libraries that it needs 217 MB, and 2 s. Both do the same, so the lighter one was chosen.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import Any

from coordinator.errors import ConfigError
from coordinator.policy.similarity import BANDING, Banding

try:
    from rensa import RMinHash
except ImportError:
    RMinHash = None

# Part of every bucket: entries that were made by other rules never meet ours. To be raised with each change of these.
VERSION = "1"
SEED = 1
BUCKET_BYTES = 8


def signature(shingles: Iterable[str], banding: Banding = BANDING) -> list[int]:
    """The minimum of each hash function. Raises ConfigError without the library."""
    if RMinHash is None:
        raise ConfigError(["`similar` needs a library that is not installed: pip install 'coordinator[similar]'"])
    made: Any = RMinHash(num_perm=banding.hashes, seed=SEED)
    made.update(list(shingles))
    return list(made.digest())


def buckets(group: str, shingles: Iterable[str], banding: Banding = BANDING) -> tuple[str, ...]:
    """The buckets of a text within a group, one for each band: near texts have at least one in common."""
    minima, rows = signature(shingles, banding), banding.rows
    return tuple(_bucket(group, band, minima[band * rows : (band + 1) * rows]) for band in range(banding.bands))


def _bucket(group: str, band: int, minima: list[int]) -> str:
    words = struct.pack(f">{len(minima)}I", *minima)
    head = f"{VERSION} {group} {band} ".encode()
    return hashlib.blake2b(head + words, digest_size=BUCKET_BYTES).hexdigest()
