"""Subtrees, in terms of plain resources: whoever has `a/**` has it and everything in it that a history names.

Two requests then get in each other's way exactly if they have a name in common, so the rules about single resources
judge exclusion, order and fences across the levels of a path too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from chaos.history import SERVER, Op
from coordinator.model.names import SUBTREE, in_subtree

COUNTED = frozenset({"permits", "size"})


def flat(ops: Sequence[Op]) -> list[Op]:
    """The history with the subtrees in the server's account spread out."""
    names = _names(ops)
    return [replace(one, args=_spread(one, names)) if _is_fact(one) else one for one in ops]


def held_flat(ops: Sequence[Op]) -> list[Op]:
    """The same, with one grant and one release for each resource that a holder had."""
    names = _names(ops)
    return [each for one in flat(ops) for each in (_each(one, names) if one.op in ("acquire", "release") else (one,))]


def _names(ops: Iterable[Op]) -> frozenset[str]:
    said = {one.arg("resource") for one in ops}
    return frozenset(said.union(*(one.args["resources"] for one in ops if _is_fact(one))))


def _is_fact(one: Op) -> bool:
    return one.process == SERVER and "resources" in one.args


def _spread(one: Op, names: frozenset[str]) -> dict[str, object]:
    spread = {**one.args, "lines": one.args["resources"]}
    for part in ("resources", "shared"):
        spread[part] = sorted({inner for name in one.args.get(part, ()) for inner in _inside(name, names)})
    return spread


def _each(one: Op, names: frozenset[str]) -> Iterator[Op]:
    for name in _inside(one.arg("resource"), names):
        # Permits are of the resource alone: whoever has some of them keeps all out who have what is around it.
        counted = {
            part: one.args[part] for part in ("permits", "size") if part in one.args and name == one.arg("resource")
        }
        others = {part: value for part, value in one.args.items() if part not in ("permits", "size")}
        yield replace(one, args={**others, **counted, "resource": name})


def _inside(name: str, names: frozenset[str]) -> set[str]:
    if not name.endswith(SUBTREE):
        return {name}
    return {name, *(one for one in names if in_subtree(one, name))}
