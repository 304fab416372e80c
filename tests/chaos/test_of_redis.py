"""The short forms of the scenarios in which the server is what fails, and their parts."""

import time
from pathlib import Path

import pytest

from chaos.checker.losses import Loss, check_errors, check_fences, forgiven, longest_trouble, lost_ages
from chaos.faults.clock import WallClock
from chaos.faults.network import Network
from chaos.faults.node import Node
from chaos.faults.power import LINES, Mains
from chaos.faults.sentinel import followers
from chaos.faults.unavailable import Unavailable
from chaos.history import Op
from chaos.scenario import Scenario
from chaos.scenarios.of_redis import SCENARIOS
from tests.chaos.claims import assert_claim, kept

pytestmark = pytest.mark.no_redis  # each starts its own
# Its long form is what it is for: what it adds to the power cut is the time that a disk takes.
ONLY_LONG = {"redis-kill-fast"}
SECOND = 10**9


@pytest.mark.scenario
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("scenario", "seed"), kept(one for one in SCENARIOS if one.name not in ONLY_LONG))
def test_the_claim_holds(scenario: Scenario, seed: int | None) -> None:
    assert_claim(scenario, seed)


def test_a_replica_whose_connection_has_ended_has_nothing() -> None:
    told = {"role": "master", "slave0": {"state": "online", "offset": 7}, "master_repl_offset": 7}
    assert [one.get("offset") for one in followers(told, 2)] == [7, None]


def test_a_wall_clock_steps_at_once_and_no_other(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    with Node(tmp_path / "redis", environment=clock.environment) as node:
        for step, offset in ((3600, 3600), (-7200, -3600)):
            clock.step(step)
            assert node.ask("TIME")[0] == pytest.approx(time.time() + offset, abs=2)
        assert int(node.ask("INFO", "server")["uptime_in_seconds"]) < 60


@pytest.mark.parametrize(("fsync", "kept"), [("always", 500), ("no", 0)])
def test_a_power_cut_takes_what_was_not_synced_and_nothing_else(tmp_path: Path, fsync: str, kept: int) -> None:
    mains = Mains(tmp_path / "mains")
    with Node(tmp_path / "redis", (*LINES, f"appendfsync {fsync}"), environment=mains.environment) as node:
        for _ in range(500):
            node.ask("INCR", "n")
        lost = mains.cut(node)
        node.start()
        assert int(node.ask("GET", "n") or 0) == kept
        assert (lost == 0) == (kept == 500)


def test_without_root_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="root"):
        Network()


# --- the rules about a server that forgot


def submitted(job: str, at: float, outcome: str = "ok") -> Op:
    return Op("p", "submit", {"job": job}, 0, round(at * SECOND), outcome)  # type: ignore[arg-type]


def test_only_what_is_young_enough_is_forgiven() -> None:
    ops = [submitted("old", 7.9), submitted("young", 8.1), submitted("read late", 10.4), submitted("next", 10.6)]
    losses = [Loss(10 * SECOND, round(10.5 * SECOND))]
    assert [one.outcome for one in forgiven(ops, losses, 2 * SECOND)] == ["ok", "unknown", "unknown", "ok"]
    assert lost_ages(ops, losses)[:3] == [pytest.approx(2.1), pytest.approx(1.9), 0]


def test_what_the_server_still_has_is_not_lost() -> None:
    ops = [submitted("kept", 1), submitted("unsure", 1, "unknown"), Op("server", "job", {"job": "kept"})]
    assert lost_ages(ops, [Loss(2 * SECOND, 3 * SECOND)]) == []


def test_a_fence_given_out_twice_is_found() -> None:
    grants = [Op("p", "acquire", {"resource": "r"}, 1, 2, "ok", fence=7), Op("q", "start", {"job": "j"}, 1, 2, fence=7)]
    assert not check_fences(grants)
    assert [one.rule for one in check_fences([*grants, *grants])] == ["fence", "fence"]


def test_an_error_that_is_none_of_ours_is_found() -> None:
    ours = Op("p", "submit", {"job": "j", "error": "UnknownOutcome"}, 1, 2, "unknown")
    theirs = Op("p", "submit", {"job": "k", "error": "ConnectionError"}, 1, 2, "unknown")
    assert [one.rule for one in check_errors([ours, theirs])] == ["told"]


def test_trouble_lasts_from_the_first_failing_call_to_the_next_answer() -> None:
    def told(process: str, began: float, ended: float, error: str = "") -> Op:
        args = {"error": error} if error else {}
        outcome = "failed" if error else "ok"
        return Op(process, "submit", args, round(began * SECOND), round(ended * SECOND), outcome)  # type: ignore[arg-type]

    good = [told("a", 0, 1), told("b", 0, 9)]
    assert longest_trouble(good) == 0
    assert (
        longest_trouble([*good, told("a", 2, 3, "X"), told("a", 4, 5, "X"), told("a", 6, 7), told("a", 8, 8, "X")]) == 5
    )
    assert longest_trouble([*good, told("a", 2, 3, "X"), told("a", 4, 8, "X")]) == 6
