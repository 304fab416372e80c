"""Looking from the command line, on a real Redis, and what all commands do alike."""

import json
import os
import signal
from typing import Any

import pytest

from coordinator import Coordinator, Priority
from coordinator.settings import Settings
from coordinator.wire import calls
from tests.support.cli import Cli
from tests.support.hand import fail_one, run_one, scope_of
from tests.support.holds import seen_holds
from tests.support.until import until

HELD = "infra/prod/vpc"
# What a resource may be called; brackets may not be in it.
ODD = "x :smile: \u202egnol"
HOSTILE = "\x1b[31mred\x1b[0m [bold]loud[/bold] :smile: \u202egnol"


# --- ls


def test_ls_of_an_empty_namespace(cli: Cli) -> None:
    assert cli.call("ls").stdout == "nothing is held or waited for\n"
    assert cli.json("ls")["resources"] == []
    assert cli.json("ls", "--queues")["queues"] == []
    assert cli.json("ls", "--sessions")["sessions"] == []
    assert cli.json("ls", "--dead")["jobs"] == []


def test_ls_names_what_is_held_and_who_waits(cli: Cli, co: Coordinator, namespace: str) -> None:
    with co.lock(HELD, owner="pr-1"), co.lock("other"):
        holder = co.line(HELD).holders[0].ident
        co.request(HELD)
        assert f"{holder} (pr-1)" in cli.call("ls", "infra/pr").stdout
        lines = cli.call("ls").stdout.splitlines()
        assert lines[0].split() == ["RESOURCE", "CAPACITY", "LINE", "HOLDERS"]
        assert lines[1].split() == [HELD, "1", "1", holder, "(pr-1)"]
        listed = cli.json("ls", "infra/")
        row = {"resource": HELD, "capacity": 1, "line_length": 1, "holders": [holder], "mode": "priority"}
        assert (listed["namespace"], listed["resources"]) == (namespace, [row])


def test_ls_of_a_pattern_and_of_an_owner(cli: Cli, co: Coordinator) -> None:
    with co.lock([HELD, "other"], owner="pr-1", reason="apply") as lease:
        waiting = co.request(HELD, owner="pr-2")
        path = HELD.rpartition("/")[0]
        [one] = cli.json("ls", f"{path}/*")["resources"]
        assert (one["resource"], one["line_length"]) == (HELD, 1)
        assert (one["holders"][0]["owner"], one["holders"][0]["fence"]) == ("pr-1", lease.fence)
        assert [one["resource"] for one in cli.json("ls", "**", "--limit", "1")["resources"]] == [HELD]
        assert f"{lease.fence}" in cli.call("ls", f"{path}/**").stdout
        [mine] = cli.json("ls", "--owner", "pr-1")["requests"]
        assert sorted(one["resource"] for one in mine["needs"]) == sorted([HELD, "other"])
        assert cli.json("ls", "--owner", "pr-2")["requests"][0]["id"] == waiting.ident
        assert "waiting" in cli.call("ls", "--owner", "pr-2").stdout
    assert cli.call("ls", "nothing/*").stdout == "nothing of nothing/* is held or waited for\n"
    assert cli.json("ls", "--owner", "pr-1")["requests"] == []


def test_ls_goes_through_all_pages(cli: Cli, co: Coordinator) -> None:
    names = [f"r/{number:04}" for number in range(450)] + ["r with space", "~tilde", "é"]
    for first in range(0, len(names), 200):
        co.acquire(names[first : first + 200])
    co.submit("serial", resources=["~tilde"])
    found = [one["resource"] for one in cli.json("ls")["resources"]]
    assert sorted(found) == sorted(names)
    assert len(cli.json("ls", "r/")["resources"]) == 450
    assert [one["resource"] for one in cli.json("ls", "r ")["resources"]] == ["r with space"]


def test_ls_of_queues_sessions_and_dead_jobs(cli: Cli, co: Coordinator) -> None:
    ident = fail_one(co)
    co.submit("plain", queue="bulk")
    queues = {one["queue"]: one for one in cli.json("ls", "--queues")["queues"]}
    assert (queues["bulk"]["ready"], queues["bulk"]["idle_workers"]) == (1, 0)
    session = cli.json("ls", "--sessions")["sessions"][0]
    assert session["live"] is True
    assert session["fields"]["pid"] == str(os.getpid())
    dead = cli.json("ls", "--dead")
    assert dead["total"] == 1
    assert dead["jobs"][0] | {"ended": 0} == {
        "id": ident,
        "state": "failed",
        "name": "deploy.apply",
        "queue": "default",
        "ended": 0,
        "attempts": 1,
        "why": "boom",
        "owner": "",
        "reason": "",
    }
    assert cli.call("ls", "--dead", "--queues").returncode == os.EX_USAGE
    for what in ("--queues", "--sessions", "--dead"):
        assert cli.call("ls", what).returncode == 0


# --- show and why


