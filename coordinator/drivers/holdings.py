"""What is held under a session, and what the server says of it before its holder knows that it has it."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
# Remembered at most; the oldest is forgotten.
MAX_EARLY = 256


class Holding(Protocol):
    """Something that is held under the session: a lock, a running job."""

    ident: str
    fence: int
    trusted_until: float

    def lose(self, why: str) -> None:
        """Called once, from a thread of the keeper, before anybody else can have it."""

    def ask_to_yield(self, grace: float | None) -> None:
        """Somebody more urgent waits for it; a job is to be handed back within `grace` seconds, if given."""


class Early(Generic[T]):
    """One word about each of some holdings whose grant is still on its way, by id and fence."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[int, T]] = {}

    def note(self, ident: str, fence: int, said: T) -> None:
        """Remember it."""
        self._said[ident] = fence, said
        if len(self._said) > MAX_EARLY:
            del self._said[next(iter(self._said))]

    def take(self, ident: str, fence: int) -> tuple[T] | None:
        """What was said of just this holding, once."""
        known, said = self._said.pop(ident, (None, None)) if self._said else (None, None)
        return (said,) if known == fence else None  # type: ignore[return-value]
