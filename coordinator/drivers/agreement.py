"""What a process and the server do not agree on: what the session has, as each of them sees it.

They agree at all times but for what is on its way, until the server forgets its newest writes: a power cut without
`appendfsync always`, a failover to a replica that was behind. Then the server has things as ours that we gave back long
ago (*strays*: nobody would ever end them, for our session lives), and we hold things that it knows nothing of
(*phantoms*: they may be somebody else's by now). The heartbeat brings the number of our holdings; only when that is not
ours is anything looked at. Pure: the keeper asks and acts.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

# In one look, so that the script stays short.
MAX_BELIEVED = 500
MAX_STRAYS = 64
# The server lists at most so many holdings of a session. A shorter list is complete: what it lacks is not held.
SHOWN = 250
# A lease that is being released is still ours, and no longer the server's, until the reply to the release is here.
PHANTOM_SECONDS = 1.0
LOOKS_PER_PATIENCE = 4


@dataclass(frozen=True, slots=True)
class Question:
    """What the server is asked: to take back `strays`, and whether it has what we believe to hold."""

    strays: tuple[str, ...]
    believed: tuple[tuple[str, str], ...]
    known: Collection[str]


class Agreement:
    """Remembers since when something has been in doubt. Strays are given `patience` seconds: they may be a claim whose
    reply is on its way."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._next_look = -math.inf
        self._strays: dict[str, float] = {}
        self._phantoms: dict[tuple[str, str], float] = {}

    def doubted(self, owned: int, known: int, now: float) -> bool:
        """Whether it is worth asking."""
        if owned == known and not self._strays and not self._phantoms:
            return False
        return now >= self._next_look

    def question(self, held: Mapping[str, str], known: Collection[str], claiming: float, now: float) -> Question:
        """What to ask now. `held` is fence by id; `claiming` as in the keeper's duties."""
        self._next_look = now + min(PHANTOM_SECONDS, self._patience / LOOKS_PER_PATIENCE)
        # What the server had before the claim on its way was sent cannot have come from it.
        self._strays = {ident: since for ident, since in self._strays.items() if ident not in known}
        ripe = [ident for ident, since in self._strays.items() if now - since >= self._patience and since < claiming]
        doubted = [one for one in self._phantoms if held.get(one[0]) == one[1]]
        others = list(held.items())
        sample = others if len(others) <= MAX_BELIEVED else random.sample(others, MAX_BELIEVED)
        believed = dict.fromkeys((*doubted, *sample))
        return Question(tuple(ripe[:MAX_STRAYS]), tuple(believed)[:MAX_BELIEVED], known)

    def answer(self, owned: Iterable[str], missing: Iterable[str], question: Question, now: float) -> list[str]:
        """Take in the answer; which of our holdings are none."""
        shown = set(owned)
        # A stray that has ended since (a reply was on its way when it was seen) is forgotten. If it is seen again, it
        # gets the full `patience` once more.
        ended = () if len(shown) >= SHOWN else [ident for ident in self._strays if ident not in shown]
        for ident in (*question.strays, *ended):
            self._strays.pop(ident, None)
        for ident in shown:
            if ident not in question.known:
                self._strays.setdefault(ident, now)
        lacking = set(missing)
        seen = {one: self._phantoms.get(one, now) for one in question.believed if one[0] in lacking}
        self._phantoms = {one: since for one, since in seen.items() if now - since < PHANTOM_SECONDS}
        return [one[0] for one in seen if one not in self._phantoms]
