"""When are two texts nearly the same, and how is one found among many without looking at all of them?

Similarity is that of Jaccard, |A and B| / |A or B|, of the sets of character shingles of the normalised texts. Four
characters: shorter ones are in every text, longer ones make one changed word weigh more in short texts (Leskovec,
Rajaraman, Ullman, *Mining of Massive Datasets*, section 3.2.2, asks that any one shingle be unlikely in a text).

Candidates are found by MinHash (Broder, *On the resemblance and containment of documents*, 1997): of `rows * bands`
hash functions the minimum over a set agrees for two sets with the probability of their similarity s. Texts are
candidates if all rows of at least one band agree: with probability 1 - (1 - s^r)^b, an S-curve (*Mining of Massive
Datasets*, section 3.4.2). What is found that way is compared exactly, so there are no false hits, and few misses at the
threshold.

One index serves all priorities, and so its bands are chosen for the lowest threshold; for higher ones they find more.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from coordinator.model.names import Priority

# The more urgent, the surer it must be; 1 switches the check off. Work that comes by the batch is alike by nature.
THRESHOLDS = {
    Priority.EMERGENCY: 1.0,
    Priority.CRITICAL: 0.9,
    Priority.HIGH: 0.8,
    Priority.NORMAL: 0.7,
    Priority.LOW: 0.6,
}
# What becomes of a job that is like an earlier one.
OnSimilar = Literal["report", "reject", "join"]
ON_SIMILAR: tuple[OnSimilar, ...] = get_args(OnSimilar)
BATCH_THRESHOLD = 0.9
LEAST_THRESHOLD = min(THRESHOLDS.values())
# Of those that are exactly at the lowest threshold at least so many are found; of all above it more.
LEAST_RECALL = 0.95
MOST_HASHES = 128
SHINGLE = 4
# Characters of a normalised text that count; what follows is not compared.
MAX_TEXT = 4096
# Strings of a payload that count when no text is given.
MAX_STRINGS = 256

_BETWEEN_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Banding:
    """How many bands of how many rows."""

    bands: int
    rows: int

    @property
    def hashes(self) -> int:
        """How many hash functions that takes."""
        return self.bands * self.rows

    def found(self, similarity: float) -> float:
        """The probability that two texts of that similarity are candidates of each other."""
        return 1 - (1 - similarity**self.rows) ** self.bands


def banding(threshold: float, recall: float = LEAST_RECALL, most_hashes: int = MOST_HASHES) -> Banding:
    """The bands that find a text at the threshold with at least that probability, and what is below it as rarely as so
    many hash functions allow: the most rows, and of bands no more than these need. Raises ValueError if none do."""
    fit = []
    for rows in range(1, most_hashes + 1):
        agree = threshold**rows
        bands = math.ceil(math.log1p(-recall) / math.log1p(-agree)) if agree < 1 else 1
        if bands * rows <= most_hashes:
            fit.append(Banding(bands, rows))
    if not fit:
        raise ValueError(f"{most_hashes} hash functions are too few for a threshold of {threshold:g}")
    return fit[-1]


BANDING = banding(LEAST_THRESHOLD)


def threshold_of(priority: Priority, batch: bool) -> float:
    """From which similarity on a text counts as the same; 1: the check is off."""
    own = THRESHOLDS[priority]
    return max(own, BATCH_THRESHOLD) if batch else own


def normalise(text: str) -> str:
    """A text without what makes no difference: case, forms of the same letter, punctuation, white space."""
    folded = unicodedata.normalize("NFKC", text[: 4 * MAX_TEXT]).casefold()
    return _BETWEEN_WORDS.sub(" ", folded).strip()[:MAX_TEXT]


def shingles(normalised: str) -> frozenset[str]:
    """The runs of four characters of a normalised text; one that is shorter is its own only shingle."""
    if len(normalised) <= SHINGLE:
        return frozenset({normalised} if normalised else ())
    return frozenset(normalised[at : at + SHINGLE] for at in range(len(normalised) - SHINGLE + 1))


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of shingles that two texts have in common: 0 to 1, symmetric, 1 only for equal sets. Texts without any
    have nothing in common."""
    if not one or not other:
        return 0.0
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def text_of(payload: Any) -> str:
    """All strings of a payload, in their order; names of fields are not among them."""
    return " ".join(found for _, found in zip(range(MAX_STRINGS), _strings(payload), strict=False))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
