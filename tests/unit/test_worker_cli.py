"""The worker command, as far as it needs no server."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workers import logs
from workers.cli import Plan, app


def test_processes_cannot_each_have_a_private_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "configure", lambda *_given: None)  # it is for a process, and this one has other tests
    ran = CliRunner().invoke(app, ["run", "m:jobs", "--processes", "2", "--url", "embedded://"])
    assert ran.exit_code == os.EX_CONFIG
    assert "embedded:///DIRECTORY" in ran.stderr


def test_a_plan_takes_its_settings_from_the_file_and_the_url_from_the_option(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('url = "redis://file:1"\nnamespace = "from-file"\nsession_ttl = 7\n', encoding="utf-8")
    plain = Plan("m:jobs", None, None, (), 1, 1.0, "info", file).settings()
    assert (plain.url, plain.namespace, plain.session_ttl) == ("redis://file:1", "from-file", 7)
    chosen = Plan("m:jobs", "redis://option:1", "chosen", (), 1, 1.0, "info", file).settings()
    assert (chosen.url, chosen.namespace, chosen.session_ttl) == ("redis://option:1", "chosen", 7)


@pytest.mark.parametrize("given", [",", "", " , "])
def test_a_list_of_no_queues_is_not_taken_for_the_default(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "configure", lambda *_given: None)
    ran = CliRunner().invoke(app, ["run", "m:jobs", "--queues", given])
    assert ran.exit_code == os.EX_USAGE
    assert "queues: must name at least one queue" in ran.stderr
