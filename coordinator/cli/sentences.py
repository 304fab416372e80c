"""Why a request is where it is, in sentences that name what is in the way, since when, and what helps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.cli import delays
from coordinator.cli.shapes import seconds, whole
from coordinator.cli.words import clean, count, duration, moment, ordinal
from coordinator.keys import decode
from coordinator.model.definition import BY_PRIORITY, Definition
from coordinator.model.lease import Expected, Explanation, FrozenView, NeedView, Person, ShareView
from coordinator.model.names import Priority
from coordinator.model.states import State
from coordinator.ops.inspect import Survey
from coordinator.policy.share import patience
from coordinator.policy.shed import retry_after

# A survey names at most so many sessions: from that many on, one that is not named may still live.
MOST_SESSIONS = 200
MOST_NAMED = 3
# A forecast from fewer holds is a guess.
FEW = 10
# How the reason begins for which a resource is granted to nobody after a crash.
DELAY = "lock_delay "
# How many words the field `spare` of a record has.
SPARE_WORDS = 2
# How many words the field `shed` of a record has.
SHED_WORDS = 5


@dataclass(frozen=True, slots=True)
class Fleet:
    """What matters of the sessions: how many live workers serve the job's queue, whether the holder's process lives
    (None: not known), and which queues of jobs in its way no worker serves."""

    serving: int | None = None
    holder_live: bool | None = None
    unserved: tuple[str, ...] = ()


def fleet(survey: Survey, found: Explanation) -> Fleet:
    """The part of a survey that concerns a request."""
    live = [one for one in survey.sessions if one.expires > survey.at]
    whole_fleet = len(survey.sessions) < MOST_SESSIONS
    served = Counter(queue for one in live for queue in set(one.fields.get("queues", "").split()))
    serving = served[found.fields.get("queue", "")]
    holder_live = any(one.ident == found.fields.get("session") for one in live)
    in_the_way = {one.queue for one in blockers(found) if one.state == State.READY and one.queue not in served}
    return Fleet(
        serving if serving or whole_fleet else None,
        holder_live if holder_live or whole_fleet else None,
        tuple(sorted(in_the_way)) if whole_fleet else (),
    )


def why(found: Explanation, around: Fleet) -> list[str]:
    """The answer, the most important sentence first."""
    said = _BY_STATE.get(found.state, _ended)(found, around)
    return [_headline(found), *said, *_stolen(found), *delays.likeness(found)]


def blockers(found: Explanation) -> list[Person]:
    """Whom a waiting request waits for: holders, and whoever stands before it."""
    waiting = [one for one in found.needs if one.place is not None]
    known = {one.ident: one for need in waiting for one in (*need.holders, *need.ahead)}
    return list(known.values())


def expected(one: Expected | None) -> list[str]:
    """How long it will probably wait, and how sure that is."""
    if one is None or not one.samples:
        return []
    known = f"from {count(one.samples, 'hold')} in 24 hours"
    guess = ", which is a guess" if one.samples < FEW else ""
    return [
        f"It will probably wait another {duration(one.p50)}, and in nine of ten cases no longer than "
        f"{duration(one.p90)} ({known}{guess})."
    ]


def person(one: Person, at: float) -> str:
    """`pr-1498 (lock k3-1) for 3m 12s: "apply"`, and whether it has lapsed."""
    name = clean(one.owner) or clean(one.name)
    said = f"{name} ({one.kind} {clean(one.ident)})" if name else f"{one.kind} {clean(one.ident)}"
    if one.since is not None:
        said += f" for {duration(at - one.since)}"
    if one.mode == "shared" or one.permits > 1:
        said += ", shared" if one.mode == "shared" else f", {one.permits} permits"
    if one.resource:
        said += f", {'waits for' if one.fence is None else 'holds'} {clean(one.resource)}"
    if one.reason:
        said += f': "{clean(one.reason)}"'
    return said + lapsed(one, at)


def lapsed(one: Person, at: float) -> str:
    """A remark about a holder that is no longer one; empty for the others."""
    if one.fence is not None and not one.live:
        return " [lapsed: its process is gone, the next sweep takes it back]"
    if one.until is not None and one.until <= at:
        return f" [lapsed: its lease ended {duration(at - one.until)} ago, the next sweep takes it back]"
    return ""


def persons(several: Sequence[Person], total: int, at: float) -> str:
    """The first few of them by name, the others counted."""
    named = [person(one, at) for one in several[:MOST_NAMED]]
    rest = total - len(named)
    return "; ".join([*named, f"{rest} more"] if rest > 0 else named)


def need_sentence(view: NeedView, at: float) -> str:
    """How one need stands: its place in line, who holds the resource, who is before it."""
    name = clean(view.need.resource)
    if view.place is None:
        return f"{name}: held by {persons(view.holders, len(view.holders), at)}." if view.holders else f"{name}: free."
    said = [f"{name}: {ordinal(view.place)} of {view.line_length} in line{_kind(view)}{_ORDERS.get(view.order, '')}"]
    if view.holders:
        said.append(f"held by {persons(view.holders, len(view.holders), at)}")
    if view.ahead:
        said.append(f"before it {persons(view.ahead, max(view.place, len(view.ahead)), at)}")
    if not view.holders and not view.ahead:
        said.append("nobody holds it")
    if view.frozen is not None:
        said.append(frozen(view.frozen, at))
    return "; ".join(said) + "."


def frozen(one: FrozenView, at: float) -> str:
    """By whom, for how long and why a resource is granted to nobody."""
    if one.reason.startswith(DELAY):
        return f"nobody is granted it for another {duration(one.until - at)}: {clean(one.reason)}"
    by = f" by {clean(one.by)}" if one.by else ""
    return f'{clean(one.pattern)} is frozen{by} for another {duration(one.until - at)}: "{clean(one.reason)}"'


def sayings(found: Definition) -> list[str]:
    """What of a definition is not as where nothing is defined, and the permits, in a few words each."""
    said = [count(found.capacity, "permit")]
    if found.mode != BY_PRIORITY:
        said.append(found.mode)
    if found.max_line is not None:
        said.append(f"at most {found.max_line} in line")
    if found.max_hold is not None:
        said.append(f"held for {duration(found.max_hold)} at most")
    if found.lock_delay is not None:
        said.append(f"lock_delay {duration(found.lock_delay)} after a crash")
    return said


def _kind(view: NeedView) -> str:
    if view.need.mode == "shared":
        return " to share it"
    return f" for {view.need.permits} of {view.capacity} permits" if view.capacity > 1 else ""


def _headline(found: Explanation) -> str:
    what = f"Job {clean(found.fields.get('name', ''))}" if found.kind == "job" else "Lock request"
    who = f" by {clean(found.owner)}" if found.owner else ""
    reason = f': "{clean(found.reason)}"' if found.reason else ""
    asked = f"asked {duration(found.at - found.asked)} ago{who}"
    return f"{what} {clean(found.ident)} is {found.state} ({found.priority.name.lower()} priority, {asked}{reason})."


def _waiting(found: Explanation, around: Fleet) -> list[str]:
    if found.gate is not None:
        return [*delays.at_gate(found, found.gate), *_last_failure(found), *_deadline(found)]
    said = [need_sentence(one, found.at) for one in found.needs if one.place is not None]
    said += [_unserved(queue, "A job before it can run, but n") for queue in around.unserved]
    blocked = blockers(found)
    if not blocked and said and not any(one.frozen for one in found.needs):
        said.append(
            "Nobody is in its way: the next sweep should move it. If it stays, `coordinator doctor` tells more."
        )
    elif any(lapsed(one, found.at) for one in blocked):
        said.append(
            "Sweeps come with every live process's heartbeat; with none left, `coordinator doctor --fix` does it."
        )
    return [*said, *_last_failure(found), *_deadline(found)]


def _ready(found: Explanation, around: Fleet) -> list[str]:
    queue = clean(found.fields.get("queue", ""))
    place = ordinal(found.queue_place or 0)
    said = [f"It can run: {place} of {found.queue_length or 1} in queue {queue}."]
    if found.share is not None:
        said += _shared(found, found.share)
    idle = found.idle_workers or 0
    if around.serving == 0:
        said.append(_unserved(queue, "N"))
    elif idle:
        said.append(f"{count(idle, 'worker')} of the queue {'has' if idle == 1 else 'have'} free slots.")
    elif found.on_offer:
        live = f" ({count(around.serving, 'live worker')})" if around.serving else ""
        jobs = count(found.on_offer, "job")
        said.append(
            f"Nobody asks for it now{live}: {jobs} of the queue are claimed by workers that cannot begin them, for "
            "something keeps those."
        )
    elif around.serving:
        said.append(f"All slots of the queue are taken ({count(around.serving, 'live worker')}).")
    return [*said, *_last_failure(found), *_deadline(found)]


def _shared(found: Explanation, share: ShareView) -> list[str]:
    """What weights make of its place: its turn comes by its priority, and after how many turns at the latest."""
    weights, mine = share.weights, max(Priority) - found.priority
    if len(weights) != len(Priority) or not all(weights):
        return []
    turns = f"{weights[mine]} of {sum(weights)} turns"
    said = f"The queue is shared by weights ({':'.join(map(str, weights))}, from emergency to low): "
    said += f"{found.priority.name.lower()} has {turns} when all priorities have jobs"
    if share.place is None:
        return [f"{said}."]
    place, latest = ordinal(share.place), (share.place + 1) * (patience(weights, mine) + 1)
    return [f"{said}; it is {place} of {share.ready} of its priority, and gets one of the next {latest} turns."]


def _unserved(queue: str, beginning: str) -> str:
    return (
        f"{beginning}o live worker serves queue {clean(queue)}: start one with "
        f"`coordinator worker run MODULE:REGISTRY --queues {clean(queue)}`."
    )


def _scheduled(found: Explanation, _around: Fleet) -> list[str]:
    if found.due is None:
        return [*_last_failure(found)]
    rest = found.due - found.at
    when = f"in {duration(rest)}" if rest > 0 else "now: the next sweep queues it"
    return [f"It is due {when} ({moment(found.due)}).", *_last_failure(found), *delays.pause(found)]


def _running(found: Explanation, around: Fleet) -> list[str]:
    said = _on_offer(found, around) or [_begun(found)]
    if around.holder_live is False:
        said.append("That process has lapsed: the next sweep queues the job again.")
    if found.fields.get("progress"):
        said.append(f"Progress: {clean(found.fields['progress'])}.")
    if found.fields.get("cancel"):
        said.append(f'It was told to stop: "{clean(found.fields["cancel"])}".')
    return said


def _begun(found: Explanation) -> str:
    """Since when it runs. That it has begun is told with the next heartbeat of its worker; until then it may have."""
    since, session = seconds(found.fields, "since"), clean(found.fields.get("session", ""))
    attempt = (whole(found.fields, "attempts") or 0) + (0 if "started" in found.fields else 1)
    if "started" in found.fields:
        running = f"It has been running for {duration(found.at - since)}" if since else "It is running"
        return f"{running}, attempt {attempt}, in process {session}."
    claimed = f" {duration(found.at - since)} ago" if since else ""
    return f"Process {session} claimed it{claimed} and has not told yet that it began; it will be attempt {attempt}."


def _on_offer(found: Explanation, around: Fleet) -> list[str]:
    """What a job waits for that its worker cannot begin; the record has its place there, and since when in ms."""
    words = found.fields.get("spare", "").split()
    if len(words) != SPARE_WORDS or not all(one.isdecimal() for one in words):
        return []
    place, since = ordinal(int(words[0]) - 1), duration(found.at - int(words[1]) / 1000)
    session, queue = clean(found.fields.get("session", "")), clean(found.fields.get("queue", ""))
    alone = around.serving is not None and around.serving <= (around.holder_live is True)
    takes = (
        f"no other live worker serves queue {queue}, so it waits for process {session}, or for another worker that is "
        "started"
        if alone
        else "the next idle worker of its queue takes it over"
    )
    return [
        f"It has not begun: process {session} claimed it and cannot begin it, {place} of what it has not begun, for "
        f"something keeps that process. For {since} it has been on offer: {takes}."
    ]


def _stolen(found: Explanation) -> list[str]:
    """From whom its lease was taken, or an earlier one."""
    if found.stolen_from is None:
        return []
    fence, victim = found.stolen_from
    what = "It" if fence == whole(found.fields, "fence") else "An earlier run of it"
    return [f"{what} was taken over from process {clean(victim)}, which had claimed it and could not begin it."]


def _held(found: Explanation, around: Fleet) -> list[str]:
    names = ", ".join(clean(one.need.resource) for one in found.needs)
    since, expires = seconds(found.fields, "since"), seconds(found.fields, "expires")
    said = [f"It has held {names} for {duration(found.at - since)}." if since else f"It holds {names}."]
    if around.holder_live is False:
        said.append("Its process has lapsed: the next sweep takes the lock back.")
    elif expires is not None and expires <= found.at:
        said.append(f"Its lease ended {duration(found.at - expires)} ago: the next sweep takes it back.")
    elif expires is not None:
        said.append(f"Its lease lasts {duration(expires - found.at)} more, as long as its process lives.")
    longest = max((one.line_length for one in found.needs), default=0)
    if longest:
        said.append(f"{count(longest, 'request waits', 'requests wait')} for it.")
    return said


def _ended(found: Explanation, _around: Fleet) -> list[str]:
    ended, reason = seconds(found.fields, "ended"), found.fields.get("why", "")
    when = f" {duration(found.at - ended)} ago ({moment(ended)})" if ended else ""
    said = [f"It ended{when} as {found.state}{': ' + clean(reason) if reason else ''}."]
    if found.state is State.SHED:
        said += _shed(found)
    if found.state in (State.FAILED, State.DEAD):
        said.append(f"`coordinator replay {clean(found.ident)}` queues it again, its payload as it was.")
    return said


def _shed(found: Explanation) -> list[str]:
    """Why a job was shed; the record has jobs, limit, below how many such jobs are let in, ms that the middle
    one had waited, and its place."""
    words = found.fields.get("shed", "").split()
    if len(words) != SHED_WORDS or not all(one.isdecimal() for one in words):
        return []
    jobs, limit, until, waited, place = (int(one) for one in words)
    queue, by = clean(found.fields.get("queue", "")), clean(found.fields.get("by", ""))
    pause = duration(retry_after(waited / 1000, jobs, until))
    line = found.fields.get("shed_from")
    if line is not None:
        return [
            f"The line of {clean(decode(line))} was full ({jobs} of {limit} waiters) when {by} came, which is more "
            f"urgent; of the less urgent ones this was the last, {ordinal(place)} in the line.",
            f"It could ask again {pause} after that: requests like it are let in below {until} waiters.",
        ]
    return [
        f"Queue {queue} was full ({jobs} of {limit} jobs) when job {by} came, which is more urgent; of the less urgent "
        f"ones this was the last, {ordinal(place)} in the queue.",
        f"It could be handed in again {pause} after that: jobs like it are let in below {until} jobs.",
    ]


def _last_failure(found: Explanation) -> list[str]:
    reason = found.fields.get("why", "")
    attempts = whole(found.fields, "attempts") or 0
    if not reason:
        return []
    return [f"A worker had it before, and it came back: {clean(reason)} ({count(attempts, 'attempt')} so far)."]


def _deadline(found: Explanation) -> list[str]:
    wait_by = seconds(found.fields, "wait_by")
    if wait_by is None:
        return []
    return [f"It gives up waiting in {duration(wait_by - found.at)}."]


_ORDERS = {
    "oldest_first": " (oldest first)",
    "newest_first": " (newest first)",
    "newest_ready_first": " (newest that fits first)",
    "unordered": " (whoever fits first)",
}
_BY_STATE = {
    State.WAITING: _waiting,
    State.READY: _ready,
    State.SCHEDULED: _scheduled,
    State.RUNNING: _running,
    State.HELD: _held,
}
