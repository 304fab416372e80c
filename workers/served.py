"""Which queues a worker serves, and how they share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coordinator.errors import InvalidInput, shortened
from coordinator.model.names import label
from coordinator.policy.share import MAX_SHARERS, MAX_WEIGHT
from coordinator.sections import QueueRules


@dataclass(frozen=True, slots=True)
class Served:
    """Queues by name in their order, each with its weight, or with none at all: then the first by rank is next."""

    weights: Mapping[str, int | None]

    @classmethod
    def of(cls, given: Iterable[object]) -> Served:
        """`default` or `default=3` each; if any has a weight, those without have 1. Raises InvalidInput with every
        complaint."""
        weights: dict[str, int | None] = {}
        problems: list[InvalidInput] = []
        for one in given:
            try:
                _add(weights, one)
            except InvalidInput as error:
                problems.append(error)
        if problems:
            raise problems[0] if len(problems) == 1 else _together(problems)
        if any(weights.values()):
            if len(weights) > MAX_SHARERS:
                raise InvalidInput("queues", len(weights), f"with weights there can be at most {MAX_SHARERS}")
            weights = {name: weight or 1 for name, weight in weights.items()}
        return cls(weights)

    @property
    def names(self) -> tuple[str, ...]:
        """The queues, each once."""
        return tuple(self.weights)

    def words(self, rules: Mapping[str, QueueRules]) -> tuple[str, ...]:
        """The queues as a claim names them: `default=3`, `bulk 16:8:4:2:1`."""
        return tuple(self._word(name, weight, rules.get(name)) for name, weight in self.weights.items())

    @staticmethod
    def _word(name: str, weight: int | None, rules: QueueRules | None) -> str:
        share = "" if weight is None else f"={weight}"
        shared = rules is not None and rules.sharing == "weighted"
        return f"{name}{share} {':'.join(map(str, rules.weights))}" if rules and shared else f"{name}{share}"


def _add(weights: dict[str, int | None], given: object) -> None:
    said, equals, weight = given.partition("=") if isinstance(given, str) else (given, "", "")
    name = label(said, "queue")
    if weights.get(name) is not None:
        raise InvalidInput("queues", given, "gives a name a second weight")
    weights[name] = _weight(weight, given) if equals else weights.get(name)


def _together(problems: Sequence[InvalidInput]) -> InvalidInput:
    """All complaints in one; what was given is said with each."""
    given = [one.value for one in problems]
    return InvalidInput("queues", given, "; ".join(f"{shortened(one.value)} {one.problem}" for one in problems))


def _weight(text: str, given: object) -> int:
    weight = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_WEIGHT)) else 0
    if not 1 <= weight <= MAX_WEIGHT:
        raise InvalidInput("queues", given, f"must be a name, or a name with a weight from 1 to {MAX_WEIGHT}: bulk=2")
    return weight