def test_show_a_resource(cli: Cli, co: Coordinator) -> None:
    with co.lock(HELD, owner="pr-1", reason="apply"):
        co.request(HELD, owner="pr-2", priority=Priority.HIGH)
        found = cli.json("show", HELD)
        assert [(one["owner"], one["mode"], one["live"]) for one in found["holders"]] == [("pr-1", "exclusive", True)]
        assert [(one["owner"], one["priority"]) for one in found["waiters"]] == [("pr-2", "high")]
        text = cli.call("show", HELD).stdout
        assert f"{HELD}: 1 holder, 1 waiter" in text
        assert "apply" in text
        asked = cli.call("why", HELD)
        assert (asked.returncode, f"`coordinator show {HELD}`" in asked.stderr) == (os.EX_NOINPUT, True)
    assert "no holders, no waiters" in cli.call("show", "never/heard/of").stdout


def test_show_a_request(cli: Cli, co: Coordinator) -> None:
    ticket = co.submit("deploy.apply", resources=[HELD], owner="pr-1", metadata={"pull": 1498}, delay=60)
    found = cli.json("show", ticket.ident)
    assert (found["kind"], found["state"], found["owner"]) == ("job", "scheduled", "pr-1")
    assert found["metadata"] == {"pull": 1498}
    assert found["needs"][0]["resource"] == HELD
    assert 0 < found["due"] - found["at"] <= 60
    assert "deploy.apply" in cli.call("show", ticket.ident).stdout


def test_why_a_waiting_request_names_holder_reason_and_place(cli: Cli, co: Coordinator) -> None:
    with co.lock(HELD, owner="pr-1", reason="apply"):
        co.request(HELD, owner="pr-2")
        ticket = co.request(HELD, wait=600)
        text = cli.call("why", ticket.ident).stdout
        assert f"{HELD}: 2nd of 2 in line; held by pr-1 (lock " in text
        assert ': "apply"; before it pr-2 (lock ' in text
        assert "It gives up waiting in 9m 5" in text
        found = cli.json("why", ticket.ident)
        assert (found["state"], found["needs"][0]["place"]) == ("waiting", 1)
        assert sorted(one["owner"] for one in found["blockers"]) == ["pr-1", "pr-2"]


def test_why_a_ready_job_without_a_worker(cli: Cli, co: Coordinator) -> None:
    ticket = co.submit("plain", queue="bulk")
    text = cli.call("why", ticket.ident).stdout
    assert "first of 1 in queue bulk" in text
    assert "No live worker serves queue bulk" in text
    assert cli.json("why", ticket.ident)["workers"] == 0


def test_why_of_a_ready_job_counts_the_workers_of_its_queue(cli: Cli, co: Coordinator) -> None:
    co.run(_call(calls.open_session(scope_of(co), "worker111-1", {"kind": "worker", "queues": "bulk default"})))
    ticket = co.submit("plain", queue="bulk")
    assert "All slots of the queue are taken (1 live worker)" in cli.call("why", ticket.ident).stdout


def test_why_of_every_other_state(cli: Cli, co: Coordinator) -> None:
    scheduled = co.submit("late", delay=60)
    assert "It is due in " in cli.call("why", scheduled.ident).stdout
    co.submit("now", queue="one")
    running = run_one(co, queue="one")
    text = cli.call("why", running).stdout
    assert "has not told yet that it began; it will be attempt 1" in text
    with co.lock(HELD, reason="apply") as lease:
        text = cli.call("why", lease.ident).stdout
        assert f"It has held {HELD} for" in text
        assert "as long as its process lives" in text
    assert "as released" in cli.call("why", lease.ident).stdout
    failed = fail_one(co)
    text = cli.call("why", failed).stdout
    assert "as failed: boom" in text
    assert f"coordinator replay {failed}" in text


def test_a_lapsed_holder_is_said_to_be_lapsed(cli: Cli, redis_url: str, namespace: str) -> None:
    settings = Settings.of(namespace=namespace, session_ttl=1.0, sweep_interval=0.5, operation_timeout=1.0)
    with Coordinator.connect(redis_url, settings=settings) as dead, Coordinator.connect(redis_url, namespace) as live:
        # A process that dies does not close its session: its keeper just stops.
        lease = dead.acquire(HELD, owner="pr-1")
        dead._driver.keeper._stop.set()
        dead._driver.keeper.beat_soon()
        text = until(lambda: _when_lapsed(cli, lease.ident), 20)
        assert "Its process has lapsed" in text
        live.close()


def _when_lapsed(cli: Cli, ident: str) -> str:
    text = cli.call("why", ident).stdout
    return text if "lapsed" in text else ""


def _call(call: calls.Call) -> Any:
    reply = yield call
    return reply


# --- stats, events, top


def test_stats_and_top_in_one_frame(cli: Cli, co: Coordinator) -> None:
    fail_one(co)
    with co.lock(HELD):
        stats = cli.json("stats")
        assert stats["counters"]["fail"] == 1
        assert stats["dead"] == 1
        assert "fail" in cli.call("stats").stdout
        assert cli.json("top", "--once")["resources"][0]["resource"] == HELD
        assert HELD in cli.call("top").stdout


