"""Judges a history offline. It shares no code with the engine, and knows only what a user is promised.

A history is a list of operations (`chaos.history.Op`). What the rules understand:

- `submit` {job}: a job was handed in; `cancel` {job, ended}: somebody wanted it stopped, and may have been told that it
  has ended so; `told` {job, state}: a caller was told how it ended;
- `start` {job} and `done` {job}, each with the fence: a handler began, and made its effect; `raised` {job}
  with it: the handler gave up with an error of its own. The start may say {trusted_us}: until when, by the clock that
  the server has too, its worker could trust its session;
- `acquire` {resource, request} with the fence it got, and {trusted_us} as above: before that nobody may take it
  away; `release` {resource, request} with that fence: `failed` if it was no longer held. With {mode: shared}
  others may share it; with {permits, size} it is so many permits of a counted resource; else it was acquired
  alone;
- `write` {resource, place, guarded} with a fence: an outside store was written to, `ok` if it took the write. `place`
  is the store's own order. A guarded store is one that compares fences;
- a resource may be a subtree, `path/**`: whoever has it has all that lies at and below the path;
- of the process `server`, its own account: `job` {job, state, needs, deliveries, result_fence} with how many resources
  it needs and the fence it was settled under, `move` {job, event, why} for what became of its claims, `counted` {name,
  count} for its counters, and `fact` {...} for its events in order (see `chaos.checker.lines`).

Unknown outcomes are judged as such: what may or may not have happened is right either way.
"""

from __future__ import annotations

from collections.abc import Sequence

from chaos.checker.facts import Problem, Rule
from chaos.checker.jobs import check_jobs
from chaos.checker.lines import check_lines
from chaos.checker.locks import check_locks
from chaos.checker.losses import Loss
from chaos.checker.runs import check_runs
from chaos.checker.trees import flat, held_flat
from chaos.checker.writes import check_writes, stale_writes
from chaos.history import Op
from coordinator.model.terms import NO_AGING_US

__all__ = ["Problem", "Rule", "judge", "stale_writes"]


def judge(
    ops: Sequence[Op],
    *,
    drained: bool = True,
    aging_us: int = NO_AGING_US,
    losses: Sequence[Loss] = (),
    steady: bool = False,
) -> tuple[Problem, ...]:
    """Every breach in a history. `drained`: the run went on until there was nothing left to do. `losses` and `steady`
    are those of `check_runs`."""
    return (
        *check_jobs(ops, drained=drained),
        *check_runs(ops, losses, steady=steady),
        *check_locks(held_flat(ops)),
        *check_writes(ops),
        *check_lines(flat(ops), aging_us, drained=drained),
    )
