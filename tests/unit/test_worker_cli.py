"""The worker command, as far as it needs no server."""

import os

from typer.testing import CliRunner

from workers.cli import app


def test_processes_cannot_each_have_a_private_server() -> None:
    ran = CliRunner().invoke(app, ["run", "m:jobs", "--processes", "2", "--url", "embedded://"])
    assert ran.exit_code == os.EX_CONFIG
    assert "embedded:///DIRECTORY" in ran.stderr
