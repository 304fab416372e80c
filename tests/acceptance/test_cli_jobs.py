"""Handing in jobs and managing requests from the command line, on a real Redis."""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from coordinator import Coordinator, Priority, State
from tests.support.cli import Cli
from tests.support.hand import fail_one, run_one
from tests.support.until import until

HELD = "infra/prod/vpc"


def test_a_text_that_is_nearly_the_same_is_reported_or_refused(cli: Cli, co: Coordinator) -> None:
    asked = ("submit", "triage", "--payload", '{"title": "The login page shows an error"}')
    first = cli.json(*asked, "--on-similar", "report")
    assert first["similar"] is None
    again = cli.json(*asked, "--on-similar", "report")
    assert again["similar"] == {"ident": first["id"], "similarity": 1.0}
    refused = cli.call(*asked, "--on-similar", "reject")
    assert refused.returncode == os.EX_CANTCREAT
    assert "nearly the same text" in refused.stderr
    assert "similar" not in cli.json(*asked)


# --- changing what is there


def test_cancel_and_reprioritise(cli: Cli, co: Coordinator) -> None:
    with co.lock(HELD):
        ticket = co.submit("plain", resources=[HELD])
        assert cli.call("reprioritise", ticket.ident, "critical").returncode == 0
        assert co.explain(ticket.ident).priority is Priority.CRITICAL
        assert cli.json("reprioritise", ticket.ident, "0") == {"id": ticket.ident, "priority": "low"}
        assert cli.call("reprioritise", ticket.ident, "urgent").returncode == os.EX_USAGE
        assert cli.json("cancel", ticket.ident, "--reason", "wrong branch")["cancelled"] is True
        found = co.explain(ticket.ident)
        assert (found.state, found.fields["why"]) == (State.CANCELLED, "wrong branch")
        assert cli.call("reprioritise", ticket.ident, "low").returncode == os.EX_DATAERR
    co.submit("now")
    running = run_one(co)
    assert cli.json("cancel", running) == {"id": running, "cancelled": False, "told": True}


def test_replay_of_one_and_of_all(cli: Cli, co: Coordinator) -> None:
    one = fail_one(co)
    assert cli.call("replay", one).returncode == 0
    assert co.explain(one).state is State.READY
    assert cli.call("replay", one).returncode == os.EX_DATAERR
    run_one(co, "failed", "again")
    several = [one, *(fail_one(co) for _ in range(3))]
    done = cli.json("replay", "--all-dead")
    assert (sorted(done["replayed"]), done["refused"]) == (sorted(several), [])
    assert cli.json("ls", "--dead")["total"] == 0
    assert cli.call("replay").returncode == os.EX_USAGE
    assert cli.call("replay", one, "--all-dead").returncode == os.EX_USAGE


def test_release_needs_force_a_reason_and_a_yes(cli: Cli, co: Coordinator) -> None:
    lease = co.acquire(HELD)
    release = ("release", lease.ident)
    assert cli.call(*release, "--force").returncode == os.EX_USAGE
    assert cli.call(*release, "--reason", "test").returncode == os.EX_USAGE
    asked = cli.call(*release, "--force", "--reason", "test", stdin="y\n")
    assert asked.returncode == os.EX_NOPERM
    assert "--yes" in asked.stderr
    assert lease.held
    assert cli.json(*release, "--force", "--reason", "test", "--yes") == {"id": lease.ident, "state": "lost"}
    assert lease.lost.wait(10)
    assert cli.call(*release, "--force", "--reason", "test", "--yes").returncode == os.EX_DATAERR


def test_release_asks_at_a_terminal_and_names_the_namespace(cli: Cli, co: Coordinator, namespace: str) -> None:
    lease = co.acquire(HELD, owner="pr-1")
    for answer, code in (("n\n", os.EX_NOPERM), ("y\n", 0)):
        process = cli.start("release", lease.ident, "--force", "--reason", "test", terminal=True)
        out, _ = process.communicate(answer, timeout=30)
        assert process.returncode == code
        assert f"in namespace {namespace}?" in out.replace("\r\n", "")
    assert co.explain(lease.ident).state is State.LOST


def test_a_lock_is_handed_on_a_request_moved_and_both_are_on_record(cli: Cli, co: Coordinator) -> None:
    lease = co.acquire(HELD, owner="pr-1")
    first, second = co.request(HELD), co.request(HELD, owner="pr-2")
    assert cli.call("move", second.ident).returncode == os.EX_USAGE
    assert cli.json("move", second.ident, "--front", "--by", "ann") == {"id": second.ident, "state": "waiting"}
    assert co.line(HELD).waiters[0].ident == second.ident
    done = cli.json("transfer", lease.ident, "--to", first.ident, "--reason", "hotfix", "--by", "bob", "--yes")
    assert done == {"id": lease.ident, "to": first.ident, "state": "held"}
    entries = cli.json("audit")["audit"]
    assert [(one["event"], one["fields"]["by"]) for one in entries] == [("reorder", "ann"), ("transfer", "bob")]
    assert int(entries[1]["fields"]["fence"]) > int(entries[1]["fields"]["fence_before"]) == lease.fence
    reason = ("--reason", "hotfix", "--yes")
    assert cli.json("transfer", first.ident, "--to-owner", "pr-2", *reason)["to"] == second.ident
    assert cli.call("transfer", second.ident, *reason).returncode == os.EX_USAGE


