"""The primary is cut off from its replicas and Sentinels, together with a client that goes on using it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any

import redis

from chaos.checker import Problem, judge
from chaos.checker.losses import Loss, check_errors, check_fences, lost_ages
from chaos.clock import now_ns
from chaos.faults.network import Network
from chaos.faults.node import Node
from chaos.faults.sentinel import DOWN_AFTER_MS, SERVICE, Watched, across, await_whole, followers
from chaos.faults.waiting import until
from chaos.history import Op
from chaos.load import Load, acknowledged
from chaos.scenario import Figure, Run, Scenario, Verdict

SETTINGS = {"durability": "replicated", "replica_timeout": 0.2, "operation_timeout": 2.0, "session_ttl": 5.0}
TURNS = 3
HELD_UP_SECONDS = 1.5
# After the primary counts as down: the vote, the promotion, and clients that find their way, on a busy machine.
FAILOVER_SECONDS = DOWN_AFTER_MS / 1000 + 4


def play(run: Run) -> Verdict:
    """As many partitions as the run has, and then one with clients that are content with `fast`, which has to lose."""
    ops, cuts, findings, promoted = _cut(run, SETTINGS, run.count("cuts"))
    problems = (*judge(ops, losses=[Loss(*one) for one in cuts]), *check_fences(ops), *check_errors(ops), *findings)
    least = run.size["cuts"] * run.size["seconds"] * run.size["rate"] / 8
    bites = Figure("control: acknowledged and lost with `fast`", _lost_by_fast(run), least=1)
    # Where no replica was promoted there was nothing to lose, and the partition has shown nothing.
    failovers = Figure("of these with a replica promoted", promoted, least=run.size["cuts"])
    first, *others = _figures(ops, cuts, least)
    return Verdict(problems, (first, failovers, *others, bites))


def _lost_by_fast(run: Run) -> int:
    """How much the control loses: it is cut once more where it lost nothing, as where nobody was promoted."""
    for turn in range(TURNS):
        control = replace(run, folder=run.folder / f"control-{turn}")
        lost = lost_ages(*_losses(*_cut(control, {**SETTINGS, "durability": "fast"}, 1)[:2]))
        if lost:
            return len(lost)
    return 0


def _losses(ops: list[Op], cuts: list[tuple[int, int]]) -> tuple[list[Op], list[Loss]]:
    return ops, [Loss(*one) for one in cuts]


def _cut(run: Run, settings: dict[str, Any], times: int) -> tuple[list[Op], list[tuple[int, int]], list[Problem], int]:
    """Cut the link, let Sentinel promote a replica, heal, and bring the primary back to where it was. The history, when
    the link was cut and healed, what the doctor says, and how often a replica was promoted. Where the link is whole
    again before the vote is over, on a busy machine, none was, and it is cut once more."""
    cuts: list[tuple[int, int]] = []
    promoted = 0
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        setup = stack.enter_context(across(run.folder / "redis", network))
        shut_in = stack.enter_context(Load(run, setup.url, settings, lambda: network.inside("a"), "shut-in"))
        outside = stack.enter_context(Load(run, setup.url, settings, lambda: network.inside("b"), "outside"))
        for load in (shut_in, outside):
            load.producer(rate=run.size["rate"], resources=3)
            load.locker(threads=2, resources=3)
            load.worker()
        while promoted < times and len(cuts) < TURNS * times:
            run.progress("partitions", promoted, times)
            time.sleep(1.0)
            if cuts:
                _move_back(setup)
            cuts.append(_partition(network, setup, run.size["seconds"]))
            promoted += setup.current() is not setup.primary
        time.sleep(2.0)
        for load in (shut_in, outside):
            load.quiet()
        outside.drain()
        shut_in.drain()
        findings = [Problem("incomplete", f"doctor: {one}") for one in outside.doctor()]
        return outside.history(), cuts, findings, promoted


def _partition(network: Network, setup: Watched, seconds: float) -> tuple[int, int]:
    began = now_ns()
    network.cut()
    try:
        time.sleep(seconds)
    finally:
        network.heal()
    healed = now_ns()
    await_whole(setup)
    return began, healed


def _move_back(setup: Watched) -> None:
    """Make the server that shares a host with the shut-in client the primary again, in good order: with writes held up,
    for a primary that lives on goes on being answered for by a replica that is not the one promoted."""
    current = setup.current()
    if current is setup.primary:
        return
    with setup.near():
        for one in setup.replicas:
            one.ask("CONFIG SET", "replica-priority", 0)
        until(lambda: setup.current() is setup.primary or _held_up(setup, current), "the replicas have everything")
        try:
            if setup.current() is not setup.primary:
                setup.sentinels[0].ask("SENTINEL FAILOVER", SERVICE)
            until(lambda: setup.current() is setup.primary, "the first primary is the primary again")
            until(lambda: _follows(current), "the other one follows")
        finally:
            current.ask("CLIENT UNPAUSE")
    await_whole(setup)
    with setup.near():
        for one in setup.replicas:
            one.ask("CONFIG SET", "replica-priority", 100)


def _held_up(setup: Watched, current: Node) -> bool:
    """Hold writes up until the replicas have said that they have everything, as they do each second. Not for as long as
    that may take: a primary that is held up does not answer its Sentinels either, and is soon taken for dead."""
    current.ask("CLIENT PAUSE", 20_000, "WRITE")
    ends = time.monotonic() + HELD_UP_SECONDS
    while time.monotonic() < ends:
        if _level(setup, current):
            return True
        time.sleep(0.02)
    current.ask("CLIENT UNPAUSE")
    time.sleep(1.0)
    return False


def _follows(node: Node) -> bool:
    with contextlib.suppress(redis.RedisError):  # its connections end as it becomes a replica
        return bool(node.ask("ROLE")[0] == "slave")
    return False


def _level(setup: Watched, current: Node) -> bool:
    told: Any = current.ask("INFO", "replication")
    return all(one.get("offset") == told["master_repl_offset"] for one in followers(told, len(setup.replicas)))


def _figures(ops: list[Op], cuts: list[tuple[int, int]], least: float) -> tuple[Figure, ...]:
    inside = [
        one
        for one in ops
        if one.op == "submit"
        and one.outcome == "ok"
        and one.process.startswith("shut-in")
        and any(began < (one.completed or 0) < healed for began, healed in cuts)
    ]
    gaps = list(_gaps(ops, cuts))
    return (
        Figure("partitions", len(cuts)),
        acknowledged(ops, least),
        Figure("of these to the shut-in client, while it was shut in", len(inside)),
        Figure("acknowledged and lost", len(lost_ages(*_losses(ops, cuts))), most=0),
        Figure("calls with an unknown outcome", sum(one.outcome == "unknown" for one in ops)),
        Figure("outside: longest without an acknowledgement", max(gaps), "s", most=FAILOVER_SECONDS),
    )


def _gaps(ops: list[Op], cuts: list[tuple[int, int]]) -> Iterator[float]:
    """For each cut, how long the clients outside had to do without."""
    times = sorted(
        one.completed or 0
        for one in ops
        if one.op == "submit" and one.outcome == "ok" and one.process.startswith("outside")
    )
    for began, healed in cuts:
        seen = [began, *(at for at in times if began < at < healed), healed]
        yield max(after - before for before, after in pairwise(seen)) / 1e9


SCENARIOS = (
    Scenario(
        "sentinel-partition",
        "A primary is shut in with a client while Sentinel promotes a replica: what `replicated` acknowledged stays",
        "0 acknowledged lost, no fence twice",
        {"cuts": 1, "seconds": 5, "rate": 50},
        {"cuts": 10, "seconds": 8, "rate": 50},
        play,
    ),
)
