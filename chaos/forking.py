"""An application that forks in the middle of its traffic, again and again, an entry of the nursery.

Its threads hand in jobs and take locks all the while. Each forked child uses the client that it finds, as a server that
forks its workers late does: it must get answers to its own questions, and its end must cost the parent nothing.
"""

from __future__ import annotations

import os
import threading
import traceback
from pathlib import Path
from typing import Any

from chaos import roles
from chaos.history import Recorder
from chaos.locking import give_back, take
from coordinator import Coordinator, Settings
from coordinator.leases import Lease

THREADS = 4
CHILD_SECONDS = 20


def forker(url: str, settings: dict[str, Any], history: str, process: str, options: dict[str, Any]) -> None:
    """Fork `forks` times. The exit code is 1 if anything went wrong in here or in a child."""
    recorder = Recorder(Path(history), process)
    failed: list[str] = []
    with Coordinator.connect(url, settings=Settings.of(**settings)) as co:
        kept = take(co, recorder, f"kept by {process}")
        over = threading.Event()
        threads = [
            threading.Thread(target=_traffic, args=(co, recorder, over, number, failed)) for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for number in range(options["forks"]):
            failed += _fork(co, kept, Path(history), f"{process}-child-{number}")
        over.set()
        for thread in threads:
            thread.join()
        give_back(kept, recorder, f"kept by {process}")
    if failed:
        raise SystemExit(1)


def _fork(co: Coordinator, kept: Lease, history: Path, name: str) -> list[str]:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _be_child(co, kept, Recorder(history, name))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return [f"{name} ended with {code}"] if code else []


def _be_child(co: Coordinator, kept: Lease, recorder: Recorder) -> None:
    """The parent's lease is not the child's; everything else works as ever. The client is left as it is."""
    if kept.held:
        raise AssertionError("the child believes that it holds its parent's lock")
    kept.release()
    _use(co, recorder, f"{recorder.process} own")
    co.close()


def _traffic(co: Coordinator, recorder: Recorder, over: threading.Event, number: int, failed: list[str]) -> None:
    try:
        while not over.is_set():
            _use(co, recorder, f"thread {number}")
    except Exception as error:
        traceback.print_exc()
        failed.append(repr(error))


def _use(co: Coordinator, recorder: Recorder, resource: str) -> None:
    """A lock and a job, with the answers compared to the questions."""
    lease = take(co, recorder, resource, wait=CHILD_SECONDS)
    with recorder.doing("submit") as pending:
        ticket = co.submit(roles.STEP, {"ms": 0}, owner=resource)
        pending.args["job"] = ticket.ident
    told = co.explain(ticket.ident)
    if (told.ident, told.owner) != (ticket.ident, resource):
        raise AssertionError(f"asked about {ticket.ident} of {resource}, told about {told.ident} of {told.owner}")
    if lease.fence != int(co.explain(lease.ident).fields["fence"]):
        raise AssertionError(f"{lease} is answered with another's fence")
    give_back(lease, recorder, resource)
