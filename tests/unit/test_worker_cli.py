"""The worker command, as far as it needs no server."""

import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from coordinator.errors import InvalidInput
from workers import cli, logs
from workers.cli import Plan, app


def test_processes_cannot_each_have_a_private_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "configure", lambda *_given: None)  # it is for a process, and this one has other tests
    ran = CliRunner().invoke(app, ["run", "m:jobs", "--processes", "2", "--url", "embedded://"])
    assert ran.exit_code == os.EX_CONFIG
    assert "embedded:///DIRECTORY" in ran.stderr


def test_a_plan_takes_its_settings_from_the_file_and_the_url_from_the_option(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('url = "redis://file:1"\nnamespace = "from-file"\nsession_ttl = 7\n', encoding="utf-8")
    plain = Plan("m:jobs", None, (), (), 1, 1.0, "info", file).settings()
    assert (plain.url, plain.namespace, plain.session_ttl) == ("redis://file:1", "from-file", 7)
    chosen = Plan("m:jobs", "redis://option:1", ("chosen",), (), 1, 1.0, "info", file).settings()
    assert (chosen.url, chosen.namespace, chosen.session_ttl) == ("redis://option:1", "chosen", 7)


@pytest.mark.parametrize("given", [",", "", " , "])
def test_a_list_of_no_queues_is_not_taken_for_the_default(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "configure", lambda *_given: None)
    ran = CliRunner().invoke(app, ["run", "m:jobs", "--queues", given])
    assert ran.exit_code == os.EX_USAGE
    assert "queues: must name at least one queue" in ran.stderr


def test_several_namespaces_have_weights_and_a_wrong_one_is_named() -> None:
    def plan(*names: str) -> Plan:
        return Plan("m:jobs", None, names, (), 1, 1.0, "info", None)

    assert plan("orders:0", "orders:1=2").weights() == {"orders:0": 1, "orders:1": 2}
    assert plan("a", "b").weights() == {"a": 1, "b": 1}
    assert plan("a").settings().namespace == "a"
    for bad in ("a=0", "a=x", "a b"):
        with pytest.raises(InvalidInput, match=r"^namespace: must be"):
            plan(bad).weights()


def test_several_namespaces_are_worked_for_by_one_process_and_passed_on_to_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    class Fake:
        def __init__(self, *given: Any, **options: Any) -> None:
            asked.append((given[1:], options))

        async def run(self) -> None:
            return

        def stop_soon(self) -> None:
            return

    class FakeSupervisor:
        def __init__(self, command: list[str], *_others: Any) -> None:
            asked.append(command)

        def run(self) -> int:
            return 0

    monkeypatch.setattr(logs, "configure", lambda *_given: None)
    monkeypatch.setattr(cli, "load", lambda target: target)
    monkeypatch.setattr(cli, "Shards", Fake)
    monkeypatch.setattr(cli, "Supervisor", FakeSupervisor)
    words = ["run", "m:jobs", "-n", "orders:0", "--namespace", "orders:1=2", "--concurrency", "8"]
    assert CliRunner().invoke(app, words).exit_code == 0
    [((namespaces,), options)] = asked
    assert (namespaces, options["concurrency"]) == ({"orders:0": 1, "orders:1": 2}, 8)
    asked.clear()
    assert CliRunner().invoke(app, [*words, "--processes", "2"]).exit_code == 0
    [command] = asked
    passed = [command[at + 1] for at, word in enumerate(command) if word == "--namespace"]
    assert passed == ["orders:0", "orders:1=2"]
