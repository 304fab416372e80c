"""Runs a command under a lock: passes signals on, and stops the command when the lock is lost.

A lost lock may be somebody else's soon, so the command gets SIGTERM at once, with the margin of the lease as its time
to stop in good order, and SIGKILL when it does not. Nobody of its process group is left then.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Sequence

from coordinator.cli.child import Child
from coordinator.cli.failures import LOST, NOT_A_COMMAND, NOT_EXECUTABLE, Failure
from coordinator.cli.signals import Signals
from coordinator.leases import Lease

LOOK_SECONDS = 0.05


def runnable(command: Sequence[str]) -> None:
    """Find out before standing in line that there is no such command. Raises Failure."""
    name = command[0]
    if shutil.which(name) is None:
        known = os.path.exists(name)
        problem = "cannot be executed" if known else "no such command"
        raise Failure(NOT_EXECUTABLE if known else NOT_A_COMMAND, f"{name}: {problem}", "nothing was locked")


def run(lease: Lease, command: Sequence[str], signals: Signals, kill_after: float) -> int:
    """The exit code of the command. Raises Failure if the lock was lost."""
    child = Child(command, environment(lease))
    threading.Thread(target=_ring_when_lost, args=(lease, signals), daemon=True).start()
    while (code := child.poll()) is None:
        if lease.lost.is_set() or (child.suspended and not lease.held):
            stop(child, signals, kill_after)
            raise lost(lease)
        if child.suspended:
            child.resume()
        while (number := signals.take()) is not None:
            child.send(number)
            # A command that is stopped would not hear of it.
            child.send(signal.SIGCONT)
        signals.wait(None)
    if lease.lost.is_set():
        stop(child, signals, kill_after)
        raise lost(lease)
    return code


def pass_on_when_asked(lease: Lease, number: int, signals: Signals) -> None:
    """Send the command a signal once somebody more urgent asks for the lock."""

    def wait() -> None:
        lease.yield_requested.wait()
        signals.pass_on(number)

    threading.Thread(target=wait, daemon=True).start()


def _ring_when_lost(lease: Lease, signals: Signals) -> None:
    """For a thread that ends with the process, since most locks are never lost."""
    lease.lost.wait()
    signals.ring()


def stop(child: Child, signals: Signals, kill_after: float) -> None:
    """End the whole group: SIGTERM, and SIGKILL to whoever is left after `kill_after` seconds."""
    kill_at = time.monotonic() + kill_after
    child.send(signal.SIGTERM)
    child.send(signal.SIGCONT)
    ended = killed = False
    # The group may outlive its leader, so it is looked for and not only waited for; what was killed may stay visible
    # for as long as nobody collects it.
    while not ended or (not killed and child.send(0)):
        if not killed and time.monotonic() >= kill_at:
            killed = child.send(signal.SIGKILL)
        signals.wait(LOOK_SECONDS)
        ended = ended or child.poll() is not None


def lost(lease: Lease) -> Failure:
    """The failure for a lock that was lost under the command."""
    names = ", ".join(need.resource for need in lease.needs)
    why = lease.why_lost or "it could not be renewed in time"
    return Failure(LOST, f"the lock on {names} was lost ({why}); the command was stopped", "check what it left undone")


def environment(lease: Lease) -> dict[str, str]:
    """Our environment and what the command may want to know of its lock."""
    return {
        **os.environ,
        "COORDINATOR_FENCE": str(lease.fence),
        "COORDINATOR_LEASE_ID": lease.ident,
        # One a line: names may have spaces, but no line breaks.
        "COORDINATOR_RESOURCES": "\n".join(need.resource for need in lease.needs),
    }
