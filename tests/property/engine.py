"""The engine under test: its scripts with a clock that the test sets, and everything that can be seen of its state."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

import redis

from coordinator.keys import key
from coordinator.wire import loader
from coordinator.wire.step import Call
from tests.support.engine import whole
from tests.support.model import ACTIVE, QUEUED, REPLAYABLE, Fact, Facts, Request, World

# The clock stands in a key beside `meta`, so that the text of the scripts is the same for all namespaces.
CLOCK = "local function server_us() return tonumber(redis.call('GET', KEYS[1] .. '-clock')) end"

View = dict[str, Any]
# Messages that change nothing: a bell, and that somebody more urgent waits.
HINTS = ("bell ", "yield ")


@cache
def script(name: str, shebang: bool) -> tuple[str, str]:
    """The text of a script under the test's clock, and its SHA-1."""
    text = loader.resolve(name, replace={"lib/now": CLOCK})
    if shebang:
        flags = loader.program(name, True).text.splitlines()[0]
        text = f"{flags}\n{text}"
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def plain(reply: Any) -> Any:
    """A reply with text for bytes and numbers; payloads stay as they are if they are not text."""
    if isinstance(reply, list):
        return [plain(one) for one in reply]
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "surrogateescape")
    return str(reply)


class Engine:
    """Calls scripts of one namespace on a real server or an imitation."""

    def __init__(self, client: Any, namespace: str, shebang: bool) -> None:
        self.client, self.namespace, self.shebang = client, namespace, shebang

    def set_clock(self, us: int) -> None:
        self.client.set(key(self.namespace, "META") + "-clock", us)

    def call(self, call: Call) -> Any:
        text, sha = script(call.script, self.shebang)
        try:
            return plain(self.client.execute_command("EVALSHA", sha, 1, call.key, *call.args))
        except redis.exceptions.NoScriptError:
            return plain(self.client.execute_command("EVAL", text, 1, call.key, *call.args))

    def kept_for_ever(self, over: list[str], owner: str) -> list[str]:
        """What is still there of requests that are over, and has no end."""
        names = [key(self.namespace, family, ident) for family in ("REQ", "NOTE", "NEEDS") for ident in over]
        lives = self.read([("PTTL", name) for name in names])
        of_owner = self.client.zrange(key(self.namespace, "BY_OWNER", owner), 0, -1)
        without_end = [name for name, life in zip(names, lives, strict=True) if life == -1]
        return without_end + [one.decode() for one in of_owner if one.decode() in over]

    def purge(self) -> None:
        """Delete the namespace, so that thousands of examples do not pile up."""
        names = self.client.keys(f"co:{{{self.namespace}}}:*")
        if names:
            self.client.delete(*names)

    def look(self, world: World, resources: Iterable[str], queues: Iterable[str], keys: Iterable[str]) -> Look:
        """The state of everything that the model knows of."""
        return Look(self, world, tuple(resources), tuple(queues), tuple(keys))

    def read(self, commands: list[tuple[str, ...]]) -> list[Any]:
        """Answers to many commands in one round trip."""
        pipe = self.client.pipeline(transaction=False)
        for one in commands:
            pipe.execute_command(*one)
        return list(pipe.execute())


