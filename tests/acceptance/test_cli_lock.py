"""`coordinator lock` with real processes on a real Redis."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from coordinator import Coordinator, State
from coordinator.drivers.embedded import EmbeddedServer
from tests.support.cli import Cli
from tests.support.server import gone
from tests.support.until import until

HELD = "infra/prod/vpc"


def text_of(file: Path) -> str:
    """What a file holds so far; empty if it is not there yet."""
    return file.read_text() if file.exists() else ""


def waiters(co: Coordinator, count: int) -> None:
    until(lambda: co.line(HELD).line_length == count, 30, f"{count} waiting")


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def test_the_exit_code_of_the_command_is_passed_on(cli: Cli, co: Coordinator) -> None:
    done = cli.run("lock", HELD, "--", "sh", "-c", "exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
    assert co.line(HELD).holders == ()


def test_a_command_that_a_signal_ends_is_128_and_its_number(cli: Cli) -> None:
    assert cli.run("lock", HELD, "--", "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL


def test_the_command_knows_its_lock(cli: Cli, co: Coordinator) -> None:
    script = 'printf "%s|%s|%s" "$COORDINATOR_FENCE" "$COORDINATOR_LEASE_ID" "$COORDINATOR_RESOURCES"'
    done = cli.run("lock", "b c", "a", "--", "sh", "-c", script)
    fence, ident, names = done.stdout.split("|")
    found = co.explain(ident)
    assert (fence, names, found.state) == (found.fields["fence"], "a\nb c", State.RELEASED)


def test_the_lock_is_held_while_the_command_runs_and_says_who_and_why(cli: Cli, co: Coordinator) -> None:
    process = cli.start("lock", HELD, "--owner", "pr-1498", "--reason", "apply", "--", "cat")
    holder = until(lambda: co.line(HELD).holders, 30)[0]
    assert (holder.owner, holder.reason, holder.mode) == ("pr-1498", "apply", "exclusive")
    out, err = process.communicate("typed\n", timeout=30)
    assert (process.returncode, out, err) == (0, "typed\n", "")
    assert co.line(HELD).holders == ()


def test_options_behind_the_dashes_belong_to_the_command(cli: Cli) -> None:
    done = cli.run("lock", HELD, "--", "printf", "%s,", "--json", "--wait", "--", "")
    assert (done.returncode, done.stdout) == (0, "--json,--wait,--,,")


def test_shared_and_counted_locks(cli: Cli, co: Coordinator) -> None:
    co.define("gpu", capacity=4)
    with co.lock("gpu"):
        nested = cli.run("lock", "gpu", "--permits", "3", "--try", "--", "true")
        assert nested.returncode == 0, nested.stderr
        assert cli.run("lock", "gpu", "--permits", "4", "--try", "--", "true").returncode == os.EX_TEMPFAIL
    assert cli.run("lock", "gpu", "--permits", "5", "--", "true").returncode == os.EX_USAGE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_signals_are_passed_to_the_command(cli: Cli, co: Coordinator, tmp_path: Path, number: signal.Signals) -> None:
    ready = tmp_path / "ready"
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 9' {name}; : > {ready}; while :; do sleep 0.02; done"
    process = cli.start("lock", HELD, "--", "sh", "-c", script)
    until(ready.exists, 30)
    process.send_signal(number)
    assert ended(process)[:2] == (9, f"got {name}\n")
    assert co.line(HELD).holders == ()


def test_a_command_is_told_when_somebody_more_urgent_asks(cli: Cli, co: Coordinator, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f"trap 'echo made way; exit 0' USR1; : > {ready}; while :; do sleep 0.02; done"
    process = cli.start("lock", HELD, "--priority", "low", "--on-yield", "usr1", "--", "sh", "-c", script)
    until(ready.exists, 30)
    lease = co.acquire(HELD, priority="high", on_preempt="ask", wait=10)
    assert ended(process)[:2] == (0, "made way\n")
    lease.release()
    assert cli.call("lock", HELD, "--on-yield", "NOD", "--", "true").returncode == os.EX_USAGE


def test_a_signal_while_waiting_leaves_the_line(cli: Cli, co: Coordinator) -> None:
    with co.lock(HELD, owner="pr-1", reason="apply"):
        process = cli.start("lock", HELD, "--", "echo", "never")
        waiters(co, 1)
        process.send_signal(signal.SIGTERM)
        code, out, err = ended(process)
        assert (code, out) == (128 + signal.SIGTERM, "")
        assert "stopped by SIGTERM while waiting" in err
        assert co.line(HELD).line_length == 0


def test_who_waits_is_told_for_whom(cli: Cli, co: Coordinator) -> None:
    with co.lock(HELD, owner="pr-1", reason="apply"):
        process = cli.start("lock", HELD, "--", "true")
        assert process.stderr is not None
        told = process.stderr.readline()
        assert "first of 1 in line behind pr-1 (lock " in told
        assert '"apply"' in told
    assert ended(process)[0] == 0


def test_a_wait_that_runs_out_is_a_temporary_failure(cli: Cli, co: Coordinator) -> None:
    with co.lock(HELD):
        done = cli.run("lock", HELD, "--wait", "0.2", "--", "echo", "never")
        assert (done.returncode, done.stdout) == (os.EX_TEMPFAIL, "")
        assert "not granted within 0.2 s" in done.stderr
        assert co.line(HELD).line_length == 0


def test_the_fleet_may_say_how_long_to_wait(cli: Cli, co: Coordinator) -> None:
    with co.lock(HELD):
        done = cli.run("lock", HELD, "--wait", "adaptive", "--", "echo", "never", COORDINATOR_TIMEOUTS__LOCK="0.2")
        assert (done.returncode, done.stdout) == (os.EX_TEMPFAIL, "")
        # Three times its base, if it knows already that others begin from 30 s.
        assert re.search(r"not granted within 0\.[26]\d* s", done.stderr), done.stderr
    done = cli.run("lock", HELD, "--wait", "soon", "--", "echo", "never")
    assert done.returncode == os.EX_USAGE
    assert 'must be a number of seconds or "adaptive"' in done.stderr


def test_try_does_not_wait_and_names_the_holder(cli: Cli, co: Coordinator) -> None:
    with co.lock(HELD, owner="pr-1", reason="apply"):
        for how in (("--try",), ("--wait", "0")):
            done = cli.run("lock", HELD, *how, "--", "echo", "never")
            assert (done.returncode, done.stdout) == (os.EX_TEMPFAIL, "")
        done = cli.run("lock", HELD, "--try", "--json", "--", "echo", "never")
        error = json.loads(done.stderr)["error"]
        assert error["exit_code"] == os.EX_TEMPFAIL
        assert "held by pr-1" in error["message"]
    assert cli.run("lock", HELD, "--try", "--", "true").returncode == 0


@pytest.mark.parametrize("how", ["--try", "--steal"])
@pytest.mark.parametrize("option", [("--wait", "5"), ("--on-preempt", "ask"), ("--grace", "5")])
def test_what_is_for_those_who_wait_is_refused_for_those_who_do_not(
    cli: Cli, how: str, option: tuple[str, str]
) -> None:
    done = cli.call("lock", HELD, how, *option, "--reason", "test", "--", "true")
    assert done.returncode == os.EX_USAGE
    assert how in done.stderr
    assert option[0] in done.stderr


def test_a_lock_within_another_is_ended_where_the_wait_would_close_a_circle(cli: Cli, co: Coordinator) -> None:
    older, younger = co.acquire("b"), co.acquire("a")
    ticket = co.request("a", within=older)
    done = cli.call("lock", "b", "--within", younger.ident, "--wait", "20", "--", "echo", "never")
    assert (done.returncode, done.stdout) == (os.EX_TEMPFAIL, "")
    assert ticket.ident in done.stderr
    assert cli.call("lock", "b", "--within", "nobody-1", "--", "true").returncode == os.EX_USAGE


def test_no_command_is_run_under_a_lock_that_no_replica_has(cli: Cli, co: Coordinator) -> None:
    replicated = ("lock", HELD, "--durability", "replicated", "--", "echo", "never")
    done = cli.call(*replicated, COORDINATOR_REPLICA_TIMEOUT="0.05")
    assert (done.returncode, done.stdout) == (os.EX_UNAVAILABLE, "")
    assert "replicas" in done.stderr
    assert co.line(HELD).holders == ()
    assert cli.call("lock", HELD, "--durability", "fast", "--", "true").returncode == os.EX_USAGE


def test_a_lock_that_is_taken_away_ends_the_command(cli: Cli, co: Coordinator, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    process = cli.start("lock", HELD, "--", "sh", "-c", f"echo $$ > {pid}; exec sleep 60")
    until(lambda: text_of(pid).strip(), 30)
    ident = co.line(HELD).holders[0].ident
    done = cli.run("release", ident, "--force", "--yes", "--reason", "runner is gone")
    assert done.returncode == 0, done.stderr
    code, _, err = ended(process)
    assert code == os.EX_PROTOCOL
    assert "was lost" in err
    assert gone(int(text_of(pid)))


def test_a_command_that_does_not_stop_is_killed_with_all_its_children(
    cli: Cli, co: Coordinator, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    stubborn = f"trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >> {pids}; sleep 60' & echo $$ >> {pids}; wait; sleep 60"
    process = cli.start("lock", HELD, "--kill-after", "0.2", "--", "sh", "-c", stubborn)
    until(lambda: text_of(pids).count("\n") == 2, 30)
    co.force_release(co.line(HELD).holders[0].ident, "test")
    assert ended(process)[0] == os.EX_PROTOCOL
    for pid in map(int, text_of(pids).split()):
        until(lambda pid=pid: gone(pid))


def test_a_lock_that_ends_by_its_ttl_ends_the_command(cli: Cli, co: Coordinator) -> None:
    done = cli.run("lock", HELD, "--ttl", "0.5", "--", "sleep", "60")
    assert done.returncode == os.EX_PROTOCOL
    assert "the lease ran out" in done.stderr


def test_the_command_does_not_outlive_a_killed_lock(cli: Cli, co: Coordinator, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    process = cli.start("lock", HELD, "--", "sh", "-c", f"echo $$ > {pid}; exec sleep 60")
    until(lambda: text_of(pid).strip(), 30)
    process.kill()
    until(lambda: gone(int(text_of(pid))))


def test_a_command_that_is_not_there_locks_nothing(cli: Cli, co: Coordinator, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    with co.lock(HELD):
        assert cli.run("lock", HELD, "--", "no-such-command-at-all").returncode == 127
        assert cli.run("lock", HELD, "--", str(plain)).returncode == 126
        done = cli.run("lock", HELD)
        assert done.returncode == os.EX_USAGE
        assert "after --" in done.stderr


def test_redis_away_at_the_end_does_not_change_the_exit_code(
    fresh_server: EmbeddedServer, namespace: str, tmp_path: Path
) -> None:
    ready, go = tmp_path / "ready", tmp_path / "go"
    with closing(Cli(fresh_server.url, namespace)) as cli:
        cli.env["COORDINATOR_RETRY_FOR"] = "0.1"
        script = f": > {ready}; until test -e {go}; do sleep 0.02; done; exit 5"
        process = cli.start("lock", HELD, "--", "sh", "-c", script)
        until(ready.exists, 30)
        fresh_server.stop()
        go.touch()
        code, _, err = ended(process)
    assert code == 5
    assert "will lapse" in err


def test_the_terminal_belongs_to_the_command(cli: Cli) -> None:
    process = cli.start("lock", HELD, "--", "sh", "-c", 'read line < /dev/tty; echo "got $line"', terminal=True)
    out, _ = process.communicate("words\n", timeout=30)
    assert process.returncode == 0
    assert "got words" in out


def test_a_stopped_command_hears_a_signal(cli: Cli, co: Coordinator, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    process = cli.start("lock", HELD, "--", "sh", "-c", f"echo $$ > {pid}; exec sleep 60")
    until(lambda: text_of(pid).strip(), 30)
    stopped = psutil.Process(int(text_of(pid)))
    until(lambda: stopped.name() == "sleep")
    stopped.send_signal(signal.SIGSTOP)
    until(lambda: stopped.status() == psutil.STATUS_STOPPED)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 128 + signal.SIGTERM


# Not a shell: one that is just starting a program (vfork) when Ctrl-Z comes cannot stop, and waits for the program that
# did, so nobody hears of the stop, whoever started the shell.
# And it waits for the signal itself: one that comes just before a pause is noted by Python, and the pause goes on.
PATIENT = """
import pathlib, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
pathlib.Path(sys.argv[1]).touch()
signal.sigwait({signal.SIGINT})
print("interrupted")
sys.exit(3)
"""


def test_keys_reach_the_command_and_not_the_lock(cli: Cli, co: Coordinator, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = cli.start("lock", HELD, "--", sys.executable, "-c", PATIENT, str(ready), terminal=True)
    until(ready.exists, 30)
    # Ctrl-Z, where no shell could bring it back, goes on; Ctrl-C is for the command.
    out, _ = process.communicate("\x1a\x03", timeout=30)
    assert process.returncode == 3
    assert "interrupted" in out
    assert co.line(HELD).holders == ()
