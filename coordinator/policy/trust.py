"""How long a process may believe in its leases.

A session is renewed by a call that the server answers with its own clock; all the process knows for certain is that
the renewal took effect *after* it was sent. So trust runs from the moment of sending, and ends a margin before the
server's own limit: until then nobody else can have been granted what we hold. The margin, a tenth of the lease and at
least 50 ms, covers clock drift and the time the holder needs to stop. Times are seconds of a monotonic clock that also
runs while the machine is suspended.
"""

from __future__ import annotations

MARGIN = 0.1
LEAST_MARGIN = 0.05


def trusted_until(sent: float, lease: float) -> float:
    """Until when a lease of `lease` seconds, asked for at `sent`, may be believed in."""
    return sent + lease - max(LEAST_MARGIN, MARGIN * lease)


def beat_interval(session_ttl: float, sweep_interval: float) -> float:
    """How often to renew: three times within the session, and often enough to sweep for the namespace."""
    return min(session_ttl / 3, sweep_interval)
