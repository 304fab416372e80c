"""What a worker asks of the store: jobs to run, outcomes to record, progress to note.

A claim carries a number that the worker counts. A call whose reply was lost is sent again with the same number and
hands out the same batch; the number moves on only when a reply was read. Outcomes and the next claim go in one round
trip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from coordinator.errors import CoordinatorError, Corrupt, NotFound, ProtocolError
from coordinator.ops.locks import with_session
from coordinator.wire import calls, replies
from coordinator.wire.calls import Claim, Report, Scope
from coordinator.wire.replies import Raw, number, text
from coordinator.wire.step import Call, Operation

# A job that was taken from another worker has one more, and one under which a worker may have died two.
WORDS_PER_JOB = 14


class Claimed(NamedTuple):
    """A job that this worker was given. `problem` says why it cannot be run if what is stored of it is unreadable.

    `attempts` and `deliveries` count starts before this one and leases up to this one; `run_ms` 0 is no limit;
    `waited_ms` is how long it waited since it was handed in, or was last due. `stolen_from` is the session that had it
    and could not begin it, if it was taken from one. `unsure`: a worker died that had it, and nobody knows whether it
    had begun; its next start is to be on record before it begins.
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
    waited_ms: int = 0
    problem: str = ""
    stolen_from: str = ""
    unsure: bool = False


class Verdict(NamedTuple):
    """What became of a report: `ok`, `stale` or `gone`. A `fence` means: run the job again at once, under it."""

    word: str
    fence: int | None = None
    detail: str = ""


# What nearly every report is answered: it counts, and that is all.
COUNTS = Verdict("ok")
_RAW_COUNTS = [b"ok", b""]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One round trip: a verdict for each report, and the jobs claimed under `session` by a call sent at `sent`.

    They are read when they are asked for: the next call can be on its way before. `more`: there may be other jobs, and
    the store does not ring for them.
    """

    session: str
    sent: float
    raw_verdicts: Sequence[Raw]
    raw_jobs: Sequence[Raw]
    more: bool = False

    @property
    def stolen(self) -> int:
        """How many of the jobs were other workers'."""
        more = [raw for raw in self.raw_jobs if type(raw) is list and len(raw) > WORDS_PER_JOB]
        return sum(bool(raw[WORDS_PER_JOB:][:1] > [b""]) for raw in more)

    def verdicts(self) -> list[Verdict]:
        """What became of the reports, in their order."""
        return [COUNTS if raw == _RAW_COUNTS else _verdict(raw) for raw in self.raw_verdicts]

    def jobs(self) -> Iterator[Claimed]:
        """The jobs that were claimed. One without a name of its own has an empty id and a problem."""
        return map(_claimed, self.raw_jobs)


def exchange(scope: Scope, ask: Claim, reports: Sequence[Report]) -> Operation[Exchange]:
    """Hand in outcomes and claim jobs; `ask.number` 0 claims nothing. A lapsed session is replaced, and then the
    reports are answered `stale`, or as they were the first time. Raises SessionLost, ProtocolError."""

    def make(session: str) -> Call:
        if reports:
            return calls.settle(scope, session, ask, reports)
        return calls.claim(scope, session, ask)

    raw, session, sent = yield from with_session(make, "ok")
    verdicts, jobs = raw[1:3] if reports else ((), raw[1:])
    if not isinstance(verdicts, Sequence) or not isinstance(jobs, Sequence):
        raise ProtocolError("a batch was answered with something that is no list")
    if len(verdicts) != len(reports):
        raise ProtocolError(f"{len(reports)} reports were answered with {len(verdicts)} verdicts")
    return Exchange(session, sent, verdicts, jobs)


def parked(session: str, sent: float, raw: Raw) -> Exchange:
    """What a claim brought that lay with the store since `sent`. Raises SessionLost, ProtocolError."""
    more = replies.expect(raw, "ok", "more") == "more"
    return Exchange(session, sent, (), raw[1:], more)


def retain(scope: Scope, session: str, number: int, jobs: Iterable[tuple[str, str]]) -> Operation[frozenset[str]]:
    """Take back jobs that were offered to others, given as id and fence. Those that are still ours: nobody else begins
    them. `number` counts what is said of spare jobs."""
    raw = yield calls.retain(scope, session, number, jobs)
    with replies.readable():
        if replies.expect(raw, "ok", "session_lost") != "ok":
            return frozenset()
        return frozenset(map(text, raw[1:]))


def note_progress(scope: Scope, ident: str, fence: int, progress: str) -> Operation[bool]:
    """Note how far a job is. False: the job is no longer ours."""
    raw = yield calls.note_progress(scope, ident, str(fence), progress)
    return replies.expect(raw, "ok", "stale") == "ok"


def note_start(scope: Scope, ident: str, fence: int) -> Operation[bool]:
    """Put on record that a job begins, before it does. False: the job is no longer ours."""
    return (yield from note_progress(scope, ident, fence, ""))


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
    try:
        word, detail = replies.status(raw), text(raw[1])
        return Verdict(word, number(detail) if detail else None) if word == "ok" else Verdict(word, None, detail)
    except (CoordinatorError, IndexError):
        return Verdict("something unreadable")


def _claimed(raw: Raw) -> Claimed:
    """One job of a batch. What is unreadable spoils this job only, not its siblings."""
    try:
        # In one go, for this is done for every job; whatever is not as it should be is looked at word by word.
        ident, fence, name, queue, priority, attempts, deliveries, run_ms, retry, needs, metadata, *rest = raw
        payload, dedup, waited_ms = rest
        if type(payload) is bytes:
            return Claimed(
                ident.decode(),
                int(fence),
                name.decode(),
                queue.decode(),
                int(priority),
                int(attempts),
                int(deliveries),
                int(run_ms or 0),
                retry.decode() if retry else "",
                needs.decode() if needs else "",
                metadata.decode() if metadata else "",
                payload,
                dedup.decode() if dedup else "",
                int(waited_ms),
            )
    except (ValueError, TypeError, AttributeError):
        pass
    return _doubtful(raw)


def _doubtful(raw: Raw) -> Claimed:
    ident, fence = "", 0
    try:
        ident, fence = text(raw[0]), number(raw[1])
        if not WORDS_PER_JOB <= len(raw) <= WORDS_PER_JOB + 2:
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
            number(raw[13]),
            stolen_from=text(raw[14]) if len(raw) > WORDS_PER_JOB else "",
            unsure=len(raw) > WORDS_PER_JOB + 1,
        )
    except (Corrupt, IndexError, TypeError) as error:
        return Claimed(ident, fence, problem=f"unreadable record: {error}")
