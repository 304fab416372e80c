"""Looking at one thing, or at the numbers: show, why, stats."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.text import Text

from coordinator.cli import delays, details, measured, rules, sentences, shapes, tables, timeouts
from coordinator.cli.failures import Failure
from coordinator.cli.options import Common, command, connect, scope_of
from coordinator.cli.screen import Screen
from coordinator.client import Coordinator
from coordinator.errors import InvalidInput, NotFound
from coordinator.model.lease import Explanation
from coordinator.model.states import State
from coordinator.ops import forecasting, timing

# Ids of requests look like `k3f9x2a7qp0d-1c`; a resource may be called so as well.
IDENT = re.compile(r"[1-9A-Za-z]{9}-[1-9A-Za-z]{1,3}")
# Only for these the answer depends on who else is there.
NEEDS_FLEET = (State.WAITING, State.READY, State.RUNNING, State.HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions:
    """What to show."""

    what: Annotated[str, typer.Argument(metavar="ID|RESOURCE", help="The id of a request, or a resource.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyOptions:
    """Whom to explain."""

    ident: Annotated[str, typer.Argument(metavar="ID", help="The id of the request.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsOptions:
    """Of which time."""

    last: Annotated[
        float,
        typer.Option("--last", min=1, max=86400, metavar="SECONDS", help="How far back samples are put together."),
    ] = 10.0


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    shows = ("coordinator show k3f9x2a7qp0d-1c", "coordinator show infra/prod/vpc")
    command(app, "show", examples=shows)(show)
    whys = ("coordinator why k3f9x2a7qp0d-1c", "coordinator why k3f9x2a7qp0d-1c --json | jq '.blockers[].owner'")
    command(app, "why", examples=whys)(why)
    counts = (
        "coordinator stats --last 60",
        "coordinator stats --json | jq '.measured.distributions[\"queue.run\"].p99'",
    )
    command(app, "stats", examples=counts)(stats)


def show(options: ShowOptions, common: Common) -> None:
    """Show everything about a request, or about a resource with its holders and its line."""
    screen = Screen(common.json)
    with connect(common) as coordinator:
        found = request_of(coordinator, options.what)
        if found is not None:
            screen.show(shapes.request(found), details.request(found))
            return
        view = coordinator.line(options.what)
    if IDENT.fullmatch(options.what) and not view.holders and not view.line_length:
        raise NotFound(options.what)
    screen.show(shapes.resource(view), details.resource(view))


def why(options: WhyOptions, common: Common) -> None:
    """Say in sentences why a request waits, who is in the way since when, or how it ended."""
    with connect(common) as coordinator:
        found = _explained(coordinator, options.ident)
        around = fleet_of(coordinator, found) if found.state in NEEDS_FLEET else sentences.Fleet()
        names = timeouts.of_request(found)
        timed = coordinator.run(timing.look(scope_of(coordinator), names)) if names else []
        known = timeouts.learnt_of(coordinator, found)
        expected = coordinator.run(forecasting.expect(scope_of(coordinator), found))
    said = [
        *sentences.why(found, around),
        *sentences.expected(expected),
        *rules.sentence(found),
        *timeouts.sentences(found, timed),
    ]
    said += delays.escalated(found.fields.get("name", ""), known)
    document = {
        "id": found.ident,
        "state": str(found.state),
        "sentences": said,
        "needs": [shapes.need(one) for one in found.needs],
        "stolen_from": found.stolen_from and found.stolen_from[1],
        "rule": found.fields.get("rule"),
        "gate": shapes.gate(found.gate),
        "blockers": [shapes.person(one) for one in sentences.blockers(found)],
        "workers": around.serving,
        "holder_live": around.holder_live,
        "timeouts": [timeouts.shape(one) for one in timed],
        "level": known.escalation.level,
        "expected": None if expected is None else asdict(expected),
    }
    Screen(common.json).show(document, Text(said[0], style="bold"), *map(details.indented, said[1:]))


def stats(options: StatsOptions, common: Common) -> None:
    """Print how often each event has happened, what there is now, and what all processes measured in the last seconds.

    Rates, figures and quantiles are of all processes together. What they mean stands in docs/metrics.md.
    """
    screen = Screen(common.json)
    with connect(common) as coordinator:
        survey, found = coordinator.survey(most=1), measured.measured(coordinator, options.last)
    document = {
        **shapes.stats(coordinator.settings.namespace, survey),
        "measured": measured.document(found.window),
        **measured.silence_shape(found),
    }
    views = [tables.stats(survey), *(("", tables.queues(survey.queues)) if survey.queues else ())]
    screen.show(document, *views, "", *measured.silence(found), *measured.views(found.window))


def _explained(coordinator: Coordinator, ident: str) -> Explanation:
    try:
        return coordinator.explain(ident)
    except (NotFound, InvalidInput) as error:
        if IDENT.fullmatch(ident):
            raise
        hint = f"for a resource and its line: `coordinator show {shlex.quote(ident)}`"
        raise Failure(os.EX_NOINPUT, str(error), hint) from error


def request_of(coordinator: Coordinator, what: str) -> Explanation | None:
    """The request of that id, if there is one."""
    try:
        return coordinator.explain(what) if IDENT.fullmatch(what) else None
    except NotFound:
        return None


def fleet_of(coordinator: Coordinator, found: Explanation) -> sentences.Fleet:
    """What the answer needs to know about the other processes."""
    survey = coordinator.survey(most=1)
    return sentences.fleet(survey, found)
