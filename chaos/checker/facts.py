"""What the checker answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rule = Literal[
    "lost",  # an acknowledged job is nowhere or was dropped, or something that was started never ended
    "unfinished",  # a job has no end although the run was drained
    "refused",  # a job is there whose submission certainly failed
    "stranger",  # a job is there that nobody submitted
    "unworked",  # a job succeeded under a fence that no handler ever had
    "unraised",  # a job failed though no handler of it raised
    "twice",  # a job was committed twice, or one lease was given out twice
    "double",  # a job was handed out while somebody had it
    "robbed",  # a job was taken from a worker that could still trust its session
    "after_end",  # a run began after the job's end
    "told",  # a caller was told another end than there was
    "real_time",  # what ended before another thing began comes after it
    "fence",  # a fence that did not grow
    "exclusion",  # two had it at once
    "stale_write",  # a guarded store took a write under an old fence
    "order",  # somebody was overtaken in line
    "stale",  # a job was settled under an old fence
    "sequence",  # something happened that cannot happen at that point
    "needs",  # a request holds other things than it asked for
    "incomplete",  # the history itself is not whole
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One breach of one rule."""

    rule: Rule
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"
