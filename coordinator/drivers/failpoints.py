"""Named places at which a run under test can be made to die, stop, wait or lose its connection.

Off unless the environment says otherwise when the process starts, or a test calls `switch_on`: then a place costs one
look at a global. `COORDINATOR_FAILPOINTS="worker.after_claim=exit:0.01;store.before_send=raise:0.05"` gives places
an action and how often it happens there, from 0 to 1 (always, if left out). A name that ends in `*` is every place that
begins so. The actions:

- `exit`: the process ends at once, as with SIGKILL;
- `stop`: it stops itself, as with SIGSTOP, until somebody sends SIGCONT;
- `raise`: the connection breaks, at places of `store` and `listener`. Before a call was sent or with its answer lost;
- `pause`: nothing happens for 50 ms, in this thread;
- `count`: nothing happens, but it is counted.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping

import redis

from coordinator.errors import ConfigError

VARIABLE = "COORDINATOR_FAILPOINTS"
PAUSE = 0.05
# Elsewhere nothing is being sent or received, so no connection could break.
BREAKABLE = ("store.", "listener.")

# Whether any place does anything. Read before each call of `reach`, which it spares.
on = False
hits: Counter[str] = Counter()

_plan: dict[str, tuple[str, float]] = {}
_told: Callable[[str, str], None] | None = None

PLACES: Mapping[str, str] = {
    "store.before_send": "a call is about to be sent",
    "store.after_send": "its answer is here and nobody has seen it",
    "store.before_resend": "a call is about to be sent once more",
    "keeper.before_open": "a session is about to be opened",
    "keeper.after_open": "it is open on the server, and nobody here knows",
    "keeper.before_beat": "a heartbeat is due",
    "keeper.after_beat": "it was answered, and not believed yet",
    "keeper.before_close": "a session is about to be closed",
    "keeper.after_close": "what it held has been handed back",
    "keeper.before_withdraw": "an abandoned request is about to be withdrawn",
    "listener.before_read": "a message is about to be waited for",
    "listener.after_read": "a message was taken out of the inbox and not handed over",
    "driver.before_step": "an operation is about to do its next step",
    "worker.before_start": "the session is open, no service has begun",
    "worker.after_start": "jobs may come",
    "worker.before_exchange": "outcomes and a claim are about to be sent",
    "worker.after_exchange": "outcomes were recorded and jobs claimed, none of which has begun",
    "worker.before_begin": "a claimed job is about to be begun",
    "worker.before_handler": "its handler is about to be called",
    "worker.after_handler": "its handler is done, nothing was reported",
    "worker.before_post": "an outcome is about to be laid on the desk",
    "worker.before_forget": "a job is settled and still known here",
    "worker.before_hand_back": "a job that has not begun is about to be returned",
    "worker.before_spare": "jobs that cannot begin are off the shelf, nobody was told",
    "worker.after_spare": "they were offered to other workers",
    "worker.before_retain": "jobs on offer are about to be taken back",
    "worker.after_retain": "the store has said which are still ours, none has begun",
    "worker.before_stop": "the worker was told to stop",
    "worker.after_release": "what had not begun was released, handlers still run",
    "worker.before_session_end": "every outcome is recorded, the session still lives",
}


class Broken(redis.exceptions.ConnectionError):
    """The connection that a failpoint broke."""


def switch_on(plan: str, told: Callable[[str, str], None] | None = None) -> None:
    """Do from now on what the plan says, nothing for an empty one. `told` hears of each place and action before it
    happens. Raises ConfigError."""
    global on, _told
    _plan.clear()
    hits.clear()
    for part in filter(None, (one.strip() for one in plan.split(";"))):
        name, _, what = part.partition("=")
        action, _, share = what.partition(":")
        places = [one for one in PLACES if one == name or (name.endswith("*") and one.startswith(name[:-1]))]
        if action == "raise":
            places = [one for one in places if one.startswith(BREAKABLE)]
        if not places or action not in _ACTIONS:
            raise ConfigError([f"{VARIABLE}: {part!r} names no place or no action"])
        _plan.update(dict.fromkeys(places, (action, float(share or 1))))
    on, _told = bool(_plan), told


def reach(place: str) -> None:
    """Do what the plan says of a place. Raises Broken for `raise`."""
    action, share = _plan.get(place, ("", 0.0))
    if not action:
        return
    hits[place] += 1
    if random.random() < share:
        if _told is not None:
            _told(place, action)
        _ACTIONS[action]()


def _exit() -> None:
    os._exit(137)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise() -> None:
    raise Broken("a failpoint broke the connection")


def _pause() -> None:
    time.sleep(PAUSE)


def _count() -> None:
    return None


_ACTIONS: Mapping[str, Callable[[], None]] = {
    "exit": _exit,
    "stop": _stop,
    "raise": _raise,
    "pause": _pause,
    "count": _count,
}

switch_on(os.environ.get(VARIABLE, ""))
