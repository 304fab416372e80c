"""What the sync and the asyncio lock have in common: tokens, durations, and what is held under which token."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Generic, NamedTuple, Protocol, SupportsFloat, TypeVar

from tenacity import RetryCallState, retry_if_exception_type, wait_random_exponential

from coordinator.compat.errors import NotOwned
from coordinator.compat.plain import LEAST_PAUSE, Patience, Place, resource_of
from coordinator.drivers import clock
from coordinator.errors import InvalidInput, LineFull
from coordinator.settings import Settings

# What the engine grants at least; the plain key may end sooner, and `trust` with it.
LEAST = 0.05
# Who does not want to wait for a lock does not want to wait for its server either; redis-py gives up about as soon.
TRY_FOR = 1.5
# Seconds between looks at a plain key, and how many there are at least within a TTL that is renewed, as for a session.
PACE = 1.0
TRIES = 3
# Seconds after which, at the latest, who found the line full asks whether there is room in it now.
OUTSIDE = 1.0
GONE = "it is not held here"
# What redis-py says of a key without a TTL, which a lock with a timeout of 0 has there.
ENDLESS = "Cannot extend a lock that's no longer owned"


class Fenced(Protocol):
    """A lease of either kind."""

    ident: str
    fence: int

    @property
    def held(self) -> bool:
        """Whether it can be trusted to be ours."""


L = TypeVar("L", bound=Fenced)


class ThreadToken(threading.local):
    """The token of each thread; None where none was taken."""

    token: bytes | None = None


def pace_of(settings: Settings) -> float:
    """How many seconds lie between looks at a plain key."""
    return min(PACE, settings.session_ttl / TRIES)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lock lasts: the plain key's TTL, and `line`, the lease in seconds, or None for as long as the session.

    `renewed`: it was given no timeout, so its key is renewed with the session. `pace`: seconds between looks at it;
    `try_for`: seconds for which the calls of a try are repeated.
    """

    ttl: float
    line: float | None
    longest: float
    pace: float
    try_for: float

    @classmethod
    def of(cls, timeout: Any, settings: Settings) -> Terms:
        """From the lock's `timeout`. Raises InvalidInput."""
        most, rest = settings.max_hold, (pace_of(settings), min(TRY_FOR, settings.retry_for))
        if not timeout:
            return cls(settings.session_ttl, None, most, *rest)
        seconds = _seconds(timeout)
        return cls(seconds, min(max(LEAST, seconds), most), most, *rest)

    @property
    def ttl_ms(self) -> int:
        """The TTL as redis-py rounds it."""
        return int(self.ttl * 1000)

    @property
    def renewed(self) -> bool:
        """Whether somebody has to keep the key alive."""
        return self.line is None

    @property
    def watched(self) -> bool:
        """Whether somebody has to look at the key, for it may be deleted by hand long before it ends."""
        return self.renewed or self.ttl > self.pace


def _seconds(timeout: Any) -> float:
    """Of whatever kind of number; True is 1, as for redis-py. Raises InvalidInput."""
    try:
        seconds = float(timeout) if isinstance(timeout, SupportsFloat) else math.nan
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not seconds < math.inf:
        raise InvalidInput("timeout", timeout, "must be a number of seconds")
    return seconds


class Aim(NamedTuple):
    """What an acquire is for: the resource whose line it stands in, and the token that was given, if one was."""

    resource: str
    token: bytes | None


class Token(NamedTuple):
    """What is written under the plain name. `made`: by us, so that nobody else's key has it."""

    word: bytes
    made: bool

    def arguments(self, terms: Terms) -> list[Any]:
        """Those of the script that takes the key."""
        return [self.word, terms.ttl_ms, int(self.made)]


def outside(patience: Patience) -> dict[str, Any]:
    """How tenacity goes on asking while the line is full, which redis-py's own has not: after pauses that are drawn,
    and grow from `sleep`, so that those outside do not come together, and once more when the time is over."""
    grows = wait_random_exponential(multiplier=max(LEAST_PAUSE, float(patience.sleep)), max=OUTSIDE)

    def pause(state: RetryCallState) -> float:
        left = patience.left(clock.now())
        return grows(state) if left is None else min(left, grows(state))

    return {"retry": retry_if_exception_type(LineFull), "wait": pause}


class Held(Generic[L]):
    """The leases of one lock object by their tokens."""

    name: Any
    redis: Any
    local: Any
    timeout: Any
    thread_local: bool

    def _begin(self) -> None:
        self.local = ThreadToken() if self.thread_local else SimpleNamespace(token=None)
        self._leases: dict[bytes, L] = {}

    @property
    def lease(self) -> L | None:
        """Our lease while the lock is held; its `lost` is set before anybody else of ours can have the lock."""
        return self._leases.get(self.local.token or b"")

    @property
    def fence(self) -> int:
        """The fence of the lock that is held: hand it to whatever the lock guards. Raises NotOwned."""
        lease = self.lease
        if lease is None:
            raise NotOwned(str(self.name), GONE, self.name)
        return lease.fence

    def _check_has_end(self) -> None:
        """Raises NotOwned for a timeout of 0: the lock has no end that could be moved, and a lease that is renewed."""
        if not self.timeout:
            raise NotOwned(str(self.name), ENDLESS, self.name, ENDLESS)

    def _check_is_later(self, seconds: Any, left_ms: int = 0) -> None:
        """Raises InvalidInput for an end that is not later than now: redis-py deletes the key then, and its user goes
        on in the belief to have it. `left_ms`: what it has until its end; below 0 there is no such key."""
        if left_ms >= 0 and left_ms + int(seconds * 1000) <= 0:
            raise InvalidInput("seconds", seconds, "must leave the lock an end that is later than now; release() it")

    def _forget_lapsed(self) -> None:
        """Locks that are never given back, for their timeout ends them, must not pile up."""
        for word, lease in list(self._leases.items()):
            if not lease.held:
                self._leases.pop(word, None)

    def _encoded(self, value: Any) -> bytes:
        """A name or a token in bytes, as the client sends it. Raises redis-py's DataError for what it refuses."""
        pool = getattr(self.redis, "connection_pool", None)
        encoder = self.redis.get_encoder() if pool is None else pool.get_encoder()
        return bytes(encoder.encode(value))

    def _aim(self, token: Any) -> Aim:
        """What an acquire is for; so whatever cannot be sent is refused before it stands in line."""
        chosen = None if token is None else self._encoded(token)
        return Aim(resource_of(self._encoded(self.name)), chosen)

    def _token(self, aim: Aim, namespace: str, lease: L) -> Token:
        """The one that was given, else one that tells of our place."""
        if aim.token is not None:
            return Token(aim.token, made=False)
        return Token(self._encoded(Place(namespace, lease.ident, lease.fence).token()), made=True)
