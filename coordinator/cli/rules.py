"""`coordinator rules`: try out rules of priority before they decide anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from coordinator.cli import tables
from coordinator.cli.jobs import read_payload
from coordinator.cli.options import Common, command
from coordinator.cli.screen import Screen
from coordinator.cli.words import clean, word
from coordinator.errors import InvalidInput
from coordinator.model.lease import Explanation
from coordinator.policy.rules import DEFAULT, Rule
from coordinator.settings import rules_of

EXAMPLE = "examples/priority-rules.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestOptions:
    """Which rules, and what for a request."""

    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file of rules.")]
    attributes: Annotated[
        str, typer.Option(help="What a request says of itself, as JSON: a text, @FILE or - for stdin.")
    ] = "{}"
    set: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="One attribute, such as metadata.title=HOTFIX; may be repeated."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleOptions:
    """Nothing to choose."""


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(name="rules", help="Rules that choose the priority of requests that are given none.")
    tests = (
        "coordinator rules test rules.toml --set metadata.title='HOTFIX: login'",
        'coordinator rules test rules.toml --attributes \'{"name": "deploy", "metadata": {"base": "release/7"}}\'',
    )
    command(group, "test", examples=tests)(test)
    command(group, "example", examples=("coordinator rules example > rules.toml",))(example)
    app.add_typer(group)


def test(options: TestOptions, common: Common) -> None:
    """Say which priority a request would have, by which rule, and why each rule before did not match.

    Attributes are kind (lock or job), name, queue, resources, owner, reason, metadata.NAME and payload.NAME. A file
    with mistakes is refused with all of them.
    """
    rules, attributes = rules_of(options.file), attributes_of(options)
    found = rules.choose(attributes)
    tried = list(rules.explain(attributes))
    document = {
        "priority": found.priority.name.lower(),
        "rule": found.rule or None,
        "tried": [{"rule": rule.name, "matches": matches, "why": why} for rule, matches, why in tried],
    }
    by = "no rule matches" if found.rule in ("", DEFAULT) else f"by the rule {found.rule}"
    said = word(f"{found.priority.name.lower()}: {by}")
    said.stylize("bold")
    Screen(common.json).show(document, said, *_lines(tried))


def example(_options: ExampleOptions, common: Common) -> None:
    """Print rules to begin from: hotfixes first, then what goes into production, then releases."""
    text = resources.files("coordinator").joinpath(EXAMPLE).read_text(encoding="utf-8")
    Screen(common.json).show({"rules": text}, Text(text.rstrip("\n")))


def attributes_of(options: TestOptions) -> dict[str, Any]:
    """The attributes that were given. Raises InvalidInput."""
    found = read_payload(options.attributes)
    if not isinstance(found, dict):
        raise InvalidInput("--attributes", found, "must be a JSON object")
    for one in options.set or ():
        name, equals, value = one.partition("=")
        root, _, rest = name.partition(".")
        if not equals or not root:
            raise InvalidInput("--set", one, "must be NAME=VALUE")
        if rest:
            tree = found.setdefault(root, {})
            if not isinstance(tree, dict):
                raise InvalidInput("--set", one, f"does not go with {root} as it is given")
            tree[rest] = value
        else:
            found[name] = value
    return found


def sentence(found: Explanation) -> list[str]:
    """Which rule chose the priority of a request."""
    rule = found.fields.get("rule")
    if not rule:
        return []
    what = "the default of the rules" if rule == DEFAULT else f"the rule {json.dumps(clean(rule), ensure_ascii=False)}"
    return [f"Its priority was chosen by {what}."]


def _lines(tried: Sequence[tuple[Rule, bool, str]]) -> Iterator[Text]:
    for rule, matches, why in tried:
        yield word(f"  {rule.name}: {'matches' if matches else 'no'}: {why}", "green" if matches else tables.DIM)