def test_a_breaker_is_opened_with_a_reason_and_closed_and_both_are_on_record(cli: Cli) -> None:
    new = ("our/bank", "--undeclared")
    assert cli.call("breaker", "open", *new).returncode == os.EX_USAGE
    assert cli.call("breaker", "open", *new, "--reason", " ").returncode == os.EX_USAGE
    assert cli.json("breaker", "open", *new, "--reason", "they are down", "--by", "ann")["state"] == "open"
    assert cli.json("breaker", "close", *new, "--by", "bob")["state"] == "closed"
    told = [(one["event"], one["subject"], one["fields"]["by"]) for one in cli.json("audit")["audit"]]
    assert told == [("open_breaker", "our/bank", "ann"), ("close_breaker", "our/bank", "bob")]
    assert "they are down" in cli.call("audit").stdout


def test_a_tree_is_frozen_drained_and_thawed(cli: Cli, co: Coordinator) -> None:
    lease = co.acquire("db/main")
    drained = ("drain", "db/**", "--reason", "maintenance")
    done = cli.call(*drained, "--wait", "0")
    assert (done.returncode, "db/main" in done.stderr) == (os.EX_TEMPFAIL, True)
    ticket = co.request("db/main")
    lease.release()
    assert cli.json(*drained)["held"] == []
    assert [one["pattern"] for one in cli.json("freezes")["freezes"]] == ["db/**"]
    assert '"maintenance"' in cli.call("why", ticket.ident).stdout
    assert cli.call("freeze", "x", "--for", "60", "--reason", "test").returncode == 0
    until = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    assert cli.json("freeze", "x", "--until", until.isoformat(), "--reason", "test")["until"] == until.timestamp()
    for wrong in ("--until 2026-12-01T08:00", "--until 2001-12-01T08:00Z", "--until tomorrow", ""):
        assert cli.call("freeze", "x", *wrong.split(), "--reason", "test").returncode == os.EX_USAGE
    assert cli.json("thaw", "db/**") == {"pattern": "db/**"}
    assert ticket.wait(5).held


def test_define_sets_the_permits(cli: Cli, co: Coordinator) -> None:
    made = cli.json("define", "gpu", "--capacity", "8", "--mode", "oldest_first", "--lock-delay", "2.5")
    assert (made["resource"], made["capacity"], made["mode"], made["lock_delay"]) == ("gpu", 8, "oldest_first", 2.5)
    assert cli.json("define", "gpu", "--mode", "priority", "--lock-delay", "0")["lock_delay"] is None
    assert cli.json("show", "gpu")["defined"]["mode"] == "priority"
    assert cli.call("define", "gpu").returncode == os.EX_USAGE
    assert co.line("gpu").capacity == 8
    assert cli.call("define", "gpu", "--capacity", "0").returncode == os.EX_USAGE


# --- submit


def test_submit_prints_the_id(cli: Cli, co: Coordinator) -> None:
    done = cli.run("submit", "deploy.apply", "--payload", '{"pull": 1498}', "--resource", HELD, "-p", "high")
    found = co.explain(done.stdout.strip())
    assert (found.fields["name"], found.priority, found.needs[0].need.resource) == (
        "deploy.apply",
        Priority.HIGH,
        HELD,
    )


def test_submit_twice_with_a_dedup_key(cli: Cli) -> None:
    first = cli.json("submit", "plain", "--dedup", "key")
    assert cli.json("submit", "plain", "--dedup", "key") == {"id": first["id"], "duplicate": True, "replaced": False}
    done = cli.call("submit", "plain", "--dedup", "key", "--on-conflict", "reject")
    assert done.returncode == os.EX_CANTCREAT
    assert first["id"] in done.stderr


def test_submit_takes_its_payload_from_stdin_or_a_file(cli: Cli, tmp_path: Any) -> None:
    file = tmp_path / "payload.json"
    file.write_text('"text"')
    assert cli.call("submit", "plain", "--payload", f"@{file}").returncode == 0
    assert cli.call("submit", "plain", "--payload", "-", stdin="[1]").returncode == 0
    assert cli.call("submit", "plain", "--payload", f"@{tmp_path}/none").returncode == os.EX_NOINPUT
    assert cli.call("submit", "plain", "--payload", "-", stdin="{nope").returncode == os.EX_DATAERR


def test_submit_and_wait_for_the_result(cli: Cli, co: Coordinator) -> None:
    process = cli.start("submit", "plain", "--wait", "--json", "--queue", "one")
    until(lambda: co.survey().queues, 30)
    until(lambda: co.survey().queues[0].ready, 30)
    run_one(co, "succeeded", b"\x81\xa2ok\xc3", queue="one")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(out)["result"] == {"ok": True}


def test_submit_and_wait_in_vain(cli: Cli, co: Coordinator) -> None:
    assert cli.call("submit", "plain", "--wait", "--timeout", "0.1").returncode == os.EX_TEMPFAIL
    assert cli.call("submit", "plain", "--timeout", "1").returncode == os.EX_USAGE
    process = cli.start("submit", "plain", "--wait", "--queue", "two")
    until(lambda: [one for one in co.survey().queues if one.name == "two" and one.ready], 30)
    run_one(co, "failed", "boom", queue="two")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "is failed: boom" in err


# --- doctor


def test_the_doctor_finds_a_fault_and_mends_it(cli: Cli, co: Coordinator, raw: Any, namespace: str) -> None:
    with co.lock(HELD):
        healthy = cli.json("doctor")
        assert (healthy["healthy"], healthy["problems"], healthy["namespace"]) == (True, [], namespace)
        assert "healthy" in cli.call("doctor").stdout
        raw.zadd(f"co:{{{namespace}}}:line:{HELD}", {"nobody-1": 1})
        done = cli.call("doctor", "--json")
        assert done.returncode == 1
        assert [one["fixed"] for one in json.loads(done.stdout)["problems"]] != []
        assert cli.call("doctor", "--fix").returncode == 0
        assert cli.json("doctor")["healthy"] is True
