"""The worker command, as far as it needs no server."""

import os

import pytest
from typer.testing import CliRunner

from workers import logs
from workers.cli import app


def test_processes_cannot_each_have_a_private_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "configure", lambda *_given: None)  # it is for a process, and this one has other tests
    ran = CliRunner().invoke(app, ["run", "m:jobs", "--processes", "2", "--url", "embedded://"])
    assert ran.exit_code == os.EX_CONFIG
    assert "embedded:///DIRECTORY" in ran.stderr
