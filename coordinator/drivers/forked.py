"""What begins anew in a forked child. No lock survives a fork: who held it then is a thread of the parent, which never
lets go of it in the child."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Renewed(Protocol):
    """Something that has a lock."""

    def after_fork(self) -> None:
        """In a forked child: a new lock, and nothing that is the parent's."""


_all: weakref.WeakSet[Renewed] = weakref.WeakSet()


def renew_in_child(one: Renewed) -> None:
    """Have its `after_fork` called in every forked child, for as long as it is there."""
    _all.add(one)


def _renew() -> None:
    for one in list(_all):
        one.after_fork()


os.register_at_fork(after_in_child=_renew)
