"""What the doctor knows without asking anybody: which keys, members and settings are as they should be.

The census goes over all keys and says of each whether it belongs where it is (`key_fault`); on the way it collects whom
to audit (`Subjects`): requests with the places they were seen in, and resources. The audits themselves are scripts,
because only a script sees one moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from coordinator.keys import SCHEMA_VERSION, Family, Lifetime, classify, decode, prefix
from coordinator.ops.configuring import Answers
from coordinator.wire.replies import Raw, number

Kind = Literal["server", "namespace", "key", "request", "resource", "settings"]
Cure = Literal["none", "unlink", "expire", "persist", "reap"]

OF_SESSION = frozenset({"SESSION", "OWNS", "INBOX", "BATCH"})
OF_REQUEST = frozenset({"REQ", "NEEDS", "NOTE"})
OF_RESOURCE = frozenset({"LINE", "HOLDERS", "HELD_BELOW", "WAITS_BELOW"})
LISTS_REQUESTS = frozenset(
    {"LINE", "HOLDERS", "READY", "CLASS", "WAITING", "GATED", "SPARE", "SCHEDULED", "DEADLINES", "DEAD", "OWNS"}
    | {"PAYLOADS", "NESTED", "FLOW", "BY_OWNER"}
)
LISTS_RESOURCES = frozenset({"RESOURCES", "DIRTY", "TREES", "WAKES", "DELAYS", "HELD_BELOW", "WAITS_BELOW"})

# The fields of `meta` that there are, and how many there may be: every script reads all of them.
META_FIELDS = frozenset(
    {"schema", "clock", "skew", "tick", "swept", "looked", "left", "gates", "limits", "gates_full", "shed", "frozen"}
    | {"shares", "spare", "nested", "memory", "trees", "defined", "delays", "terms", "sweeper"}
)
MOST_META_FIELDS = 64

NO_TTL = -1
# Among the clocks of requests are those of resources that nobody is granted for a time after a crash.
DELAY = b"!"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: with what, how, and whether it has been put right."""

    kind: Kind
    subject: str
    detail: str
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination found. `checked` counts keys, requests and resources; `server` describes the server."""

    problems: tuple[Finding, ...]
    checked: int
    server: str
    fixed: int = 0

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong, or nothing any more."""
        return all(one.fixed for one in self.problems)


@dataclass(frozen=True, slots=True)
class KeyFault:
    """A key that is not as it should be, and what would put it right."""

    key: bytes
    detail: str
    cure: Cure
    session: bytes = b""


@dataclass(slots=True)
class Subjects:
    """Whom to audit: request ids with the places they were seen in, and resources. Names are as they stand in keys."""

    requests: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)
    resources: set[bytes] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.requests) + len(self.resources)

    def see(self, ident: bytes, place: bytes = b"") -> None:
        """A request was seen, in a place or in its own record."""
        places = self.requests.get(ident, ())
        if place and place not in places:
            places = (*places, place)
        self.requests[ident] = places

    def see_key(self, found: Family, member: bytes) -> None:
        """A key was seen whose name says whom it is about."""
        if found.name in OF_REQUEST:
            self.see(member)
        elif found.name in OF_RESOURCE:
            self.resources.add(member)

    def see_member(self, found: Family, place: bytes, member: bytes) -> None:
        """An entry was seen in `place`, a key without its prefix."""
        if found.name == "DEADLINES" and member.startswith(DELAY):
            self.resources.add(member.removeprefix(DELAY))
        elif found.name in LISTS_REQUESTS:
            self.see(member, place)
        elif found.name in LISTS_RESOURCES:
            self.resources.add(member)


def find(namespace: str, key: bytes) -> tuple[Family, bytes] | None:
    """The family of a key and its member, or None if no key of ours has such a name."""
    try:
        found = classify(namespace, key.decode())
    except UnicodeDecodeError:
        return None
    return found and (found[0], found[1].encode())


def place_of(namespace: str, key: bytes) -> bytes:
    """A key without the prefix of its namespace."""
    return key[len(prefix(namespace).encode()) :]


def session_of(namespace: str, key: bytes) -> bytes:
    """The session a key belongs to, or empty."""
    found = find(namespace, key)
    return found[1] if found and found[0].name in OF_SESSION else b""


