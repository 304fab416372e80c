"""Every key of a namespace, named here and nowhere else.

All keys of a namespace begin with `co:{namespace}:`; the braces are a hash tag, so a namespace lives in one cluster
slot and on one node. `FAMILIES` is the table of what there is: the Lua scripts get their names from it (`suffix`), the
key check of `doctor` its lifetimes, the README its table.

Text that users choose reaches a key only through `encode`, which is injective: different names give different keys,
and no name can reach another family, another slot or a pattern.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

Lifetime = Literal["permanent", "owned", "ttl"]

SCHEMA_VERSION = "2"


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of key. `suffix` ends in a colon when there is one key for each of something.

    `lifetime`: `permanent` keys stay (bounded by limits); an `owned` key goes with the live request, session or
    resource it belongs to, and may have a TTL after that; a `ttl` key always has one.
    """

    name: str
    suffix: str
    type: str
    lifetime: Lifetime
    holds: str
    example: str


FAMILIES: tuple[Family, ...] = (
    Family("META", "meta", "hash", "permanent", "layout version, monotonic clock, last number drawn", "HGETALL"),
    Family(
        "SESSIONS",
        "sessions",
        "zset",
        "permanent",
        "live processes by the ms at which they lapse",
        "ZRANGE {} 0 -1 WITHSCORES",
    ),
    Family("SESSION", "session:", "hash", "owned", "who a process is: host, pid, owner, queues", "HGETALL"),
    Family("OWNS", "owns:", "set", "owned", "request ids that die with the process", "SMEMBERS"),
    Family(
        "INBOX",
        "inbox:",
        "list",
        "owned",
        "messages pushed to a process: granted, ended, lost, cancel, bell",
        "LRANGE {} 0 -1",
    ),
    Family("BATCH", "batch:", "string", "owned", "number and ids of a worker's last claim", "GET"),
    Family("REQ", "req:", "hash", "owned", "one request: kind, state, priority, session, fence", "HGETALL"),
    Family(
        "NEEDS",
        "needs:",
        "string",
        "owned",
        "needs of a request, if longer than 64 bytes",
        "GET",
    ),
    Family("NOTE", "note:", "hash", "owned", "owner, reason and metadata of a request", "HGETALL"),
    Family(
        "PAYLOADS",
        "payloads",
        "hash",
        "permanent",
        "msgpack payloads longer than 128 bytes, until their job is over",
        "HKEYS",
    ),
    Family("RESULT", "result:", "string", "ttl", "msgpack result of a job that succeeded", "PTTL"),
    Family("WATCH", "watch:", "set", "ttl", "processes that wait for the end of a request", "SMEMBERS"),
    Family(
        "LINE", "line:", "zset", "owned", "who waits for a resource, the first in front", "ZRANGE {} 0 -1 WITHSCORES"
    ),
    Family(
        "HOLDERS",
        "holders:",
        "hash",
        "owned",
        "who holds a resource: mode, permits, fence, session, end in ms",
        "HGETALL",
    ),
    Family(
        "RESOURCES",
        "resources",
        "zset",
        "permanent",
        "resources that are held or waited for, by name",
        "ZRANGE {} 0 -1",
    ),
    Family(
        "BY_OWNER",
        "by_owner:",
        "zset",
        "owned",
        "requests of an owner that are not over, by id",
        "ZRANGE {} 0 -1",
    ),
    Family(
        "DEF",
        "def:",
        "hash",
        "permanent",
        "what was defined for a resource: capacity, mode of its line, limits",
        "HGETALL",
    ),
    Family("QUEUES", "queues", "set", "permanent", "names of all queues", "SMEMBERS"),
    Family(
        "READY", "ready:", "zset", "permanent", "jobs of a queue that can run now, the first in front", "ZRANGE {} 0 9"
    ),
    Family(
        "SPARE",
        "spare:",
        "zset",
        "permanent",
        "claimed jobs that their worker cannot begin, by how many stand before them",
        "ZRANGE {} 0 -1 WITHSCORES",
    ),
    Family("WAITING", "waiting:", "zset", "permanent", "jobs of a queue that wait for resources", "ZRANGE {} 0 9"),
    Family("IDLE", "idle:", "zset", "permanent", "workers of a queue with free slots, by since when", "ZRANGE {} 0 -1"),
    Family(
        "SCHEDULED",
        "scheduled",
        "zset",
        "permanent",
        "delayed jobs by the ms at which they are due",
        "ZRANGE {} 0 9 WITHSCORES",
    ),
    Family(
        "PREEMPTS",
        "preempts",
        "zset",
        "permanent",
        "requests that ask less urgent holders to yield, by the ms at which they ask again",
        "ZRANGE {} 0 -1 WITHSCORES",
    ),
    Family(
        "DEADLINES",
        "deadlines",
        "zset",
        "permanent",
        "the next clock of each request, in ms",
        "ZRANGE {} 0 9 WITHSCORES",
    ),
    Family(
        "DEAD",
        "dead",
        "zset",
        "permanent",
        "failed and dead jobs that can be replayed, by when they ended",
        "ZRANGE {} 0 -1",
    ),
    Family("GATES", "gates", "hash", "permanent", "the gates that the jobs of each handler have to pass", "HGETALL"),
    Family(
        "TOLD",
        "gates_told",
        "zset",
        "permanent",
        "handlers by the ms at which a worker last told of their gates",
        "ZRANGE {} 0 9 WITHSCORES",
    ),
    Family("GATE", "gate:", "hash", "ttl", "a breaker or limit that has something to say: state, tokens", "HGETALL"),
    Family(
        "GATED", "gated:", "zset", "owned", "jobs of a queue that wait at a gate, the first in front", "ZRANGE {} 0 9"
    ),
    Family(
        "CLOCKS",
        "gate_clocks",
        "zset",
        "permanent",
        "queue and gate by the ms at which they are looked at next",
        "ZRANGE {} 0 -1 WITHSCORES",
    ),
    Family("DEDUP", "dedup:", "string", "owned", "request id that holds a dedup key", "GET"),
    Family("GIST", "gist:", "string", "ttl", "normalised text of a job that later ones are compared with", "GET"),
    Family("BAND", "band:", "string", "ttl", "jobs whose texts may be alike, the newest last", "GET"),
    Family("NEAR", "near", "zset", "permanent", "processes that keep copies of answers", "ZRANGE {} 0 -1"),
    Family("GATHER", "gather:", "hash", "ttl", "a latch or barrier: how many it takes, its round", "HGETALL"),
    Family("CAME", "came:", "hash", "ttl", "who has come to it in a round, and of which process", "HGETALL"),
    Family("CALL", "call:", "string", "ttl", "how a submission that was a duplicate was answered", "GET"),
    Family(
        "HANDLER",
        "handler:",
        "hash",
        "ttl",
        "what the fleet has seen of a handler: retry budget, timeouts, retries by delay",
        "HGETALL",
    ),
    Family("DIRTY", "dirty", "set", "permanent", "resources whose lines the next sweep looks at", "SMEMBERS"),
    Family(
        "TIMEOUTS",
        "timeouts",
        "zset",
        "permanent",
        "things with adaptive timeouts by the ms when they were last seen",
        "ZRANGE {} 0 -1 WITHSCORES",
    ),
    Family(
        "HOLDS",
        "holds",
        "zset",
        "permanent",
        "resources of which it is counted how long they are held, by the ms when they last were",
        "ZRANGE {} 0 -1 WITHSCORES",
    ),
    Family("TIMEOUT", "timeout:", "hash", "ttl", "an adaptive timeout: now and base in ms, strategy", "HGETALL"),
    Family(
        "TIMINGS",
        "timings:",
        "hash",
        "ttl",
        "what was seen in 24 hours: ok, late, and latencies by bucket",
        "HGETALL",
    ),
    Family("HOURLY", "timings-hourly:", "hash", "ttl", "the same of one hour", "HGETALL"),
    Family(
        "CONFIG",
        "config",
        "hash",
        "permanent",
        "settings changed for the fleet, as JSON, and their version",
        "HGETALL",
    ),
    Family(
        "SHEDDING",
        "shedding",
        "hash",
        "permanent",
        "queues that refuse jobs under load: 1 LOW, 2 also NORMAL",
        "HGETALL",
    ),
    Family(
        "CROWDED",
        "crowded:",
        "string",
        "ttl",
        "that the line of a resource refuses requests under load: 1 LOW, 2 also NORMAL",
        "GET",
    ),
    Family(
        "SHARES",
        "shares",
        "hash",
        "permanent",
        "whose turn it is, of what is shared by weights: last use in ms, weights, leads",
        "HGETALL",
    ),
    Family(
        "CLASS",
        "class:",
        "zset",
        "owned",
        "ready jobs of a queue that is shared by weights, of one priority",
        "ZRANGE {} 0 9",
    ),
    Family("STATS", "stats", "hash", "permanent", "how often each event has happened, and ms waited", "HGETALL"),
    Family(
        "METRICS",
        "metrics",
        "stream",
        "permanent",
        "what every process measures, capped in length and bytes",
        "XREVRANGE {} + - COUNT 3",
    ),
    Family(
        "PULSE", "pulse", "hash", "permanent", "when the next sample of the fleet is due, and who judges", "HGETALL"
    ),
    Family("ALERTS", "alerts", "hash", "permanent", "how each alert stands that is not at rest", "HGETALL"),
    Family("AUDIT", "audit", "stream", "permanent", "what persons did, capped in length", "XREVRANGE {} + - COUNT 10"),
    Family("FLOW", "flow:", "set", "owned", "requests of a piece of work that wait while it holds others", "SMEMBERS"),
    Family("NESTED", "nested", "zset", "permanent", "requests that wait while other locks are held", "ZRANGE {} 0 -1"),
    Family(
        "FREEZES", "freezes", "hash", "permanent", "what is granted to nobody: until and since in ms, why", "HGETALL"
    ),
    Family(
        "TREES", "trees", "hash", "permanent", "subtrees that are held or waited for: `=`, or how far noted", "HGETALL"
    ),
    Family(
        "HELD_BELOW",
        "held-below:",
        "zset",
        "owned",
        "what is held below a subtree in use: 1 exclusively, 0 shared",
        "ZRANGE {} 0 9 WITHSCORES",
    ),
    Family(
        "WAITS_BELOW",
        "waits-below:",
        "zset",
        "owned",
        "what is waited for below a subtree in use, by the rank of the first",
        "ZRANGE {} 0 9 WITHSCORES",
    ),
    Family("DELAYS", "delays", "zset", "permanent", "what nobody is granted for a time after a crash", "ZRANGE {} 0 9"),
    Family("WAKES", "wakes", "hash", "permanent", "subtrees that came free: how far lines below are woken", "HGETALL"),
    Family("EVENTS", "events", "stream", "permanent", "what happened, capped in length", "XREVRANGE {} + - COUNT 10"),
)


