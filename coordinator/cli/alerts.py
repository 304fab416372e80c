"""`coordinator alerts`: which are raised, who has seen them, and by which rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from coordinator.cli import measured, tables
from coordinator.cli.options import Common, command, connect, doer, scope_of
from coordinator.cli.screen import Screen
from coordinator.cli.words import duration, word
from coordinator.metrics import judging
from coordinator.metrics.judging import Alert
from coordinator.metrics.window import figures
from coordinator.model.names import text
from coordinator.policy.alerts import CALM, RESOLVED, Rule, wanted

# The last so many seconds are what alerts are judged by.
WINDOW = judging.WINDOW
DEPTH = "fleet.depth"


@dataclass(frozen=True, slots=True, kw_only=True)
class AckOptions:
    """Which alert, and who has seen it."""

    rule: Annotated[str, typer.Argument(metavar="RULE", help="The name of its rule, as `alerts ls` shows it.")]
    by: Annotated[str, typer.Option("--by", help="Who takes care of it.", show_default="you")] = ""


class Listing(TyperGroup):
    """Commands of which `ls` is meant where none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        bare = not args or (args[0].startswith("-") and args[0] != "--help")
        return super().parse_args(ctx, ["ls", *args] if bare else args)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    about = "Alerts: figures of the fleet that are worth a person's attention. Without a command: those of `ls`."
    group = typer.Typer(cls=Listing, help=about)
    listed = (
        "coordinator alerts",
        "coordinator alerts ls",
        "coordinator alerts ls --json | jq '.alerts[] | select(.state == \"raised\")'",
    )
    command(group, "ls", examples=listed)(ls)
    command(group, "ack", examples=("coordinator alerts ack queue_depth --by anna",))(ack)
    command(group, "rules", examples=("coordinator alerts rules", "coordinator alerts rules --config co.toml"))(rules)
    app.add_typer(group, name="alerts")


def ls(common: Common) -> None:
    """List alerts that are raised, acknowledged, or were resolved within the last hour."""
    screen = Screen(common.json)
    with connect(common) as coordinator:
        found = measured.measured(coordinator, WINDOW)
        namespace = coordinator.settings.namespace
        queues = coordinator.survey(most=1).queues if found.silent else ()
    depth = max((one.ready + one.waiting for one in queues), default=0)
    shown = [one for one in found.alerts if one.standing.state]
    order = measured.raised(tuple(shown)) + [one for one in shown if one.standing.state == RESOLVED]
    deep = beyond(found.alerts, depth) if found.silent else []
    document = {"namespace": namespace, "alerts": [shape(one) for one in order], **measured.silence_shape(found)}
    document["unjudged"] = [{"rule": rule.name, "level": level, "value": depth} for rule, level in deep]
    said = [
        Text(f"{rule.name} is {level} as of now: {rule.figure} is {depth}", style=measured.STYLES[level])
        for rule, level in deep
    ]
    screen.show(document, table(order) if order else word("no alerts", tables.DIM), *measured.silence(found), *said)


def beyond(found: Sequence[Alert], depth: float) -> list[tuple[Rule, str]]:
    """The rules on the depth of queues that call for an alert now, and its level, for nobody else looks at them."""
    levels = ((one.rule, wanted(one.rule, one.standing.level, depth)) for one in found if one.rule.figure == DEPTH)
    return [(rule, level) for rule, level in levels if level != CALM]


def ack(options: AckOptions, common: Common) -> None:
    """Note that an alert has been seen. It stays until its figure is back, and is raised again if it gets worse."""
    screen = Screen(common.json)
    by = text(doer(options.by), "--by")
    with connect(common) as coordinator:
        chosen = measured.section(coordinator).rules()
        one = coordinator.run(judging.acknowledge(scope_of(coordinator), chosen, options.rule, by))
    screen.show(shape(one), Text.assemble(word(one.rule.name), " is acknowledged by ", word(by)))


def rules(common: Common) -> None:
    """List the rules in force here with their limits, and how their figures stand now."""
    screen = Screen(common.json)
    with connect(common) as coordinator:
        found = measured.measured(coordinator, WINDOW)
        chosen, namespace = measured.section(coordinator).rules(), coordinator.settings.namespace
    known = figures(found.window)
    document = {"namespace": namespace, "rules": [rule_shape(one, known.get(one.figure)) for one in chosen]}
    screen.show(document, rule_table(chosen, known))


def shape(one: Alert) -> dict[str, Any]:
    """An alert for `--json`."""
    standing = one.standing
    return {
        "rule": one.rule.name,
        "figure": one.rule.figure,
        "state": standing.state,
        "level": standing.level,
        "value": standing.figure,
        "since": standing.since,
        "acknowledged_by": standing.by or None,
        "about": one.rule.about,
    }


def rule_shape(one: Rule, now: float | None) -> dict[str, Any]:
    """A rule for `--json`, with how its figure stands; `now` is null if nothing is known of it."""
    return {
        "rule": one.name,
        "figure": one.figure,
        "warning": one.warning,
        "critical": one.critical,
        "below": one.below,
        "hold": one.hold,
        "now": now,
        "about": one.about,
    }


def table(found: Sequence[Alert]) -> Table:
    """`alerts ls` for people."""
    made = tables.columns("ALERT", "STATE", "LEVEL", "NOW", "SINCE", "SEEN BY", "ABOUT", right=("NOW",))
    for one in found:
        standing = one.standing
        style = measured.STYLES[standing.level]
        made.add_row(
            word(one.rule.name),
            word(standing.state, style if standing.state != RESOLVED else tables.DIM),
            word(standing.level, style),
            word(measured.figure(one.rule, standing.figure)),
            word(f"{duration(one.at - standing.since)} ago"),
            word(standing.by or "-"),
            word(one.rule.about, tables.DIM),
        )
    return made


def rule_table(chosen: Sequence[Rule], known: dict[str, float]) -> Table:
    """`alerts rules` for people."""
    numbers = ("NOW", "WARNING", "CRITICAL", "HOLD")
    made = tables.columns("RULE", "FIGURE", *numbers, "ABOUT", right=numbers)
    for one in chosen:
        sign = "<" if one.below else ">="
        limits = [
            "-" if limit is None else f"{sign} {measured.figure(one, limit)}" for limit in (one.warning, one.critical)
        ]
        now = measured.figure(one, known.get(one.figure))
        made.add_row(word(one.name), word(one.figure), now, *limits, duration(one.hold), word(one.about, tables.DIM))
    return made
