"""What all commands share: the options for where and how, and commands that take their options as values.

A command is a function of dataclasses, whose fields are its options and arguments; `command` spreads them out for the
parser. So the shared options stand once, and no function has twenty parameters.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from rich.markup import escape

from coordinator.client import Coordinator
from coordinator.drivers import tls
from coordinator.drivers.describe import person
from coordinator.settings import Settings
from coordinator.wire.calls import Scope

# How long a command that only looks tries a Redis that is away, unless the settings say otherwise: somebody waits.
QUICK = 2.0
PANEL = "Common options"
PRIORITIES = "low, normal, high, critical or emergency."

Function = TypeVar("Function", bound=Callable[..., int | None])


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """The options that every command has."""

    url: Annotated[
        str | None,
        typer.Option(
            help="Where Redis is: redis://, rediss://, unix://, redis+sentinel://, redis+cluster:// or embedded://. "
            "Else from the file, else $COORDINATOR_URL.",
            rich_help_panel=PANEL,
        ),
    ] = None
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Which coordinator on that Redis.", rich_help_panel=PANEL),
    ] = None
    config: Annotated[
        Path | None, typer.Option("--config", help="A TOML file with settings.", rich_help_panel=PANEL)
    ] = None
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Allow a URL that has certificates not checked.", rich_help_panel=PANEL),
    ] = False
    json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=PANEL)] = False


def settings_of(common: Common) -> Settings:
    """The settings: options win over the file, the file over the environment. Raises ConfigError."""
    options = {"url": common.url, "namespace": common.namespace, "allow_insecure_tls": common.insecure or None}
    given = {name: value for name, value in options.items() if value is not None}
    return Settings.of(**given) if common.config is None else Settings.from_toml(common.config, **given)


def connect(common: Common, patience: float | None = QUICK) -> Coordinator:
    """A client for one command. `patience` None leaves it to the settings how long an absent Redis is tried."""
    settings = settings_of(common)
    if patience is not None and "retry_for" not in settings.model_fields_set:
        settings = settings.model_copy(update={"retry_for": patience})
    # Who looks is not measured, and may not even have the right to publish.
    settings = settings.model_copy(update={"metrics": settings.metrics.model_copy(update={"enabled": False})})
    # What goes wrong is told in one line at the end; a heartbeat that failed once is no news for the terminal.
    logging.getLogger("coordinator").setLevel(logging.ERROR)
    # But this is: it is said at each start.
    logging.getLogger(tls.__name__).setLevel(logging.WARNING)
    return Coordinator.connect(settings.url, settings=settings)


def scope_of(coordinator: Coordinator) -> Scope:
    """What the operations beyond the client's methods need."""
    return Scope.of(coordinator.settings.namespace, coordinator.settings.terms())


def command(app: typer.Typer, name: str, *, examples: Sequence[str], **more: Any) -> Callable[[Function], Function]:
    """Make a function of option dataclasses a command, with examples that can be copied below its help."""
    epilog = "Examples:\n" + "\n".join(f"$ {escape(one)}" for one in examples)

    def add(function: Function) -> Function:
        app.command(name, epilog=epilog, **more)(_spread(function))
        return function

    return add


def _spread(function: Callable[..., int | None]) -> Callable[..., int | None]:
    groups = {name: group for name, group in get_type_hints(function).items() if name != "return"}
    parameters = [one for group in groups.values() for one in _parameters(group)]

    def spread(**given: Any) -> int | None:
        values = {name: group(**{one.name: given[one.name] for one in fields(group)}) for name, group in groups.items()}
        return function(**values)

    spread.__doc__, spread.__name__ = _unwrapped(function.__doc__ or ""), function.__name__
    spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread.__annotations__ = {one.name: one.annotation for one in parameters}
    return spread


def _unwrapped(text: str) -> str:
    """A docstring with its paragraphs each in one line, for the terminal to wrap."""
    return "\n\n".join(part.replace("\n", " ") for part in inspect.cleandoc(text).split("\n\n"))


def _parameters(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if one.default is MISSING else one.default,
            annotation=hints[one.name],
        )
        for one in fields(group)
    ]


By = Annotated[str | None, typer.Option(help="Who does it, for the audit; else this user and host.")]


def doer(by: str | None) -> str:
    """Who does it: this user and host unless somebody is named."""
    return by or person()
