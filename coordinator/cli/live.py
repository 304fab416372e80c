"""What happens as it happens: events, top."""

from __future__ import annotations

import contextlib
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.live import Live

from coordinator.cli import measured, shapes, tables
from coordinator.cli.frame import Moment, frame
from coordinator.cli.listing import surveys
from coordinator.cli.options import Common, command, connect, scope_of
from coordinator.cli.screen import Screen
from coordinator.cli.words import word
from coordinator.client import Coordinator
from coordinator.errors import StoreUnavailable, UnknownOutcome
from coordinator.ops import history
from coordinator.ops.history import MOST_EVENTS, Happening

POLL_SECONDS = 0.5
# Resources beyond so many pages are not looked at every second.
MOST_PAGES = 10
# What was measured is shown of the last so many seconds.
MEASURED_SECONDS = 10.0


FEW_EVENTS = 20
LIMITS = f"{FEW_EVENTS}, and {MOST_EVENTS} with --id or --event"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsOptions:
    """Which events."""

    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until stopped.")] = False
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, max=MOST_EVENTS, help="Look at the newest so many events.", show_default=LIMITS),
    ] = None
    subject: Annotated[
        str | None, typer.Option("--id", help="Only those of this request (or of this resource, for define).")
    ] = None
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only those of this name, breaker_open say. Can be given several times."),
    ] = None

    def wants(self, one: Happening) -> bool:
        """Whether it is to be shown."""
        return self.subject in (None, one.subject) and (not self.event or one.event in self.event)

    @property
    def most(self) -> int:
        """How many to look at: few match, where only some are wanted."""
        return self.limit or (MOST_EVENTS if self.event or self.subject else FEW_EVENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopOptions:
    """How often."""

    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False
    interval: Annotated[float, typer.Option(min=0.2, max=60, metavar="SECONDS", help="Time between frames.")] = 1.0


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    shown = (
        "coordinator events --event breaker_open --event breaker_close",
        "coordinator events --follow --json | jq -c 'select(.fields.why)'",
    )
    command(app, "events", examples=shown)(events)
    command(app, "top", examples=("coordinator top", "coordinator top --once"))(top)


def events(options: EventsOptions, common: Common) -> None:
    """Print what happened: grants, losses, retries, deaths. With --follow and --json one document a line.

    Everyday steps of jobs that need no resource are counted (`coordinator stats`), but are no events.
    """
    screen = Screen(common.json)
    with connect(common) as coordinator:
        newest = coordinator.run(history.events(scope_of(coordinator), "", options.most))
        chosen = [one for one in newest if options.wants(one)]
        if not options.follow:
            views = [tables.happening(one) for one in chosen] or [word(_nothing_of(options, newest), tables.DIM)]
            screen.show({"events": [shapes.happening(one) for one in chosen]}, *views)
            return
        print_all(chosen, screen)
        for one in following(coordinator, newest[-1].ident if newest else "0"):
            if options.wants(one):
                print_all([one], screen)


def _nothing_of(options: EventsOptions, newest: Sequence[Happening]) -> str:
    """That none is shown; where names were asked for also which there are, for one may be misspelt."""
    if not options.event or not newest:
        return "no events"
    there = ", ".join(sorted({one.event for one in newest}))
    return f"no events named {', '.join(options.event)}; the newest {len(newest)} are named {there}"


def following(coordinator: Coordinator, after: str) -> Iterator[Happening]:
    """Events after the one with this id, without end. Redis may be away for a while in between."""
    scope = scope_of(coordinator)
    while True:
        found: tuple[Happening, ...] = ()
        with contextlib.suppress(StoreUnavailable, UnknownOutcome):
            found = coordinator.run(history.events(scope, after))
        for one in found:
            after = one.ident
            yield one
        if not found:
            time.sleep(POLL_SECONDS)


def print_all(found: list[Happening], screen: Screen) -> None:
    """Each event on its line."""
    for one in found:
        if screen.as_json:
            screen.line(shapes.happening(one))
        else:
            screen.out.print(tables.happening(one))


def top(options: TopOptions, common: Common) -> None:
    """Watch throughput, latency, queues, lines, breakers and alerts; q or Ctrl-C ends it.

    Without a terminal: one frame.
    """
    screen = Screen(common.json)
    with connect(common) as coordinator:
        namespace = coordinator.settings.namespace
        now = look(coordinator)
        if options.once or common.json or not screen.out.is_terminal:
            document = shapes.stats(namespace, now.survey)
            document["resources"] = shapes.resources(namespace, now.survey.at, now.resources)["resources"]
            document["measured"] = measured.document(now.measured.window) if now.measured else None
            document.update(measured.silence_shape(now.measured) if now.measured else {})
            screen.show(document, frame(namespace, now, None))
            return
        with keys() as quits, Live(console=screen.out, screen=True, auto_refresh=False) as live:
            before = None
            while True:
                live.update(frame(namespace, now, before, keys=True), refresh=True)
                if quits(options.interval):
                    return
                before, now = now, look(coordinator)


def look(coordinator: Coordinator) -> Moment:
    """The namespace now, as far as a screen can show it."""
    pages = list(surveys(coordinator, "", lambda _seen, _whole: None, MOST_PAGES))
    resources = tuple(one for page in pages for one in page.resources)
    return Moment(pages[-1], resources, measured.measured(coordinator, MEASURED_SECONDS))


@contextlib.contextmanager
def keys() -> Iterator[Quits]:
    """Keys one by one, without Enter, as long as the context lasts; does nothing without a terminal."""
    if not sys.stdin.isatty():
        yield Quits(None)
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield Quits(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


class Quits:
    """Waits for the key that ends it."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def __call__(self, seconds: float) -> bool:
        """True as soon as q is pressed, False after so many seconds. Raises KeyboardInterrupt on Ctrl-C."""
        ends = time.monotonic() + seconds
        while (rest := ends - time.monotonic()) > 0:
            watched = [] if self._fd is None else [self._fd]
            if select.select(watched, [], [], rest)[0] and sys.stdin.read(1) in ("q", "Q", ""):
                return True
        return False
