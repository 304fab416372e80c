"""The slot of the namespace is moved from node to node of a Cluster under load."""

from __future__ import annotations

import time

from redis.crc import key_slot

from chaos.checker import Problem, judge
from chaos.checker.losses import check_errors, check_fences, longest_trouble
from chaos.faults.cluster import clustered
from chaos.load import Load, acknowledged
from chaos.scenario import Figure, Run, Scenario, Verdict
from coordinator.keys import key

# For so long a process may be told nothing but errors.
OLDEST_ERROR = 5.0


def play(run: Run) -> Verdict:
    """Move the slot as operators do, key by key, and stay half-way for a while."""
    slot = key_slot(key(run.namespace, "META").encode())
    moves: list[float] = []
    with clustered(run.folder / "cluster", 3) as cluster, Load(run, cluster.url) as load:
        load.producer(rate=run.size["rate"])
        load.producer(rate=run.size["rate"] / 4, resources=5)
        load.locker()
        for _ in range(2):
            load.worker()
        for number in range(run.count("moves")):
            run.progress("moves", number, run.size["moves"])
            time.sleep(run.size["every"] * (0.5 + run.random.random()))
            others = [one for one in cluster.nodes if one is not cluster.owner(slot)]
            moves.append(cluster.move(slot, run.random.choice(others), run.random.random() * run.size["linger"]))
        time.sleep(run.size["every"])
        load.quiet()
        load.drain()
        findings = load.doctor()
        ops = load.history()
    errors = [one for one in ops if one.arg("error") and one.completed is not None]
    figures = (
        Figure("moves", len(moves)),
        Figure("longest move", max(moves), "s"),
        acknowledged(ops, run.size["moves"] * run.size["every"] * run.size["rate"] / 10),
        Figure("calls that ended with an error of ours", len(errors)),
        Figure("longest that a process was told nothing but errors", longest_trouble(ops), "s", most=OLDEST_ERROR),
    )
    found = [Problem("incomplete", f"doctor: {one}") for one in findings]
    return Verdict((*judge(ops), *check_fences(ops), *check_errors(ops), *found), figures)


SCENARIOS = (
    Scenario(
        "cluster-reshard",
        "The slot of a namespace moves between the nodes of a Cluster: calls wait, and no script runs on half the keys",
        "0 lost, no error older than 5 s",
        {"moves": 4, "every": 0.6, "linger": 0.3, "rate": 200},
        {"moves": 20, "every": 1.5, "linger": 1.0, "rate": 400},
        play,
    ),
)
