"""An operator at work while every application is down: they find out as soon as they are back, and write nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from coordinator.fencing import fenced
from tests.support.cli import Cli

ROOT = Path(__file__).parents[2]

# Holds four locks and waits for two; once it is told to go on it says of each lock within how many seconds it knew that
# it was lost, and whether it could still write under its fence; and for how long the machine let it stand meanwhile.
APPLICATION = """
import json
import sys
import threading
import time

import redis

from coordinator import Coordinator, Settings, StaleFence
from coordinator.errors import WaitCancelled
from coordinator.fencing import fenced

url, namespace = sys.argv[1:]
raw = redis.Redis.from_url(url)
# It is stopped for longer than a session lives by default, where the machine is busy.
with Coordinator.connect(url, settings=Settings.of(namespace=namespace, session_ttl=120)) as co:
    leases = {name: co.acquire(name, owner="app") for name in ("forced", "handed", "stolen", "kept")}
    heirs = [co.request("handed") for _ in range(2)]
    cancelled = co.request("kept")
    for name, lease in leases.items():
        fenced(raw, lease, "SET", f"store:{namespace}:{name}", "first", keep=60)
    idents = {name: lease.ident for name, lease in leases.items()}
    print(json.dumps([idents, [one.ident for one in heirs], cancelled.ident]), flush=True)
    sys.stdin.readline()
    began, stood, over = time.monotonic(), [0.0], threading.Event()

    def look():
        while not over.is_set():
            before = time.monotonic()
            over.wait(0.01)
            stood[0] = max(stood[0], time.monotonic() - before - 0.01)

    threading.Thread(target=look, daemon=True).start()
    found = {}
    for name, lease in leases.items():
        lost = lease.lost.wait(0 if name == "kept" else 5)
        try:
            fenced(raw, lease, "SET", f"store:{namespace}:{name}", "late", keep=60)
            wrote = True
        except StaleFence:
            wrote = False
        found[name] = [lost, time.monotonic() - began, wrote]
    try:
        cancelled.wait(5)
    except WaitCancelled:
        found["cancelled"] = time.monotonic() - began
    over.set()
    print(json.dumps([found, heirs[1].wait(5).fence, stood[0]]), flush=True)
"""


@pytest.fixture
def application(redis_url: str, namespace: str) -> Iterator["subprocess.Popen[str]"]:
    words = [sys.executable, "-c", APPLICATION, redis_url, namespace]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield process
        process.kill()


def test_an_operator_steers_while_all_applications_are_stopped(
    cli: Cli, application: "subprocess.Popen[str]", raw: "redis.Redis", namespace: str
) -> None:
    assert application.stdin is not None
    assert application.stdout is not None
    idents, heirs, cancelled = json.loads(application.stdout.readline())
    os.kill(application.pid, signal.SIGSTOP)
    why = ("--reason", "the application hangs")
    assert cli.json("release", idents["forced"], "--force", *why, "--yes")["state"] == "lost"
    assert cli.json("move", heirs[0], "--back")["state"] == "waiting"
    assert cli.json("transfer", idents["handed"], "--to", heirs[1], *why, "--yes")["state"] == "held"
    assert cli.call("cancel", cancelled).returncode == 0
    assert cli.json("freeze", "kept", "--for", "60", *why)
    assert cli.call("lock", "stolen", "--steal", "--", "true").returncode == os.EX_USAGE
    under = "import os; print(os.environ['COORDINATOR_FENCE'])"
    fences = {}
    for name in ("forced", "stolen"):
        done = cli.run(
            "lock", name, *(("--steal", *why) if name == "stolen" else ()), "--", sys.executable, "-c", under
        )
        fences[name] = int(done.stdout)
        fenced(raw, fences[name], "SET", f"store:{namespace}:{name}", "newer", keep=60)
    audit = {one["event"]: one["fields"] for one in cli.json("audit")["audit"]}
    assert {"force", "reorder", "transfer", "steal", "freeze"} <= audit.keys()
    heir = int(raw.hget(f"co:{{{namespace}}}:req:{heirs[1]}", "fence") or 0)
    fenced(raw, heir, "SET", f"store:{namespace}:handed", "newer", keep=60)
    os.kill(application.pid, signal.SIGCONT)
    application.stdin.write("\n")
    application.stdin.flush()
    found, fence, stood = json.loads(application.stdout.readline())
    soon = 1 + 5 * stood  # a second, on a machine that has time for it
    assert fence == heir
    assert found.pop("cancelled") < soon
    assert {name: (lost, wrote) for name, (lost, _, wrote) in found.items()} == {
        "forced": (True, False),
        "handed": (True, False),
        "stolen": (True, False),
        "kept": (False, True),
    }
    assert max(seconds for _, seconds, _ in found.values()) < soon
    application.stdin.close()
    application.wait(10)
    raw.delete(*(f"store:{namespace}:{name}" for name in idents))
    assert cli.call("thaw", "kept").returncode == 0
