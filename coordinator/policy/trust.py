"""How long a process may believe in its leases.

A session is renewed by a call that the server answers with its own clock; all the process knows for certain is that
the renewal took effect *after* it was sent. So trust runs from the moment of sending, and ends a margin before the
server's own limit: until then nobody else can have been granted what we hold. The margin covers the time the holder
needs to stop and the drift of two clocks: a tenth of the lease, at least 50 ms, and of long leases no more than a
second and a thousandth, which is twice as fast as clocks are ever slewed. Times are seconds of a monotonic clock that
also runs while the machine is suspended.
"""

from __future__ import annotations

MARGIN = 0.1
LEAST_MARGIN = 0.05
MOST_TO_STOP, DRIFT = 1.0, 0.001
# A namespace with clocks due every few ms must not make every process beat every few ms.
LEAST_PAUSE = 0.05
# What a process that takes back much in parts leaves to all the others between two of them, in times of what each took.
TURN_OF_OTHERS, LEAST_TURN = 2.0, 0.002


def trusted_until(sent: float, lease: float) -> float:
    """Until when a lease of `lease` seconds, asked for at `sent`, may be believed in."""
    return sent + lease - max(LEAST_MARGIN, min(MARGIN * lease, MOST_TO_STOP + DRIFT * lease))


def beat_interval(session_ttl: float, sweep_interval: float) -> float:
    """How often to renew: three times within the session, and often enough to sweep for the namespace."""
    return min(session_ttl / 3, sweep_interval)


def pause_after(due_ms: int, took: float, interval: float) -> float:
    """Seconds until the next heartbeat: the server has said when something is due, or, by a negative number, that
    something is left of what this process sweeps. The heartbeat took `took` seconds."""
    if due_ms < 0:
        return min(LEAST_PAUSE, max(LEAST_TURN, TURN_OF_OTHERS * took))
    return max(LEAST_PAUSE, min(interval, due_ms / 1000))
