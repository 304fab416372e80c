"""What calls are told apart by, and what is known of their answers.

Two calls are identical if they name the same handler and their payloads are equal as data: the order of a mapping does
not matter, nor whether a list was a tuple; 1 and 1.0 differ, as they do in msgpack. The key is a digest, so it says
nothing of the payload and is of one length. 160 bits: a collision, even one that is looked for, takes 2^80 tries.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

from coordinator.model import codec

# No name of a user's encodes to one that begins so: answers and dedup keys do not get in each other's way.
KEY_PREFIX = "~answer/"
DIGEST_BYTES = 20


class Answer(NamedTuple):
    """An answer that is kept: its value, the id of the job that gave it, and for how many seconds it is good still."""

    value: Any
    ident: str
    seconds_left: float


@dataclass(frozen=True, slots=True)
class CoalescingStats:
    """What became of the calls of one client since it was made, and the copies that it keeps.

    `executed`: nobody had asked, so a job was submitted. `joined`: one was under way. `near_hits`: answered from the
    memory of the process, `far_hits`: from Redis. `evicted`: copies that made room for others.
    """

    calls: int = 0
    executed: int = 0
    joined: int = 0
    near_hits: int = 0
    far_hits: int = 0
    evicted: int = 0
    entries: int = 0
    bytes: int = 0

    @property
    def hit_rate(self) -> float:
        """The share of calls that an answer was kept for; 0 if there were none."""
        return (self.near_hits + self.far_hits) / self.calls if self.calls else 0.0

    @property
    def join_rate(self) -> float:
        """The share of calls that shared an execution under way; 0 if there were none."""
        return self.joined / self.calls if self.calls else 0.0


def answer_key(name: str, payload: Any, limit: int) -> str:
    """The dedup key that identical calls share, encoded. Raises InvalidInput, PayloadTooLarge."""
    packed = codec.pack_canonical([name, payload], "payload", limit + len(name) + 8)
    return KEY_PREFIX + hashlib.blake2b(packed, digest_size=DIGEST_BYTES).hexdigest()
