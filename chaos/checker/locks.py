"""Locks as their holders saw them: fences grow, in real time too, and what was given back intact was held alone, or by
those only that go together: all shared, or all within the permits of a counted resource.

A holder whose release was refused had lost the lock before; it may have believed in it for too long, which is what
fences are for, and is no breach. One whose release was taken had it to itself from the grant to that moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from chaos.checker.facts import Problem
from chaos.history import Op
from coordinator_demo import overlaps


def check_locks(ops: Iterable[Op]) -> list[Problem]:
    """The breaches of the rules about locks."""
    grants: defaultdict[str, list[Op]] = defaultdict(list)
    releases: defaultdict[str, dict[int, list[Op]]] = defaultdict(lambda: defaultdict(list))
    for one in ops:
        if one.op == "acquire" and one.outcome == "ok" and one.completed is not None:
            grants[one.arg("resource")].append(one)
        elif one.op == "release":
            releases[one.arg("resource")][one.fence].append(one)
    problems: list[Problem] = []
    for resource, given in grants.items():
        problems += _distinct(resource, given)
        problems += _in_real_time(resource, given)
        problems += _alone(resource, given, releases[resource])
    for resource, ended in releases.items():
        problems += _known(resource, grants[resource], ended)
    return problems


def _distinct(resource: str, given: list[Op]) -> Iterator[Problem]:
    owners: dict[int, Op] = {}
    for one in given:
        other = owners.setdefault(one.fence, one)
        if other is not one:
            yield Problem("fence", f"{resource}: {other.process} and {one.process} were both given fence {one.fence}")
        if one.fence <= 0:
            yield Problem("fence", f"{resource}: {one.process} was granted it without a fence")


def _in_real_time(resource: str, given: list[Op]) -> Iterator[Problem]:
    """Whoever asks after another grant has been seen gets a larger fence than that."""
    seen = sorted(given, key=lambda one: one.completed or 0)
    at, newest = 0, 0
    for one in sorted(given, key=lambda one: one.invoked):
        while at < len(seen) and (seen[at].completed or 0) < one.invoked:
            newest = max(newest, seen[at].fence)
            at += 1
        if one.fence <= newest:
            text = f"{resource}: {one.process} asked after fence {newest} was out, and was given {one.fence}"
            yield Problem("real_time", text)


def _alone(resource: str, given: list[Op], ended: dict[int, list[Op]]) -> Iterator[Problem]:
    ends, spans, size = overlaps.Ends(), [], 1
    for one in sorted(given, key=lambda one: one.fence):
        kind, had = _kind(one), one.completed or 0
        until, owner = ends.before(kind)
        if had < until:
            text = f"{resource}: {one.process} had it {(until - had) / 1e6:.3f} ms before {owner} gave it back"
            yield Problem("exclusion", text)
        intact = min((end.invoked for end in ended.get(one.fence, ()) if end.outcome == "ok"), default=None)
        if intact is not None:
            ends.add(kind, intact, one.process)
            if kind == "counted":
                size = max(size, int(one.args["size"]))
                spans.append((had, intact, int(one.args["permits"])))
    most = overlaps.most_at_once(spans)
    if most > size:
        yield Problem("exclusion", f"{resource}: {most} permits were in use at once, of {size}")


def _kind(one: Op) -> overlaps.Kind:
    if one.arg("mode") == "shared":
        return "shared"
    return "counted" if "permits" in one.args else "alone"


def _known(resource: str, given: list[Op], ended: dict[int, list[Op]]) -> Iterator[Problem]:
    fences = {one.fence for one in given}
    for fence, ends in ended.items():
        intact = [one for one in ends if one.outcome == "ok"]
        if intact and fence not in fences:
            yield Problem("fence", f"{resource}: {intact[0].process} gave back fence {fence}, which nobody was given")
        if len({one.process for one in intact}) > 1:
            yield Problem("exclusion", f"{resource}: fence {fence} was given back by more than one process")
