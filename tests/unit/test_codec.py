"""Payloads and metadata: what goes in comes out, and what could not is refused at once."""

import math
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import Corrupt, InvalidInput, PayloadTooLarge
from coordinator.model.codec import MAX_DEPTH, MAX_METADATA_BYTES, metadata_of, metadata_text, pack, unpack

LIMIT = 1_000_000
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
values = st.recursive(
    leaves | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=20,
)


@given(values)
def test_plain_data_comes_back_as_it_was(value: Any) -> None:
    assert unpack(pack(value, "payload", LIMIT), "payload") == value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        [math.inf],
        {"a": -math.inf},
        {1: "a"},
        {b"a": 1},
        {None: 1},
        {1, 2},
        object(),
        len,
        [complex(1)],
        2**64,
        -(2**63) - 1,
        "\ud800",
        {"\ud800": 1},
        nested(MAX_DEPTH + 1),
    ],
    ids=range(15),
)
def test_what_cannot_be_carried_is_refused_where_it_is_handed_in(value: Any) -> None:
    with pytest.raises(InvalidInput, match="payload"):
        pack(value, "payload", LIMIT)


def test_data_may_be_nested_as_deep_as_the_limit() -> None:
    value = nested(MAX_DEPTH)
    assert unpack(pack(value, "payload", LIMIT), "payload") == value


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidInput, match="nested"):
        pack(value, "payload", LIMIT)


def test_a_tuple_comes_back_as_a_list() -> None:
    assert unpack(pack((1, (2,)), "payload", LIMIT), "payload") == [1, [2]]


def test_the_limit_is_one_of_packed_bytes() -> None:
    assert len(pack(b"x" * 98, "payload", 100)) == 100
    with pytest.raises(PayloadTooLarge) as caught:
        pack(b"x" * 99, "payload", 100)
    assert (caught.value.what, caught.value.size, caught.value.limit) == ("payload", 101, 100)


@given(st.binary(max_size=60))
def test_any_bytes_at_all_are_read_or_called_corrupt(found: bytes) -> None:
    with suppress(Corrupt):
        unpack(found, "the payload")


@pytest.mark.parametrize("found", [b"", b"\x92\x01", b"\x01\x02", b"\x81\x01\x02", b"\xc1", b"\x91" * 5000 + b"\x01"])
def test_broken_bytes_are_corrupt(found: bytes) -> None:
    with pytest.raises(Corrupt):
        unpack(found, "payload")


def test_a_length_that_lies_does_not_take_memory() -> None:
    with pytest.raises(Corrupt):
        unpack(b"\xdd\xff\xff\xff\xff", "payload")
    with pytest.raises(Corrupt):
        unpack(msgpack.packb("x" * 10)[:5], "payload")


@given(st.dictionaries(text, leaves, max_size=5))
def test_metadata_comes_back_as_it_was(value: dict[str, Any]) -> None:
    assert metadata_of(metadata_text(value)) == value


def test_metadata_has_its_limits() -> None:
    assert (metadata_text(None), metadata_text({}), metadata_of("")) == ("", "", {})
    room = MAX_METADATA_BYTES - len('{"a": ""}')
    assert len(metadata_text({"a": "x" * room})) == MAX_METADATA_BYTES
    for bad in ({"a": "x" * (room + 1)}, {"a": math.nan}, {1: 2}, {"a": b"x"}, ["a"], "a"):
        with pytest.raises(InvalidInput, match="metadata"):
            metadata_text(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("found", ["{", "nonsense", "[" * 100_000])
def test_metadata_that_is_no_json_is_corrupt(found: str) -> None:
    with pytest.raises(Corrupt):
        metadata_of(found)
