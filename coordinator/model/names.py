"""What names and numbers are acceptable, checked before anything is sent.

Names of resources are free text within limits: what would be a pattern, break a line of output or a hash tag is
refused rather than quietly changed. Names that are used as labels (namespaces, queues, handlers) are stricter.
"""

from __future__ import annotations

import math
import re
import unicodedata
from difflib import get_close_matches
from enum import IntEnum
from functools import lru_cache

from coordinator.errors import InvalidInput

MAX_NAME_BYTES = 512
MAX_TEXT_BYTES = 1024
MAX_SECONDS = 10 * 365 * 86400.0

# What follows a path where everything at and below it is meant, and how many levels such a path may have.
SUBTREE = "/**"
MAX_DEPTH = 16

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+:/-]{0,127}")
_FORBIDDEN = frozenset("{}*?[]\\")


class Priority(IntEnum):
    """How urgent a request is; larger is more urgent."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    CRITICAL = 3
    EMERGENCY = 4

    @classmethod
    def of(cls, value: object) -> Priority:
        """A priority from itself, its number or its name in any case. Raises InvalidInput."""
        if type(value) is cls:
            return value
        if isinstance(value, str) and value.upper() in cls.__members__:
            return cls[value.upper()]
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= max(cls):
            return cls(value)
        known = ", ".join(f"{one.name.lower()}={one.value}" for one in cls)
        raise InvalidInput("priority", value, f"must be one of {known}")


def resource_name(value: object, argument: str = "resource") -> str:
    """A name of a resource, a dedup key or an owner of one. Raises InvalidInput."""
    if not isinstance(value, str):
        raise InvalidInput(argument, value, "must be a string")
    if not value or value != value.strip():
        raise InvalidInput(argument, value, "must not be empty, nor begin or end with white space")
    if len(value) > MAX_NAME_BYTES or len(_utf8(value, argument)) > MAX_NAME_BYTES:
        raise InvalidInput(argument, value, f"must be at most {MAX_NAME_BYTES} bytes of UTF-8")
    bad = sorted({char for char in value if char in _FORBIDDEN or unicodedata.category(char) in {"Cc", "Zl", "Zp"}})
    if bad:
        raise InvalidInput(argument, value, f"must not contain {', '.join(map(repr, bad))}")
    return value


def resource_or_subtree(value: object, argument: str = "resource") -> str:
    """A name of a resource, or `path/**` for all at and below a path of at most 16 levels. Raises InvalidInput."""
    if not isinstance(value, str) or "**" not in value:
        return resource_name(value, argument)
    path = value.removesuffix(SUBTREE)
    if path == value or "*" in path:
        raise InvalidInput(argument, value, "must have `**` only as its last part, as in 'infra/prod/**'")
    if not path:
        raise InvalidInput(argument, value, "must name a path before `/**`: a subtree of everything is no resource")
    if path.count("/") >= MAX_DEPTH:
        raise InvalidInput(argument, value, f"must have at most {MAX_DEPTH} levels before `/**`")
    resource_name(path, argument)
    return value


def in_subtree(resource: str, subtree: str) -> bool:
    """Whether a resource, or another subtree, lies at or below the path of a subtree."""
    path = subtree.removesuffix(SUBTREE)
    return resource == path or resource.startswith(path + "/")


def label(value: object, argument: str) -> str:
    """A namespace, queue or handler name: letters, digits and `._@+:/-`, at most 128. Raises InvalidInput."""
    if not isinstance(value, str) or not _is_label(value):
        raise InvalidInput(
            argument, value, "must be 1 to 128 letters, digits or ._@+:/- and begin with a letter or digit"
        )
    return value


# The same few names come with every job.
@lru_cache(maxsize=4096)
def _is_label(value: str) -> bool:
    return _LABEL.fullmatch(value) is not None


def request_id(value: object, argument: str = "id") -> str:
    """An id of a request, as a ticket or a list shows it. Raises InvalidInput."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_BYTES or not value.isascii():
        raise InvalidInput(argument, value, "must be the id of a request")
    return value


def text(value: object, argument: str, most: int = MAX_TEXT_BYTES) -> str:
    """Free text for people (owner, reason), at most 1 KiB. Raises InvalidInput."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(_utf8(value, argument)) > most:
        raise InvalidInput(argument, value, f"must be a string of at most {most} bytes")
    return value


def milliseconds(value: object, argument: str, *, least: float = 0.0) -> int:
    """A duration in seconds as whole milliseconds, rounded up. Raises InvalidInput for NaN, infinity and the like."""
    # An int is not asked whether it is finite: a large one does not fit the float that the question takes.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value < math.inf:
        raise InvalidInput(argument, value, "must be a number of seconds")
    if not least <= value <= MAX_SECONDS:
        raise InvalidInput(argument, value, f"must be between {least:g} and {MAX_SECONDS:.0f} seconds")
    return math.ceil(value * 1000)


def whole(value: object, argument: str, least: int, most: int) -> int:
    """A whole number within bounds. Raises InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInput(argument, value, f"must be a whole number from {least} to {most}")
    return value


def one_of(value: object, argument: str, choices: tuple[str, ...]) -> str:
    """One of some words, with a suggestion for a near miss. Raises InvalidInput."""
    if isinstance(value, str) and value in choices:
        return value
    near = get_close_matches(value, choices, 1) if isinstance(value, str) else []
    hint = f", did you mean {near[0]!r}?" if near else ""
    raise InvalidInput(argument, value, f"must be one of {', '.join(choices)}{hint}")


def _utf8(value: str, argument: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(argument, value, "must be valid Unicode") from None
