"""From whom an operator takes what a request of his own waits for."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.model.lease import Explanation, NeedView, Person


def to_be_robbed(looks: Sequence[Explanation]) -> list[str]:
    """Who has to let go so that a request has what it needs, in the order in which to take it: the least urgent first,
    of these the last that came. `looks` show all its needs, each look some of the holders.

    Of permits no more are taken than are lacking. Where two cannot have something together, or one has it above or
    below the other, everybody has to go.
    """
    persons: dict[str, Person] = {}
    everybody: set[str] = set()
    permits: list[dict[str, int]] = []
    lacking: list[int] = []
    for views in zip(*(look.needs for look in looks), strict=True):
        holders = _in_the_way(looks[0].ident, views)
        counted = {
            ident: one.permits
            for ident, one in holders.items()
            if not one.resource and one.mode == views[0].need.mode == "exclusive"
        }
        persons |= holders
        everybody |= holders.keys() - counted.keys()
        permits.append(counted)
        left_to_others = views[0].capacity - min(views[0].need.permits, views[0].capacity)
        lacking.append(sum(counted.values()) - left_to_others)
    lacking = [
        lack - sum(counted.get(ident, 0) for ident in everybody) for lack, counted in zip(lacking, permits, strict=True)
    ]
    return _enough(sorted(persons.values(), key=_by_urgency), everybody, permits, lacking)


def _in_the_way(ident: str, views: Sequence[NeedView]) -> dict[str, Person]:
    """Who has what one need asks for, and not beside it."""
    mode = views[0].need.mode
    return {
        one.ident: one
        for view in views
        for one in view.holders
        if one.ident != ident and "exclusive" in (one.mode, mode)
    }


def _by_urgency(one: Person) -> tuple[int, float]:
    return one.priority, -(one.since or 0.0)


def _enough(
    ordered: Sequence[Person], everybody: set[str], permits: Sequence[dict[str, int]], lacking: list[int]
) -> list[str]:
    taken = []
    for one in ordered:
        if one.ident in everybody:
            taken.append(one.ident)
        elif any(lack > 0 and one.ident in counted for lack, counted in zip(lacking, permits, strict=True)):
            taken.append(one.ident)
            lacking = [lack - counted.get(one.ident, 0) for lack, counted in zip(lacking, permits, strict=True)]
    return taken
