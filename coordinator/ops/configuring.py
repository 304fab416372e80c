"""Settings of the running fleet: what was changed, and changing them. Checked as a whole before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coordinator import live
from coordinator.errors import ConfigError
from coordinator.model.names import text as free_text
from coordinator.settings import Settings
from coordinator.wire import calls, replies
from coordinator.wire.calls import Scope
from coordinator.wire.replies import Raw, number, part
from coordinator.wire.step import Operation

# How many processes' answers one call reads, which takes the server a millisecond or two; and how many are read in all.
PAGE, MOST_ANSWERS = 200, 5000
# How often a change is checked anew because somebody else's came before it.
TRIES = 16
MAX_BY = 128


@dataclass(frozen=True, slots=True)
class Configuration:
    """What was changed for the fleet: settings by name, as JSON. `version` grows with every change; 0: nothing was."""

    version: int = 0
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a live process says of the fleet's settings: the `version` it goes by (0: none yet), and what of it it has
    `refused`, in words."""

    session: str
    kind: str
    host: str
    pid: str
    version: int
    refused: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What live processes say, of how many there are."""

    version: int
    live: int
    said: tuple[Answer, ...]

    @property
    def taken(self) -> int:
        """How many go by this version."""
        return sum(one.version >= self.version and not one.refused for one in self.said)

    @property
    def refused(self) -> tuple[Answer, ...]:
        """Those that could not take all over of what they know, this version or one before."""
        return tuple(one for one in self.said if one.refused)

    @property
    def workers(self) -> int:
        """How many of those that have said something are workers."""
        return sum(one.kind == "worker" for one in self.said)

    @property
    def silent(self) -> int:
        """How many have said nothing of this version yet."""
        return max(0, self.live - sum(one.version >= self.version for one in self.said))


@dataclass(frozen=True, slots=True)
class Change:
    """One change: new values, names of settings that are taken back to what each process began with, and who does
    it. Raises ConfigError, InvalidInput."""

    values: Mapping[str, Any]
    unset: Sequence[str] = ()
    by: str = ""

    def __post_init__(self) -> None:
        free_text(self.by, "by", MAX_BY)
        both = sorted(set(self.values) & set(self.unset))
        if both:
            raise ConfigError([f"{name}: cannot be set and unset at once" for name in both])


def look(scope: Scope) -> Operation[Configuration]:
    """What was changed for the fleet."""
    raw = yield calls.config(scope)
    return read(raw)


def answers(scope: Scope) -> Operation[Answers]:
    """What live processes say of the fleet's settings."""
    said: dict[str, Answer] = {}
    for start in range(0, MOST_ANSWERS, PAGE):
        raw = yield calls.config(scope, PAGE, start)
        found = heard(raw)
        # A process that beats between two calls may move to another page: it is then seen twice, or not this time.
        said |= {one.session: one for one in found.said}
        if start + PAGE >= found.live:
            break
    return Answers(found.version, found.live, tuple(said.values()))


def heard(raw: Raw) -> Answers:
    """The answers of a reply. Raises ProtocolError, Corrupt."""
    replies.expect(raw, "ok")
    return Answers(number(part(raw, 1)), number(part(raw, 3)), tuple(_answer(one) for one in part(raw, 4)))


def _answer(raw: Raw) -> Answer:
    session, kind, host, pid, said = (replies.text(one) for one in raw)
    version, _, refused = said.partition(" ")
    return Answer(session, kind, host, pid, int(version) if version.isdecimal() else 0, refused)


def read(raw: Raw) -> Configuration:
    """The configuration of a reply. Raises ProtocolError, Corrupt."""
    replies.expect(raw, "ok")
    return Configuration(number(part(raw, 1)), replies.fields(part(raw, 2)))


def change(scope: Scope, base: Settings, wanted: Change, call_id: str) -> Operation[Configuration]:
    """Change settings of the fleet, all or none; answers with what is in force then. `base` is what the whole is
    checked over. Raises ConfigError with every complaint, InvalidInput."""
    for _ in range(TRIES):
        found = yield from look(scope)
        # Also one that this version does not know can be taken back, if somebody has put it there.
        absent = [name for name in wanted.unset if name not in found.values]
        kept = {name: value for name, value in found.values.items() if name not in wanted.unset}
        settings, fresh = live.changed(base, kept, wanted.values, absent)
        terms = live.fleet_terms(settings, {**kept, **fresh})
        wishes = {**dict.fromkeys(wanted.unset, ""), **fresh}
        wishes = {name: value for name, value in wishes.items() if found.values.get(name, "") != value}
        if not wishes:
            return found
        raw = yield calls.configure(scope, call_id, found.version, wanted.by, terms, wishes)
        if replies.expect(raw, "ok", "changed") == "ok":
            return Configuration(number(raw[1]), {**kept, **fresh})
    raise ConfigError(["others change the configuration all the time; nothing was changed"])