class Look:
    """One look at the engine: `facts` that the model may follow, `view` that must be equal to its own."""

    def __init__(
        self, engine: Engine, world: World, resources: tuple[str, ...], queues: tuple[str, ...], dedup: tuple[str, ...]
    ) -> None:
        self._engine, self._now = engine, world.now
        # One more than there were: this step may have opened it.
        self.sessions = tuple(f"s{number}" for number in range(1, len(world.inbox) + 2))
        self.resources, self.queues, self.dedup = resources, queues, dedup
        self._raw = self._gather()
        self.requests: dict[str, dict[str, str]] = self._requests()

    def _key(self, family: str, member: str = "") -> str:
        return key(self._engine.namespace, family, member)

    def _gather(self) -> dict[tuple[str, str], Any]:
        wanted: dict[tuple[str, str], tuple[str, ...]] = {}

        def ask(family: str, member: str, *command: str) -> None:
            wanted[family, member] = (command[0], self._key(family, member), *command[1:])

        for resource in self.resources:
            ask("LINE", resource, "ZRANGE", "0", "-1")
            ask("HOLDERS", resource, "HGETALL")
            ask("CROWDED", resource, "GET")
        for queue in self.queues:
            for family in ("READY", "WAITING", "IDLE"):
                ask(family, queue, "ZRANGE", "0", "-1")
        for session in self.sessions:
            ask("OWNS", session, "SMEMBERS")
            ask("INBOX", session, "LRANGE", "0", "-1")
        for name in self.dedup:
            ask("DEDUP", name, "GET")
        for family in ("SESSIONS", "SCHEDULED", "DEADLINES", "DEAD"):
            ask(family, "", "ZRANGE", "0", "-1", "WITHSCORES")
        ask("RESOURCES", "", "ZRANGE", "0", "-1")
        ask("DIRTY", "", "SMEMBERS")
        ask("PAYLOADS", "", "HGETALL")
        return dict(zip(wanted, self._engine.read(list(wanted.values())), strict=True))

    def _requests(self) -> dict[str, dict[str, str]]:
        names = sorted(self._engine.client.keys(self._key("REQ") + "*"))
        found = self._engine.read([("HGETALL", name.decode()) for name in names])
        idents = [name.decode().rpartition(":")[2] for name in names]
        return {
            ident: whole({one.decode(): two.decode() for one, two in fields.items()})
            for ident, fields in zip(idents, found, strict=True)
        }

    def words(self, family: str, member: str = "") -> list[str]:
        """A list or set as text; a sorted set in order."""
        return [word.decode() for word in self._raw[family, member] or ()]

    def scores(self, family: str) -> dict[str, int]:
        """A sorted set with its scores."""
        raw = self._raw[family, ""]
        pairs = raw if raw and isinstance(raw[0], tuple | list) else zip(raw[::2], raw[1::2], strict=True)
        return {member.decode(): int(float(score)) for member, score in pairs}

    @property
    def facts(self) -> Facts:
        numbers = ("fence", "crashes", "stamp")
        return {
            ident: Fact(
                one["state"], *(int(one.get(name, 0)) for name in numbers), int(one["rank"]) if "rank" in one else None
            )
            for ident, one in self.requests.items()
        }

    @property
    def crowded(self) -> dict[str, int]:
        """What each line refuses."""
        return {name: int(self._raw["CROWDED", name] or 0) for name in self.resources}

    def view(self) -> View:
        sessions = {name: ends for name, ends in self.scores("SESSIONS").items() if ends > self._now}
        return {
            "requests": {ident: self._request(one) for ident, one in self.requests.items()},
            "lines": {name: self.words("LINE", name) for name in self.resources},
            "holders": {name: self._holders(name) for name in self.resources},
            "ready": {name: self.words("READY", name) for name in self.queues},
            "waiting": {name: self.words("WAITING", name) for name in self.queues},
            "scheduled": self.scores("SCHEDULED"),
            "deadlines": self.scores("DEADLINES"),
            "dead": set(self.scores("DEAD")),
            "resources": set(self.words("RESOURCES")),
            "payloads": self._payloads(),
            "sessions": sessions,
            "owns": {name: set(self.words("OWNS", name)) for name in self.sessions},
            "inbox": {name: self._told(name) for name in sessions},
            "dedup": {name: owner for name in self.dedup if (owner := self._dedup(name))},
        }

    def _told(self, session: str) -> Counter[str]:
        return Counter(_plainly(one) for one in self.words("INBOX", session) if not one.startswith(HINTS))

    def _payloads(self) -> dict[str, bytes]:
        short = {
            ident: (one["data"] + one.get("data2", "")).encode()
            for ident, one in self.requests.items()
            if "data" in one
        }
        return short | {name.decode(): value for name, value in self._raw["PAYLOADS", ""].items()}

    def _request(self, one: dict[str, str]) -> tuple[Any, ...]:
        state = one["state"]
        owned = state in ACTIVE or (one["kind"] == "lock" and state == "waiting")
        counts = (int(one.get(name, 0)) for name in ("attempts", "deliveries", "crashes"))
        return state, int(one["priority"]), one["session"] if owned else "", *counts

    def _holders(self, resource: str) -> dict[str, str]:
        return {ident.decode(): value.decode() for ident, value in self._raw["HOLDERS", resource].items()}

    def _dedup(self, name: str) -> tuple[str, int | None] | None:
        words = (self._raw["DEDUP", name] or b"").decode().split()
        till = int(words[1]) if len(words) == 2 else None
        return (words[0], till) if words and (till is None or till > self._now) else None


def _plainly(message: str) -> str:
    """A message without how full the line was that somebody was displaced from."""
    return " ".join(message.split()[:3]) if message.startswith("ended ") else message


def expected(world: World, look: Look) -> View:
    """The view that the model has, in the same form."""
    every = list(world.requests.values())
    jobs = [r for r in every if r.kind == "job"]
    sessions = {name: ends for name, ends in world.sessions.items() if ends > world.now}
    return {
        "requests": {r.ident: _summary(r) for r in every},
        "lines": {name: [r.ident for r in world.line(name)] for name in look.resources},
        "holders": {name: {r.ident: _holding(r, name) for r in world.holders(name)} for name in look.resources},
        "ready": {name: [r.ident for r in world.ready([name])] for name in look.queues},
        "waiting": {name: _waiting(world, name) for name in look.queues},
        "scheduled": {r.ident: r.due for r in jobs if r.state == "scheduled"},
        "deadlines": {r.ident: clock for r in every if (clock := world.clock(r)) is not None},
        "dead": {r.ident for r in jobs if r.state in REPLAYABLE},
        "resources": {name for r in every if r.state in (*ACTIVE, *QUEUED) for name in r.needs},
        "payloads": {r.ident: r.payload for r in jobs if r.payload is not None},
        "sessions": sessions,
        "owns": {name: {r.ident for r in every if _owned(r) and r.session == name} for name in look.sessions},
        "inbox": {name: Counter(world.inbox[name]) for name in sessions},
        "dedup": {name: owner for name, owner in world.dedup.items() if not world.over(owner[1])},
    }


def differences(seen: View, wanted: View) -> list[str]:
    """Where two views differ, in words."""
    found = []
    for part, ours in wanted.items():
        theirs = seen[part]
        if isinstance(ours, set):
            found += [f"{part}: {one!r}" for one in sorted(ours ^ theirs)]
            continue
        for name in sorted({*ours, *theirs}):
            if ours.get(name) != theirs.get(name):
                found.append(f"{part} {name}: {theirs.get(name)!r}, not {ours.get(name)!r}")
    return found


def _owned(r: Request) -> bool:
    return r.state in ACTIVE or (r.kind == "lock" and r.state == "waiting")


def _summary(r: Request) -> tuple[Any, ...]:
    return r.state, r.priority, r.session if _owned(r) else "", r.attempts, r.deliveries, r.crashes


def _holding(r: Request, resource: str) -> str:
    mode, permits = r.needs[resource]
    return f"{mode} {permits} {r.fence} {r.session} {r.ends}"


def _waiting(world: World, queue: str) -> list[str]:
    return [r.ident for r in world.ranked(lambda r: r.kind == "job" and r.state == "waiting" and r.queue == queue)]
