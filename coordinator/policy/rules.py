"""Rules that choose the priority of a request from what it says of itself.

    [[rule]]
    name = "hotfix"
    priority = "emergency"
    when = { "metadata.title" = { contains = ["HOTFIX", "SECURITY"] } }

The first rule all of whose conditions hold decides; where none does, `default`, which is `normal` unless the file says
otherwise. An attribute that is not there meets no condition, and of a list one element is enough. Nothing but the
request itself is looked at, so the same request has the same priority in every process that has the same rules.

Conditions are few on purpose: what they cannot say belongs into the application, which knows its requests and can give
a priority itself. One that is given is never changed by a rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import translate
from typing import Any

from coordinator.errors import ConfigError, InvalidInput, shortened
from coordinator.model.names import Priority

# Stored with each request that it decides on.
MAX_NAME_BYTES = 64
MAX_RULES = 1000
MAX_VALUES = 1000
MAX_VALUE = 512
# Of a list in a payload, so much is looked at.
MAX_ELEMENTS = 1000
# What is stored of a request on which no rule decided, if the default of the file is not `normal`.
DEFAULT = "default"

PLAIN = ("kind", "name", "queue", "resources", "owner", "reason")
TREES = ("metadata", "payload")
SAYS = {"equals": "is", "contains": "contains", "like": "is like"}
NOT = {"equals": "is not", "contains": "does not contain", "like": "is not like"}

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Condition:
    """What an attribute must be. Of several `values` one is enough. `like` takes `*`, `?` and `[...]`."""

    attribute: str
    operator: str
    values: tuple[str, ...]
    fits: Callable[[str], bool]

    def meets(self, attributes: Attributes) -> tuple[bool, str]:
        """Whether it holds, and why in words."""
        found = texts(attributes, self.attribute)
        wanted = " or ".join(f'"{one}"' for one in self.values)
        for one in found:
            if self.fits(one):
                return True, f"{self.attribute} {shortened(one)} {SAYS[self.operator]} {wanted}"
        if not found:
            return False, f"{self.attribute} is not given"
        shown = ", ".join(shortened(one) for one in found[:3])
        return False, f"{self.attribute} {shown} {NOT[self.operator]} {wanted}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A priority, and when it is given."""

    name: str
    priority: Priority
    conditions: tuple[Condition, ...]

    def matches(self, attributes: Attributes) -> bool:
        """Whether all its conditions hold."""
        return all(any(map(one.fits, texts(attributes, one.attribute))) for one in self.conditions)

    def judge(self, attributes: Attributes) -> tuple[bool, str]:
        """Whether it matches, and why in words: all its conditions, or the first that does not hold."""
        said = []
        for one in self.conditions:
            holds, why = one.meets(attributes)
            if not holds:
                return False, why
            said.append(why)
        return True, "; ".join(said)


