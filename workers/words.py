"""Text for people, made safe: what a handler or a payload says reaches logs and records without control characters and
within a length, so that nobody can forge a log line or fill a record."""

from __future__ import annotations

import unicodedata

MAX_REASON = 1000
MAX_PROGRESS_BYTES = 64  # a longer field would break the compact encoding of the request's hash

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def escaped(text: str) -> str:
    """The text with control characters, direction marks and the like as `\\x1b` or `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _UNSAFE else char
        for char in text
    )


def shortened(text: str, most: int) -> str:
    """At most so many characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def of_error(error: BaseException) -> str:
    """`ValueError: not a number`, on one line and within 1000 characters."""
    name = type(error).__qualname__
    try:
        message = str(error)
    except Exception:  # a handler's own error class may be broken, too
        message = "(its message cannot be shown)"
    return reason(f"{name}: {message}" if message else name)


def reason(text: str) -> str:
    """A reason as it is recorded."""
    return shortened(escaped(text[: MAX_REASON * 2]), MAX_REASON)


def progress(fraction: float, text: str) -> str:
    """`40% planning`, within 64 bytes."""
    said = f"{round(min(1.0, max(0.0, fraction)) * 100)}% {escaped(text[:MAX_PROGRESS_BYTES])}".rstrip()
    return said.encode()[:MAX_PROGRESS_BYTES].decode(errors="ignore")
