"""Handing in jobs, and waiting for what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from coordinator.errors import BatchRefused, CoordinatorError, Corrupt, JobFailed, WaitTimeout
from coordinator.model import codec
from coordinator.model.names import request_id
from coordinator.model.signing import UNSIGNED, Signer
from coordinator.model.states import State
from coordinator.ops.likeness import Resemblance
from coordinator.ops.locks import with_session
from coordinator.wire import calls, replies
from coordinator.wire.calls import JobAsk, Scope
from coordinator.wire.replies import Raw
from coordinator.wire.step import Expect, Forget, Now, Operation, Stream, Wait

# One script call does bounded work, and one command stays well below the server's limits for a request.
MAX_JOBS_PER_CALL = 150
MAX_BYTES_PER_CALL = 4 * 1_048_576
# A job that has to stand in a line costs the server as much as four that need not. A script also looks at 512 lines
# before it ends; jobs in lines further on would wait for the next sweep.
MAX_NEEDS_PER_CALL = 40

# Well before the server forgets who wants to be told of an end (a day), a long wait says so again.
LOOK_AGAIN = 6 * 3600.0


class Submitted(NamedTuple):
    """What became of a submission. `duplicate`: the id is of a job that was there; `replaced`: it has our payload.
    `similar`: an earlier job with nearly the same text."""

    ident: str
    duplicate: bool = False
    replaced: bool = False
    similar: Resemblance | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a request stands. `stored`: the result of a job that succeeded, as it is kept, or the figures of one that was
    shed."""

    state: State
    why: str
    progress: str
    stored: bytes


def submit(scope: Scope, max_payload: int, job: JobAsk) -> Operation[Submitted]:
    """Hand in one job. Raises the reason if it is refused."""
    raw = yield calls.submit(scope, max_payload, [job])
    (answer,) = _answers(raw, [job])
    return _submitted(answer, job.ident)


def submit_many(scope: Scope, max_payload: int, jobs: Sequence[JobAsk]) -> Operation[list[Submitted]]:
    """Hand in many jobs, up to 150 per call. Raises BatchRefused if some were refused; the others are in."""
    done: list[Submitted | None] = []
    errors: dict[int, CoordinatorError] = {}
    pieces = list(chunks(jobs))
    if not pieces:
        return []
    replied = yield Stream([calls.submit(scope, max_payload, piece) for piece in pieces])
    for chunk, raw in zip(pieces, replied, strict=True):
        for job, answer in zip(chunk, _answers(raw, chunk), strict=True):
            try:
                done.append(_submitted(answer, job.ident))
            except CoordinatorError as error:
                errors[len(done)] = error
                done.append(None)
    if errors:
        raise BatchRefused(done, errors)
    return [one for one in done if one is not None]


def chunks(jobs: Sequence[JobAsk]) -> Iterator[list[JobAsk]]:
    """The jobs in pieces that one call can carry."""
    chunk: list[JobAsk] = []
    size = needs = 0
    for job in jobs:
        wanted = len(str(job.options["needs"]).split()) if "needs" in job.options else 0
        full = len(chunk) == MAX_JOBS_PER_CALL or size + len(job.payload) > MAX_BYTES_PER_CALL
        if chunk and (full or needs + wanted > MAX_NEEDS_PER_CALL):
            yield chunk
            chunk, size, needs = [], 0, 0
        chunk.append(job)
        size += len(job.payload)
        needs += wanted
    if chunk:
        yield chunk


def standing(scope: Scope, ident: str) -> Operation[Standing]:
    """How a request stands now. Raises NotFound."""
    raw = yield calls.watch(scope, request_id(ident), "")
    return _standing(raw, ident)


def await_end(scope: Scope, ident: str, seconds: float | None) -> Operation[Standing]:
    """Wait until a request is over. Raises WaitTimeout, NotFound."""
    reader: str = yield Expect(ident, own=True)
    try:
        now: float = yield Now()
        ends = None if seconds is None else now + seconds
        while True:
            # Looking and watching is one call, and it is repeated after every message: the message is only a hint.
            answer = yield from with_session(
                lambda session: calls.watch(scope, ident, session), "final", "pending", ident=ident
            )
            found = _standing(answer.raw, ident)
            if found.state.final:
                return found
            now = yield Now()
            if ends is not None and now >= ends:
                raise WaitTimeout(ident, seconds or 0.0, "the end of")
            yield Wait(ident, LOOK_AGAIN if ends is None else min(ends - now, LOOK_AGAIN), reader)
    finally:
        yield Forget(ident, reader)


def result(scope: Scope, ident: str, seconds: float | None, signer: Signer = UNSIGNED) -> Operation[Any]:
    """Wait for a job's result. Raises JobFailed, WaitTimeout, NotFound; Overloaded or LineOverloaded if it was shed;
    BadSignature and Corrupt for one that nobody should believe."""
    found = yield from await_end(scope, ident, seconds)
    if found.state is State.SHED:
        *figures, queue, line = f"{replies.text(found.stored)} ".split(" ")[:7]
        raise replies.line_overloaded(line, figures, ident) if line else replies.overloaded(queue, figures, ident)
    if found.state is not State.SUCCEEDED:
        raise JobFailed(ident, found.state, found.why)
    packed = signer.open_result(ident, found.stored)
    return codec.unpack(packed, f"the result of {ident}") if packed else None


def _standing(raw: Raw, ident: str) -> Standing:
    word = replies.expect(raw, "final", "pending", ident=ident)
    state = State(replies.text(raw[1]))
    if word == "pending":
        return Standing(state, "", replies.text(raw[2]), b"")
    return Standing(state, replies.text(raw[2]), "", raw[3] if isinstance(raw[3], bytes) else str(raw[3]).encode())


def _answers(raw: Raw, jobs: Sequence[JobAsk]) -> list[Raw | None]:
    """What became of each job: None if it is in, which is not said for each."""
    replies.expect(raw, "ok")
    answers: list[Raw | None] = [None] * len(jobs)
    for number, *answer in raw[1:]:
        at = replies.number(number)
        if not 0 <= at < len(jobs):
            raise Corrupt("a reply tells of a job that was not handed in")
        answers[at] = answer
    return answers


def _submitted(raw: Raw | None, ident: str) -> Submitted:
    if raw is None:
        return Submitted(ident)
    replies.expect(raw, "duplicate", ident=ident)
    return Submitted(replies.text(raw[1]), duplicate=True, replaced=replies.text(raw[2]) == "replaced")
