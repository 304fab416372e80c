"""What a worker asks of the store: jobs to run, outcomes to record, progress to note.

A claim carries a number that the worker counts. A call whose reply was lost is sent again with the same number and
hands out the same batch; the number moves on only when a reply was read. Outcomes and the next claim go in one round
trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from coordinator.errors import Corrupt, NotFound, ProtocolError
from coordinator.ops.locks import with_session
from coordinator.wire import calls, replies
from coordinator.wire.calls import Claim, Report, Scope
from coordinator.wire.replies import Raw, number, part, text
from coordinator.wire.step import Call, Now, Operation

WORDS_PER_JOB = 13


class Claimed(NamedTuple):
    """A job that this worker was given. `problem` says why it cannot be run if what is stored of it is unreadable.

    `attempts` and `deliveries` count starts before this one and leases up to this one; `run_ms` 0 is no limit.
    """

    ident: str
    fence: int
    name: str = ""
    queue: str = ""
    priority: int = 1
    attempts: int = 0
    deliveries: int = 1
    run_ms: int = 0
    retry: str = ""
    needs: str = ""
    metadata: str = ""
    payload: bytes = b""
    dedup: str = ""
    problem: str = ""


class Verdict(NamedTuple):
    """What became of a report: `ok`, `stale` or `gone`. A `fence` means: run the job again at once, under it."""

    word: str
    fence: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One round trip: a verdict for each report, and the jobs claimed under `session` by a call sent at `sent`."""

    session: str
    sent: float
    verdicts: Sequence[Verdict]
    jobs: Sequence[Claimed]


def exchange(scope: Scope, ask: Claim, reports: Sequence[Report]) -> Operation[Exchange]:
    """Hand in outcomes and claim jobs; `ask.number` 0 claims nothing. A lapsed session is replaced, and then the
    reports are answered `stale`, or as they were the first time."""
    used = ""
    sent: float = yield Now()

    def make(session: str) -> Call:
        nonlocal used
        used = session
        if reports:
            return calls.settle(scope, session, ask, reports)
        return calls.claim(scope, session, ask)

    raw = yield from with_session(make, "ok")
    if not reports:
        return Exchange(used, sent, (), _batch(raw[1:]))
    if len(raw[1]) != len(reports):
        raise ProtocolError("the store did not answer as many reports as it was given")
    return Exchange(used, sent, [_verdict(one) for one in raw[1]], _batch(raw[2]))


def note_progress(scope: Scope, ident: str, fence: int, progress: str) -> Operation[bool]:
    """Note how far a job is. False: the job is no longer ours."""
    raw = yield calls.note_progress(scope, ident, str(fence), progress)
    return replies.expect(raw, "ok", "stale") == "ok"


def wish(scope: Scope, ident: str, fence: int) -> Operation[str | None]:
    """What somebody wants of a running job: the reason why it is to stop, empty for nothing, None if it is not ours."""
    raw = yield calls.explain(scope, ident, 0)
    try:
        replies.expect(raw, "ok", ident=ident)
    except NotFound:
        return None
    found = replies.fields(raw[2])
    if found.get("state") != "running" or found.get("fence") != str(fence):
        return None
    return found.get("cancel", "")


def _verdict(raw: Raw) -> Verdict:
    word = replies.expect(raw, "ok", "stale", "gone")
    detail = text(raw[1])
    if word != "ok":
        return Verdict(word, None, detail)
    return Verdict(word, number(detail) if detail else None)


def _batch(raw: Raw) -> list[Claimed]:
    """The jobs of a batch. One without so much as an id is left out: nobody could ever say what became of it."""
    return [_claimed(one) for one in raw if _named(one)]


def _named(raw: Raw) -> bool:
    try:
        return bool(text(part(raw, 0))) and number(part(raw, 1)) > 0
    except (Corrupt, ProtocolError):
        return False


def _claimed(raw: Raw) -> Claimed:
    """One job of a batch. What is unreadable spoils this job only, not its siblings."""
    ident, fence = text(raw[0]), number(raw[1])
    try:
        if len(raw) != WORDS_PER_JOB:
            raise Corrupt("its record is not complete")
        return Claimed(
            ident,
            fence,
            text(raw[2]),
            text(raw[3]),
            number(raw[4]),
            number(raw[5]),
            number(raw[6]),
            number(raw[7] or 0),
            text(raw[8]),
            text(raw[9]),
            text(raw[10]),
            raw[11] if isinstance(raw[11], bytes) else str(raw[11]).encode(),
            text(raw[12]),
        )
    except Corrupt as error:
        return Claimed(ident, fence, problem=f"unreadable record: {error}")
