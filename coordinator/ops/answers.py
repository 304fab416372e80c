"""Calls whose execution and result are shared.

A call is a job with a dedup key made of what is asked. The key is held while the job is under way and, once it has
succeeded, for as long as its result is good: so whoever asks joins the job or reads its result, and nobody can come
between the two. A job that ends otherwise frees the key, so a failure is told to all who waited and kept by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

from coordinator.errors import InvalidInput
from coordinator.model import codec
from coordinator.model.answers import Answer
from coordinator.model.names import label, milliseconds
from coordinator.model.signing import Signer
from coordinator.ops import work
from coordinator.ops.locks import with_session
from coordinator.ops.submission import Submission
from coordinator.wire import calls, replies
from coordinator.wire.calls import JobAsk, Scope, Word
from coordinator.wire.replies import Raw
from coordinator.wire.step import Call, Operation

T = TypeVar("T")
How = Literal["executed", "joined", "far_hits"]

# A script does bounded work, and its reply stays bounded too.
MAX_KEYS_PER_CALL = 64
MAX_BYTES_PER_CALL = 4 * 1_048_576
# A message to the copies is repeated in pages of sessions; so many pages are far more than a server has connections.
MAX_PAGES = 1000
# What a caller may not say, because the call itself does.
_TAKEN = ("dedup", "delay")


class Kept(NamedTuple):
    """An answer as it is kept, its signature checked: good for `seconds_left`, counted from `asked`."""

    ident: str
    seconds_left: float
    packed: bytes
    asked: float


class Recalled(NamedTuple):
    """What is there for some keys: an answer, the id of a job under way, or None. `session` may keep copies."""

    session: str
    found: list[Kept | str | None]


class Asked(NamedTuple):
    """One call: the key it shares with identical ones, and the job that is handed in if there are none."""

    key: str
    job: JobAsk
    max_payload: int


class Begun(NamedTuple):
    """How a call goes on: with an answer, or by waiting for the job `ident`."""

    how: How
    ident: str
    kept: Kept | None = None
    session: str = ""


def submission(name: str, payload: Any, options: Mapping[str, Any]) -> Submission:
    """The job of a call, which has its own dedup key and starts at once. Raises InvalidInput."""
    for taken in _TAKEN:
        if taken in options:
            raise InvalidInput(taken, options[taken], "is no option of a coalesced call")
    return Submission(name, payload, **options)


def to_asked(job: JobAsk, key: str, ttl: float, max_payload: int) -> Asked:
    """A call of that job, whose answer is good for `ttl` seconds. Raises InvalidInput."""
    ttl_ms = milliseconds(ttl, "ttl")
    words: dict[str, Word] = {
        "dedup": key,
        "on_conflict": "join",
        "scope": "until_stale" if ttl_ms else "until_finished",
    }
    if ttl_ms:
        words["ttl_ms"] = ttl_ms
    return Asked(key, job._replace(options={**job.options, **words}), max_payload)


def begin(scope: Scope, asked: Asked, signer: Signer) -> Operation[Begun]:
    """The answer that is kept, or else the job that gives it: the one under way, or ours, which is handed in. Raises
    the reason if that is refused."""
    recalled = yield from recall(scope, [asked.key], signer)
    [found] = recalled.found
    if isinstance(found, Kept):
        return Begun("far_hits", found.ident, found, recalled.session)
    if found is not None:
        return Begun("joined", found)
    # Whatever happened in between, this is one step: it joins what is there, be it under way or an answer.
    submitted = yield from work.submit(scope, asked.max_payload, asked.job)
    return Begun("joined" if submitted.duplicate else "executed", submitted.ident)


def recall(scope: Scope, dedup_keys: Sequence[str], signer: Signer) -> Operation[Recalled]:
    """What is there for each key, in their order. Raises BadSignature."""
    found: list[Kept | str | None] = []
    session = ""
    for piece in _pieces(dedup_keys, MAX_KEYS_PER_CALL):
        make = partial(calls.recall, scope, dedup_keys=piece)
        raw, session, asked = yield from with_session(make, "ok")
        found += [_found(one, asked, signer) for one in raw[1:]]
    return Recalled(session, found)


def forget(scope: Scope, dedup_keys: Sequence[str]) -> Operation[None]:
    """Drop the answers of some keys; when this is done, all processes that keep copies have been sent word."""
    for piece in _pieces(dedup_keys, MAX_KEYS_PER_CALL):
        yield from _told(partial(calls.forget, scope, dedup_keys=piece))


def warm(scope: Scope, name: str, ttl: float, answers: Sequence[tuple[str, str, bytes]]) -> Operation[None]:
    """Store answers under their keys, as (key, id, result), in place of those that are there."""
    label(name, "name")
    ttl_ms = milliseconds(ttl, "ttl", least=0.001)
    for piece in _weighed(answers):
        yield from _told(partial(calls.warm, scope, name=name, ttl_ms=ttl_ms, answers=piece))


def answer(kept: Kept) -> Answer:
    """An answer as its caller sees it. Raises Corrupt."""
    return Answer(value(kept), kept.ident, kept.seconds_left)


def value(kept: Kept) -> Any:
    """What a handler has returned. Raises Corrupt."""
    return codec.unpack(kept.packed, f"the result of {kept.ident}") if kept.packed else None


def _found(raw: Raw, asked: float, signer: Signer) -> Kept | str | None:
    if not raw:
        return None
    ident, left, stored = replies.text(raw[0]), raw[1], raw[2]
    if left == b"":
        return ident
    packed = signer.open_result(ident, stored if isinstance(stored, bytes) else str(stored).encode())
    return Kept(ident, replies.number(left) / 1000, packed, asked)


def _told(make: Callable[[str], Call]) -> Operation[None]:
    """A call that tells one page of sessions after the other."""
    after = ""
    for _ in range(MAX_PAGES):
        raw = yield make(after)
        replies.expect(raw, "ok")
        after = replies.text(replies.part(raw, 1))
        if not after:
            return


def _pieces(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    for at in range(0, len(items), most):
        yield items[at : at + most]


def _weighed(answers: Sequence[tuple[str, str, bytes]]) -> Iterator[list[tuple[str, str, bytes]]]:
    """Pieces that one call can carry."""
    piece: list[tuple[str, str, bytes]] = []
    size = 0
    for one in answers:
        if piece and (len(piece) == MAX_KEYS_PER_CALL or size + len(one[2]) > MAX_BYTES_PER_CALL):
            yield piece
            piece, size = [], 0
        piece.append(one)
        size += len(one[2])
    if piece:
        yield piece
