"""The parts of the command line that need no server: parsing, payloads, contributed commands, settings."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.main import get_command

from coordinator import __version__, live
from coordinator.cli import config, jobs, main, options
from coordinator.cli.failures import EXITS, MEANINGS, Failure
from coordinator.cli.options import Common, settings_of
from coordinator.errors import ConfigError
from coordinator.settings import Settings

COMMANDS = (
    *("lock", "submit", "cancel", "reprioritise", "release", "replay", "define", "coalesce", "forget"),
    *("ls", "show", "why", "doctor", "stats", "events", "top", "timeouts"),
)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def go(*words: str) -> tuple[int, str, str]:
        code = main.main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return go


@pytest.fixture
def contribute(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    def add(loaded: Any) -> None:
        class Entry:
            name, value = "extra", "somewhere:app"

            def load(self) -> Any:
                if isinstance(loaded, Exception):
                    raise loaded
                return loaded

        entry: Any = Entry()
        found: dict[str, EntryPoint] = {"extra": entry}
        monkeypatch.setattr(main, "_contributed", lambda: found)

    return add


def test_the_version(run: Run) -> None:
    assert run("--version") == (0, f"coordinator {__version__}\n", "")


def test_help_lists_every_command_and_every_exit_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, text, _ = run("--help")
    assert code == 0
    for name in COMMANDS:
        assert f" {name} " in text
    for exit_code, meaning in MEANINGS:
        assert exit_code in text
        assert meaning in text
    assert run()[0:2] == (code, text)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_and_the_common_options(name: str, run: Run) -> None:
    code, text, _ = run(name, "--help")
    assert code == 0
    assert f"$ coordinator {name}" in text
    assert "--namespace" in text
    assert "--json" in text


@pytest.mark.parametrize(
    ("asked", "said"), [("holders", "coordinator ls 'infra/**'"), ("unlock", "release ID --force")]
)
def test_what_goes_by_another_name_is_pointed_to(run: Run, asked: str, said: str) -> None:
    code, _, error = run(asked, "infra")
    assert code == os.EX_USAGE
    assert said in error


def test_every_exit_code_that_is_used_is_explained() -> None:
    explained = {number for code, _ in MEANINGS for number in code.split(", ")}
    assert {str(one.code) for one in EXITS} <= explained


def test_a_contributed_command_is_run(run: Run, contribute: Callable[[Any], None]) -> None:
    extra = typer.Typer(help="From elsewhere.")

    @extra.command("run")
    def go(word: str) -> None:
        print(f"ran {word}")

    contribute(extra)
    assert run("extra", "run", "fast")[:2] == (0, "ran fast\n")
    assert "From elsewhere." in run("--help")[1]


def test_a_contributed_command_that_cannot_be_loaded_stops_only_itself(
    run: Run, contribute: Callable[[Any], None]
) -> None:
    contribute(ImportError("no module named x"))
    code, _, err = run("extra", "run", "--fast")
    assert code == os.EX_CONFIG
    assert "somewhere:app cannot be loaded: ImportError: no module named x" in err
    assert "cannot be loaded: ImportError" in run("--help")[1]
    assert run("--version")[0] == 0


def test_options_become_values() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Given:
        name: Annotated[str, typer.Argument()]
        times: Annotated[int, typer.Option()] = 1

    seen: list[Any] = []

    def act(given: Given, common: Common) -> int:
        """One line
        and another."""
        seen.append((given, common))
        return 5

    # The annotations are looked up by name in the module, and these names are local.
    act.__annotations__ = {"given": Given, "common": Common, "return": int}
    app = typer.Typer()
    options.command(app, "act", examples=("act [x]",))(act)
    code = get_command(app).main(["n", "--times", "3", "-n", "prod"], standalone_mode=False)
    assert code == 5
    assert seen == [(Given(name="n", times=3), Common(namespace="prod"))]


def test_settings_options_win_over_the_file_and_the_file_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "coordinator.toml"
    file.write_text('url = "redis://file/0"\nnamespace = "file"\n')
    monkeypatch.setenv("COORDINATOR_URL", "redis://environment/0")
    monkeypatch.setenv("COORDINATOR_MAX_LINE", "7")
    found = settings_of(Common(config=file, namespace="option"))
    assert (found.url, found.namespace, found.max_line) == ("redis://file/0", "option", 7)
    assert settings_of(Common()).url == "redis://environment/0"
    with pytest.raises(ConfigError):
        settings_of(Common(config=tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("given", "payload"), [("null", None), ('{"a": [1, 2.5, "x"]}', {"a": [1, 2.5, "x"]}), ('"text"', "text")]
)
def test_payloads(given: str, payload: Any, tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    file.write_text(given)
    assert jobs.read_payload(given) == payload
    assert jobs.read_payload(f"@{file}") == payload


@pytest.mark.parametrize(
    ("given", "code"), [("text", os.EX_DATAERR), ("", os.EX_DATAERR), ("@no/such/file", os.EX_NOINPUT)]
)
def test_payloads_that_are_none(given: str, code: int) -> None:
    with pytest.raises(Failure) as failure:
        jobs.read_payload(given)
    assert failure.value.code == code


def test_settings_of_every_kind_can_be_shown() -> None:
    """Numbers, texts, null, paths, tuples, secrets, and tables of sections."""
    settings = Settings.of(
        queues={"bulk": {"sharing": "weighted"}},
        metrics={"alerts": {"slow": {"figure": "queue.run.p99", "warning": 5}}},
        priority_rules="rules.toml",
        signing_keys={"a": "canary" * 8},
    )
    rows = [config.Row(one, one.of(settings), "file") for one in live.knobs().values()]
    shown = {one.knob.name: json.loads(json.dumps(one.shape()))["value"] for one in rows}
    assert shown["queues"] == {"bulk": {"sharing": "weighted", "weights": [16, 8, 4, 2, 1]}}
    assert shown["metrics.alerts"]["slow"]["figure"] == "queue.run.p99"
    assert (shown["priority_rules"], shown["signing_keys"]) == ("rules.toml", config.HIDDEN)
    cells = [json.loads(str(cell)) for cell in config.table(rows).columns[1].cells]
    assert cells == list(shown.values())


def test_alerts_without_a_command_are_listed(run: Run) -> None:
    """With the options of the list, too: a URL that cannot be is said to be one."""
    where = ("--url", "http://nowhere")
    assert run("alerts", *where) == run("alerts", "ls", *where)
    assert "unknown scheme" in run("alerts", *where)[2]
    assert "ack" in run("alerts", "--help")[1]
