"""Signed payloads and results: what was not written with one of our keys is neither decoded nor run.

Whoever can write to Redis can hand a worker anything; a signature limits that to what somebody with a key has signed.
What is signed stands in an envelope, which begins with a byte that begins no msgpack value, so unsigned data is stored
as it always was and the two are never taken for each other.

The signature covers the namespace and what the data is for, so that it cannot be used elsewhere. A payload belongs to
one handler and queue, and to one job by its id. A submission that may replace the payload of another one cannot know
that job's id, and belongs to the dedup key that both have instead. A result belongs to one job.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from coordinator.errors import BadSignature

Tie = Literal["id", "dedup"]

# 0xc1 is the one byte that msgpack never uses; what follows is the version of the envelope.
MARK = b"\xc1\x01"
MAC_BYTES = 32
MAX_KEY_ID = 32
LEAST_SECRET = 32
_TIES: Mapping[Tie, bytes] = {"id": b"i", "dedup": b"k"}


@dataclass(frozen=True, slots=True)
class JobMark:
    """What a payload is tied to. `dedup` is the encoded key of a job that has one, else empty."""

    ident: str
    name: str
    queue: str
    dedup: str = ""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs and checks for one namespace. Without keys data passes as it is, except that signed data is refused.

    `keys` are secrets by key id, all of which are accepted; `sign_with` is the id that is used for signing. `strict`
    refuses what is not signed.
    """

    namespace: str
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    sign_with: str = ""
    strict: bool = True

    def seal_payload(self, job: JobMark, packed: bytes, tie: Tie) -> bytes:
        """The payload as it is stored. `tie` is `dedup` for one that may replace the payload of another job."""
        return self._seal(_TIES[tie], _payload_words(job, tie), packed)

    def open_payload(self, job: JobMark, stored: bytes) -> bytes:
        """The payload of a job. Raises BadSignature."""
        return self._open(stored, {_TIES[tie]: _payload_words(job, tie) for tie in _TIES}, "the payload")

    def seal_result(self, ident: str, packed: bytes) -> bytes:
        """The result as it is stored. Nothing is signed, too, so that a result cannot be made to vanish."""
        return self._seal(b"r", ("result", ident), packed)

    def open_result(self, ident: str, stored: bytes) -> bytes:
        """The result of a job. Raises BadSignature."""
        return self._open(stored, {b"r": ("result", ident)}, f"the result of {ident}")

    def _seal(self, kind: bytes, words: tuple[str, ...], packed: bytes) -> bytes:
        if not self.keys:
            return packed
        name = self.sign_with.encode("ascii")
        head = MARK + kind + bytes([len(name)]) + name
        return head + self._mac(self.keys[self.sign_with], head, words, packed) + packed

    def _open(self, stored: bytes, kinds: Mapping[bytes, tuple[str, ...]], what: str) -> bytes:
        if not stored.startswith(MARK[:1]):
            if self.keys and self.strict:
                raise BadSignature(f"{what} is not signed")
            return stored
        at = len(MARK) + 2
        kind, name_end = stored[len(MARK) : at - 1], at + (stored[at - 1] if len(stored) >= at else 0)
        body = name_end + MAC_BYTES
        if not stored.startswith(MARK) or kind not in kinds or len(stored) < body:
            raise BadSignature(f"{what} has a signature that this version cannot read")
        key_id = stored[at:name_end].decode("ascii", "replace")
        if key_id not in self.keys:
            known = ", ".join(sorted(self.keys)) or "none"
            raise BadSignature(f"{what} is signed with key {key_id[:MAX_KEY_ID]!r}, and the keys here are: {known}")
        wanted = self._mac(self.keys[key_id], stored[:name_end], kinds[kind], stored[body:])
        if not hmac.compare_digest(wanted, stored[name_end:body]):
            raise BadSignature(f"{what} has a wrong signature: it was forged, damaged or signed for something else")
        return stored[body:]

    def _mac(self, secret: bytes, head: bytes, words: tuple[str, ...], packed: bytes) -> bytes:
        made = hmac.new(secret, digestmod=hashlib.sha256)
        # With its length in front, no word can reach into the next one.
        for part in (head, *(word.encode() for word in (self.namespace, *words)), packed):
            made.update(len(part).to_bytes(8, "big"))
            made.update(part)
        return made.digest()


def _payload_words(job: JobMark, tie: Tie) -> tuple[str, ...]:
    return ("payload", tie, job.ident if tie == "id" else job.dedup, job.name, job.queue)


UNSIGNED = Signer("")
