"""The tutorial of the README, taken at its word."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coordinator import State
from coordinator.errors import Duplicate
from tests.support.readme import README

ROOT = Path(__file__).parents[2]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_five_minutes(redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDINATOR_URL", redis_url)
    monkeypatch.setenv("COORDINATOR_NAMESPACE", namespace)
    lock, several, later, job, dedup, tasks = blocks("python")
    (tmp_path / "tasks.py").write_text(tasks)
    [command] = [line for text in blocks("sh") for line in text.splitlines() if line.startswith("coordinator worker")]
    there: dict[str, Any] = {}
    worker = subprocess.Popen(
        [sys.executable, "-m", "coordinator", *command.split()[1:]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        for text in (lock, several, later, job):
            exec(text, there)
        assert there["ticket"].result(60) == {"applied": True}
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        # Nobody works now, so that the key is taken until the last line, which is refused.
        with pytest.raises(Duplicate):
            exec(dedup, there)
        assert there["co"].survey().queues[0].ready == 1
        assert there["ticket"].state() == State.SUCCEEDED
    finally:
        worker.kill()
        worker.wait()
        if "co" in there:
            there["co"].close()
