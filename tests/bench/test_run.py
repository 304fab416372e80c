"""The bench itself, on a real server, with real workers."""

import json
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.catalogue import chosen_peers
from bench.cli import app
from bench.environments import KEPT
from bench.model import NotMeasured
from bench.peers import PEERS

ROOT = Path(__file__).parents[2]
ACTORS = sorted((ROOT / "bench" / "actors").glob("*.py"))


def bench(*words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=55)


def test_a_quick_run_of_us_alone_measures_and_reports(tmp_path):
    told, report = tmp_path / "run.json", tmp_path / "run.md"
    done = bench(
        *("--peers", "none", "--quick", "--repeat", "1", "--only", "enqueue,drain,contend"),
        *("--json", told, "--markdown", report),
    )
    assert done.returncode == 0, done.stderr
    records = {one["workload"]: one for one in json.loads(told.read_text())["records"]}
    assert {name: one["failure"] for name, one in records.items()} == {"enqueue": "", "drain": "", "contend": ""}
    enqueue, drain, contend = (records[name]["figures"] for name in ("enqueue", "drain", "contend"))
    assert enqueue["round_trips"] == pytest.approx(1, abs=0.05)  # a heartbeat may fall into it
    assert enqueue["per_second"] > 100
    assert drain["round_trips"] < 1  # outcomes and claims go in batches
    assert drain["client_us"] > 0
    assert 1 / 16 <= contend["jain"] <= 1
    assert contend["longest_over_mean"] >= 1
    assert "| drain no-op jobs, one worker process: jobs |" in report.read_text() == done.stdout


@pytest.mark.no_redis
def test_a_repetition_of_ours_that_failed_is_an_error(monkeypatch, tmp_path):
    def measured(task, _plan):
        if task.repetition:
            raise NotMeasured("it fell over")
        return {"per_second": 9_000.0}

    monkeypatch.setattr("bench.session._measured", measured)
    report = tmp_path / "run.md"
    words = ["--peers", "none", "--only", "drain", "--markdown", str(report), "--repeat"]
    assert CliRunner().invoke(app, [*words, "1"]).exit_code == 0
    done = CliRunner().invoke(app, [*words, "3"])
    assert done.exit_code == 1
    assert "a repetition of ours failed: drain" in done.output
    assert "| **no**: it fell over |" in report.read_text()


@pytest.mark.no_redis
def test_what_cannot_be_run_is_refused_before_anything_is_measured():
    done = bench("--only", "nothing")
    assert (done.returncode, done.stdout) == (64, "")
    assert "there is no workload 'nothing'" in done.stderr


@pytest.mark.no_redis
@pytest.mark.parametrize("actor", ACTORS, ids=lambda path: path.stem)
def test_every_actor_compiles(actor, tmp_path):
    py_compile.compile(str(actor), cfile=str(tmp_path / "out.pyc"), doraise=True)


@pytest.mark.no_redis
def test_every_library_has_its_actors_and_only_ours_imports_the_project():
    names = {path.stem for path in ACTORS}
    for peer in PEERS:
        assert names >= set(peer.actors.values())
    floors = {"floor_direct", "floor_kept", "floor_kept_jobs"}
    ours = floors | {"ours", "our_lock", "our_depths", "our_policies", "our_waiters"}
    for path in ACTORS:
        lines = path.read_text().splitlines()
        own = [line for line in lines if line.startswith(("from coordinator", "from workers", "import coordinator"))]
        assert bool(own) == (path.stem in ours), path.stem


@pytest.mark.no_redis
def test_the_environments_of_peers_are_pinned_and_kept_out_of_git():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert f"{KEPT.name}/" in ignored
    for peer in chosen_peers("all"):
        assert all("==" in requirement for requirement in peer.requirements)
