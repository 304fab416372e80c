"""The plain key of a lock: what makes old redis-py `Lock` users and ours exclude each other.

It is the key, the token and the TTL that redis-py's own `Lock` has. Who has it has the lock, whatever library it uses;
our line decides who of ours may try for it. So it takes no step that changes both at once, and the key may live in
another slot, another database or on another server than the line:

- to acquire, come to the head of the line, then set the key if it is not there; only the head tries, so of a thousand
  that wait one asks, after pauses that grow to `sleep`, and when the TTL of the old holder ends;
- to release, delete the key if the token is still ours, then leave the line: the next one finds the key free. A process
  that dies in between, or with both, leaves a key that ends by its TTL and a place that ends with its session.

With one script for both an old user could never get in while somebody of ours waits; as it is, it has the moment
between two of ours, and chances as with its own kind.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from coordinator.model.names import MAX_NAME_BYTES, MAX_SECONDS

PREFIX = "redis-lock/"
# What a name of a resource may hold as it is; anything else is percent-encoded, `%` too, so no two names meet.
SAFE = " !\"#$&'()+,-./:;<=>@^_`|~"
# A name that becomes too long is told by the beginning of it and its digest.
SHOWN = 64

# A key that has a token of our own making already is ours: the answer to the first try was lost. One with a token that
# a caller chose may be anybody's who chose the same.
TAKE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return { 1, 0 }
end
local found = redis.pcall('GET', KEYS[1])
if found == ARGV[1] and ARGV[3] == '1' then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return { 1, 0 }
end
return { 0, redis.call('PTTL', KEYS[1]) }
"""

# Of many keys at once: whether each has its token still. If so it is renewed; with a TTL of 0 its end is left as it is.
KEEP = """
local told = {}
for at, name in ipairs(KEYS) do
  local ours, ttl = redis.pcall('GET', name) == ARGV[2 * at - 1], ARGV[2 * at]
  if ours and ttl ~= '0' then
    redis.call('PEXPIRE', name, ttl)
  end
  told[at] = ours and 1 or 0
end
return told
"""

# The head asks again soon at first, for old users do not hand over: whoever asks in the moment between has it.
LEAST_PAUSE = 0.002
MOST_DOUBLINGS = 20
# As soon as a TTL ends the key can be had: a key is there until the millisecond after.
AFTER_END = 0.001


def resource_of(name: str | bytes | memoryview) -> str:
    """The resource whose line stands before the plain key of that name."""
    # By way of a view: of a number `bytes` makes so many zeros.
    raw = name.encode() if isinstance(name, str) else bytes(memoryview(name))
    encoded = PREFIX + quote(raw, safe=SAFE)
    if len(encoded) > MAX_NAME_BYTES or encoded != encoded.strip():
        return f"{PREFIX}{quote(raw[:SHOWN], safe='')}%{hashlib.sha256(raw).hexdigest()}"
    return encoded


@dataclass(frozen=True, slots=True)
class Place:
    """A granted request, as it stands in a token. Whoever has the token can give both keys back."""

    namespace: str
    ident: str
    fence: int

    def token(self) -> str:
        """What is kept under the plain name. A person can ask `coordinator show` about the id in it."""
        return f"coordinator {self.namespace} {self.ident} fence {self.fence}"

    @classmethod
    def read(cls, token: bytes) -> Place | None:
        """The place that a token tells of, or None for a token of somebody else's making."""
        match token.decode("ascii", "replace").split(" "):
            case ["coordinator", namespace, ident, "fence", fence] if fence.isascii() and fence.isdigit():
                return cls(namespace, ident, int(fence))
        return None


@dataclass(frozen=True, slots=True)
class Patience:
    """Until when an acquire goes on (None: without end), and how often the head of the line tries."""

    ends: float | None
    sleep: float

    @classmethod
    def of(cls, now: float, sleep: float, blocking: bool, seconds: float | None) -> Patience:
        """From the arguments of `acquire`."""
        if not blocking:
            return cls(now, sleep)
        return cls(None if seconds is None or seconds > MAX_SECONDS else now + seconds, sleep)

    def left(self, now: float) -> float | None:
        """How many seconds are left."""
        return None if self.ends is None else max(0.0, self.ends - now)

    def pause(self, now: float, ttl_ms: int, tries: int) -> float | None:
        """How long the head waits before it tries again, having tried so often; None when its time is over."""
        left = self.left(now)
        if left is not None and left <= 0:
            return None
        pause = max(LEAST_PAUSE, min(self.sleep, LEAST_PAUSE * 2.0 ** min(tries, MOST_DOUBLINGS)))
        if ttl_ms >= 0:
            pause = min(pause, ttl_ms / 1000 + AFTER_END)
        return pause if left is None else min(pause, left)
