"""The blocks of the README that are made from the code: state diagram, tables of keys and of settings.

`python -m tests.support.readme` writes them anew; a contract test fails when they are out of date.
"""

import re
import sys
from pathlib import Path

from coordinator.keys import FAMILIES, key
from coordinator.model import states
from coordinator.settings import Settings

README = Path(__file__).parents[2] / "README.md"
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


def settings_block() -> str:
    rows = ["| setting | environment | default | what it is |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "none" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{name}` | `COORDINATOR_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


BLOCKS = {"states": states_block, "keys": keys_block, "settings": settings_block}


def rendered(text: str) -> str:
    """The README with its blocks made anew."""
    return _BLOCK.sub(lambda found: found.group(1) + BLOCKS[found.group(2)]() + found.group(3), text)


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {README.name}\n")
