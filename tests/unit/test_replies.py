"""From raw replies to values and errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import (
    BreakerOpen,
    CoordinatorError,
    Corrupt,
    Duplicate,
    IdConflict,
    IllegalTransition,
    InvalidInput,
    LineFull,
    LineOverloaded,
    MemoryFull,
    NotFound,
    OverCapacity,
    Overloaded,
    PayloadTooLarge,
    ProtocolError,
    QueueFull,
    SessionLost,
)
from coordinator.wire import replies

CASES: dict[str, tuple[list[object], type[CoordinatorError], dict[str, object]]] = {
    "queue_full": ([b"q", 7], QueueFull, {"queue": "q", "limit": 7}),
    "overloaded": (
        [b"q", 10, b"10", b"5", 8000, 8],
        Overloaded,
        {"queue": "q", "count": 10, "limit": 10, "place": 8, "retry_after": 8, "ident": ""},
    ),
    "breaker_open": ([b"breaker/a%20b", 1500], BreakerOpen, {"breaker": "a b", "retry_after": 1.5}),
    "line_overloaded": (
        [b"a%20b", 10, 12, 8, 20_000, 3],
        LineOverloaded,
        {"resource": "a b", "count": 10, "limit": 12, "place": 3, "retry_after": 8},
    ),
    "memory_full": (
        [b"900", b"1000", b"800"],
        MemoryFull,
        {"used": 900, "limit": 1000, "until": 800, "retry_after": 5},
    ),
    "line_full": ([b"a%20b", 7], LineFull, {"resource": "a b", "limit": 7}),
    "over_capacity": ([b"a%2Ab", b"3"], OverCapacity, {"resource": "a*b", "capacity": 3}),
    "too_large": ([101, 100], PayloadTooLarge, {"size": 101, "limit": 100}),
    "rejected": ([b"j", b"running"], Duplicate, {"existing": "j", "state": "running"}),
    "conflict": ([b"j"], IdConflict, {"ident": "j"}),
    "not_within": ([b"j"], InvalidInput, {"argument": "within", "value": "j"}),
    "refused": ([b"held"], IllegalTransition, {"state": "held"}),
    "gone": ([], NotFound, {"ident": "me"}),
    "session_lost": ([], SessionLost, {}),
}


def test_every_refusal_has_its_case_here() -> None:
    assert set(CASES) == set(replies.REFUSALS)


@pytest.mark.parametrize("word", CASES)
def test_a_refusal_is_raised_as_its_error_with_its_facts(word: str) -> None:
    rest, kind, facts = CASES[word]
    with pytest.raises(kind) as caught:
        replies.expect([word.encode(), *rest], "ok", ident="me")
    assert {name: getattr(caught.value, name) for name in facts} == facts
    assert replies.expect([word.encode(), *rest], word) == word


def test_a_word_nobody_knows_is_our_fault() -> None:
    with pytest.raises(ProtocolError, match="nonsense"):
        replies.expect([b"nonsense"], "ok")


@pytest.mark.parametrize("raw", [None, [], (), b"ok", 7, [7], [None], [[b"ok"]], {}])
def test_what_is_no_reply_is_our_fault(raw: object) -> None:
    with pytest.raises(ProtocolError):
        replies.status(raw)


@given(st.one_of(st.binary(), st.text(), st.integers()))
def test_a_word_is_text_or_corrupt(value: bytes | str | int) -> None:
    try:
        assert isinstance(replies.text(value), str)
    except Corrupt:
        assert isinstance(value, bytes)


@pytest.mark.parametrize("value", [None, [], 1.5, {}])
def test_other_things_are_corrupt(value: object) -> None:
    with pytest.raises(Corrupt):
        replies.text(value)


@pytest.mark.parametrize(("value", "found"), [(7, 7), (b"7", 7), ("1800000000000001", 1_800_000_000_000_001)])
def test_numbers_are_whole(value: object, found: int) -> None:
    assert replies.number(value) == found


@pytest.mark.parametrize("value", [None, b"", b"1.5", "x", []])
def test_what_is_no_number_is_corrupt(value: object) -> None:
    with pytest.raises(Corrupt):
        replies.number(value)


def test_fields_come_in_pairs() -> None:
    assert replies.fields([b"a", b"1", "b", 2]) == {"a": "1", "b": "2"}
    assert replies.fields([]) == {}