def key_fault(namespace: str, key: bytes, facts: Raw) -> KeyFault | None:
    """What is wrong with a key whose type, ms to live and session's standing are `facts`."""
    kind, ttl, standing = shown(facts[0]), number(facts[1]), shown(facts[2])
    found = find(namespace, key)
    if kind == "none":
        return None
    if found is None:
        return KeyFault(key, "is a key that Coordinator does not write", "none")
    one, member = found
    if kind != one.type:
        return KeyFault(key, f"is a {kind} where a {one.type} belongs", "unlink")
    detail, cure = (_stays_fault if ttl == NO_TTL else _ends_fault)(one.lifetime, standing)
    return KeyFault(key, detail, cure, member) if detail else None


def _stays_fault(lifetime: Lifetime, standing: str) -> tuple[str, Cure]:
    if lifetime == "ttl":
        return "has no time to live", "expire"
    if standing == "unknown":
        return "belongs to a session that is not there", "reap"
    if standing == "lapsed":
        return "belongs to a session that lapsed and was not taken back", "reap"
    return "", "none"


def _ends_fault(lifetime: Lifetime, _standing: str) -> tuple[str, Cure]:
    return ("has a time to live, but is to stay", "persist") if lifetime == "permanent" else ("", "none")


def dedup_owner(value: bytes | None) -> bytes:
    """The request id in a dedup key, or empty."""
    return (value or b"").partition(b" ")[0]


def shown(raw: bytes | str | int) -> str:
    """Bytes from the server as text that can always be printed."""
    return raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else str(raw)


def resource_shown(encoded: bytes) -> str:
    """A resource as its users name it."""
    return decode(shown(encoded))


def namespace_finding(namespace: str, kind: str, schema: bytes | None) -> Finding | None:
    """Whether the namespace cannot be examined: its `meta` is of a wrong type, or its layout is another one."""
    if kind not in ("hash", "none"):
        return Finding("namespace", namespace, f"its meta is a {kind} where a hash belongs; no script can work")
    if schema is None or shown(schema) == SCHEMA_VERSION:
        return None
    detail = f"has data of layout {shown(schema)}, not {SCHEMA_VERSION}; it was left alone"
    return Finding("namespace", namespace, detail)


def crowd_finding(namespace: str, fields: int) -> Finding | None:
    """Whether `meta` has so many fields that scripts refuse to read it."""
    if fields <= MOST_META_FIELDS:
        return None
    detail = f"its meta has {fields} fields, of which Coordinator writes at most {len(META_FIELDS)}; no script can work"
    return Finding("namespace", namespace, detail)


def server_findings(info: Mapping[str, Any], version: tuple[int, ...], oldest: tuple[int, ...]) -> list[Finding]:
    """What is unsafe about a server, by its INFO."""
    found: list[str] = []
    if version < oldest:
        found.append(f"is version {_dotted(version)}; {_dotted(oldest)} or newer is needed")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        when = "" if int(info.get("maxmemory", 0)) else " as soon as maxmemory is set"
        found.append(f"may evict jobs and locks{when}: maxmemory-policy is {policy}; set it to noeviction")
    if str(info.get("role", "master")) != "master":
        found.append("is a replica: connect to its master")
    if info.get("aof_enabled") and str(info.get("aof_last_write_status", "ok")) != "ok":
        found.append("could not write its AOF the last time")
    if str(info.get("rdb_last_bgsave_status", "ok")) != "ok":
        found.append("could not write its snapshot the last time")
    return [Finding("server", "redis", detail) for detail in found]


def settings_findings(found: Answers) -> list[Finding]:
    """What live processes could not take over of the settings that were changed for the fleet."""
    told = "cannot take over all settings of the fleet, those of version"
    return [
        Finding("settings", f"{one.kind} {one.host}:{one.pid}", f"{told} {one.version}: {one.refused}")
        for one in found.refused
    ]


def server_line(info: Mapping[str, Any]) -> str:
    """The server in one line, for people."""
    name = info.get("server_name", "redis")
    version = info.get(f"{name}_version", info.get("redis_version", "?"))
    limit = int(info.get("maxmemory", 0))
    memory = f"maxmemory {limit} bytes" if limit else "no maxmemory"
    aof = "on" if info.get("aof_enabled") else "off: what is newer than the last snapshot is lost in a crash"
    return f"{name} {version}, {info.get('maxmemory_policy', '?')}, {memory}, AOF {aof}"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
