"""The server is killed, or its machine loses power, again and again under load."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from chaos.checker import Problem, judge
from chaos.checker.jobs import check_jobs
from chaos.checker.locks import check_locks
from chaos.checker.losses import Loss, check_errors, check_fences, forgiven, lost_ages
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


@dataclass(frozen=True, slots=True)
class Outage:
    """When the server was taken away, and when it took commands again."""

    began: int
    back: int


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
        verdict = _outages(run, node, lambda: mains.cut(node), allowance=allowance)
    if not allowance:
        return verdict
    # Where nothing young was lost no power was cut, and the run has shown nothing.
    young = sum(one.value for one in verdict.figures if one.name == YOUNG)
    return Verdict(verdict.problems, (*verdict.figures, Figure("control: lost without the allowance", young, least=1)))


def _outages(run: Run, node: Node, strike: Callable[[], object], allowance: float) -> Verdict:
    outages: list[Outage] = []
    with Load(run, node.url) as load:
        load.producer(rate=run.size["rate"])
        load.producer(rate=run.size["rate"] / 4, resources=5)
        load.locker()
        for _ in range(2):
            load.worker()
        for number in range(run.count("cuts")):
            run.progress("outages", number, run.size["cuts"])
            time.sleep(run.size["every"] * (0.5 + run.random.random()))
            outages.append(_outage(node, strike, run.random.random() * run.size["down"]))
        time.sleep(run.size["every"])
        load.quiet()
        load.drain()
        findings = load.doctor()
        ops = load.history()
    least = run.size["cuts"] * run.size["every"] * run.size["rate"] * SHARE
    return _verdict(ops, outages, allowance, [Problem("incomplete", f"doctor: {one}") for one in findings], least)


def _outage(node: Node, strike: Callable[[], object], down: float) -> Outage:
    began = now_ns()
    strike()
    time.sleep(down)
    node.start()
    return Outage(began, now_ns())


def _verdict(ops: list[Op], outages: Sequence[Outage], allowance: float, found: list[Problem], least: float) -> Verdict:
    losses = [Loss(one.began, one.back) for one in outages]
    ages = lost_ages(ops, losses)
    if allowance:
        # The server's own account has lost its end as well, so lines cannot be replayed from it.
        kept = forgiven(ops, losses, round(allowance * 1e9))
        broken = (*check_jobs(kept, drained=True), *check_locks(kept))
    else:
        broken = judge(ops)
    problems = (*broken, *check_fences(ops), *check_errors(ops), *found)
    errors = [one for one in ops if one.arg("error")]
    old = [age for age in ages if age > allowance]
    figures = [
        Figure("outages", len(outages)),
        acknowledged(ops, least),
        Figure("acknowledged and lost", len(old) if allowance else len(ages), most=0),
        Figure("first claim after the server is back, longest", max(_first_claims(ops, outages)), "s", most=1.0),
        Figure("calls that ended with an error of ours", len(errors)),
    ]
    if allowance:
        figures.insert(3, Figure(YOUNG, len(ages) - len(old)))
        figures.insert(4, Figure("age of the oldest lost", max(ages, default=0.0), "s", most=allowance))
    return Verdict(problems, tuple(figures))


def _first_claims(ops: Sequence[Op], outages: Sequence[Outage]) -> list[float]:
    """For each outage, seconds from its end to the first job that a worker began."""
    starts = sorted(one.invoked for one in ops if one.op == "start")
    return [min((at - one.back for at in starts if at > one.back), default=10**12) / 1e9 for one in outages]


_LONG = {"cuts": 30, "every": 1.5, "rate": 300, "down": 3.0}
SCENARIOS = (
    Scenario(
        "redis-kill",
        "Redis is killed and started again under load: nothing `durable` is lost, and work goes on at once",
        "0 acknowledged lost; first claim <= 1 s after it is back; callers see only typed errors",
        {"cuts": 3, "every": 0.8, "rate": 200, "down": 0.5},
        _LONG,
        partial(play_kill, fsync="always", allowance=0.0),
    ),
    Scenario(
        "redis-kill-fast",
        "As redis-kill with `everysec`: at most what came while the disk was being synced is lost",
        "only what is younger than 2 s; first claim <= 1 s after it is back; callers see only typed errors",
        {"cuts": 3, "every": 0.8, "rate": 200, "down": 0.5},
        _LONG,
        partial(play_kill, fsync="everysec", allowance=FAST_SECONDS),
    ),
    Scenario(
        "power-cut-durable",
        "What `durable` acknowledges survives a power cut",
        "0 lost; no fence repeats; the doctor finds nothing",
        {"cuts": 3, "every": 0.8, "rate": 200, "down": 0.5},
        _LONG,
        partial(play_power, fsync="always", allowance=0.0),
    ),
    Scenario(
        "power-cut-fast",
        "What `fast` acknowledges survives a power cut if it is older than two seconds",
        "only what is younger than 2 s; no fence repeats; the doctor finds nothing",
        {"cuts": 3, "every": 0.8, "rate": 200, "down": 0.5},
        _LONG,
        partial(play_power, fsync="everysec", allowance=FAST_SECONDS),
    ),
)
