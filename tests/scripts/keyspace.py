"""What must be true of a namespace at any moment, read from a census of all its keys.

Every script test ends with this check, so each scenario tests the places, the clocks and the lifetimes of all it wrote,
besides what it is named after.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from coordinator import keys
from coordinator.model.names import SUBTREE, in_subtree
from coordinator.model.states import State
from tests.support.engine import Kept, whole

LONGEST_IN_KEY = 64
SESSION_FAMILIES = ("SESSION", "OWNS", "INBOX", "BATCH")


def member_of(owner: str) -> str:
    """An owner as it stands in a key."""
    plain = keys.encode(owner)
    return plain if len(plain) <= LONGEST_IN_KEY else hashlib.sha1(owner.encode(), usedforsecurity=False).hexdigest()


class Keyspace:
    """A census by family and member. Faults come out of `faults` as sentences."""

    def __init__(self, namespace: str, census: Mapping[str, Kept], now: int) -> None:
        self.now = now
        self.strays: list[str] = []
        self.kept: dict[tuple[str, str], Kept] = {}
        self.families: dict[str, dict[str, Any]] = {one.name: {} for one in keys.FAMILIES}
        for full, kept in census.items():
            found = keys.classify(namespace, full)
            if found is None:
                self.strays.append(full)
                continue
            family, member = found
            self.kept[family.name, member] = kept
            self.families[family.name][member] = kept.value
        self.requests = {ident: whole(fields) for ident, fields in self.families["REQ"].items()}

    def faults(self) -> list[str]:
        """Everything that is not as it must be."""
        checks = (
            *(self._declared, self._sessions, self._records, self._parts, self._places),
            *(
                self._owners,
                self._gated,
                self._spare,
                self._classes,
                self._lines,
                self._holders,
                self._listed,
                self._subtrees,
                self._delays,
                self._rest,
                self._clocks,
            ),
        )
        return [fault for check in checks for fault in check()]

    def one(self, family: str, member: str = "") -> Any:
        """The value of a key, empty if it is not there."""
        return self.families[family].get(member, {})

    def scores(self, family: str, member: str = "") -> dict[str, float]:
        """A sorted set as a dict."""
        return dict(map(tuple, self.families[family].get(member, ())))

    def _declared(self) -> Iterator[str]:
        yield from (f"{key} belongs to no family" for key in self.strays)
        for (name, member), kept in self.kept.items():
            family = keys.family(name)
            if kept.type != family.type:
                yield f"{name} {member} is a {kept.type}, declared {family.type}"
            if family.lifetime == "ttl" and not kept.has_ttl:
                yield f"{name} {member} must have a time to live"
            if family.lifetime == "permanent" and kept.has_ttl:
                yield f"{name} {member} must not have a time to live"

    def _sessions(self) -> Iterator[str]:
        known = self.scores("SESSIONS")
        for name in SESSION_FAMILIES:
            for member in self.families[name]:
                if member not in known:
                    yield f"{name} {member} is left behind by a session that is gone"
        for session, owned in self.families["OWNS"].items():
            for ident in owned:
                request = self.requests.get(ident, {})
                if request.get("session") != session:
                    yield f"{session} owns {ident}, which is not its own"

    def _records(self) -> Iterator[str]:
        payloads = self.one("PAYLOADS")
        for ident, request in self.requests.items():
            state = State(request["state"])
            if self.kept["REQ", ident].has_ttl != state.final:
                yield f"{ident} is {state}; has a time to live: {not state.final}"
            open_job = request["kind"] == "job" and (not state.final or state in (State.FAILED, State.DEAD))
            if open_job != (ident in payloads or "data" in request):
                yield f"{ident} is {state}; its payload is there: {not open_job}"
        for ident in payloads:
            if ident not in self.requests:
                yield f"the payload of {ident} is left behind"

    def _parts(self) -> Iterator[str]:
        for name in ("NEEDS", "NOTE"):
            for ident in self.families[name]:
                record = self.kept.get(("REQ", ident))
                if record is None or record.has_ttl != self.kept[name, ident].has_ttl:
                    yield f"{name} {ident} does not live as long as its request"

    def _places(self) -> Iterator[str]:
        for ident, request in self.requests.items():
            state, queue = request["state"], request.get("queue", "")
            stands = {
                "ready": ident in self.scores("READY", queue),
                "waiting": ident in self.scores("WAITING", queue),
                "scheduled": ident in self.scores("SCHEDULED"),
            }
            for place, there in stands.items():
                wanted = state == place and (place != "waiting" or request["kind"] == "job")
                if there != wanted:
                    yield f"{ident} is {state} and {'stands' if there else 'does not stand'} among the {place}"
            owned = ident in self.one("OWNS", request.get("session", ""))
            if owned != (state in ("held", "running") or (state == "waiting" and request["kind"] == "lock")):
                yield f"{ident} is {state} and its session {'owns' if owned else 'does not own'} it"
            for resource in self._resources(ident):
                waits = ident in self.scores("LINE", resource)
                holds = ident in self.one("HOLDERS", resource)
                stands_in_line = state in ("waiting", "ready") and not self._gate(ident)
                if waits != stands_in_line or holds != (state in ("held", "running")):
                    yield f"{ident} is {state}; in the line of {resource}: {waits}, holds it: {holds}"

    def _owners(self) -> Iterator[str]:
        """What an owner has listed is what has not ended of its requests."""
        listed = {(ident, owner) for owner, mine in self.families["BY_OWNER"].items() for ident, _ in mine}
        wanted = {
            (ident, member_of(owner))
            for ident, one in self.requests.items()
            if not State(one["state"]).final and (owner := self.one("NOTE", ident).get("owner"))
        }
        yield from (f"{ident} is listed for {owner}, or should be" for ident, owner in listed ^ wanted)

    def _classes(self) -> Iterator[str]:
        """The index of a queue that is shared by weights may lack what was ready before, and has nothing else."""
        for member, jobs in self.families["CLASS"].items():
            queue, _, priority = member.rpartition(":")
            for ident, rank in jobs:
                if self.scores("READY", queue).get(ident) != rank:
                    yield f"{ident} is not ready in {queue}, but in its index"
                elif self.requests[ident]["priority"] != priority:
                    yield f"{ident} stands in the index {member} of another priority"

    def _gated(self) -> Iterator[str]:
        stand = {(ident, key) for key, jobs in self.families["GATED"].items() for ident, _ in jobs}
        wanted = {(ident, gate) for ident in self.requests if (gate := self._gate(ident))}
        yield from (f"{ident} stands at {gate}, or should: {gate in dict(wanted)}" for ident, gate in stand ^ wanted)
        for _, key in wanted:
            gate, _, queue = key.partition(":")
            if f"{queue} {gate}" not in self.scores("CLOCKS") or "gates" not in self.one("META"):
                yield f"nobody looks at {key}"

    def _spare(self) -> Iterator[str]:
        stand = {(ident, queue) for queue, jobs in self.families["SPARE"].items() for ident, _ in jobs}
        wanted = {(ident, one["queue"]) for ident, one in self.requests.items() if "spare" in one}
        yield from (f"{ident} is on offer in {queue}, or should be" for ident, queue in stand ^ wanted)
        for ident, _ in wanted:
            if self.requests[ident]["state"] != "running" or "spare" not in self.one("META"):
                yield f"{ident} is on offer and has no lease, or nobody looks for it"

    def _gate(self, ident: str) -> str:
        request = self.requests[ident]
        return f"{request['gate']}:{request['queue']}" if "gate" in request and request["state"] == "waiting" else ""

    def _lines(self) -> Iterator[str]:
        for resource, line in self.families["LINE"].items():
            idents = [ident for ident, _ in line]
            yield from (f"{ident} in the line of {resource} is gone" for ident in idents if ident not in self.requests)
            terms = self.one("DEF", resource)
            # Where lines have orders of their own, who needs more than this is passed over.
            if "mode" in terms:
                alone = [one for one in idents if len(self._resources(one)) == 1]
                on_offer = [one for one in idents if self.requests[one]["state"] == "ready"]
                idents = on_offer or alone or idents
            head = self.requests.get(idents[0], {})
            free = not self.one("HOLDERS", resource) and len(self._resources(idents[0])) == 1
            frozen = not {"frozen", "trees"}.isdisjoint(self.one("META")) or not {"delayed", "turn"}.isdisjoint(terms)
            if (
                free
                and not frozen
                and head.get("state") == "waiting"
                and not self._lapsed(head)
                and not self.one("DIRTY")
            ):
                yield f"{resource} is free and {idents[0]} waits at its head"

    def _lapsed(self, request: Mapping[str, str]) -> bool:
        session = self.scores("SESSIONS").get(request.get("session", ""), 0)
        over = int(request.get("wait_by") or self.now + 1) <= self.now
        return over or (request["kind"] == "lock" and session <= self.now)

    def _holders(self) -> Iterator[str]:
        for resource, holders in self.families["HOLDERS"].items():
            modes = [value.split()[0] for value in holders.values()]
            permits = sum(int(value.split()[1]) for value in holders.values())
            if len(set(modes)) > 1:
                yield f"{resource} is held shared and exclusively"
            # Lowering a capacity takes nothing back, so only what was never defined has a limit for certain.
            if modes[0] == "x" and permits > 1 and ("DEF", resource) not in self.kept:
                yield f"{resource} has {permits} permits out"
            for ident, value in holders.items():
                if self.requests.get(ident, {}).get("fence") != value.split()[2]:
                    yield f"{resource} is held by {ident} under a fence that is not its newest"

    def _listed(self) -> Iterator[str]:
        listed = self.scores("RESOURCES")
        for resource in listed:
            if resource not in self.families["LINE"] and resource not in self.families["HOLDERS"]:
                yield f"{resource} is listed and nobody holds or wants it"
        for name in ("LINE", "HOLDERS"):
            yield from (f"{one} is not listed" for one in self.families[name] if one not in listed)

    def _delays(self) -> Iterator[str]:
        delayed = {one for one, fields in self.families["DEF"].items() if "delayed" in fields}
        yield from (f"{one} is delayed, or listed as that: not both" for one in delayed ^ set(self.scores("DELAYS")))
        if ("delays" in self.one("META")) != bool(delayed):
            yield "meta does not say whether there are delays"

    def _subtrees(self) -> Iterator[str]:
        """What is in use as a subtree is listed, and knows of all that is held or waited for in it."""
        wanted = {one for one in self.scores("RESOURCES") if one.endswith(SUBTREE)}
        listed = self.one("TREES")
        yield from (f"{one} is a subtree in use, or listed: not both" for one in wanted ^ set(listed))
        if ("trees" in self.one("META")) != bool(listed or self.one("WAKES")):
            yield "meta does not say whether there are subtrees"
        for name in ("HELD_BELOW", "WAITS_BELOW"):
            yield from (f"{name} of {one} is left behind" for one in set(self.families[name]) - wanted)
        for tree in (one for one, state in listed.items() if state == "="):
            for name, family in (("HELD_BELOW", "HOLDERS"), ("WAITS_BELOW", "LINE")):
                below = {one for one in self.families[family] if one != tree and in_subtree(one, tree)}
                yield from (f"{name} of {tree} lacks {one}" for one in below - set(self.scores(name, tree)))

    def _clocks(self) -> Iterator[str]:
        for ident in self.scores("DEADLINES"):
            if ident.startswith("!"):
                if "delayed" not in self.one("DEF", ident[1:]):
                    yield f"{ident[1:]} is not delayed and has a clock"
            elif State(self.requests.get(ident, {"state": "lost"})["state"]).final:
                yield f"{ident} is over and has a clock"

    def _rest(self) -> Iterator[str]:
        for ident in self.scores("DEAD"):
            if self.requests.get(ident, {"state": "dead"})["state"] not in ("failed", "dead"):
                yield f"{ident} is not dead"
        for key, value in self.families["DEDUP"].items():
            owner = self.requests.get(value.split()[0], {"state": "lost"})
            if not self.kept["DEDUP", key].has_ttl and State(owner["state"]).final:
                yield f"dedup key {key} is held by {value}, which is over"

    def _resources(self, ident: str) -> list[str]:
        needs = self.requests[ident].get("needs", "")
        text = needs if ":" in needs else (self.one("NEEDS", ident) or "")
        return [need.partition(":")[2] for need in text.split()]
