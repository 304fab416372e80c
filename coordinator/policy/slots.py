"""How the slots of one process are divided among the namespaces that it serves.

Each of n has a share of the T slots by its weight, whole numbers that add up to T, one at least:

    share[i] = 1 + (T - n) * w[i] / W, rounded so that what is left goes to the largest remainders

A share is a promise and no wall. Who has nothing to do leaves its slots to the others; but while somebody who has less
than its share found no slot, nobody else goes beyond its own, so that the next slots that fall free are theirs. Nothing
is taken back from a job that runs: who is owed slots waits until runs end, and no longer.

Hence: never more than T jobs at once; no slot idle while somebody has work for it, but for the ones in which a
claim waits for the next job; all busy, each has its share once the runs that were under way have ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.errors import InvalidInput


def shares(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """The slots of each. Raises InvalidInput if there are fewer slots than sharers."""
    if total < len(weights):
        raise InvalidInput("concurrency", total, f"must be at least {len(weights)}: one slot for each namespace")
    whole, rest = sum(weights), total - len(weights)
    made = [1 + rest * one // whole for one in weights]
    left = sorted(range(len(weights)), key=lambda one: (-(rest * weights[one] % whole), one))
    for one in left[: total - sum(made)]:
        made[one] += 1
    return tuple(made)


def room(total: int, taken: Sequence[int], share: int, one: int, owed: bool) -> int:
    """How many more slots one may take. `taken`: those of all; `owed`: somebody else found none below its share."""
    free = max(0, total - sum(taken))
    return min(free, max(0, share - taken[one])) if owed else free
