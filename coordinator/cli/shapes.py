"""What `--json` prints. These shapes are a public interface: fields are added, never renamed or taken away.

Times are epoch seconds by the server's clock, durations seconds, priorities their lower-case names; what does not apply
is null. Places count from 0 at the head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from coordinator.model.definition import Definition
from coordinator.model.lease import Explanation, GateView, NeedView, Person, ShareView
from coordinator.ops.history import DeadJob, Happening
from coordinator.ops.inspect import LineView, QueueView, ResourceView, SessionView, Survey

Shape = dict[str, Any]


def request(found: Explanation) -> Shape:
    """`show ID`: everything about one request."""
    fields = found.fields
    return {
        "id": found.ident,
        "kind": found.kind,
        "state": str(found.state),
        "name": fields.get("name"),
        "queue": fields.get("queue"),
        "priority": found.priority.name.lower(),
        "owner": found.owner,
        "reason": found.reason,
        "metadata": found.metadata,
        "at": found.at,
        "asked": found.asked,
        "due": found.due,
        "wait_by": seconds(fields, "wait_by"),
        "end_by": seconds(fields, "end_by"),
        "since": seconds(fields, "since"),
        "expires": seconds(fields, "expires"),
        "ended": seconds(fields, "ended"),
        "why": fields.get("why"),
        "session": fields.get("session"),
        "fence": whole(fields, "fence"),
        "attempts": whole(fields, "attempts") or 0,
        "deliveries": whole(fields, "deliveries") or 0,
        "crashes": whole(fields, "crashes") or 0,
        "progress": fields.get("progress"),
        "cancel": fields.get("cancel"),
        "queue_place": found.queue_place,
        "queue_length": found.queue_length,
        "idle_workers": found.idle_workers,
        "needs": [need(one) for one in found.needs],
        "gate": gate(found.gate),
        "share": share(found.share),
        "on_offer": found.on_offer,
        "stolen_from": found.stolen_from and found.stolen_from[1],
    }


def share(one: ShareView | None) -> Shape | None:
    """How the queue of a ready job is shared, with weights from EMERGENCY to LOW."""
    return None if one is None else {"weights": list(one.weights), "place": one.place, "ready": one.ready}


def gate(one: GateView | None) -> Shape | None:
    """The breaker or limit that a job waits at; `until` is when it opens, or is looked at next."""
    if one is None:
        return None
    return {
        "kind": one.kind,
        "name": one.name,
        "place": one.place,
        "waiting": one.waiting,
        "since": one.since,
        "until": one.until,
    }


def need(view: NeedView) -> Shape:
    """One need of a request: `place` is null once it is held."""
    return {
        "resource": view.need.resource,
        "mode": view.need.mode,
        "permits": view.need.permits,
        "capacity": view.capacity,
        "place": view.place,
        "line_length": view.line_length,
        "holders": [person(one) for one in view.holders],
        "ahead": [person(one) for one in view.ahead],
        "frozen": None if view.frozen is None else asdict(view.frozen),
        "order": view.order,
    }


def person(one: Person) -> Shape:
    """Another request; `mode`, `permits` and `resource` as in `Person`, `until` and `fence` only if it holds."""
    return {
        "id": one.ident,
        "kind": one.kind,
        "state": one.state,
        "name": one.name or None,
        "queue": one.queue or None,
        "priority": one.priority.name.lower(),
        "owner": one.owner,
        "reason": one.reason,
        "session": one.session or None,
        "live": one.live if one.session else None,
        "since": one.since,
        "mode": one.mode or None,
        "permits": one.permits or None,
        "until": one.until,
        "fence": one.fence,
        "resource": one.resource or None,
    }


def resource(view: LineView) -> Shape:
    """`show RESOURCE`: its holders and the head of its line."""
    return {
        "resource": view.name,
        "at": view.at,
        "capacity": view.capacity,
        "line_length": view.line_length,
        "defined": defined(view.defined),
        "holders": [person(one) for one in view.holders],
        "waiters": [person(one) for one in view.waiters],
    }


def resources(namespace: str, at: float, found: Iterable[ResourceView]) -> Shape:
    """`ls`: resources that are held or waited for."""
    listed = [
        {
            "resource": one.name,
            "capacity": one.capacity,
            "line_length": one.line_length,
            "holders": sorted(one.holders),
            "mode": one.defined.mode,
        }
        for one in found
    ]
    return {"namespace": namespace, "at": at, "resources": listed}


def defined(found: Definition) -> Shape:
    """What a resource was defined with; null is what holds where nothing is defined."""
    return {name: value for name, value in asdict(found).items() if name != "reordering"}


def queues(namespace: str, survey: Survey) -> Shape:
    """`ls --queues`."""
    return {"namespace": namespace, "at": survey.at, "queues": [queue(one) for one in survey.queues]}


def queue(one: QueueView) -> Shape:
    """A queue: jobs that can run, jobs that wait for resources, workers with free slots."""
    return {"queue": one.name, "ready": one.ready, "waiting": one.waiting, "idle_workers": one.idle_workers}


def sessions(namespace: str, survey: Survey) -> Shape:
    """`ls --sessions`."""
    return {"namespace": namespace, "at": survey.at, "sessions": [session(one, survey.at) for one in survey.sessions]}


def session(one: SessionView, at: float) -> Shape:
    """A process: `holdings` counts what hangs on it, `fields` is what it says of itself."""
    return {
        "session": one.ident,
        "live": one.expires > at,
        "expires": one.expires,
        "holdings": one.holdings,
        "fields": dict(one.fields),
    }


def dead(namespace: str, total: int, jobs: Iterable[DeadJob]) -> Shape:
    """`ls --dead`: `total` counts all of them, also beyond those listed."""
    return {"namespace": namespace, "total": total, "jobs": [dead_job(one) for one in jobs]}


def dead_job(one: DeadJob) -> Shape:
    """A job that failed or is dead."""
    return {
        "id": one.ident,
        "state": one.state,
        "name": one.name,
        "queue": one.queue,
        "ended": one.ended,
        "attempts": one.attempts,
        "why": one.why,
        "owner": one.owner,
        "reason": one.reason,
    }


def stats(namespace: str, survey: Survey) -> Shape:
    """`stats`: how often each event has happened, and what there is now."""
    return {
        "namespace": namespace,
        "at": survey.at,
        "counters": dict(survey.counters),
        "scheduled": survey.scheduled,
        "dead": survey.dead,
        "sessions": len(survey.sessions),
        "queues": [queue(one) for one in survey.queues],
    }


def happening(one: Happening) -> Shape:
    """`events`: `subject` is the id of a request, or the name of a resource as it stands in keys."""
    return {"id": one.ident, "at": one.at, "event": one.event, "subject": one.subject, "fields": dict(one.fields)}


def seconds(fields: Mapping[str, str], name: str) -> float | None:
    """A field in milliseconds as seconds, if it is there."""
    written = fields.get(name)
    return int(written) / 1000 if written and written.isdigit() else None


def whole(fields: Mapping[str, str], name: str) -> int | None:
    """A field as a whole number, if it is there."""
    written = fields.get(name)
    return int(written) if written and written.isdigit() else None
