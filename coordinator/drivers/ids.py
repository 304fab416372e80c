"""Ids that nobody else draws: a random part per process and a count.

Short enough to copy by hand, and at most 13 characters, because Redis keeps a key of up to 31 bytes and a member of up
to 14 in blocks that are half as large: measured, a queued job takes 394 instead of 426 bytes. A fork gets a new random
part, so parent and child never draw the same; so does a process that has counted to the end. Nine characters of 58 are
52 bits: of a million processes, two have the same part with a probability below 1 in 10,000, and then a request that
is new to one of them is refused as a conflict.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable

# Without 0, O, I and l, which are taken for each other.
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RANDOM, _COUNTED = 9, 3


class Ids:
    """A source of ids for one process. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.renew()

    def renew(self) -> None:
        """Start over with a new random part, as a forked child must."""
        # A fork may have happened while another thread of the parent held the lock.
        self._lock = threading.Lock()
        self.process = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
        self._number, self._head, self._tails = 0, f"{self.process}-", iter(_ALPHABET)

    def draw(self) -> str:
        """A new id, such as `4cRtqXb9e-2a`."""
        with self._lock:
            for tail in self._tails:
                return self._head + tail
            # All ids with the last character free are used: the next number before it.
            self._number += 1
            if self._number >= len(_ALPHABET) ** (_COUNTED - 1):
                self.process = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
                self._number = 0
            self._head, self._tails = f"{self.process}-{_digits(self._number)}", iter(_ALPHABET[1:])
            return self._head + _ALPHABET[0]


def _digits(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


_shared = Ids()
os.register_at_fork(after_in_child=_shared.renew)


new_id: Callable[[], str] = _shared.draw
"""A new id of this process."""