@dataclass(frozen=True, slots=True)
class Decision:
    """A priority, and the name of the rule that chose it; empty if none did."""

    priority: Priority
    rule: str = ""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules in their order, and the priority where none matches."""

    rules: tuple[Rule, ...] = ()
    default: Priority = Priority.NORMAL

    def __bool__(self) -> bool:
        return bool(self.rules) or self.default is not Priority.NORMAL

    def choose(self, attributes: Attributes) -> Decision:
        """The priority by the first rule that matches."""
        for one in self.rules:
            if one.matches(attributes):
                return Decision(one.priority, one.name)
        return Decision(self.default, "" if self.default is Priority.NORMAL else DEFAULT)

    def explain(self, attributes: Attributes) -> Iterator[tuple[Rule, bool, str]]:
        """Each rule up to the one that decides, whether it matches, and why."""
        for one in self.rules:
            matches, why = one.judge(attributes)
            yield one, matches, why
            if matches:
                return


NO_RULES = RuleSet()


def texts(attributes: Attributes, path: str) -> list[str]:
    """What stands under `metadata.base.branch`, as text: nothing, one, or the elements of a list. A name may have dots
    itself."""
    value: Any = attributes
    rest = path
    while rest and isinstance(value, Mapping):
        if rest in value:
            value, rest = value[rest], ""
            break
        head, _, rest = rest.partition(".")
        value = value.get(head)
        if not rest:
            break
    if rest:
        return []
    several = value[:MAX_ELEMENTS] if isinstance(value, list | tuple) else [value]
    return [found for one in several if (found := _text(one)) is not None]


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def parse(document: Mapping[str, Any]) -> RuleSet:
    """The rules of a file that was read. Raises ConfigError with every complaint."""
    reader = _Reader()
    rules = reader.rules(document)
    default = reader.priority(document.get("default", "normal"), "default")
    if reader.problems:
        raise ConfigError(reader.problems)
    return RuleSet(rules, default)


class _Reader:
    """Reads what it can, and gathers complaints about the rest."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def rules(self, document: Mapping[str, Any]) -> tuple[Rule, ...]:
        self._known(document, ("rule", "default"), "")
        found = document.get("rule", [])
        if not isinstance(found, list) or len(found) > MAX_RULES:
            self._complain("rule", f"must be at most {MAX_RULES} tables, [[rule]]")
            return ()
        made = [self._rule(one, f"rule {number}") for number, one in enumerate(found, 1)]
        names = [one.name for one in made]
        for name in sorted({one for one in names if one and names.count(one) > 1}):
            self._complain("rule", f"the name {shortened(name)} is there twice")
        return tuple(made)

    def priority(self, given: Any, where: str) -> Priority:
        try:
            return Priority.of(given)
        except InvalidInput as error:
            self._complain(where, f"{error.problem} (got {shortened(given)})")
            return Priority.NORMAL

    def _rule(self, given: Any, where: str) -> Rule:
        if not isinstance(given, dict):
            self._complain(where, "must be a table, [[rule]]")
            return Rule("", Priority.NORMAL, ())
        self._known(given, ("name", "priority", "when", "ignore_case"), f"{where}.")
        name = self._name(given.get("name"), where)
        where = f'rule "{name}"' if name else where
        if "priority" not in given:
            self._complain(f"{where}.priority", "must be given")
        priority = self.priority(given.get("priority", "normal"), f"{where}.priority")
        blind = given.get("ignore_case", False)
        if not isinstance(blind, bool):
            self._complain(f"{where}.ignore_case", f"must be true or false (got {shortened(blind)})")
        return Rule(name, priority, tuple(self._conditions(given.get("when"), where, blind is True)))

    def _name(self, given: Any, where: str) -> str:
        fits = isinstance(given, str) and given.isprintable() and given == given.strip() != ""
        if not fits or len(given.encode("utf-8", "replace")) > MAX_NAME_BYTES or given == DEFAULT:
            least = f"must be 1 to {MAX_NAME_BYTES} bytes of text that can be printed, and not {DEFAULT!r}"
            self._complain(f"{where}.name", f"{least} (got {shortened(given)})")
            return ""
        return str(given)

    def _conditions(self, given: Any, where: str, blind: bool) -> Iterator[Condition]:
        if not isinstance(given, dict) or not given:
            self._complain(f"{where}.when", "must be a table of conditions; `default` is for all that no rule matches")
            return
        for attribute, wanted in given.items():
            place = f"{where}.when.{attribute}"
            self._attribute(attribute, place)
            if not isinstance(wanted, dict) or not wanted:
                self._complain(place, f"must be a table with {', '.join(SAYS)} (got {shortened(wanted)})")
                continue
            self._known(wanted, tuple(SAYS), f"{place}.")
            for operator in (one for one in wanted if one in SAYS):
                values = self._values(wanted[operator], f"{place}.{operator}")
                yield Condition(attribute, operator, values, _fits(operator, values, blind))

    def _attribute(self, attribute: str, place: str) -> None:
        root, _, rest = attribute.partition(".")
        if not (attribute in PLAIN or (root in TREES and rest)):
            near = get_close_matches(root, (*PLAIN, *TREES), 1)
            hint = f"; did you mean {near[0]}{'.' + rest if rest else ''}?" if near and near[0] != root else ""
            known = f"must be {', '.join(PLAIN)}, metadata.NAME or payload.NAME"
            self._complain(place, f"no such attribute: {known}{hint}")

    def _values(self, given: Any, place: str) -> tuple[str, ...]:
        several = given if isinstance(given, list) else [given]
        found = [_text(one) for one in several]
        made = tuple(one for one in found if one is not None)
        if not 0 < len(several) <= MAX_VALUES or None in found or any(len(one) > MAX_VALUE for one in made):
            least = f"must be text, a number, true or false, or a list of 1 to {MAX_VALUES} of them"
            self._complain(place, f"{least}, each of at most {MAX_VALUE} characters (got {shortened(given)})")
        return made

    def _known(self, given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
        for name in given:
            if name not in known:
                near = get_close_matches(name, known, 1)
                self._complain(f"{where}{name}", f"no such setting{f'; did you mean {near[0]}?' if near else ''}")

    def _complain(self, where: str, problem: str) -> None:
        self.problems.append(f"{where}: {problem}")


def _fits(operator: str, values: tuple[str, ...], blind: bool) -> Callable[[str], bool]:
    """What a text must pass; `blind` to upper and lower case."""
    if operator == "like":
        patterns = [re.compile(translate(one), re.IGNORECASE if blind else 0) for one in values]
        return lambda text: any(one.match(text) for one in patterns)
    wanted = tuple(one.casefold() for one in values) if blind else values
    if operator == "contains":
        return lambda text: any(one in (text.casefold() if blind else text) for one in wanted)
    return lambda text: (text.casefold() if blind else text) in wanted