def prefix(namespace: str) -> str:
    """The beginning of all keys of a namespace."""
    return f"co:{{{namespace}}}:"


def proof_channel(namespace: str) -> str:
    """The channel on which something is said behind a call that replicas are to have (`drivers.demands`)."""
    return f"{prefix(namespace)}proof"


def family(name: str) -> Family:
    """The family of that name. Raises KeyError."""
    return _BY_NAME[name]


def key(namespace: str, name: str, member: str = "") -> str:
    """A key: `key("default", "LINE", encode("infra/prod/vpc"))`. `member` must be encoded or an id of ours."""
    return prefix(namespace) + _BY_NAME[name].suffix + member


def classify(namespace: str, full_key: str) -> tuple[Family, str] | None:
    """The family a key belongs to and its member, or None for a key that this package does not write."""
    head = prefix(namespace)
    if not full_key.startswith(head):
        return None
    rest = full_key[len(head) :]
    for one in FAMILIES:
        if one.suffix.endswith(":"):
            if rest.startswith(one.suffix) and len(rest) > len(one.suffix):
                return one, rest[len(one.suffix) :]
        elif rest == one.suffix:
            return one, ""
    return None


def encode(name: str) -> str:
    """A user's name as it stands in keys: letters, digits and `/._-@+=,` as they are, all else percent-encoded."""
    return quote(name, safe="/@+=,").replace("~", "%7E")


def decode(encoded: str) -> str:
    """The name that `encode` was given."""
    return unquote(encoded)


def suffix(name: str) -> str:
    """What follows the prefix in the keys of a family; scripts write `K_LINE` for it. Raises KeyError."""
    return _BY_NAME[name].suffix


_BY_NAME = {one.name: one for one in FAMILIES}
