"""The doctor on records, dedup keys, stray keys and the server itself; and its silence on a healthy, busy namespace."""

import contextlib
import itertools
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coordinator import Coordinator, Dedup, Need, Settings, Submission
from coordinator.doctor import examine
from coordinator.drivers.embedded import EmbeddedServer
from coordinator.errors import CoordinatorError, Corrupt, UnsafeServer
from coordinator.keys import prefix
from coordinator.ops.doctor import META_FIELDS, MOST_META_FIELDS
from tests.support import topology
from tests.support.health import assert_healthy, sweep
from tests.support.scene import Scene
from tests.support.server import chosen_server, plain_client
from tests.support.until import until

pytestmark = pytest.mark.plants_faults

NEVER = -1


# --- records


def test_the_record_of_an_ended_request_gets_a_time_to_live(scene: Scene) -> None:
    lease = scene.co.acquire("x" * 65, owner="me")
    lease.release()
    keys = [scene.key(name, lease.ident) for name in ("REQ", "NEEDS", "NOTE")]
    for one in keys:
        scene.raw.persist(one)
    assert len(scene.faults(lease.ident)) == 3
    scene.mend()
    assert all(scene.raw.pttl(one) > 0 for one in keys)


def test_the_record_of_a_live_request_stays(scene: Scene) -> None:
    lease = scene.co.acquire("x")
    scene.raw.expire(scene.key("REQ", lease.ident), 600)
    assert scene.faults(lease.ident) == [f"lives, but req:{lease.ident} has a time to live"]
    scene.mend()
    assert scene.raw.pttl(scene.key("REQ", lease.ident)) == NEVER


def test_a_job_without_its_payload_ends_and_says_why(scene: Scene) -> None:
    job = scene.co.submit("job", {"n": 1})
    scene.raw.hdel(scene.key("REQ", job.ident), "data")
    assert scene.faults(job.ident) == ["is ready, but is not in payloads"]
    scene.mend()
    assert scene.co.explain(job.ident).fields["why"] == "its payload was lost"


def test_a_request_without_its_needs_ends_and_the_lines_move_on(scene: Scene) -> None:
    name = "x" * 65  # too long for the record
    held = scene.co.acquire(name)
    lost, after = scene.co.request(name, wait=60), scene.co.request(name, wait=60)
    scene.raw.delete(scene.key("NEEDS", lost.ident))
    assert "its needs are lost" in scene.faults(lost.ident)
    scene.mend()
    assert scene.state(lost.ident) == "cancelled"
    held.release()
    assert after.wait(5).held


def test_a_failed_job_can_be_replayed_again(scene: Scene) -> None:
    job = scene.co.submit("job", {"n": 1}, resources=["x"])
    ((ident, fence),) = scene.claim()
    scene.settle(ident, fence, "failed")
    scene.raw.zrem(scene.key("DEAD"), ident)
    assert scene.faults(ident) == ["is failed, but is not in dead"]
    scene.mend()
    scene.co.replay(ident)
    assert scene.claim()[0][0] == job.ident


def test_a_state_that_nobody_knows_is_told_and_left_alone(scene: Scene) -> None:
    job = scene.co.submit("job")
    scene.raw.hset(scene.key("REQ", job.ident), "state", "odd")
    report = examine(scene.co, fix=True)
    assert [(one.subject, one.fixed) for one in report.problems] == [(job.ident, False)]
    assert scene.state(job.ident) == "odd"


# --- dedup keys


def test_a_dedup_key_without_a_job_is_freed(scene: Scene) -> None:
    scene.raw.set(scene.key("DEDUP", "k"), "ghost")
    assert scene.faults("ghost") == ["has no record, but still holds a dedup key"]
    scene.mend()
    assert not scene.co.submit("job", dedup=Dedup("k")).duplicate


def test_a_dedup_key_whose_job_is_over_is_freed(scene: Scene) -> None:
    job = scene.co.submit("job", dedup=Dedup("k"))
    scene.co.cancel(job.ident)
    scene.raw.set(scene.key("DEDUP", "k"), job.ident)
    assert scene.faults(job.ident) == ["is over, but still holds its dedup key"]
    scene.mend()
    assert not scene.co.submit("job", dedup=Dedup("k")).duplicate


def test_a_dedup_key_that_is_held_for_a_time_ends_in_time(scene: Scene) -> None:
    job = scene.co.submit("job", dedup=Dedup("k", scope="ttl", ttl=600))
    scene.co.cancel(job.ident)
    assert examine(scene.co).problems == ()
    scene.raw.persist(scene.key("DEDUP", "k"))
    assert scene.faults(job.ident) == ["holds for ever a dedup key that was for a time"]
    scene.mend()
    assert 0 < scene.raw.pttl(scene.key("DEDUP", "k")) <= 600_000


def test_a_started_job_does_not_hold_a_key_that_was_until_its_start(scene: Scene) -> None:
    job = scene.co.submit("job", dedup=Dedup("k", scope="until_started"))
    scene.claim()
    scene.raw.set(scene.key("DEDUP", "k"), job.ident)
    assert scene.faults(job.ident) == ["has started, but still holds its dedup key"]
    scene.mend()
    assert not scene.raw.exists(scene.key("DEDUP", "k"))


