"""What is said of scenarios that were played, and of those that could not be."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from chaos import cli
from chaos.faults.unavailable import Unavailable
from chaos.history import Recorder
from chaos.report import Result, as_json, as_table, summary
from chaos.run import play
from chaos.scenario import Figure, Run, Scenario, Verdict
from tests.chaos.claims import no_progress

pytestmark = pytest.mark.no_redis


def scenario(name: str, made: Callable[[Run], Verdict]) -> Scenario:
    return Scenario(name, "Nothing happens.", "nothing", {}, {}, made)


def good(_run: Run) -> Verdict:
    return Verdict((), (Figure("x", 1, most=1),))


def bad(_run: Run) -> Verdict:
    return Verdict((), (Figure("x", 2, most=1),))


def impossible(_run: Run) -> Verdict:
    raise Unavailable("the moon is not installed: apt-get install moon")


def spoiled(run: Run) -> Verdict:
    recorder = Recorder(run.history, "app")
    recorder.note("submit", job="j")
    recorder.close()
    raise Unavailable("the moon has gone")


SCENARIOS = {one.__name__: scenario(one.__name__, one) for one in (good, bad, impossible, spoiled)}


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Temporary folders are made here, so that what stays can be seen."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(cli, "SCENARIOS", SCENARIOS)
    return tmp_path


def played(name: str) -> Result:
    return play(SCENARIOS[name], 1, long=False, keep=None, progress=no_progress)


def test_what_cannot_be_played_is_skipped_and_leaves_nothing(own_folder: Path) -> None:
    result = played("impossible")
    assert (result.passed, result.failed, result.kept) == (False, False, None)
    assert "moon is not installed" in result.skipped
    assert list(own_folder.iterdir()) == []


def test_a_fault_that_fails_in_the_middle_is_an_error(own_folder: Path) -> None:
    result = played("spoiled")
    assert (result.skipped, result.failed, result.error) == ("", True, "Unavailable: the moon has gone")
    assert result.kept in own_folder.iterdir()


def test_a_skip_is_neither_passed_nor_failed() -> None:
    results = [played("good"), played("impossible")]
    told = as_json(results)
    assert (told["passed"], told["summary"]) == (None, "1 passed, 1 skipped")
    assert [one["passed"] for one in told["scenarios"]] == [True, None]
    shown = io.StringIO()
    Console(file=shown, width=140).print(as_table(results))
    assert "impossible   skipped" in shown.getvalue()
    assert "1 passed, 1 skipped" in shown.getvalue()
    results.append(played("bad"))
    assert (as_json(results)["passed"], summary(results)) == (False, "1 passed, 1 skipped, 1 failed")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["good"], 0),
        (["bad"], 1),
        (["good", "impossible"], 69),
        (["good", "impossible", "--allow-skips"], 0),
        (["bad", "impossible", "--allow-skips"], 1),
        (["spoiled", "--allow-skips"], 1),
    ],
)
def test_only_what_passed_exits_with_nothing(words: list[str], code: int) -> None:
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == code
    assert json.loads(done.stdout)["summary"].count(" ") >= 3


def hurried(run: Run) -> Verdict:
    for done in range(5000):
        run.progress(f"step {done}", done, 5000)
    return good(run)


def test_where_nobody_watches_a_run_of_many_steps_says_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCENARIOS, "hurried", scenario("hurried", hurried))
    told = CliRunner().invoke(cli.app, ["hurried"]).stderr.splitlines()
    assert told[0] == "step 0 0 %"
    assert len(told) < 10


def test_a_run_that_lasts_says_every_few_seconds_how_far_it_is() -> None:
    out, clock = io.StringIO(), [100.0]
    say = cli._lines(Console(file=out), lambda: clock[0])
    for second in range(60):
        clock[0] = 100.0 + second
        say("playing", second, 60)
    told = out.getvalue().splitlines()
    assert told[:2] == ["playing 0 %", "playing 10 %"]
    assert len(told) == 10  # nothing is said twice
    for second in range(60):
        clock[0] = 200.0 + second
        say(f"step {second}", 0, 0)
    assert len(out.getvalue().splitlines()) == len(told) + 60 / cli.EVERY


@pytest.mark.parametrize("words", [(), ("nothing",), (".",)])
def test_what_has_no_history_is_not_judged(own_folder: Path, words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli.app, ["judge", *(str(own_folder / one) for one in words)])
    assert done.exit_code == 2
    assert "no rules broken" not in done.output