def test_events_are_listed_and_followed(cli: Cli, co: Coordinator) -> None:
    with co.lock("first") as lease:
        pass
    listed = cli.json("events", "--id", lease.ident)["events"]
    assert [one["event"] for one in listed] == ["ask", "grant", "release"]
    assert "grant" in cli.call("events", "--limit", "2").stdout
    assert cli.call("events", "--id", "nonesuch1-1").stdout == "no events\n"
    said = cli.call("events", "--event", "none\x1bsuch").stdout
    assert said.startswith("no events named none\\x1bsuch; the newest ")
    assert "grant, release" in said
    named = cli.json("events", "--event", "grant", "--event", "release", "--event", "nonesuch")["events"]
    assert [one["event"] for one in named] == ["grant", "release"]
    assert cli.json("events", "--event", "grant", "--limit", "1")["events"] == []
    process = cli.start("events", "--follow", "--json", "--limit", "1")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "release"
    with co.lock("second") as lease:
        followed = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [(one["event"], one["subject"]) for one in followed] == [("ask", lease.ident), ("grant", lease.ident)]
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 128 + signal.SIGINT


def test_why_says_how_long_it_will_probably_take(cli: Cli, co: Coordinator, raw: Any, namespace: str) -> None:
    with co.lock(HELD):
        ticket = co.request(HELD)
        assert cli.json("why", ticket.ident)["expected"] is None
        seen_holds(raw, namespace, HELD, *[120.0] * 5)
        said = cli.json("why", ticket.ident)
        assert said["expected"]["samples"] == 5
        assert 100 < said["expected"]["p50"] <= said["expected"]["p90"] < 130
        assert "from 5 holds in 24 hours, which is a guess" in cli.call("why", ticket.ident).stdout


def test_resources_are_watched(cli: Cli, co: Coordinator) -> None:
    with co.watch() as changes:
        with co.lock([HELD, "other"], reason="apply") as lease:
            pass
        first = next(changes)
    done = cli.call("watch", HELD, "--after", first.ident, "--json", "--limit", "2").stdout.splitlines()
    found = [json.loads(one) for one in done]
    assert [(one["what"], one["resources"], one["subject"]) for one in found] == [
        ("granted", [HELD], lease.ident),
        ("released", [HELD], lease.ident),
    ]
    shown = cli.call("watch", "--after", "1-1", "--limit", "2").stdout
    assert "some changes were missed here" in shown
    assert "waiting" in shown


# --- what every command does alike


def test_text_of_users_cannot_reach_the_terminal_raw(cli: Cli, co: Coordinator) -> None:
    with co.lock(ODD, owner=HOSTILE, reason=HOSTILE) as lease:
        commands = (("ls",), ("show", ODD), ("show", lease.ident), ("why", lease.ident), ("events",))
        for words in (*commands, ("show", HOSTILE)):
            done = cli.call(*words, FORCE_COLOR="1", NO_COLOR="")
            printed = done.stdout + done.stderr
            assert done.returncode or "\x1b[" in printed, "with colours, as a terminal has it"
            assert "\x1b[31mred" not in printed
            assert "\u202e" not in printed
        assert "x :smile: \\u202egnol" in cli.call("ls").stdout
        assert "\\x1b[31mred" in cli.call("show", lease.ident).stdout
        assert "[bold]loud" in cli.call("show", lease.ident).stdout


def test_no_colour_where_nobody_wants_it(cli: Cli, co: Coordinator) -> None:
    with co.lock(HELD):
        assert "\x1b" not in cli.run("ls", NO_COLOR="").stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("ls", "--url", "redis://127.0.0.1:1/0"), os.EX_UNAVAILABLE),
        (("ls", "--url", "http://x"), os.EX_CONFIG),
        (("ls", "--url", "redis://127.0.0.1:port/0"), os.EX_CONFIG),
        (("submit", "plain", "--on-conflict", "reject"), os.EX_USAGE),
        (("replay",), os.EX_USAGE),
        (("ls", "--config", "no-such-file.toml"), os.EX_CONFIG),
        (("ls", "--namespace", "with space"), os.EX_USAGE),
        (("ls", "--nonsense"), os.EX_USAGE),
        (("nonsense",), os.EX_USAGE),
        (("show", "nonesuch1-1"), os.EX_NOINPUT),
        (("why", "nonesuch1-1"), os.EX_NOINPUT),
        (("cancel", "nonesuch1-1"), os.EX_NOINPUT),
    ],
)
def test_errors_are_one_line_and_an_exit_code(cli: Cli, words: tuple[str, ...], code: int) -> None:
    done = cli.call(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("coordinator: ")
    assert done.stderr.count("\n") == 1
    done = cli.call(*words, "--json")
    assert (done.returncode, done.stdout) == (code, "")
    assert json.loads(done.stderr)["error"]["exit_code"] == code


def test_settings_come_from_a_file_and_options_win(cli: Cli, co: Coordinator, tmp_path: Any, namespace: str) -> None:
    file = tmp_path / "coordinator.toml"
    file.write_text('namespace = "elsewhere"\n')
    with co.lock(HELD):
        assert cli.json("ls", "--config", str(file))["namespace"] == "elsewhere"
        found = cli.json("ls", "--config", str(file), "--namespace", namespace)
        assert [one["resource"] for one in found["resources"]] == [HELD]
