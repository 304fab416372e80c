"""Settings that can be changed while the fleet runs, and what becomes of a process's own settings under them.

What is changed for the whole fleet is kept in Redis: names of settings, with their values as JSON. Each process puts
them over the settings it began with, each section as a whole: one that is not valid then stays as the process has it.

Live are all settings of policies, which stand in sections (`sections`), and those that travel with every call (the
terms). Whatever a process is built from (where Redis is, who it is, how many connections it has) is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import BaseModel

from coordinator.errors import ConfigError, shortened
from coordinator.sections import Section
from coordinator.settings import Settings

# What `Settings.terms` is made of, but for `session_ttl`, by which a process beats and believes in its leases.
TERMS = ("aging_after", "max_line", "max_queue", "result_ttl", "dead_ttl", "max_deliveries", "max_events")
# Terms that are the fleet's when their settings are, by these names: scripts go by them in place of the caller's.
FLEET_TERMS = {
    "aging_after": "aging_us",
    "max_line": "max_line",
    "max_queue": "max_queue",
    "result_ttl": "result_ms",
    "dead_ttl": "dead_ms",
    "max_deliveries": "max_crashes",
    "max_events": "max_events",
    "escalation.after": "escalate_after",
    "escalation.most": "escalate_most",
    "shed.enabled": "shedding",
    "shed.begin": "shed_begin",
    "shed.end": "shed_end",
    "shed.memory": "memory_share",
    "shed.max_bytes": "max_bytes",
}
# Tables that are gone by as they are in force: what a worker claims by, and what jobs are compared by.
TABLES = ("queues", "similar")
# What a setting may take at most, as JSON.
MAX_VALUE = 4096


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting, by its full name. `live`: it can be changed while the fleet runs."""

    name: str
    default: Any
    about: str
    live: bool

    def of(self, settings: Settings) -> Any:
        """Its value."""
        found: Any = settings
        for part in self.name.split("."):
            found = getattr(found, part)
        return found


@cache
def knobs() -> dict[str, Knob]:
    """All settings by their full names, those of sections as `timeouts.lock`."""
    return {one.name: one for one in _knobs(Settings, "")}


def _knobs(owner: type[BaseModel], path: str) -> Iterator[Knob]:
    for name, field in owner.model_fields.items():
        if isinstance(field.default, Section):
            yield from _knobs(type(field.default), f"{path}{name}.")
        else:
            live = name not in owner.fixed if issubclass(owner, Section) else name in TERMS + TABLES
            yield Knob(path + name, field.get_default(call_default_factory=True), field.description or "", live)


def named(name: str) -> Knob:
    """The setting of that name. Raises ConfigError."""
    problems = list(_unknown([name]))
    if problems:
        raise ConfigError(problems)
    return knobs()[name]


def to_json(values: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Values as they are kept, and the complaints about those that cannot be."""
    made, problems = {}, []
    for name, value in values.items():
        shown = shortened(name)[1:-1]
        try:
            text = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            problems.append(f"{shown}: must be a finite number, text, true, false, null, a list or a table")
            continue
        if len(text) > MAX_VALUE:
            problems.append(f"{shown}: must be at most {MAX_VALUE} characters of JSON")
        else:
            made[name] = text
    return made, problems


def changed(
    base: Settings, kept: Mapping[str, str], values: Mapping[str, Any], unset: Iterable[str] = ()
) -> tuple[Settings, dict[str, str]]:
    """The settings of a process under those of the fleet that stay and new values, and the latter as they are kept.
    `unset` are names that are to be taken back and do not stand there. Raises ConfigError with every complaint."""
    fresh, problems = to_json(values)
    # What has no JSON is looked at no further; a name that nobody knows is complained of beside it.
    problems += _unknown([*(name for name in values if name not in fresh), *unset])
    try:
        settings = revised(base, {**kept, **fresh})
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    if problems:
        raise ConfigError(problems)
    return settings, fresh


def revised(base: Settings, values: Mapping[str, str]) -> Settings:
    """The settings of a process under those of the fleet, which are JSON. Raises ConfigError with every complaint."""
    problems = [*_unknown(values), *_fixed(values)]
    known, given = knobs(), {}
    for name, text in values.items():
        if name in known and known[name].live:
            try:
                given[name] = json.loads(text)
            except (ValueError, RecursionError):
                problems.append(f"{name}: is not JSON (got {shortened(text)})")
    try:
        settings = base.revised(given)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    if problems:
        raise ConfigError(problems)
    return settings


def salvaged(base: Settings, current: Settings, values: Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    """The same for a process that may not be able to take all of it over: what is valid over what it began with,
    section by section, and the complaints about the rest, which stays as it is in `current`. No live section depends on
    another."""
    parts: dict[str, dict[str, str]] = {}
    for name, text in values.items():
        parts.setdefault(name.partition(".")[0] if name in knobs() else name, {})[name] = text
    chosen: dict[str, Any] = {}
    problems: list[str] = []
    for part, under in parts.items():
        try:
            chosen[part] = getattr(revised(base, under), part)
        except ConfigError as error:
            problems += error.problems
            if part in Settings.model_fields:
                chosen[part] = getattr(current, part)
    return base.model_copy(update=chosen), tuple(problems)


def fleet_terms(settings: Settings, changed: Iterable[str]) -> str:
    """The terms that are the fleet's, for the scripts: `max_line=5 shed_begin=600`. `changed`: whose settings are."""
    terms = settings.terms()
    names = [FLEET_TERMS[name] for name in sorted(changed) if name in FLEET_TERMS]
    return " ".join(f"{name}={getattr(terms, name)}" for name in names)


def _unknown(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if fields := [one for one in knobs() if one.startswith(f"{name}.")]:
            yield f"{name}: is a section, which is set by its settings, such as {fields[0]}"
        elif name not in knobs():
            near = get_close_matches(name, knobs(), 1)
            yield f"{shortened(name)[1:-1]}: no such setting{f'; did you mean {near[0]}?' if near else ''}"


def _fixed(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name in knobs() and not knobs()[name].live:
            yield f"{name}: cannot be changed while the fleet runs; set it where the processes are started"
