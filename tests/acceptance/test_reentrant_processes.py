"""Re-entrant locks in several processes on one server, of which one is killed while it has entered twice.

What each process saw and what the server says of itself is put together and judged by the checker of histories.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos import account, history
from chaos.checker import judge
from chaos.history import SERVER, Op
from coordinator import Coordinator
from tests.support.reentering import RESOURCES, settings_of

ROOT = Path(__file__).parents[2]
LONG = os.environ.get("COORDINATOR_TEST_LONG") == "1"
PROCESSES, SECONDS = 4, 25.0 if LONG else 0.5
# The one that dies is seen dead soon; the others may be kept waiting by the machine.
DYING_TTL, TTL, NEVER = 1.0, 3.0, 10**9


def played(url: str, namespace: str, folder: Path) -> list[Op]:
    """What all processes did, with the server's own account."""
    running = []
    for process in range(PROCESSES):
        options = {"process": process, "seconds": SECONDS, "session_ttl": TTL, "dies_after": NEVER}
        if process == 0:
            options |= {"seconds": NEVER, "session_ttl": DYING_TTL, "dies_after": 3 + int(SECONDS) * 10}
        command = [sys.executable, "-m", "tests.support.reentering", url, namespace, str(folder), json.dumps(options)]
        running.append(subprocess.Popen(command, cwd=ROOT))
    assert [one.wait(SECONDS + 60) for one in running] == [-9, *[0] * (PROCESSES - 1)]
    have_each_once(url, namespace, history.Recorder(folder, "after"))
    account.record(url, settings_of(namespace, TTL), folder)
    return history.read(folder)


def have_each_once(url: str, namespace: str, recorder: history.Recorder) -> None:
    """The one that dies may be the last that plays."""
    with Coordinator.connect(url, settings=settings_of(namespace, TTL)) as co:
        for resource in RESOURCES:
            with recorder.doing("acquire", resource=resource, mode="exclusive") as pending:
                lease = co.acquire(resource, wait=30)
                pending.fence, pending.args["request"] = lease.fence, lease.ident
            with recorder.doing("release", lease.fence, resource=resource, request=lease.ident):
                lease.release()


def breaches(ops: list[Op]) -> list[str]:
    """Beside what the judge knows: to enter again is the same grant, an upgrade is refused, neither asks anybody."""
    found = [str(one) for one in judge(ops)]
    for one in ops:
        lost = one.arg("why") != ""
        if one.op == "again" and one.fence != one.args["of"]:
            found.append(f"{one.process} entered {one.args['of']} again under {one.fence}")
        elif one.op == "left" and not one.args["held"] and not lost:
            found.append(f"{one.process} had lost {one.fence} by leaving it for the inside")
        elif one.op == "upgrade" and not lost and (one.arg("how") != "UpgradeRefused" or not one.args["held"]):
            found.append(f"{one.process} asked for more than {one.fence}: {one.args}")
    entries = [one for one in ops if one.op == "acquire"]
    asked = {one.arg("request") for one in ops if one.process == SERVER and one.arg("what") == "asked"}
    unknown = asked - {one.arg("request") for one in entries}
    if len(unknown) > sum(not one.arg("request") for one in entries):
        found.append(f"requests that nobody made: {unknown}")
    return found


@pytest.mark.timeout(200 if LONG else 150)
def test_a_lock_is_held_until_it_was_left_as_often_as_entered(redis_url: str, namespace: str, tmp_path: Path) -> None:
    ops = played(redis_url, namespace, tmp_path)
    assert breaches(ops) == []
    for word in ("again", "left", "upgrade", "release"):
        assert {one.process for one in ops if one.op == word} >= {f"p{n}" for n in range(1, PROCESSES)}, word
    # It died inside, and somebody had what it held afterwards.
    last = max((one for one in ops if one.process == "p0" and one.op == "again"), key=lambda one: one.invoked)
    taken = next(one for one in ops if one.process == "p0" and one.op == "acquire" and one.fence == last.fence)
    assert any(
        one.op == "acquire" and one.arg("resource") == taken.arg("resource") and one.fence > last.fence for one in ops
    )
