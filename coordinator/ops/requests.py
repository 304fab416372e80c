"""What can be done to any request by its id: cancel, reprioritise, replay; and to a resource: define."""

from __future__ import annotations

from coordinator.errors import IllegalTransition
from coordinator.model.definition import Definition, Terms, words
from coordinator.model.names import SUBTREE, Priority, request_id, resource_or_subtree, text
from coordinator.wire import calls, replies
from coordinator.wire.calls import Deed, Scope
from coordinator.wire.needs import node
from coordinator.wire.step import Operation

HELD = "its lock is granted, and is given back with `ticket.wait().release()`, or taken back with `force_release`"


def cancel(scope: Scope, ident: str, reason: str = "", by: str = "") -> Operation[bool]:
    """Cancel a request that waits, or tell a running job to stop. True: it is over; False: it was told.

    With `by` it goes on record, as what an operator does. Raises IllegalTransition when it is over already or a lock
    is held, NotFound.
    """
    why = text(reason, "reason") or "cancelled by a caller"
    raw = yield calls.cancel(scope, request_id(ident), "cancel", why, by)
    word = replies.expect(raw, "ok", "told", "held", "ended", ident=ident)
    if word == "held":
        raise IllegalTransition("held", "cancel", HELD)
    if word == "ended":
        raise IllegalTransition(replies.text(raw[1]), "cancel")
    return word == "ok"


def reprioritise(scope: Scope, ident: str, priority: Priority, deed: Deed | None = None) -> Operation[None]:
    """Change the priority of a request that waits; with a deed it goes on record.

    Raises IllegalTransition, NotFound.
    """
    by, reason = (deed.by, deed.reason) if deed else ("", "")
    raw = yield calls.reprioritise(scope, request_id(ident), int(priority), by, reason)
    if replies.expect(raw, "ok", "refused", ident=ident) == "refused":
        raise IllegalTransition(replies.text(raw[1]), "reprioritise")


def replay(scope: Scope, ident: str, call_id: str) -> Operation[None]:
    """Queue a failed or dead job again, payload intact. Raises IllegalTransition, QueueFull, NotFound."""
    raw = yield calls.replay(scope, request_id(ident), call_id)
    if replies.expect(raw, "ok", "refused", ident=ident) == "refused":
        raise IllegalTransition(replies.text(raw[1]), "replay")


def define(scope: Scope, resource: str, deed: Deed, terms: Terms) -> Operation[Definition]:
    """Say how a resource is granted; what is not named stays. Raises InvalidInput."""
    name, wanted = node(resource_or_subtree(resource)), words(terms, resource.endswith(SUBTREE))
    while True:
        raw = yield calls.define(scope, name, deed, wanted)
        replies.expect(raw, "ok")
        found = Definition.of(replies.fields(raw[1:]))
        # A long line takes its new order page by page. If this is interrupted, others go on with it.
        if not found.reordering:
            return found
