"""Which of a ladder of delays a retry waits for, given how retries after each delay have fared in the whole fleet.

What is known is kept by octave of the delay (1 to 2 ms, 2 to 4 ms, ...): tries, and how many of them succeeded. It
fades with a half-life of ten minutes, so what was hopeless during an outage is tried again after it.

A delay is *hopeless* if at least `ENOUGH` retries after it are remembered and fewer than half of them succeeded: a
retry that fails has cost a run and an attempt, so a longer wait that may succeed is the cheaper. Chosen is the shortest
step that is not hopeless, never one before the step that plain exponential backoff would take. Where all are hopeless
the delay makes little difference, and the step with the best share is taken, the shortest of equals.

Hence: with nothing known it is exponential backoff; it never leaves the ladder; later attempts never wait for less; and
a success seen at a step never lengthens a wait that would have been that step or longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ENOUGH = 5.0
WORTH = 0.5
HALF_LIFE = 600.0
# Octaves of a delay in ms: the last begins at 17 years.
LAST_OCTAVE = 39


@dataclass(frozen=True, slots=True)
class Tally:
    """Retries after delays of one octave: how many are remembered, and how many of these succeeded."""

    tries: float = 0.0
    successes: float = 0.0

    @property
    def share(self) -> float:
        """The share that succeeded; 1 where nothing is known."""
        return self.successes / self.tries if self.tries > 0 else 1.0

    @property
    def hopeless(self) -> bool:
        """Whether enough is known to say that such a retry will rather fail."""
        return self.tries >= ENOUGH and self.share < WORTH

    def after(self, seconds: float) -> Tally:
        """What is left of it when so many seconds have passed."""
        left = 0.5 ** (max(0.0, seconds) / HALF_LIFE)
        return Tally(self.tries * left, self.successes * left)


# By octave.
Record = Mapping[int, Tally]
NOTHING_KNOWN: Record = {}


def octave(delay_ms: int) -> int:
    """Where a delay is counted; what is shorter than a millisecond counts as one."""
    return min(max(delay_ms, 1).bit_length() - 1, LAST_OCTAVE)


def step(least: int, delays: list[float], record: Record) -> int:
    """The step of the ladder to wait for, at or after `least`. `delays` are its steps in seconds, each as long as the
    one before or longer; beyond its last step the ladder is level."""
    if least >= len(delays) - 1:
        return least
    tallies = [record.get(octave(round(one * 1000)), Tally()) for one in delays[least:]]
    for place, tally in enumerate(tallies):
        if not tally.hopeless:
            return least + place
    best = max(tally.share for tally in tallies)
    return least + next(place for place, tally in enumerate(tallies) if tally.share == best)
