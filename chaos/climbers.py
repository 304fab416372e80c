"""The clients of the subtree storm: each takes one resource of a tree or a whole subtree, alone or shared, holds it a
moment, gives it back. Some die holding.

With `control` they ask for a plain resource in place of a subtree, and write down that it was the subtree: that is how
things would be if nobody looked above and below.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from chaos.history import Recorder
from coordinator import Coordinator, Need, Priority, Settings
from coordinator.errors import CoordinatorError
from coordinator.model.names import SUBTREE
from coordinator.model.need import Mode

BRANCHES, LEAVES = 3, 4
SHARED = 0.4
# Of the control: a history of its own, which the judge of the run does not look at.
CONTROL = "control-"


def climber(url: str, settings: dict[str, Any], history: str, process: str, options: dict[str, Any]) -> None:
    """Take locks for so many `seconds`. `options`: also the seed, and how often to die."""
    control = options["control"]
    folder = Path(history) / CONTROL if control else Path(history)
    recorder, chance = Recorder(folder, process), random.Random(options["seed"])
    given = {**settings, "namespace": CONTROL + settings["namespace"] if control else settings["namespace"]}
    with Coordinator.connect(url, settings=Settings.of(**given)) as co:
        ends = time.monotonic() + options["seconds"]
        while time.monotonic() < ends:
            with contextlib.suppress(CoordinatorError):
                _climb(co, recorder, chance, options)


def _climb(co: Coordinator, recorder: Recorder, chance: random.Random, options: dict[str, Any]) -> None:
    resource = _somewhere(chance)
    asked = resource.replace("*", "-") if options["control"] else resource
    priority = chance.choice((Priority.NORMAL, Priority.NORMAL, Priority.NORMAL, Priority.HIGH))
    mode: Mode = "shared" if chance.random() < SHARED else "exclusive"
    with recorder.doing("acquire", resource=resource, mode=mode) as pending:
        lease = co.acquire(Need(asked, mode), wait=30, priority=priority)
        pending.fence, pending.args["request"] = lease.fence, lease.ident
    if chance.random() < options["die"]:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(chance.uniform(0, 0.002))
    with recorder.doing("release", lease.fence, resource=resource, request=lease.ident):
        lease.release()


def _somewhere(chance: random.Random) -> str:
    """The whole tree, a branch of it with all that it has, a branch alone, or most often a leaf."""
    drawn, branch = chance.random(), f"t/{chance.randrange(BRANCHES)}"
    if drawn < 0.05:  # noqa: PLR2004 (shares of the draws)
        return "t" + SUBTREE
    if drawn < 0.2:  # noqa: PLR2004
        return branch + SUBTREE
    return branch if drawn < 0.25 else f"{branch}/{chance.randrange(LEAVES)}"  # noqa: PLR2004
