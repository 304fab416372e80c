"""What a submission says about jobs that are nearly the same, and what is found of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from coordinator.errors import InvalidInput
from coordinator.model.names import Priority, label, milliseconds, one_of
from coordinator.policy.similarity import LEAST_THRESHOLD, ON_SIMILAR, OnSimilar, threshold_of


class Resemblance(NamedTuple):
    """The job `ident` has a text of that similarity, from the threshold to 1."""

    ident: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Similar:
    """Look for earlier jobs with nearly the same text.

    `text` is what is compared; None takes all strings of the payload. Compared are the jobs of one `group`, which is
    the name of the handler unless it is given, for `ttl` seconds after they were handed in. `threshold`, from 0.6 to 1,
    is the similarity from which on a job counts; None goes by the priority: low 0.6, normal 0.7, high 0.8, critical
    0.9, emergency 1, which is off; 0.9 at least for `submit_many`. A mapping, `{"high": 0.9}`, changes some of these.
    `report`: the job is handed in, and its ticket names the one found. `reject`: TooSimilar is raised. `join`: the
    ticket is that of the other job, result included. These two only if the other has not ended without success.
    Raises InvalidInput.
    """

    text: str | None = None
    on_similar: OnSimilar = "report"
    threshold: float | Mapping[str, float] | Mapping[Priority, float] | None = None
    ttl: float = 3600.0
    group: str = ""

    def __post_init__(self) -> None:
        one_of(self.on_similar, "on_similar", ON_SIMILAR)
        milliseconds(self.ttl, "ttl", least=0.001)
        if self.text is not None and not isinstance(self.text, str):
            raise InvalidInput("text", self.text, "must be a string")
        if self.group:
            label(self.group, "group")
        given = self.threshold
        if isinstance(given, Mapping):
            object.__setattr__(self, "threshold", {Priority.of(name): _share(one) for name, one in given.items()})
        elif given is not None:
            _share(given)

    def of(self, urgency: Priority, batch: bool) -> tuple[float, bool]:
        """The threshold for a job of that priority, of a batch or not, and whether it is looked for earlier jobs: 1 is
        off, but where it is given for all priorities: then it is for equal texts."""
        given = self.threshold
        if given is not None and not isinstance(given, Mapping):
            return float(given), True
        own = {Priority.of(name): one for name, one in (given or {}).items()}
        found = own.get(urgency, threshold_of(urgency, batch))
        return float(found), found < 1


def _share(given: object) -> float:
    if type(given) not in (int, float) or not LEAST_THRESHOLD <= given <= 1:  # type: ignore[operator]
        raise InvalidInput("threshold", given, f"must be from {LEAST_THRESHOLD:g} to 1")
    return given  # type: ignore[return-value]
