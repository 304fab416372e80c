"""Text for terminals. What users wrote (names, owners, reasons) passes through `clean`, so that it can neither move the
cursor, nor colour, nor hide or reorder anything: a character that is not plainly visible is shown as its code."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

from rich.text import Text

# Control, format (which includes the marks that reverse the direction of text), lone surrogates, private use,
# unassigned, and the separators that break a line.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_STEPS = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))
_EXACT_BELOW = 10
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
_TEENS = range(11, 20)


def clean(text: object) -> str:
    """Text with every character that is not plainly visible shown as its code, such as `\\x1b`."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _INVISIBLE else char
        for char in str(text)
    )


def word(text: object, style: str = "") -> Text:
    """A piece of text for a table or a line, never read as markup."""
    return Text(clean(text), style=style)


def duration(seconds: float) -> str:
    """`0.3s`, `12s`, `3m 12s`, `4h 5m`, `2d 3h`: two units at most."""
    seconds = max(0.0, seconds)
    if seconds < _EXACT_BELOW:
        return f"{seconds:.1f}s"
    for size, unit, small, small_unit in _STEPS:
        if seconds >= size:
            rest = int(seconds % size) // small
            return f"{int(seconds // size)}{unit} {rest}{small_unit}" if rest else f"{int(seconds // size)}{unit}"
    return f"{seconds:.0f}s"


def moment(at: float) -> str:
    """A time by the server's clock, such as `2026-03-01 12:00:03Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def ordinal(place: int) -> str:
    """`first`, `2nd`, `3rd` of a place that counts from 0."""
    number = place + 1
    if number == 1:
        return "first"
    ending = "th" if number % 100 in _TEENS else _ENDINGS.get(number % 10, "th")
    return f"{number}{ending}"


def count(number: int, one: str, many: str = "") -> str:
    """`1 worker`, `2 workers`, `no workers`."""
    return f"{number or 'no'} {one if number == 1 else many or one + 's'}"
