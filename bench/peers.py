"""The libraries that are compared: what to install, how its worker is started in its best documented settings, and what
it cannot do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["jobs", "locks"]
Mode = Literal["drain", "ordered", "latency", "keyed"]

OURS = "coordinator"
KEPT_FLOOR = "floor-kept"
BARE_FLOORS = ("floor", "floor-direct")
FLOORS = (*BARE_FLOORS, KEPT_FLOOR)
HIREDIS = "redis[hiredis]==8.1.0"
LOCKS = (HIREDIS, "python-redis-lock==4.0.1")

NO_BULK = "hands many jobs in one by one"
NO_ORDER = "knows no priorities on Redis"
LOCAL_ORDER = "orders by priority only what a worker has fetched already"
ONE_AT_A_TIME = "a worker process runs one job at a time"


@dataclass(frozen=True, slots=True)
class WorkerCommand:
    """How to start a worker: words with `{bin}`, `{processes}` and `{concurrency}` to fill in.

    `forks`: the command itself starts that many processes; else it is started that many times. `concurrency` is that
    of its best setting for jobs that do nothing; keyed jobs say theirs.
    """

    words: str
    forks: bool = True
    concurrency: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """One library, or two of its settings. `actors` says which module of `bench.actors` plays which part.

    `lacks` maps workloads that it cannot do to the reason; `only` names those that it is for, if not all of its kind.
    """

    name: str
    actors: Mapping[Kind, str]
    requirements: tuple[str, ...] = ()
    workers: Mapping[Mode, WorkerCommand] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def _alike(command: WorkerCommand, **others: WorkerCommand) -> dict[Mode, WorkerCommand]:
    found: dict[Mode, WorkerCommand] = {"drain": command, "ordered": command, "latency": command, "keyed": command}
    return {mode: others.get(mode, usual) for mode, usual in found.items()}


def ours(registry: str = "bench.actors.ours:jobs", environment: Mapping[str, str] | None = None) -> Peer:
    """Ourselves, with these handlers and settings."""
    words = f"{{bin}}/coordinator worker run {registry} --processes {{processes}} --concurrency {{concurrency}}"
    workers = _alike(WorkerCommand(f"{words} --log-level warning", concurrency=100))
    return Peer(OURS, {"jobs": "ours", "locks": "our_lock"}, workers=workers, environment=environment or {})


_DRAMATIQ = "{bin}/dramatiq bench.actors.dramatiq --processes {processes} --threads {concurrency}"
# With the two messages per thread that it usually fetches ahead it is half as fast at jobs that do nothing.
_AHEAD = {"dramatiq_queue_prefetch": "1000"}
_HUEY = "{bin}/huey_consumer bench.actors.huey.%s -k thread -w {concurrency} --no-periodic --quiet"
_CELERY = "{bin}/celery -A bench.actors.celery worker -c {concurrency} --without-gossip --without-mingle -l warning"
_BULLMQ = "{bin}/python -m bench.actors bullmq work"
_STREAQ = "{bin}/streaq run bench.actors.streaq:worker --workers {processes}"
_RQ = "{bin}/rq worker --worker-class rq.SimpleWorker --logging_level WARNING --url {url} q4 q3 q2 q1 q0"
_FLOOR = "{bin}/python -m bench.actors %s work"

PEERS = (
    ours(),
    Peer(
        "dramatiq",
        {"jobs": "dramatiq"},
        ("dramatiq==2.2.1", HIREDIS),
        _alike(
            WorkerCommand(_DRAMATIQ, concurrency=8),
            drain=WorkerCommand(_DRAMATIQ, concurrency=8, environment=_AHEAD),
        ),
        {"bulk": NO_BULK, "ordered": LOCAL_ORDER},
    ),
    # At most once: a job is gone from Redis before it runs.
    Peer(
        "huey",
        {"jobs": "huey"},
        ("huey==3.5.4", HIREDIS),
        _alike(
            WorkerCommand(_HUEY % "plain", forks=False, concurrency=4),
            ordered=WorkerCommand(_HUEY % "urgent", forks=False),
            keyed=WorkerCommand(_HUEY % "urgent", forks=False),
        ),
        {"bulk": NO_BULK},
    ),
    Peer(
        "celery",
        {"jobs": "celery"},
        ("celery[redis]==5.7.0", HIREDIS),
        _alike(
            WorkerCommand(_CELERY + " -P solo", forks=False),
            ordered=WorkerCommand(_CELERY + " -P solo", forks=False, environment={"BENCH_PREFETCH": "1"}),
            keyed=WorkerCommand(_CELERY + " -P threads", forks=False, environment={"BENCH_PREFETCH": "1"}),
        ),
        {"bulk": NO_BULK},
    ),
    Peer(
        "rq",
        {"jobs": "rq"},
        ("rq==2.12.0", HIREDIS),
        _alike(WorkerCommand(_RQ, forks=False)),
        {"keyed": ONE_AT_A_TIME},
    ),
    Peer(
        "saq",
        {"jobs": "saq"},
        ("saq[redis,hiredis]==0.26.4", "typing-extensions==4.16.0"),
        _alike(WorkerCommand("{bin}/saq bench.actors.saq.settings --workers {processes} --quiet", concurrency=10)),
        {"bulk": NO_BULK, "ordered": NO_ORDER},
    ),
    Peer(
        "taskiq",
        {"jobs": "taskiq"},
        ("taskiq[uv,orjson]==0.13.0", "taskiq-redis==1.2.4", HIREDIS),
        _alike(
            WorkerCommand(
                "{bin}/taskiq worker bench.actors.taskiq:broker --workers {processes} --log-level WARNING"
                " --max-async-tasks {concurrency}",
                concurrency=100,
            )
        ),
        {"bulk": NO_BULK, "ordered": NO_ORDER},
    ),
    Peer(
        "streaq",
        {"jobs": "streaq"},
        ("streaq==7.2.0", "uvloop==0.23.0", HIREDIS),
        _alike(WorkerCommand(_STREAQ, concurrency=100), ordered=WorkerCommand(_STREAQ)),
    ),
    Peer(
        "bullmq",
        {"jobs": "bullmq"},
        ("bullmq==3.4.4", HIREDIS),
        _alike(
            WorkerCommand(_BULLMQ, forks=False, concurrency=10),
            ordered=WorkerCommand(_BULLMQ, forks=False),
            latency=WorkerCommand(_BULLMQ, forks=False),
        ),
    ),
    Peer("redis-py", {"locks": "redis_lock"}, LOCKS),
    Peer("redis-py-1ms", {"locks": "redis_lock"}, LOCKS, environment={"BENCH_SLEEP": "0.001"}),
    Peer("python-redis-lock", {"locks": "python_redis_lock"}, LOCKS),
    # What any design has to pay: no libraries, and none of them is the best peer.
    Peer(
        FLOORS[0],
        {"jobs": "floor", "locks": "floor"},
        LOCKS,
        {
            "latency": WorkerCommand(_FLOOR % "floor", forks=False),
            "drain": WorkerCommand(_FLOOR % "floor_batches", forks=False),
            "keyed": WorkerCommand(_FLOOR % "floor_keyed", forks=False),
        },
        only=("enqueue", "drain", "drain2", "latency", "keyed", "pairs", "contend", "handoff"),
    ),
    Peer(FLOORS[1], {"locks": "floor_direct"}, only=("pairs",)),
    # What the promises of ours have to pay.
    Peer(
        KEPT_FLOOR,
        {"jobs": "floor_kept_jobs", "locks": "floor_kept"},
        workers={"latency": WorkerCommand(_FLOOR % "floor_kept_jobs", forks=False)},
        only=("enqueue", "latency", "pairs", "contend", "handoff"),
    ),
)
