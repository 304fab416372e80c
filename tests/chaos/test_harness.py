"""The harness itself: it notices what it is there to notice, and its tools do what they say."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos import history, roles
from chaos.checker import judge, stale_writes
from chaos.frames import Frames, words_of
from chaos.history import Recorder
from chaos.processes import Nursery
from chaos.proxy import FAULTS, Fault, Proxy
from chaos.scenario import Figure, Run, Verdict
from chaos.scenarios import soak
from chaos.servers import private_server, socket_of
from chaos.stage import Stage, stage
from chaos.store import FencedStore
from coordinator import Coordinator, Settings, Submission
from coordinator.drivers import failpoints
from coordinator.errors import ConfigError, UnknownOutcome
from coordinator.keys import key
from tests.support.server import plain_client
from tests.support.until import until

pytestmark = pytest.mark.no_redis  # those that need one start their own


# --- a run that is tampered with


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    run = Run("tampered", 1, False, {}, tmp_path_factory.mktemp("run"))
    with stage(run) as made:
        made.submit([Submission(roles.STEP, {"ms": 1}, resources=["r"] if number % 2 else []) for number in range(20)])
        made.worker(concurrency=4)
        made.drain(30)
        made.judge()
        yield made


def rules(scene: Stage) -> set[str]:
    return {one.rule for one in scene.judge()[1]}


def test_a_real_run_is_clean_until_somebody_tampers_with_it(scene: Stage) -> None:
    assert rules(scene) == set()
    with plain_client(scene.server.url) as raw:
        jobs = sorted({one.arg("job") for one in history.read(scene.run.history) if one.op == "start"})
        record = key(scene.run.namespace, "REQ", jobs[0])
        kept = raw.dump(record)
        raw.delete(record)
        assert "lost" in rules(scene)
        raw.restore(record, 0, kept)
        assert rules(scene) == set()
        raw.hset(record, "state", "ready")
        assert "unfinished" in rules(scene)
        raw.hset(record, "state", "succeeded")
        raw.hincrby(key(scene.run.namespace, "STATS"), "succeed", 1)
        assert "twice" in rules(scene)
        raw.hincrby(key(scene.run.namespace, "STATS"), "succeed", -1)
        assert rules(scene) == set()


def test_a_start_that_was_made_up_is_noticed(scene: Stage) -> None:
    job = next(one for one in history.read(scene.run.history) if one.op == "done")
    thief = Recorder(scene.run.history, "thief")
    thief.note("start", job.fence + 10**9, job=job.arg("job"))
    thief.close()
    found = {one.rule for one in judge(history.read(scene.run.history))}
    (scene.run.history / "thief.jsonl").unlink()
    assert "after_end" in found


def test_an_error_that_is_none_of_ours_is_noticed(scene: Stage) -> None:
    caller = Recorder(scene.run.history, "caller")
    with pytest.raises(ConnectionError), caller.doing("submit", job="x"):
        raise ConnectionError
    caller.close()
    assert "told" in rules(scene)
    (scene.run.history / "caller.jsonl").unlink()


def test_a_job_that_the_account_does_not_have_in_line_is_noticed(scene: Stage) -> None:
    with plain_client(scene.server.url) as raw:
        place = key(scene.run.namespace, "EVENTS")
        asked = [(at, one) for at, one in raw.xrange(place) if one[b"event"] == b"ask"]
        kept = raw.dump(place)
        for at, _one in asked:
            raw.xdel(place, at)
        assert asked
        assert "incomplete" in rules(scene)
        raw.delete(place)
        raw.restore(place, 0, kept)
    assert rules(scene) == set()


def test_a_process_that_falls_over_has_not_been_killed(scene: Stage) -> None:
    entry = f"{__name__}:sleep"
    fallen, killed = scene.fork(f"{__name__}:nothing_such"), scene.fork(entry)
    with pytest.raises(RuntimeError, match="nothing_such"):
        scene.died(fallen)
    killed.kill()
    assert scene.died(killed)


# --- histories


def test_what_a_killed_process_was_doing_is_unknown(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "p")
    recorder.begin("submit", job="j")
    recorder.note("start", 7, job="k")
    recorder.close()
    with (tmp_path / "p.jsonl").open("a") as file:
        file.write('{"n":3,"op":"cut of')
    found = history.read(tmp_path)
    assert [(one.op, one.outcome, one.completed is None) for one in found] == [
        ("submit", "unknown", True),
        ("start", "ok", False),
    ]
    assert found[1].fence == 7


def test_errors_become_outcomes(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "p")
    for error in (UnknownOutcome("?"), ConfigError(["no"]), ValueError("?")):
        with pytest.raises(type(error)), recorder.doing("submit"):
            raise error
    recorder.close()
    assert [one.outcome for one in history.read(tmp_path)] == ["unknown", "failed", "unknown"]


def test_a_verdict_fails_by_a_breach_or_a_missed_target() -> None:
    assert Verdict((), (Figure("x", 1, most=1), Figure("y", 1, least=1), Figure("z", 5))).passed
    assert not Verdict((), (Figure("x", 1.01, most=1),)).passed
    assert not Verdict((), (Figure("x", 0.99, least=1),)).passed


# --- processes


def test_children_die_and_stop_as_told(tmp_path: Path) -> None:
    with Nursery(tmp_path / "log", (__name__,)) as nursery:
        sleepers = [nursery.fork("tests.chaos.test_harness:sleep", seconds=30.0) for _ in range(3)]
        assert sleepers[0].kill()
        assert sleepers[0].wait(5) == -signal.SIGKILL
        assert not sleepers[0].kill()
        assert sleepers[1].stop()
        assert sleepers[1].wait(0.05) is None
        assert sleepers[1].signal(signal.SIGTERM)
        assert sleepers[1].go_on()
        assert sleepers[1].wait(5) == -signal.SIGTERM
        assert nursery.fork("tests.chaos.test_harness:leave", code=3).wait(5) == 3
        assert nursery.fork("tests.chaos.test_harness:nothing_such").wait(5) == 1
    assert sleepers[2].wait(5) == -signal.SIGKILL


def sleep(seconds: float = 30.0, **_told: Any) -> None:
    time.sleep(seconds)


def leave(code: int) -> None:
    raise SystemExit(code)


# --- the proxy


def test_messages_are_cut_where_they_end() -> None:
    messages = [
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        b"+OK\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"$4\r\n\r\n\r\n\r\n",
        b"*2\r\n*1\r\n:1\r\n$0\r\n\r\n",
        b"%1\r\n+a\r\n*1\r\n:2\r\n",
        b"|1\r\n+ttl\r\n:9\r\n+value\r\n",
        b"~1\r\n#t\r\n",
    ]
    stream = b"".join(messages)
    for size in (1, 2, 3, 7, len(stream)):
        frames, found = Frames(), []
        for at in range(0, len(stream), size):
            frames.feed(stream[at : at + size])
            while (message := frames.take()) is not None:
                found.append(message)
        assert found == messages
    assert words_of(messages[0], 5) == (b"GET", b"k")


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_does_what_it_says(tmp_path: Path, fault: Fault) -> None:
    with private_server() as server, plain_client(server.url) as direct:
        proxy = Proxy(socket_of(server), tmp_path)
        proxy.patience = 5.0
        near = socket.socket(socket.AF_UNIX)
        near.connect(proxy.url.removeprefix("unix://"))
        near.settimeout(1.0)
        proxy.plan = lambda request: fault if request.command == b"INCR" else "none"
        near.sendall(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n")
        answer: Any = _read(near)
        applied = int(direct.get("n") or 0)
        late = proxy.release_late()
        assert (answer, applied, late) == {
            "none": (b":1\r\n", 1, 0),
            "drop_request": (b"", 0, 0),
            "drop_reply": (b"", 1, 0),
            "swallow_reply": (None, 1, 0),
            "late_reply": (None, 1, 0),
            "duplicate": (b":2\r\n", 2, 0),
            "late_request": (b"", 0, 1),
            "cut_request": (b"", 0, 0),
            "cut_reply": (b":1", 1, 0),
            "reset": (b"", 1, 0),
            "black_hole": (None, 0, 0),
        }[fault]
        assert int(direct.get("n") or 0) == applied + late
        assert proxy.spoiled == (fault != "none")
        near.close()
        proxy.close()


def _read(near: socket.socket) -> bytes | None:
    try:
        return near.recv(100)
    except TimeoutError:
        return None
    except ConnectionError:
        return b""


BEHIND = ("a", "b", "c")


@pytest.mark.parametrize(
    ("fault", "answers", "applied"),
    [
        ("none", b":1\r\n:1\r\n:1\r\n", (1, 1, 1)),
        ("late_reply", b":1\r\n:1\r\n:1\r\n", (1, 1, 1)),
        ("duplicate", b":1\r\n:2\r\n:1\r\n", (1, 2, 1)),
        ("drop_reply", b":1\r\n", (1, 1, 1)),
        ("cut_reply", b":1\r\n:1", (1, 1, 1)),
        ("swallow_reply", b":1\r\n", (1, 1, 1)),
    ],
)
def test_what_is_sent_behind_a_read_that_blocks_lies_at_the_server_and_the_fault_hits_the_one_it_is_meant_for(
    tmp_path: Path, fault: Fault, answers: bytes, applied: tuple[int, ...]
) -> None:
    with private_server() as server, plain_client(server.url) as direct:
        proxy = Proxy(socket_of(server), tmp_path)
        proxy.patience = 0.1
        proxy.plan = lambda request: fault if request.words == (b"INCR", b"b") else "none"
        near = socket.socket(socket.AF_UNIX)
        near.connect(proxy.url.removeprefix("unix://"))
        near.settimeout(1.0)
        asked = [b"*2\r\n$4\r\nINCR\r\n$1\r\n%b\r\n" % name.encode() for name in BEHIND]
        size = sum(map(len, asked)) + (fault == "duplicate") * len(asked[1])
        near.sendall(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nk\r\n$1\r\n0\r\n" + b"".join(asked))
        until(lambda: size in {int(one["qbuf"]) for one in direct.client_list() if "b" in one["flags"]})
        direct.rpush("k", "x")
        expected = b"*2\r\n$1\r\nk\r\n$1\r\nx\r\n" + answers
        assert _read_all(near, len(expected) + 1) == expected
        assert tuple(int(direct.get(name) or 0) for name in BEHIND) == applied
        near.close()
        proxy.close()


def test_a_request_that_is_lost_behind_a_read_that_blocks_breaks_the_connection_at_once(tmp_path: Path) -> None:
    with private_server() as server, plain_client(server.url) as direct:
        proxy = Proxy(socket_of(server), tmp_path)
        proxy.plan = lambda request: "drop_request" if request.command == b"INCR" else "none"
        near = socket.socket(socket.AF_UNIX)
        near.connect(proxy.url.removeprefix("unix://"))
        near.settimeout(5.0)
        near.sendall(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nk\r\n$1\r\n0\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n")
        assert _read(near) == b""
        until(lambda: not any("b" in one["flags"] for one in direct.client_list()))
        assert direct.get("n") is None
        near.close()
        proxy.close()


def _read_all(near: socket.socket, most: int) -> bytes:
    """What comes until so much has come, or nothing more does."""
    read = b""
    while len(read) < most and (more := _read(near)):
        read += more
    return read


# --- what locks guard


def test_the_guarded_store_refuses_and_the_other_does_not(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "h", "p")
    store = FencedStore(tmp_path / "db", recorder)
    for guarded in (True, False):
        taken = [store.write("r", fence, guarded=guarded) for fence in (1, 3, 3, 2, 4)]
        assert taken == [True, True, True, not guarded, True]
    store.close()
    recorder.close()
    ops = history.read(tmp_path / "h")
    assert judge(ops) == ()
    assert (stale_writes(ops, guarded=True), stale_writes(ops, guarded=False)) == (0, 1)


# --- failpoints


def test_places_cost_nothing_until_they_are_switched_on() -> None:
    assert not failpoints.on
    try:
        failpoints.switch_on("store.*=raise; worker.before_begin=count:0.5")
        assert failpoints.on
        with pytest.raises(failpoints.Broken):
            failpoints.reach("store.before_send")
        failpoints.reach("worker.after_handler")
        for wrong in ("nowhere=exit", "store.before_send=explode", "worker.before_begin=raise"):
            with pytest.raises(ConfigError):
                failpoints.switch_on(wrong)
    finally:
        failpoints.switch_on("")
    assert not failpoints.on


def test_every_place_is_in_the_code_and_every_place_in_the_code_is_named() -> None:
    root = Path(failpoints.__file__).parents[2]
    found = set()
    for path in [*root.glob("coordinator/**/*.py"), *root.glob("workers/*.py")]:
        for line in path.read_text().splitlines():
            if "failpoints.reach(" in line:
                found.add(line.partition('"')[2].partition('"')[0])
    assert found == set(failpoints.PLACES)
    assert len(found) >= 25


@pytest.mark.parametrize("plan", ["store.after_send=raise", "store.after_send=raise; store.before_resend=raise"])
def test_a_broken_connection_is_one_to_the_client(plan: str) -> None:
    settings = Settings.of(namespace="x", retry_for=5.0)
    with private_server() as server, Coordinator.connect(server.url, settings=settings) as co:
        with co.lock("a"):
            pass
        broken = iter([True, True, False])
        lock = threading.Lock()

        def some(_place: str, _how: str) -> None:
            with lock:
                if not next(broken, False):
                    failpoints.switch_on("")

        failpoints.switch_on(plan, some)
        try:
            with co.lock("b") as lease:
                assert lease.held
        finally:
            failpoints.switch_on("")


# --- memory


def memory(settles: float, grows: float) -> list[tuple[float, float]]:
    """An hour of a process that grows by so many MB in its first half, and by so many an hour all along, unevenly."""
    return [
        (at, 50 + settles * min(at / 1800, 1.0) + grows * at / 3600 + 0.1 * (at // 30 % 2)) for at in range(0, 3600, 30)
    ]


@pytest.mark.parametrize(
    ("worker", "one", "missed"),
    [
        (0.1, 0.1, []),
        (0.1, 3.7, ["growth of an application's memory, the most of four"]),
        (3.7, 0.1, ["growth of a worker's memory"]),
    ],
)
def test_who_grows_is_seen_and_who_settles_is_not_taken_for_it(worker: float, one: float, missed: list[str]) -> None:
    applications = [memory(4.0, 0.2), memory(0.0, -1.0), memory(1.0, one), memory(4.0, 0.0)]
    figures = soak.growth(memory(4.0, worker), applications, soak.MOST_GROWTH)
    assert [figure.name for figure in figures if not figure.met] == missed
    assert all(figure.met for figure in soak.growth(memory(4.0, worker), applications, None))
