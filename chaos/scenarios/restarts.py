"""The server is killed, or its machine loses power, again and again under load."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from chaos import account
from chaos.checker import Problem, judge
from chaos.checker.jobs import check_jobs
from chaos.checker.locks import check_locks
from chaos.checker.losses import Loss, check_errors, check_fences, forgiven, judged_share, lost_ages
from chaos.checker.runs import check_runs
from chaos.clock import now_ns
from chaos.faults.node import Node
from chaos.faults.power import LINES, Mains
from chaos.history import Op
from chaos.load import Load, acknowledged
from chaos.scenario import Figure, Run, Scenario, Verdict

# What `fast` may lose in a power cut.
FAST_SECONDS = 2.0
# Of what the producers hand in while the server is there, so much has to be acknowledged.
SHARE = 0.1
YOUNG = "lost because younger than 2 s"
# Outages are further apart than the allowance by this factor, or what came between them would all be forgiven; and of
# what was acknowledged so much has to be old enough to be judged.
APART, JUDGED = 3, 0.5


def play_kill(run: Run, *, fsync: str, allowance: float) -> Verdict:
    """SIGKILL under load: what Redis had written stays, synced or not.

    Under `everysec` that is not all that it had answered: while a sync lasts, it keeps what is to be written in its own
    memory, for two seconds at most.
    """
    with Node(run.folder / "redis", ("appendonly yes", f"appendfsync {fsync}")) as node:
        return _outages(run, node, node.kill, allowance=allowance)


def play_power(run: Run, *, fsync: str, allowance: float) -> Verdict:
    """Power cuts under load: only what was synced stays."""
    mains = Mains(run.folder / "mains")
    lines = (*LINES, f"appendfsync {fsync}")
    with Node(run.folder / "redis", lines, environment=mains.environment) as node:
        found = _outages(run, node, lambda: mains.cut(node), allowance=allowance)
    if not allowance:
        return found
    # Where nothing young was lost no power was cut, and the run has shown nothing.
    young = sum(one.value for one in found.figures if one.name == YOUNG)
    return Verdict(found.problems, (*found.figures, Figure("control: lost without the allowance", young, least=1)))


def _outages(run: Run, node: Node, strike: Callable[[], object], allowance: float) -> Verdict:
    outages: list[Loss] = []
    up = APART * allowance + run.size["every"]
    with Load(run, node.url) as load:
        load.producer(rate=run.size["rate"])
        load.producer(rate=run.size["rate"] / 4, resources=5)
        load.locker()
        for _ in range(2):
            load.worker()
        for number in range(run.count("cuts")):
            run.progress("outages", number, run.size["cuts"])
            time.sleep(APART * allowance + run.size["every"] * (0.5 + run.random.random()))
            outages.append(_outage(run, node, strike))
        time.sleep(run.size["every"])
        load.quiet()
        load.drain()
        findings = load.doctor()
        ops = load.history()
    least = run.size["cuts"] * up * run.size["rate"] * SHARE
    return verdict(ops, outages, allowance, [Problem("incomplete", f"doctor: {one}") for one in findings], least)


def _outage(run: Run, node: Node, strike: Callable[[], object]) -> Loss:
    """From when the server is taken away until another takes commands, and what that one still knows."""
    began = now_ns()
    strike()
    time.sleep(run.random.random() * run.size["down"])
    node.start()
    return Loss(began, now_ns(), account.known(node.url, run.namespace))


def verdict(ops: list[Op], losses: Sequence[Loss], allowance: float, found: list[Problem], least: float) -> Verdict:
    """What is to be said of a history with these losses, of which at least so many jobs were to be acknowledged."""
    ages = lost_ages(ops, losses)
    if allowance:
        # The server's own account has lost its end as well, so lines cannot be replayed from it.
        kept = forgiven(ops, losses, round(allowance * 1e9))
        broken = (*check_jobs(kept, drained=True), *check_runs(kept, losses), *check_locks(kept))
    else:
        broken = judge(ops, steady=True)
    problems = (*broken, *check_fences(ops), *check_errors(ops), *found)
    errors = [one for one in ops if one.arg("error")]
    old = [age for age in ages if age > allowance]
    figures = [
        Figure("outages", len(losses)),
        acknowledged(ops, least),
        Figure("acknowledged and lost", len(old) if allowance else len(ages), most=0),
        Figure("first claim after the server is back, longest", max(_first_claims(ops, losses)), "s", most=1.0),
        Figure("calls that ended with an error of ours", len(errors)),
    ]
    if allowance:
        share = judged_share(ops, losses, round(allowance * 1e9))
        figures.insert(2, Figure("of each kind of acknowledgement, share old enough to be judged", share, least=JUDGED))
        figures.insert(4, Figure(YOUNG, len(ages) - len(old)))
        figures.insert(5, Figure("age of the oldest lost", max(ages, default=0.0), "s", most=allowance))
    return Verdict(problems, tuple(figures))


def _first_claims(ops: Sequence[Op], losses: Sequence[Loss]) -> list[float]:
    """For each loss, seconds from its end to the first job that a worker began."""
    starts = sorted(one.invoked for one in ops if one.op == "start")
    return [min((at - one.over for at in starts if at > one.over), default=10**12) / 1e9 for one in losses]


_SHORT = {"cuts": 3, "every": 0.8, "rate": 200, "down": 0.5}
_LONG = {"cuts": 30, "every": 1.5, "rate": 300, "down": 3.0}
# Here `every` comes on top of three times the allowance.
_SHORT_FAST = {"cuts": 2, "every": 0.8, "rate": 100, "down": 0.5}
SCENARIOS = (
    Scenario(
        "redis-kill",
        "Redis is killed and started again under load: nothing `durable` is lost, and work goes on at once",
        "0 acknowledged lost; first claim <= 1 s after it is back; callers see only typed errors",
        _SHORT,
        _LONG,
        partial(play_kill, fsync="always", allowance=0.0),
    ),
    Scenario(
        "redis-kill-fast",
        "As redis-kill with `everysec`: at most what came while the disk was being synced is lost",
        "only what is younger than 2 s; first claim <= 1 s after it is back; callers see only typed errors",
        _SHORT_FAST,
        _LONG,
        partial(play_kill, fsync="everysec", allowance=FAST_SECONDS),
    ),
    Scenario(
        "power-cut-durable",
        "What `durable` acknowledges survives a power cut",
        "0 lost; no fence repeats; the doctor finds nothing",
        _SHORT,
        _LONG,
        partial(play_power, fsync="always", allowance=0.0),
    ),
    Scenario(
        "power-cut-fast",
        "What `fast` acknowledges survives a power cut if it is older than two seconds",
        "only what is younger than 2 s; no fence repeats; the doctor finds nothing",
        _SHORT_FAST,
        _LONG,
        partial(play_power, fsync="everysec", allowance=FAST_SECONDS),
    ),
)
