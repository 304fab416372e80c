"""The blocks of the README and of the pages in `docs` that are made from the code: diagrams and tables.

`python -m tests.support.readme` writes them anew; a contract test fails when they are out of date.
"""

import re
import sys
from pathlib import Path

from pydantic import BaseModel

from coordinator.keys import FAMILIES, key
from coordinator.model import states
from coordinator.model.measures import MEASURES, NAMED, SHARES
from coordinator.policy.alerts import DEFAULTS
from coordinator.sections import Section
from coordinator.settings import Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"(<!-- begin: (\w+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)

MEMBERS = {
    "LINE": "infra/prod/vpc",
    "HOLDERS": "infra/prod/vpc",
    "DEF": "infra/prod/vpc",
    "READY": "default",
    "WAITING": "default",
    "IDLE": "default",
    "DEDUP": "pull-1498",
    "SESSION": "SESSION",
    "OWNS": "SESSION",
    "INBOX": "SESSION",
    "BATCH": "SESSION",
    "TIMEOUT": "operation/deploy.apply",
    "TIMINGS": "operation/deploy.apply",
    "HOURLY": "operation/deploy.apply:HOUR",
    "GATE": "breaker/github",
    "GATED": "breaker/github:default",
    "CROWDED": "infra/prod/vpc",
    "CLASS": "bulk:0",
    "BY_OWNER": "pr-1498",
}


def states_block() -> str:
    return f"```mermaid\n{states.mermaid()}\n```\n"


def keys_block() -> str:
    rows = ["| key | type | lives | holds | look |", "|---|---|---|---|---|"]
    for one in FAMILIES:
        member = MEMBERS.get(one.name, "ID") if one.suffix.endswith(":") else ""
        name = key("default", one.name, member)
        command = one.example.replace("{}", f"'{name}'") if "{}" in one.example else f"{one.example} '{name}'"
        rows.append(f"| `{name}` | {one.type} | {one.lifetime} | {one.holds} | `{command}` |")
    return "\n".join(rows) + "\n"


def settings_rows(model: type[BaseModel], path: str = "") -> list[str]:
    rows = ["| setting | environment | default | what it is |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if not isinstance(field.default, Section):
            default = "none" if field.default is None else f"`{field.default}`"
            variable = f"COORDINATOR_{path}{name}".replace(".", "__").upper()
            rows.append(f"| `{path}{name}` | `{variable}` | {default} | {field.description} |")
    return rows


def settings_block() -> str:
    return "\n".join(settings_rows(Settings)) + "\n"


def sections_block() -> str:
    parts = []
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, Section):
            parts += [f"### `[{name}]`", "", type(field.default).__doc__ or "", ""]
            parts += [*settings_rows(type(field.default), f"{name}."), ""]
    return "\n".join(parts)


def measures_block() -> str:
    rows = ["| name | kind | labels | what it is |", "|---|---|---|---|"]
    for one in MEASURES:
        labels = "a name" if one.labels == NAMED else ", ".join(f"`{label}`" for label in one.labels)
        rows.append(f"| `{one.name}` | {one.kind} | {labels} | {one.about} |")
    return "\n".join(rows) + "\n"


def shares_block() -> str:
    return "| figure | what it is |\n|---|---|\n" + "".join(
        f"| `{name}` | {about} |\n" for name, about in SHARES.items()
    )


def rules_block() -> str:
    rows = ["| rule | figure | warning | critical | about |", "|---|---|---|---|---|"]
    for rule in DEFAULTS:
        limits = (
            "" if one is None else f"{'<' if rule.below else '>='} {one:g}" for one in (rule.warning, rule.critical)
        )
        rows.append(f"| `{rule.name}` | `{rule.figure}` | {' | '.join(limits)} | {rule.about} |")
    return "\n".join(rows) + "\n"


BLOCKS = {
    "states": states_block,
    "keys": keys_block,
    "settings": settings_block,
    "measures": measures_block,
    "sections": sections_block,
    "shares": shares_block,
    "rules": rules_block,
}


def rendered(text: str) -> str:
    """A page with its blocks made anew."""
    return _BLOCK.sub(lambda found: found.group(1) + BLOCKS[found.group(2)]() + found.group(3), text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(rendered(page.read_text(encoding="utf-8")), encoding="utf-8")
        sys.stdout.write(f"wrote {page.name}\n")
