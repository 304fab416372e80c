"""Ids that nobody else draws: a random part per process and a count.

Short enough to copy by hand, and a fork gets a new random part, so parent and child never draw the same.
"""

from __future__ import annotations

import itertools
import os
import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Ids:
    """A source of ids for one process. Safe for many threads."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start over with a new random part, as a forked child must."""
        number = secrets.randbits(60)
        self.process = "".join(_ALPHABET[number >> (5 * place) & 31] for place in range(12))
        self._count = itertools.count(1)

    def draw(self) -> str:
        """A new id, such as `k3f9x2a7qp0d-1c`."""
        return f"{self.process}-{_base32(next(self._count))}"


def _base32(number: int) -> str:
    digits = ""
    while number:
        digits = _ALPHABET[number & 31] + digits
        number >>= 5
    return digits


_shared = Ids()
os.register_at_fork(after_in_child=_shared.renew)


def new_id() -> str:
    """A new id of this process."""
    return _shared.draw()
