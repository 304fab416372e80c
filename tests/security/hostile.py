"""A namespace with something in every family of keys, and values that nobody of ours would write."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import redis

from coordinator import Coordinator, CountDownLatch, Dedup, Need, RetryPolicy, Similar
from coordinator.cli import measured
from coordinator.errors import WaitTimeout
from coordinator.keys import FAMILIES, Family, encode, key
from coordinator.metrics import judging
from coordinator.ops import lessons, timing
from coordinator.policy.breaker import BreakerPolicy
from coordinator.wire import calls
from coordinator.wire.calls import Lesson, Lessons, Offer
from coordinator.wire.gates import Gates
from coordinator.wire.step import Call
from tests.support.scene import Scene

Spoil = Callable[[redis.Redis, bytes], None]
NASTY: tuple[bytes, ...] = (
    b"",
    b"\xff\xfe\x00",
    b"nan",
    b"inf",
    b"-1",
    b"1e400",
    b"9" * 5000,
    b"x y z 1 2 3 4 5 6 7 8 9",
    b"x" * 100_000,
    b"* ? [ ] { } \\ ' \" \r\n",
    b"~dedup/\x1b[31m",
    b"x0:\xff s99999999999999999999:b x1: x-1:a",
)
# Twice the largest number that doubles count by ones, and what is no number to count with.
SCORES: tuple[float, ...] = (float("inf"), float("-inf"), -1.0, 1.8e16, 1e308, 0.5)
# One of another type for each type.
OTHER = {"string": "list", "hash": "string", "set": "hash", "zset": "set", "list": "zset", "stream": "string"}


SHARED = "shared 16:8:4:2:1"


class Populated:
    """Locks that are held and waited for, and jobs in every state, with the ids of all."""

    def __init__(self, scene: Scene) -> None:
        co = scene.co
        self.session = scene.session
        self.lease = co.acquire(["a", "b"], reason="test", metadata={"a": 1})
        # Needs that are long lie apart from the record.
        self.many = co.acquire([f"{at}-{'n' * 400}" for at in range(5)])
        self.waiter = co.request("a", owner="me")
        co.request("a", within=co.acquire("outer"))
        co.request("a", priority="high", on_preempt="ask")
        self.idents = [self.lease.ident, self.waiter.ident]
        # A subtree with something held and something waited for in it; another one came free while many waited.
        co.acquire([Need("wood/**", "shared")])
        co.acquire([Need("wood/oak", "shared")])
        self.idents.append(co.request("wood/elm").ident)
        scene.raw.hset(scene.key("WAKES"), "cleared/**", "0-")
        # Nobody is granted this for a time after a crash.
        scene.raw.zadd(scene.key("DELAYS"), {"crashed/**": 0})
        scene.raw.hset(scene.key("META"), "delays", "1")
        co.define("gpu", capacity=2)
        for name in ("done", "failed", "running"):
            self.idents.append(co.submit(name, {"a": "x" * 300}, queue="hostile", retry=RetryPolicy.none()).ident)
        claimed = scene.claim(3, "hostile")
        scene.settle(*claimed[0])
        scene.settle(*claimed[1], "failed")
        self.running = claimed[2]
        scene.call(calls.spare(scene.scope, self.session, Offer(1, False, 0, 0, [self.running])))
        self.idents += [
            co.submit("blocked", 1, resources=["a"], queue="hostile", metadata={"k": 1}).ident,
            co.submit("ready", 2, queue="hostile", dedup=Dedup("k", "rerun")).ident,
            co.submit("later", 3, queue="hostile", delay=600, retry=RetryPolicy()).ident,
        ]
        duplicate = co.submit("ready", 2, queue="hostile", dedup=Dedup("k", "join"))
        assert duplicate.duplicate
        scene.call(calls.watch(scene.scope, self.idents[-2], self.session))
        co.submit("alike", "some text", queue="hostile", similar=Similar())
        co.warm("answered", [(1, "x")])
        assert co.coalesce("answered", 1) == "x"
        co.reorder(self.idents[-3], "front")
        co.freeze("elsewhere/**", 600, "test")
        CountDownLatch(co, "latch", 2).count_down()
        with contextlib.suppress(WaitTimeout):
            CountDownLatch(co, "latch", 2).wait(0.001)
        self._gated(scene)
        for _ in range(2):
            self.idents.append(co.submit("shared", queue="shared", priority="low").ident)
        scene.claim(1, SHARED)
        co.configure({"timeouts.queue": 200})
        scene.call(learn(scene, self.session, 1))
        scene.call(publish(scene, 1))
        scene.call(calls.judge(scene.scope, "p 1", [ALERT]))
        # A worker that finds nothing is idle.
        scene.claim(1, "empty")
        scene.raw.rpush(scene.key("INBOX", self.session), "bell hostile")
        scene.raw.sadd(scene.key("DIRTY"), "a")
        # A queue that refuses LOW.
        scene.raw.hset(scene.key("SHEDDING"), "hostile", 1)
        scene.raw.hset(scene.key("META"), "shed", 1)
        scene.raw.set(scene.key("CROWDED", "a"), 1, ex=600)

    def _gated(self, scene: Scene) -> None:
        """A breaker that one failure has opened, and a job that waits there."""
        policy = BreakerPolicy(failures=1, open_for=600)
        self.gates = {"gated": Gates(breakers=("gated",), policy=policy).to_wire("gated")}
        scene.call(calls.tell(scene.scope, self.session, self.gates))
        for _ in range(2):
            self.idents.append(scene.co.submit("gated", queue="gates", retry=RetryPolicy.none()).ident)
        scene.settle(*scene.claim(1, "gates")[0], "failed")
        assert scene.claim(1, "gates") == []


def learn(scene: Scene, session: str, number: int) -> Call:
    """A report of what was seen of the timeout of one handler, and of how long one lock is held."""
    lesson = Lesson("operation/done", 60_000, "quantile", -1, 0, 0, 900, {"ok": 1, 40: 1})
    held = lesson._replace(name="hold/a", strategy="")
    return calls.learn(scene.scope, session, Lessons(number, 256, 1800, (lesson, held)))


ALERT = ("queue_depth", "", "raised warning 120 1700000000000 0 -", "raised", "warning", "120")


def publish(scene: Scene, number: int) -> Call:
    """A sample of a process that is to look at the alerts if it is time."""
    words = ("process", "p", "kind", "app", "number", str(number), "ms", "1000", "queue.batches", "1")
    return calls.publish(scene.scope, f"p {number}", (1000, 1000, 100_000, 1), words)


def look_at_alerts(scene: Scene) -> None:
    """As a process does that was told to."""
    rules = scene.co.settings.metrics.rules()
    scene.co.run(judging.judge(scene.scope, "p 1", rules))
    scene.co.run(judging.acknowledge(scene.scope, rules, "queue_depth", "me"))


def present(scene: Scene, made: Populated) -> Iterator[tuple[Family, bytes]]:
    """One key of each family that there is in the namespace."""
    for family in FAMILIES:
        place = key(scene.scope.namespace, family.name)
        if not family.suffix.endswith(":"):
            if scene.raw.exists(place):
                yield family, place.encode()
            continue
        if family.name == "INBOX":  # what is in it is read at once
            yield family, scene.key("INBOX", made.session).encode()
        for found in sorted(scene.raw.scan_iter(f"{place}*", 1000)):
            yield family, found


def plants(family: Family) -> dict[str, Spoil]:
    """Ways to spoil a key of the family, by name."""
    spoil: dict[str, Spoil] = {"another type": _another_type(family.type)}
    for at, nasty in enumerate(NASTY):
        spoil[f"value {at}"] = _with_value(family.type, nasty)
    if family.type == "zset":
        for score in SCORES:
            spoil[f"score {score}"] = _with_score(score)
    return spoil


def _another_type(kind: str) -> Spoil:
    def spoil(raw: redis.Redis, place: bytes) -> None:
        raw.delete(place)
        _add(raw, place, OTHER[kind], b"x")

    return spoil


def _with_value(kind: str, nasty: bytes) -> Spoil:
    def spoil(raw: redis.Redis, place: bytes) -> None:
        if kind == "hash":
            fields = raw.hkeys(place)
            raw.hset(place, mapping={**dict.fromkeys(fields, nasty), nasty: nasty})
        else:
            _add(raw, place, kind, nasty)

    return spoil


def _with_score(score: float) -> Spoil:
    def spoil(raw: redis.Redis, place: bytes) -> None:
        for member in raw.zrange(place, 0, -1) or [b"nobody"]:
            raw.zadd(place, {member: score})

    return spoil


def _add(raw: redis.Redis, place: bytes, kind: str, value: bytes) -> None:
    does: dict[str, Callable[[], Any]] = {
        "string": lambda: raw.set(place, value, keepttl=True),
        "hash": lambda: raw.hset(place, value, value),
        "set": lambda: raw.sadd(place, value),
        "zset": lambda: raw.zadd(place, {value: 1}),
        "list": lambda: raw.lpush(place, value),
        "stream": lambda: raw.xadd(place, {value: value, b"event": value, b"ms": value}),
    }
    does[kind]()


def attempts(scene: Scene, made: Populated) -> dict[str, Callable[[], Any]]:
    """Everything a client, a worker and a process can do, by name."""
    co: Coordinator = scene.co
    found: dict[str, Callable[[], Any]] = {
        "survey": co.survey,
        "line": lambda: co.line("a"),
        "holders": lambda: co.holders("**"),
        "waiters": made.lease.waiters,
        "changes": lambda: next(co.watch("**", "1-1")),
        "held_by": lambda: co.held_by("me"),
        "try": lambda: co.try_acquire("a"),
        "acquire": lambda: co.acquire("fresh", wait=0.01).release(),
        "acquire several": lambda: co.acquire(["a", "gpu"], wait=0.01),
        "submit": lambda: co.submit("job", 1, queue="hostile", resources=["a"]),
        "duplicate": lambda: co.submit("ready", 5, queue="hostile", dedup=Dedup("k", "replace")),
        "define": lambda: co.define("gpu", capacity=3),
        "claim": lambda: scene.claim(5, "hostile"),
        "claim by weights": lambda: scene.claim(1, SHARED),
        "claim nothing": lambda: scene.claim(1, "empty"),
        "settle": lambda: scene.settle(*made.running, "retry", 50),
        "progress": lambda: scene.call(calls.note_progress(scene.scope, *made.running, "half")),
        "beat": lambda: scene.call(calls.beat(scene.scope, made.session, 0, [made.running])),
        "sweep": lambda: scene.call(calls.sweep(scene.scope)),
        "extend": lambda: made.lease.extend(60),
    }
    for at, ident in enumerate(made.idents):
        found[f"explain {at}"] = lambda ident=ident: co.explain(ident)
        found[f"position {at}"] = lambda ident=ident: co.get(ident).position()
        found[f"state {at}"] = lambda ident=ident: co.get(ident).state()
        found[f"reprioritise {at}"] = lambda ident=ident: co.reprioritise(ident, "high")
    found["learn"] = lambda: scene.call(learn(scene, made.session, 2))
    found["publish"] = lambda: scene.call(publish(scene, 2))
    found["measured"] = lambda: measured.document(measured.measured(co, 60).window)
    found["alerts"] = lambda: look_at_alerts(scene)
    found["timeouts"] = lambda: co.run(timing.look(scene.scope, ["operation/done"]))
    found["similar"] = lambda: co.submit("alike", "some text", queue="hostile", similar=Similar())
    found["handlers"] = lambda: co.run(lessons.learnt(scene.scope, ["done"]))
    found["configure"] = lambda: co.configure({"timeouts.lock": 20})
    found["configuration"] = co.configuration
    found["tell"] = lambda: scene.call(calls.tell(scene.scope, made.session, made.gates))
    found["breakers"] = co.breakers
    found["limits"] = co.limits
    found["claim at a gate"] = lambda: scene.claim(2, "gates")
    found["open a breaker"] = lambda: co.open_breaker("gated", 60, "test")
    found["close a breaker"] = lambda: co.close_breaker("gated", "test")
    found["coalesce"] = lambda: co.coalesce("answered", 2, timeout=0.01, queue="hostile")
    found["recall"] = lambda: co.cached_many("answered", [1, 2])
    found["warm"] = lambda: co.warm("answered", [(3, "x")])
    found["forget"] = lambda: co.forget("answered", [1])
    found["result"] = lambda: co.get(made.idents[2]).result(0.01)
    found["force"] = lambda: co.force_release(made.running[0], "test")
    found["reorder"] = lambda: co.reorder(made.idents[4], before=made.idents[5])
    found["transfer"] = lambda: co.transfer(made.running[0], made.idents[-1], "test")
    found["audit"] = co.audit
    found["freeze"] = lambda: co.freeze("b/**", 60, "test")
    found["thaw"] = lambda: co.thaw("b/**")
    found["freezes"] = co.freezes
    found["let pass"] = lambda: co.let_pass(made.idents[4], "test")
    found["spare"] = lambda: scene.call(calls.spare(scene.scope, made.session, Offer(2, False, 0, 0, [made.running])))
    found["retain"] = lambda: scene.call(calls.retain(scene.scope, made.session, 3, [made.running]))
    found["nested"] = lambda: co.try_acquire("b", within=made.lease)
    found["gather"] = CountDownLatch(co, "latch", 2).count_down
    found["replay"] = lambda: co.replay(made.idents[3])
    found["cancel"] = lambda: co.cancel(made.idents[-1])
    found["release"] = made.lease.release
    return found


def untouched(scene: Scene) -> None:
    """What has nothing to do with what was planted goes on: a lock, and a job from its submission to its end."""
    name = encode("bystander")
    with scene.co.lock(name, wait=1):
        assert scene.co.try_acquire(name) is None
    ticket = scene.co.submit("bystander", 1, queue="bystander")
    [(ident, fence)] = scene.claim(1, "bystander")
    assert ident == ticket.ident
    assert scene.settle(ident, fence) == "ok"
    assert ticket.result(1) == 1
