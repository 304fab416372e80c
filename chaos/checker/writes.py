"""What a lock guards: a store that compares fences takes no write under an older one than it has seen.

Judged in the store's own order. A store that does not compare is the control: under pauses it must take some such
writes, or the run has proved nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from chaos.checker.facts import Problem
from chaos.history import Op


def check_writes(ops: Iterable[Op]) -> list[Problem]:
    """The breaches of the rules about guarded stores."""
    problems: list[Problem] = []
    for resource, writes in _accepted(ops, guarded=True).items():
        owners: dict[int, str] = {}
        for one, newest in _with_newest(writes):
            if one.fence < newest:
                text = f"{resource}: the store took {one.process}'s write under {one.fence} after one under {newest}"
                problems.append(Problem("stale_write", text))
            owner = owners.setdefault(one.fence, one.process)
            if owner != one.process:
                text = f"{resource}: {owner} and {one.process} both wrote under fence {one.fence}"
                problems.append(Problem("exclusion", text))
    return problems


def stale_writes(ops: Iterable[Op], *, guarded: bool) -> int:
    """How many writes under an older fence than the newest before them were taken."""
    return sum(
        one.fence < newest
        for writes in _accepted(ops, guarded=guarded).values()
        for one, newest in _with_newest(writes)
    )


def _accepted(ops: Iterable[Op], *, guarded: bool) -> dict[str, list[Op]]:
    found: defaultdict[str, list[Op]] = defaultdict(list)
    for one in ops:
        if one.op == "write" and one.outcome == "ok" and bool(one.args.get("guarded")) == guarded:
            found[one.arg("resource")].append(one)
    for writes in found.values():
        writes.sort(key=lambda one: int(one.args["place"]))
    return found


def _with_newest(writes: list[Op]) -> Iterator[tuple[Op, int]]:
    newest = 0
    for one in writes:
        yield one, newest
        newest = max(newest, one.fence)
