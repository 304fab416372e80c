"""`coordinator ls PATTERN` and `ls --owner`: who holds what, from the resources and from the owner."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from coordinator.cli import tables
from coordinator.cli.screen import Screen
from coordinator.cli.sentences import MOST_NAMED, lapsed
from coordinator.cli.shapes import Shape, person
from coordinator.cli.words import clean, duration, word
from coordinator.client import Coordinator
from coordinator.model.lease import Person
from coordinator.model.need import Need
from coordinator.ops.inspect import MOST_PER_PAGE
from coordinator.ops.looking import HeldPage, HeldResource, OwnerPage, Possession


def list_held(coordinator: Coordinator, screen: Screen, pattern: str, limit: int) -> None:
    """The resources that a pattern is for, and who has them; at most `limit`, 0 for all."""
    found, page = list[HeldResource](), HeldPage(0.0, ())
    while page.after or not page.at:
        page = coordinator.holders(pattern, page.after, _room(limit, len(found)))
        found += page.resources
        if len(found) == limit:
            break
    document = {
        "namespace": coordinator.settings.namespace,
        "at": page.at,
        "pattern": pattern,
        "resources": [_resource(one) for one in found],
        "more": bool(page.after),
    }
    empty = word(f"nothing of {clean(pattern)} is held or waited for", tables.DIM)
    screen.show(document, _held_table(found, page.at) if found else empty, *_more(page.after))


def list_owned(coordinator: Coordinator, screen: Screen, owner: str, limit: int) -> None:
    """What an owner holds and waits for; at most `limit`, 0 for all."""
    found, page = list[Possession](), OwnerPage(0.0, 0, ())
    while page.after or not page.at:
        page = coordinator.held_by(owner, page.after, _room(limit, len(found)))
        found += page.requests
        if len(found) == limit:
            break
    document = {
        "namespace": coordinator.settings.namespace,
        "at": page.at,
        "owner": owner,
        "total": page.total,
        "requests": [_possession(one) for one in found],
        "more": bool(page.after),
    }
    empty = word(f"{clean(owner)} holds nothing and waits for nothing", tables.DIM)
    screen.show(document, _owned_table(found, page.at) if found else empty, *_more(page.after))


def _room(limit: int, taken: int) -> int:
    return min(MOST_PER_PAGE, limit - taken) if limit else MOST_PER_PAGE


def _more(after: str) -> Iterator[Text]:
    if after:
        yield word("there may be more: --limit says how many are listed", tables.DIM)


def _resource(one: HeldResource) -> Shape:
    return {
        "resource": one.name,
        "capacity": one.capacity,
        "held": one.held,
        "line_length": one.line_length,
        "holders": [person(holder) for holder in one.holders],
    }


def _possession(one: Possession) -> Shape:
    needs = [{"resource": need.resource, "mode": need.mode, "permits": need.permits} for need in one.needs]
    mine = {"asked": one.asked, "fence": one.fence, "until": one.until, "needs": needs}
    return {name: value for name, value in person(one.request).items() if name not in ("mode", "permits")} | mine


def _held_table(found: list[HeldResource], at: float) -> Table:
    table = tables.columns("RESOURCE", "HOLDS", "ID", "OWNER", "FENCE", "SINCE", "LINE", "REASON", right=("LINE",))
    for one in found:
        line = word(one.line_length, "yellow" if one.line_length else tables.DIM)
        if not one.holders:
            table.add_row(word(one.name), *[word("-", tables.DIM)] * 5, line, word(""))
        for place, holder in enumerate(one.holders):
            first = (word(one.name), line) if place == 0 else (word(""), word(""))
            table.add_row(first[0], *_holder(holder, at), first[1], word(holder.reason))
        if one.held > len(one.holders):
            table.add_row(word(""), word(f"{one.held - len(one.holders)} more", tables.DIM))
    return table


def _holder(one: Person, at: float) -> Iterator[Text]:
    yield word("shared" if one.mode == "shared" else one.permits)
    yield word(one.ident, "bold red" if lapsed(one, at) else "green")
    yield word(one.owner or one.name)
    yield word("" if one.fence is None else one.fence)
    yield word(_ago(one.since, at))


def _owned_table(found: list[Possession], at: float) -> Table:
    table = tables.columns("ID", "KIND", "STATE", "PRIORITY", "SINCE", "FENCE", "RESOURCES", "REASON")
    for one in found:
        who = one.request
        named = [f"{need.resource}{_kind(need)}" for need in one.needs[:MOST_NAMED]]
        rest = len(one.needs) - len(named)
        table.add_row(
            word(who.ident),
            word(who.kind),
            tables.state(who.state),
            tables.priority(who.priority),
            word(_ago(one.asked if who.since is None else who.since, at)),
            word("" if one.fence is None else one.fence),
            word(", ".join([*named, f"{rest} more"] if rest else named) or who.name),
            word(who.reason),
        )
    return table


def _kind(need: Need) -> str:
    return " (shared)" if need.mode == "shared" else f" x{need.permits}" if need.permits > 1 else ""


def _ago(then: float | None, at: float) -> str:
    return "" if then is None else f"{duration(at - then)} ago"