# --- the namespace


def test_a_meta_with_very_many_strange_fields_is_told_of_by_everything_and_mended(scene: Scene) -> None:
    scene.co.submit("job", resources=["x"])
    meta = scene.key("META")
    ours = scene.raw.hgetall(meta)
    assert {field.decode() for field in ours} <= META_FIELDS
    scene.raw.hset(meta, mapping={f"stray{n}": n for n in range(MOST_META_FIELDS - len(META_FIELDS))})
    scene.co.acquire("y").release()  # what could be ours in a later version is passed over
    scene.raw.hset(meta, mapping={f"more{n}": n for n in range(1000)})
    for use in (lambda: scene.co.submit("job"), lambda: scene.co.acquire("z"), scene.co.survey):
        with pytest.raises(Corrupt, match=r"meta.*doctor --fix"):
            use()
    (found,) = examine(scene.co).problems
    assert (found.kind, found.fixed) == ("namespace", False)
    assert f"{scene.raw.hlen(meta)} fields" in found.detail
    scene.mend()
    left = {field.decode() for field in scene.raw.hgetall(meta)}
    assert {field.decode() for field in ours} <= left <= META_FIELDS
    assert scene.co.submit("job").ident


# --- keys


@pytest.mark.parametrize("name", [b"nonsense", b"req:", b"bytes:\xff", b"line"])
def test_a_key_of_somebody_else_is_told_and_left_alone(scene: Scene, name: bytes) -> None:
    scene.co.submit("job")
    stray = prefix(scene.scope.namespace).encode() + name
    scene.raw.set(stray, "x")
    report = examine(scene.co, fix=True)
    (finding,) = report.problems
    assert finding.kind == "key"
    assert not finding.fixed
    assert scene.raw.exists(stray)
    scene.raw.delete(stray)


def test_a_key_of_another_type_goes_and_its_requests_line_up_again(scene: Scene) -> None:
    job = scene.co.submit("job", resources=["x"])
    for name, member in (("LINE", "x"), ("READY", "default")):
        scene.raw.delete(scene.key(name, member))
        scene.raw.set(scene.key(name, member), "x")
    assert scene.faults(scene.key("LINE", "x")) == ["is a string where a zset belongs"]
    scene.mend()
    assert [ident for ident, _ in scene.claim()] == [job.ident]


def test_a_namespace_that_no_script_can_open_is_told(scene: Scene) -> None:
    scene.co.submit("job")
    meta = scene.raw.hgetall(scene.key("META"))
    scene.raw.set(scene.key("META"), "x")
    assert [one.kind for one in examine(scene.co).problems] == ["namespace"]
    scene.raw.delete(scene.key("META"))
    scene.raw.hset(scene.key("META"), mapping={**meta, "schema": "99"})
    report = examine(scene.co, fix=True)
    assert [one.detail for one in report.problems] == ["has data of layout 99, not 2; it was left alone"]


def test_lifetimes_are_put_right(scene: Scene) -> None:
    job = scene.co.submit("job")
    ((ident, fence),) = scene.claim()
    scene.settle(ident, fence)
    scene.raw.persist(scene.key("RESULT", ident))
    scene.raw.expire(scene.key("META"), 600)
    assert scene.faults(scene.key("RESULT", ident)) == ["has no time to live"]
    assert scene.faults(scene.key("META")) == ["has a time to live, but is to stay"]
    scene.mend()
    assert scene.raw.pttl(scene.key("RESULT", job.ident)) > 0
    assert scene.raw.pttl(scene.key("META")) == NEVER


def test_what_belongs_to_a_session_that_is_not_there_goes_with_it(scene: Scene) -> None:
    lease = scene.co.acquire("x")
    session = scene.session
    scene.raw.zrem(scene.key("SESSIONS"), session)
    scene.raw.rpush(scene.key("INBOX", "ghost"), "granted x 1 1")
    orphan = ["belongs to a session that is not there"]
    assert scene.faults(scene.key("OWNS", session)) == scene.faults(scene.key("INBOX", "ghost")) == orphan
    assert scene.faults(lease.ident) == ["its session has lapsed"]
    scene.mend()
    assert scene.state(lease.ident) == "lost"
    assert not scene.raw.exists(scene.key("INBOX", "ghost"), scene.key("SESSION", session))


# --- the server


@contextlib.contextmanager
def server(**config: str) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(binary=chosen_server()) as started:
        with contextlib.closing(plain_client(started.url)) as client:
            for name, value in config.items():
                client.config_set(name.replace("_", "-"), value)
        yield started


def test_an_unsafe_server_is_told_where_clients_refuse_it(namespace: str) -> None:
    with server(maxmemory_policy="allkeys-lru") as started, Coordinator.connect(started.url, namespace) as client:
        with pytest.raises(UnsafeServer):
            client.submit("job")
        (finding,) = examine(client).problems
    assert finding.kind == "server"
    assert "as soon as maxmemory is set" in finding.detail


