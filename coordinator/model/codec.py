"""Payloads and results as msgpack: data only, never code.

What goes in is checked while it is still ours (types, depth, NaN), so that a bad value fails in the caller's line and
not in a worker an hour later; what comes out of Redis is parsed under limits. Pickle is not an option.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgpack

from coordinator.errors import Corrupt, InvalidInput, PayloadTooLarge

MAX_DEPTH = 32
# The largest that any setting of `max_payload` and `max_result` lets in, with a signature.
MAX_PACKED = 64 * 1_048_576 + 1024
MAX_METADATA_BYTES = 8192
_PLAIN = (str, bytes, int, type(None))


def pack(value: Any, what: str, limit: int) -> bytes:
    """`value` as msgpack. Raises InvalidInput for what msgpack cannot carry, PayloadTooLarge above `limit` bytes."""
    _check(value, what, MAX_DEPTH)
    try:
        packed: bytes = msgpack.packb(value, use_bin_type=True)
    except (OverflowError, ValueError, TypeError) as error:
        raise InvalidInput(what, value, f"cannot be stored: {error}") from None
    if len(packed) > limit:
        raise PayloadTooLarge(what, len(packed), limit)
    return packed


def pack_canonical(value: Any, what: str, limit: int) -> bytes:
    """As `pack`, and equal values give equal bytes: mappings are written in the order of their keys."""
    _check(value, what, MAX_DEPTH)
    return pack(_ordered(value), what, limit)


def unpack(packed: bytes, what: str) -> Any:
    """The value of some msgpack bytes. Raises Corrupt."""
    if len(packed) > MAX_PACKED:
        raise Corrupt(f"{what} has {len(packed)} bytes, more than anybody may hand in")
    try:
        return msgpack.unpackb(packed, raw=False, strict_map_key=True, ext_hook=_no_extension)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError, UnicodeDecodeError) as error:
        raise Corrupt(f"{what} is not valid msgpack: {type(error).__name__}") from None


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    return [_ordered(one) for one in value] if isinstance(value, list | tuple) else value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _no_extension(code: int, _data: bytes) -> Any:
    raise ValueError(f"extension type {code}")


def metadata_text(value: Mapping[str, Any] | None) -> str:
    """Metadata as JSON, so that it can be read in redis-cli; empty for none. Raises InvalidInput."""
    if not value:
        return ""
    if not isinstance(value, Mapping):
        raise InvalidInput("metadata", value, "must be a mapping")
    _check(dict(value), "metadata", MAX_DEPTH)
    try:
        written = json.dumps(dict(value), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise InvalidInput("metadata", value, f"cannot be stored: {error}") from None
    if len(written) > MAX_METADATA_BYTES:
        raise InvalidInput("metadata", value, f"must be at most {MAX_METADATA_BYTES} bytes as JSON")
    return written


def metadata_of(written: str) -> dict[str, Any]:
    """The mapping that `metadata_text` was given. Raises Corrupt."""
    if not written:
        return {}
    try:
        value = json.loads(written, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"metadata is not valid JSON: {type(error).__name__}") from None
    return value if isinstance(value, dict) else {}


def _check(value: Any, what: str, depth: int) -> None:
    if isinstance(value, _PLAIN):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput(what, value, "must not contain NaN or infinity")
        return
    if depth == 0:
        raise InvalidInput(what, type(value).__name__, f"must not be nested more than {MAX_DEPTH} levels deep")
    for inner in _inner(value, what):
        _check(inner, what, depth - 1)


def _inner(value: Any, what: str) -> Iterable[Any]:
    """What a container holds. Raises InvalidInput for anything that is no container of plain data."""
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, dict):
        raise InvalidInput(what, value, f"cannot carry values of type {type(value).__name__}; use plain data")
    for name in value:
        if not isinstance(name, str):
            raise InvalidInput(what, name, "must have only strings as keys")
    return value.values()
