"""Quantiles by nearest rank."""

from __future__ import annotations

import math
from collections.abc import Iterable


def rank(values: Iterable[float], share: float) -> float:
    """The value that `share` of all are at most; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