def test_a_namespace_on_a_cluster_is_examined_on_its_node(settings: Settings, tmp_path: Path) -> None:
    with topology.cluster(tmp_path) as url, Coordinator.connect(url, settings=settings) as client:
        client.submit_many([Submission("job", n, resources=["x"], dedup=Dedup(str(n))) for n in range(20)])
        report = examine(client)
        assert (report.problems, report.checked > 60) == ((), True)


def test_the_server_is_described(scene: Scene) -> None:
    report = examine(scene.co)
    assert "noeviction" in report.server
    assert "AOF" in report.server


# --- silence


def test_progress_ends_at_the_whole(scene: Scene) -> None:
    for _ in range(150):
        scene.co.submit("job", resources=["x"])
    told: list[tuple[int, int]] = []
    report = examine(scene.co, progress=lambda done, whole: told.append((done, whole)))
    assert report.problems == ()
    assert report.checked > 300
    assert told == [(100, 151), (151, 151)]


def test_several_arrivals_before_an_offer_withdraw_it(scene: Scene) -> None:
    busy = scene.co.acquire("y")
    offered = scene.co.submit("job", resources=["x"]).ident
    better = [Submission("job", resources=["x", "y"], priority="high") for _ in range(3)]
    scene.co.submit_many(better)
    assert scene.state(offered) == "waiting"
    assert examine(scene.co).problems == ()
    busy.release()


class Traffic:
    """Threads that use a namespace in every way until they are told to stop."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._stop = threading.Event()
        self.failures: list[BaseException] = []
        self.counts = {"locks": 0, "jobs": 0, "submissions": 0}
        self._url, self._settings = url, settings
        self._scenes: dict[int, Scene] = {}
        self._threads = [
            threading.Thread(target=self._go, args=(work, seed))
            for seed, work in enumerate((self._lock, self._lock, self._submit, self._work, self._work))
        ]

    def __enter__(self) -> "Traffic":
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for one in self._threads:
            one.join(20)

    def _go(self, work: Callable[[Coordinator, random.Random], None], seed: int) -> None:
        try:
            with (
                Coordinator.connect(self._url, settings=self._settings) as client,
                contextlib.closing(plain_client(self._url)) as raw,
            ):
                self._scenes[threading.get_ident()] = Scene(client, raw)
                chance = random.Random(seed)
                while not self._stop.is_set():
                    work(client, chance)
        except BaseException as error:
            self.failures.append(error)

    def _lock(self, client: Coordinator, chance: random.Random) -> None:
        needs = [
            Need(one, chance.choice(("exclusive", "shared"))) for one in chance.sample("abc", chance.randint(1, 2))
        ]
        with contextlib.suppress(TimeoutError), client.lock(needs, wait=0.2, priority=chance.randint(0, 4)):
            self.counts["locks"] += 1

    def _submit(self, client: Coordinator, chance: random.Random) -> None:
        self._stop.wait(0.02)  # what has ended is kept, and all of it is looked at each time
        jobs = [
            Submission(
                "job",
                resources=chance.sample("abcd", chance.randint(0, 3)),
                priority=chance.randint(0, 4),
                delay=chance.choice((0, 0, 0.05)),
                dedup=chance.choice((None, None, Dedup(chance.choice("kl"), on_conflict="rerun"))),
                wait_timeout=chance.choice((None, 0.5)),
            )
            for _ in range(5)
        ]
        tickets = client.submit_many(jobs)
        self.counts["submissions"] += len(tickets)
        with contextlib.suppress(CoordinatorError):
            client.reprioritise(tickets[0].ident, chance.randint(0, 4))
            client.cancel(tickets[1].ident)

    def _work(self, client: Coordinator, chance: random.Random) -> None:
        scene = self._scenes[threading.get_ident()]
        for ident, fence in scene.claim(3):
            outcome = chance.choice(("succeeded", "succeeded", "failed", "retry", "snooze", "released"))
            scene.settle(ident, fence, outcome, 20)
            self.counts["jobs"] += 1


def test_a_busy_namespace_is_found_healthy_at_every_moment(redis_url: str, namespace: str) -> None:
    # What has ended is soon forgotten, so that one look does not take longer than the one before.
    settings = Settings.of(
        namespace=namespace, session_ttl=5.0, sweep_interval=0.1, max_events=100, result_ttl=1, dead_ttl=1
    )
    with Coordinator.connect(redis_url, settings=settings) as observer:
        with Traffic(redis_url, settings) as traffic:
            looks = itertools.count(1)
            assert until(lambda: examine(observer).problems or (next(looks) > 3 and "healthy"), 40) == "healthy"
            assert until(lambda: all(count > 20 for count in traffic.counts.values()), 20)
        assert until(lambda: _forgotten(observer), 20)
    assert traffic.failures == []
    assert_healthy(redis_url, namespace)


def _forgotten(observer: Coordinator) -> bool:
    """Whether the last dead jobs are gone: by these settings, of which a doctor with other ones knows nothing."""
    sweep(observer)
    return observer.survey().dead == 0
