"""The demonstration as people run it: real processes on a real server, a report, and a verdict that can be trusted."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from coordinator import Coordinator
from coordinator.keys import prefix
from coordinator_demo.checker import check
from coordinator_demo.facts import Wanted
from coordinator_demo.trace import DEFAULT_TRACE, TraceError, load
from coordinator_demo.watch import Glance, LiveView, look

ROOT = Path(__file__).parents[2]
HEADER = "arrival_s,pull,repo,project,workspace,priority,hold_s"
SMALL = [
    "0,2,o/r,net,default,NORMAL,100",
    "0,2,o/r,dns,default,NORMAL,100",
    "10,3,o/r,net,default,NORMAL,100",
    "20,4,o/r,dns,default,EMERGENCY,50",
    "30,5,o/r,dns,prod,LOW,50",
]


def demo(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(folder), "TERM": "dumb"}
    return subprocess.run(
        [sys.executable, "-m", "coordinator_demo", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


def write_trace(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    path = folder / "trace.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_the_shipped_trace_is_replayed_and_judged_clean(redis_url, namespace, raw, tmp_path) -> None:
    where = ("--url", redis_url, "--namespace", namespace, "--seconds", "5")

    ran = demo(*where, "--json", "--keep", folder=tmp_path)

    assert ran.returncode == 0, ran.stderr + ran.stdout
    report = json.loads(ran.stdout)
    assert report["clean"]
    assert report["problems"] == []
    assert (report["pulls"], report["locks"], report["jobs"]) == (532, 265, 267)
    assert report["ends"] == {"released": 265, "succeeded": 267}
    assert report["duplicates_joined"] == 26
    assert report["hand_offs"]["count"] > 20
    assert report["longest_line"]["waiters"] > 1
    assert sum(one["pulls"] for one in report["waits"].values()) == 532
    assert "kept: history in" in ran.stderr
    assert raw.exists(f"{prefix(namespace)}events")

    # What was kept can be judged again, and the verdict is about it: one false line, and the run is not clean.
    (history,) = tmp_path.glob("coordinator-demo-*")
    judge = ("check", *where, "--history", str(history))
    assert "Verdict: clean" in demo(*judge, folder=tmp_path).stdout
    with (history / "instance-0.jsonl").open("r+", encoding="utf-8") as file:
        line = next(line for line in map(json.loads, file.readlines()) if line["event"] == "holding")
        file.write(json.dumps({**line, "fence": 1}) + "\n")
    accused = demo(*judge, "--json", folder=tmp_path)
    assert accused.returncode == 1
    assert [one.partition(":")[0] for one in json.loads(accused.stdout)["problems"]] == ["fence"]


def test_it_brings_its_own_server_and_leaves_nothing_behind(tmp_path) -> None:
    trace = write_trace(tmp_path, SMALL)

    ran = demo("--trace", str(trace), "--seconds", "1", "--instances", "2", "--workers", "1", folder=tmp_path)

    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert "4 of 4 pulls over" in ran.stdout
    for said in ("EMERGENCY", "hand-offs", "longest line", "duplicates joined", "Verdict: clean"):
        assert said in ran.stdout
    assert [one.name for one in tmp_path.iterdir()] == ["trace.csv"]


def test_it_removes_its_namespace_from_a_shared_server(redis_url, namespace, raw, tmp_path) -> None:
    trace = write_trace(tmp_path, SMALL)
    where = ("--url", redis_url, "--namespace", namespace)

    ran = demo("--trace", str(trace), "--seconds", "1", *where, folder=tmp_path)

    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert list(raw.scan_iter(match=prefix(namespace) + "*", count=1000)) == []


def test_it_never_touches_a_namespace_in_use(redis_url, namespace, raw, tmp_path) -> None:
    with Coordinator.connect(redis_url, namespace) as co, co.lock("mine"):
        before = raw.hgetall(f"{prefix(namespace)}holders:mine")
        refused = demo("--url", redis_url, "--namespace", namespace, folder=tmp_path)

        assert refused.returncode == os.EX_CONFIG
        assert "is in use" in refused.stderr
        assert raw.hgetall(f"{prefix(namespace)}holders:mine") == before


BAD = {
    "no hold_s": (["0,2,o/r,net,default,NORMAL"], 2, "hold_s"),
    "a time that is no number": ([SMALL[0], "soon,3,o/r,net,default,NORMAL,1"], 3, "arrival_s"),
    "a hold below 0": (["0,2,o/r,net,default,NORMAL,-1"], 2, "hold_s"),
    "a time that is not finite": (["inf,2,o/r,net,default,NORMAL,1"], 2, "arrival_s"),
    "an unknown priority": (["0,2,o/r,net,default,URGENT,1"], 2, "priority"),
    "a pull that is no number": (["0,two,o/r,net,default,NORMAL,1"], 2, "pull"),
    "a project without a name": (["0,2,o/r,,default,NORMAL,1"], 2, "project"),
    "a project that is a pattern": (["0,2,o/r,net*,default,NORMAL,1"], 2, "project"),
    "the same resource twice": ([SMALL[0], SMALL[0]], 3, "project"),
    "two arrivals of one pull": ([SMALL[0], "5,2,o/r,dns,default,NORMAL,100"], 3, "arrival_s"),
    "rows of a pull apart": ([SMALL[0], SMALL[2], SMALL[1]], 4, "pull"),
    "no rows": ([], 2, ""),
}


@pytest.mark.no_redis
@pytest.mark.parametrize(("rows", "line", "column"), BAD.values(), ids=BAD.keys())
def test_a_bad_trace_is_refused_with_line_and_column(rows, line, column, tmp_path) -> None:
    path = write_trace(tmp_path, rows)

    with pytest.raises(TraceError) as refused:
        load(path)

    assert (refused.value.line, refused.value.column) == (line, column)
    assert f"{path}:{line}" in str(refused.value)


@pytest.mark.no_redis
def test_a_bad_trace_is_one_sentence_and_an_exit_code(tmp_path) -> None:
    path = write_trace(tmp_path, SMALL, header=HEADER.replace("workspace", "space"))

    refused = demo("--trace", str(path), folder=tmp_path)
    absent = demo("--trace", str(tmp_path / "absent.csv"), folder=tmp_path)

    assert refused.returncode == os.EX_DATAERR
    assert f"{path}:1: column workspace: is missing" in refused.stderr
    assert absent.returncode == os.EX_NOINPUT
    assert "absent.csv" in absent.stderr
    assert "Traceback" not in refused.stderr + absent.stderr


@pytest.mark.no_redis
@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--storm", "--workers", "3", "--trace", "x.csv"], ("--workers", "--trace", "--storm")),
        (["--storm", "--instances", "3"], ("--instances",)),
        (["--seconds", "3", "check", "--url", "redis://nowhere"], ("--seconds", "check")),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(given, named, tmp_path) -> None:
    refused = demo(*given, folder=tmp_path)
    assert refused.returncode == 2
    assert all(one in refused.stderr for one in named), refused.stderr


@pytest.mark.no_redis
def test_a_run_in_which_nothing_happened_is_not_clean() -> None:
    trace = load(DEFAULT_TRACE)
    wanted = [Wanted(one.key, frozenset(one.resources), int(one.priority)) for one in trace.pulls]

    verdict = check(wanted, [], [], 1)

    assert [one.rule for one in verdict.problems] == ["lost"] * len(trace.pulls)


def test_the_live_view_shows_who_holds_and_who_waits(redis_url, namespace) -> None:
    name = "owner/repository/network/prod"
    with Coordinator.connect(redis_url, namespace) as co, co.lock(name, owner="owner/repository#12"):
        co.request(name, owner="owner/repository#34", priority="high")
        glance = look(co, 3.0, detailed=True)

    shown = drawn(glance)
    assert (glance.asked, glance.holding, glance.waiting, glance.longest) == (2, 1, 1, 1)
    for said in ("network/prod", "#12", "#34", "high", "1 waiting", "3.0 s of 40"):
        assert said in shown


def drawn(glance: Glance) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(LiveView(40, 100, "title").show(glance))
    return console.file.getvalue()
