"""A server that is there and refuses: it is full, it takes no more connections, it has forgotten the scripts."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import redis

from chaos import account
from chaos.checker import Problem, judge
from chaos.checker.losses import check_errors, check_fences
from chaos.clock import now_ns
from chaos.faults.node import Node
from chaos.history import Op, Recorder
from chaos.load import Load, acknowledged
from chaos.locking import give_back, take
from chaos.roles import STEP
from chaos.scenario import Figure, Run, Scenario, Verdict
from coordinator import Coordinator, JobTicket, Settings, Submission
from coordinator.errors import CoordinatorError, StorageFull


def play_full(run: Run) -> Verdict:
    """Keep the server full while everything that is there is finished, released or cancelled."""
    refused: list[str] = []
    failed: list[str] = []
    settings = {"result_ttl": 86_400.0, "dead_ttl": 86_400.0}  # what the judge reads
    with (
        Node(run.folder / "redis") as node,
        Load(run, node.url, settings) as load,
        Coordinator.connect(node.url, settings=Settings.of(**load.settings)) as co,
    ):
        told, names = load.recorder, [f"held{n}" for n in range(run.count("locks"))]
        jobs = _submitted(co, told, [Submission(STEP, {"ms": 1})] * run.count("jobs"))
        held = [take(co, told, name) for name in names]
        waiting = [co.request(name) for name in names]
        # They wait for what is held until they are cancelled, so no worker is faster than the cancellation.
        doomed = _submitted(co, told, [Submission(STEP, {"ms": 1}, resources=[name]) for name in names])
        with _repeating(lambda: _fill(node), 0.02):
            # Before any worker makes room: nothing of this frees so much that the server is not full for a moment.
            for number in range(run.count("locks")):
                run.progress("full", number, run.count("locks"))
                _expect(StorageFull, refused, lambda: _submitted(co, told, [Submission(STEP, "x" * 1000)]))
                _try(failed, waiting[number].cancel)
                _try(failed, partial(_cancel, told, doomed[number]))
                _try(failed, partial(give_back, held[number], told, names[number]))
            load.worker(concurrency=64)
            settled = _settled(co, len(jobs))
        node.ask("CONFIG SET", "maxmemory", 0)
        load.quiet()
        load.drain()
        left = _left(node, run.namespace)
        ops = load.history()
    problems = (*(Problem("lost", text) for text in failed), *(Problem("told", text) for text in refused))
    return Verdict(
        (*problems, *judge(ops, steady=True), *check_fences(ops), *check_errors(ops)),
        (
            acknowledged(ops, len(jobs) + len(doomed)),
            Figure("jobs settled while full", settled, least=len(jobs)),
            Figure("releases and cancels that failed", len(failed), most=0),
            Figure("enqueues not answered by the typed error", len(refused), most=0),
            Figure("keys that stay", left, most=_FEW),
        ),
    )


# What stays for good: the namespace's clock, queues, gates, counters, events and figures, and while it lives the
# session of the scenario's own client, which has up to four keys.
_FEW = 16


# How long a full server may take for all its jobs.
_PATIENCE = 120.0


def _settled(co: Coordinator, wanted: int) -> int:
    """How many jobs have succeeded, once it is all of them. Counted, for results are not kept long."""
    ends = time.monotonic() + _PATIENCE
    while (found := co.survey().counters.get("succeed", 0)) < wanted and time.monotonic() < ends:
        time.sleep(0.05)
    return found


def _fill(node: Node) -> None:
    used = int(node.ask("INFO", "memory")["used_memory"])
    # Far below: what the server frees at one go (an old hash table, say) must not make room.
    node.ask("CONFIG SET", "maxmemory", used // 2)


def _submitted(co: Coordinator, recorder: Recorder, submissions: list[Submission]) -> list[JobTicket]:
    """Jobs that are handed in at once, each of them in the history."""
    with contextlib.ExitStack() as stack:
        pending = [stack.enter_context(recorder.doing("submit")) for _ in submissions]
        tickets = co.submit_many(submissions)
        for one, ticket in zip(pending, tickets, strict=True):
            one.args["job"] = ticket.ident
    return tickets


def _cancel(recorder: Recorder, ticket: JobTicket) -> None:
    with recorder.doing("cancel", job=ticket.ident) as pending:
        pending.args["ended"] = ticket.cancel()


def _left(node: Node, namespace: str) -> int:
    """Keys that never go by themselves, once what ended sessions had is gone."""
    ends = time.monotonic() + 20
    while (left := len(account.lasting(node.url, namespace))) > _FEW and time.monotonic() < ends:
        time.sleep(0.1)
    return left


def _expect(kind: type[CoordinatorError], wrong: list[str], call: Callable[[], object]) -> None:
    try:
        call()
    except kind:
        return
    except Exception as error:
        wrong.append(f"an enqueue was answered by {type(error).__name__}: {error}")
    else:
        wrong.append("an enqueue was taken by a full server")


def _try(failed: list[str], call: Callable[[], object]) -> None:
    try:
        call()
    except Exception as error:
        failed.append(f"{type(error).__name__}: {error}")


def play_maxclients(run: Run) -> Verdict:
    """Take all connections away, and let only a few back for a while."""
    with Node(run.folder / "redis") as node, Load(run, node.url) as load:
        _mixed(load, run)
        admin: Any = node.client()
        with contextlib.closing(admin):
            admin.ping()
            for number in range(run.count("times")):
                run.progress("times", number, run.size["times"])
                time.sleep(run.size["calm"])
                admin.config_set("maxclients", 4)
                admin.execute_command("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
                time.sleep(run.size["refusing"])
                admin.config_set("maxclients", 10_000)
        time.sleep(run.size["calm"])
        load.quiet()
        load.drain()
        ops = load.history()
    errors = [one for one in ops if one.arg("error")]
    figures = (
        Figure("times", run.count("times")),
        acknowledged(ops, run.size["times"] * run.size["calm"] * run.size["rate"] / 8),
        Figure("calls that ended with an error of ours", len(errors)),
    )
    return Verdict((*judge(ops), *check_fences(ops), *check_errors(ops)), figures)


def play_flush(run: Run) -> Verdict:
    """Have the server forget all scripts and functions twenty times a second."""
    with Node(run.folder / "redis") as node, Load(run, node.url) as load:
        _mixed(load, run)
        time.sleep(run.size["seconds"])
        began = now_ns()
        with _repeating(lambda: (node.ask("SCRIPT FLUSH"), node.ask("FUNCTION FLUSH")), 0.05):
            time.sleep(run.size["seconds"])
        ended = now_ns()
        load.quiet()
        load.drain()
        ops = load.history()
    calm, flushed = list(_latencies(ops, 0, began)), list(_latencies(ops, began, ended))
    middle = statistics.median(calm)
    figures = (
        Figure("jobs acknowledged meanwhile", len(flushed), least=int(run.size["seconds"] * run.size["rate"] / 8)),
        Figure("errors", sum(bool(one.arg("error")) for one in ops), most=0),
        Figure("median submit, calm", middle, "ms"),
        Figure("median submit, as a multiple of calm", statistics.median(flushed) / middle, "x", most=2.0),
    )
    return Verdict((*judge(ops), *check_fences(ops), *check_errors(ops)), figures)


def _mixed(load: Load, run: Run) -> None:
    load.producer(rate=run.size["rate"])
    load.producer(rate=run.size["rate"] / 4, resources=5)
    load.locker()
    for _ in range(2):
        load.worker()


def _latencies(ops: list[Op], after: int, before: int) -> Iterator[float]:
    for one in ops:
        if one.op == "submit" and one.outcome == "ok" and after < one.invoked < before and one.completed:
            yield (one.completed - one.invoked) / 1e6


@contextlib.contextmanager
def _repeating(work: Callable[[], object], every: float) -> Iterator[None]:
    """Do something again and again in a thread meanwhile."""
    done = threading.Event()

    def repeat() -> None:
        for _ in itertools.takewhile(lambda _: not done.wait(every), itertools.count()):
            with contextlib.suppress(redis.RedisError):
                work()

    work()
    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


SCENARIOS = (
    Scenario(
        "memory-full",
        "A server that is out of memory lets everything there is be finished, and says plainly that it takes no more",
        "every settle, release, cancel succeeds; enqueue gets the typed error; drains to empty",
        {"jobs": 1000, "locks": 100},
        {"jobs": 50_000, "locks": 2000},
        play_full,
    ),
    Scenario(
        "maxclients",
        "A server that refuses connections for a while loses nobody's work",
        "0 lost; callers see only typed errors",
        {"times": 2, "calm": 0.5, "refusing": 1.0, "rate": 100},
        {"times": 20, "calm": 1.0, "refusing": 3.0, "rate": 200},
        play_maxclients,
    ),
    Scenario(
        "script-flush",
        "A server that forgets all scripts and functions every 50 ms is told them again, and nobody notices",
        "0 errors; median latency <= 2 x",
        {"seconds": 2, "rate": 100},
        {"seconds": 60, "rate": 200},
        play_flush,
    ),
)
