"""`coordinator config`: settings of the running fleet, where each setting comes from, and whether a file is valid."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, TypeAdapter
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from coordinator import live
from coordinator.cli import answers, tables
from coordinator.cli.answers import Wait
from coordinator.cli.confirm import confirm
from coordinator.cli.options import Common, command, connect, doer, settings_of
from coordinator.cli.screen import Screen
from coordinator.cli.words import clean, count, word
from coordinator.errors import ConfigError, InvalidInput
from coordinator.live import Knob
from coordinator.ops.configuring import Configuration
from coordinator.settings import SECRETS, Settings

HIDDEN = "(not shown)"
# Makes of any value of a setting what JSON carries: tables of sections, paths, tuples.
PLAIN: TypeAdapter[Any] = TypeAdapter(Any)
GIVEN = {"url": "url", "namespace": "namespace", "allow_insecure_tls": "insecure"}


class _WithNegative(TyperCommand):
    """A command whose arguments may be numbers below 0, `-Infinity` too, which else is read as options in one word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """With a blank before it is an argument, and JSON all the same."""
        return super().parse_args(ctx, [f" {one}" if one == "-Infinity" else one for one in args])


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOptions:
    """Which settings, and to what."""

    words: Annotated[
        list[str], typer.Argument(metavar="NAME VALUE...", help="Settings and their new values, in pairs.")
    ]
    by: Annotated[str, typer.Option(help="Who does it, for the events.", show_default="you, on this host")] = ""
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, when entries of a table are dropped.")] = False
    wait: Wait = answers.WAIT


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsetOptions:
    """Which settings."""

    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Settings that were changed for the fleet.")]
    by: Annotated[str, typer.Option(help="Who does it, for the events.", show_default="you, on this host")] = ""
    wait: Wait = answers.WAIT


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOptions:
    """Which setting."""

    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One setting; else all that were changed for the fleet.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """Which settings."""

    changed: Annotated[bool, typer.Option("--changed", help="Only those that are not at their defaults.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """Which file."""

    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file with settings.")]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as it is for a process that is started like this command."""

    knob: Knob
    value: Any
    source: str

    def shape(self) -> dict[str, Any]:
        """For `--json`."""
        knob = self.knob
        about = {"default": _shown(knob, knob.default), "from": self.source, "live": knob.live}
        return {"name": knob.name, "value": _shown(knob, self.value), **about, "about": knob.about}


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(name="config", help="See and change settings, those of a running fleet, too.")
    sets = (
        "coordinator config set timeouts.most 4",
        "coordinator config set timeouts.least 0.25 timeouts.most 5 --by ops",
    )
    numbers = {"ignore_unknown_options": True}
    command(group, "set", examples=sets, cls=_WithNegative, context_settings=numbers)(set_)
    command(group, "unset", examples=("coordinator config unset timeouts.most",))(unset)
    command(group, "get", examples=("coordinator config get", "coordinator config get timeouts.most"))(get)
    command(group, "ls", examples=("coordinator config ls", "coordinator config ls --changed --json"))(list_)
    command(group, "check", examples=("coordinator config check coordinator.toml",))(check)
    app.add_typer(group)


def set_(options: SetOptions, common: Common) -> int:
    """Change settings of the running fleet; workers have them within two seconds, without a restart.

    Waits until all live processes have taken them over, and says who could not and why (exit code 78); the change is in
    force for all others then.

    Values are JSON (30, true, null), and what is no JSON is text. All are checked together with what is in force, and
    changed or refused together. Settings of policies can be changed so, and those that travel with every call.

    A table (queues, metrics.alerts) is set as a whole: entries that the new value does not have are shown, and dropped
    if you say so. `coordinator config get queues` prints what it is now.
    """
    if len(options.words) % 2:
        raise InvalidInput("NAME VALUE", options.words[-1], "must come in pairs")
    names, values = options.words[::2], [value_of(one) for one in options.words[1::2]]
    if twice := sorted({one for one in names if names.count(one) > 1}):
        raise ConfigError([f"{clean(one)}: is given twice" for one in twice])
    return _change(common, dict(zip(names, values, strict=True)), options, ask=not options.yes)


def unset(options: UnsetOptions, common: Common) -> int:
    """Take settings back to what each process was started with. Waits and answers as `set` does."""
    return _change(common, {}, options, names=options.names)


def get(options: GetOptions, common: Common) -> None:
    """Print what a setting is, or all that were changed for the running fleet."""
    with connect(common) as coordinator:
        found = coordinator.configuration()
    if options.name is None:
        document = {"version": found.version, "values": {name: _read(text) for name, text in found.values.items()}}
        lines = [word(f"{name} {text}") for name, text in sorted(found.values.items())]
        Screen(common.json).show(document, *(lines or [Text("nothing was changed", style=tables.DIM)]))
        return
    knob = live.named(options.name)
    [row] = rows(common, found, [knob])
    Screen(common.json).show(row.shape(), word(json.dumps(_shown(knob, row.value))))


def list_(options: ListOptions, common: Common) -> None:
    """List all settings: what each is, its default, and where it comes from.

    Below them: who could not take over what was changed for the fleet, and why.

    `fleet`: changed for the running fleet; `file`, `environment` and `option` as this command was given them; a
    process that was started in another way may have other values of those.
    """
    with connect(common) as coordinator:
        found, said = coordinator.configuration(), answers.look(coordinator)
    shown = rows(common, found, live.knobs().values())
    if options.changed:
        shown = [one for one in shown if one.source != "default"]
    document = {"version": found.version, "settings": [one.shape() for one in shown], **answers.document(said)}
    Screen(common.json).show(document, table(shown), *answers.refusals(said))


def check(options: CheckOptions, common: Common) -> int:
    """Check a file with settings, and list all that is wrong with it. Asks no server.

    The environment counts, as for a process that is started here with that file.
    """
    try:
        Settings.from_toml(options.file)
        problems: tuple[str, ...] = ()
    except ConfigError as error:
        problems = error.problems
    document = {"file": str(options.file), "valid": not problems, "problems": list(problems)}
    verdict = f"{options.file}: {count(len(problems), 'complaint') if problems else 'valid'}"
    Screen(common.json).show(document, word(verdict), *(word(f"  {one}") for one in problems))
    return os.EX_CONFIG if problems else os.EX_OK


def value_of(text: str) -> Any:
    """A value as it is given on the command line: JSON, else text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def rows(common: Common, found: Configuration, knobs: Any) -> list[Row]:
    """Settings as they are, and where they come from. What is not valid in the fleet's is raised as ConfigError."""
    settings = settings_of(common)
    file: dict[str, Any] = {}
    if common.config is not None:
        file = tomllib.loads(common.config.read_text(encoding="utf-8"))
    given = {name for name, option in GIVEN.items() if getattr(common, option)}
    in_force = live.revised(settings, found.values)
    return [Row(one, one.of(in_force), source(one.name, settings, found.values, (given, file))) for one in knobs]


def source(name: str, settings: Settings, fleet: Mapping[str, str], here: tuple[set[str], Mapping[str, Any]]) -> str:
    """Where a setting comes from; `here` are the options and the file of this command."""
    given, file = here
    if name in fleet:
        return "fleet"
    if name in given:
        return "option"
    level: Any = file
    owner: BaseModel = settings
    *sections, last = name.split(".")
    for one in sections:
        level, owner = level.get(one, {}), getattr(owner, one)
    if last in level:
        return "file"
    return "environment" if last in owner.model_fields_set else "default"


def table(shown: Sequence[Row]) -> Table:
    """The list for people."""
    made = tables.columns("NAME", "VALUE", "DEFAULT", "FROM")
    for one in shown:
        cells = [json.dumps(_shown(one.knob, value)) for value in (one.value, one.knob.default)]
        style = tables.DIM if one.source == "default" else "yellow" if one.source == "fleet" else ""
        made.add_row(word(one.knob.name), word(cells[0], style), word(cells[1], tables.DIM), word(one.source, style))
    return made


def dropped(values: Mapping[str, Any], found: Configuration, settings: Settings) -> dict[str, list[str]]:
    """Entries of tables that new values of these do not have, by setting. What is in force is the fleet's, else what
    this command was started with."""
    gone = {}
    for name, value in values.items():
        if isinstance(value, dict) and name in live.knobs():
            known = _read(found.values.get(name)) if name in found.values else live.knobs()[name].of(settings)
            gone[name] = sorted(set(known) - set(value)) if isinstance(known, dict) else []
    return {name: entries for name, entries in gone.items() if entries}


def _change(
    common: Common,
    values: Mapping[str, Any],
    options: SetOptions | UnsetOptions,
    *,
    names: Sequence[str] = (),
    ask: bool = False,
) -> int:
    with connect(common) as coordinator:
        before = coordinator.configuration()
        # What is not valid is refused below, and nobody is asked about it.
        if ask and (gone := dropped(values, before, settings_of(common))):
            live.changed(settings_of(common), before.values, values)
            losses = "; ".join(f"{name} loses {', '.join(entries)}" for name, entries in gone.items())
            confirm(clean(f"{losses}, in namespace {coordinator.settings.namespace}. Go on?"))
        found = coordinator.configure(values, unset=names, by=doer(options.by))
        heard = answers.collect(coordinator, found.version, options.wait)
    changed = {
        name: {"was": _read(before.values.get(name)), "now": _read(found.values.get(name))}
        for name in (*values, *names)
        if before.values.get(name) != found.values.get(name)
    }
    said = [_said(name, before.values.get(name), found.values.get(name)) for name in changed]
    lines = said or [Text("that is so already", style=tables.DIM)]
    document = {"version": found.version, "changed": changed, **answers.document(heard)}
    Screen(common.json).show(document, *lines, *answers.lines(heard))
    return answers.verdict(heard)


def _said(name: str, was: str | None, now: str | None) -> Text:
    return word(f"{name}: {now or 'as each process was started'} (was {was or 'as each process was started'})")


def _read(text: str | None) -> Any:
    """A value that is kept; text that is no JSON as it is, for somebody else may have put it there."""
    return None if text is None else value_of(text)


def _shown(knob: Knob, value: Any) -> Any:
    if knob.name in SECRETS:
        return HIDDEN if value else value
    return PLAIN.dump_python(value, mode="json")
