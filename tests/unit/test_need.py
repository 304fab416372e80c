"""Needs: what can be asked of a resource, and the text it travels as."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import Corrupt, InvalidInput
from coordinator.model.need import MAX_NEEDS, MAX_PERMITS, Need, needs_of
from coordinator.wire.needs import from_wire, to_wire

names = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="{}*?[]\\"), min_size=1, max_size=40
)
names = names.filter(lambda name: name == name.strip() and len(name.encode()) <= 512)
needs = st.builds(Need, names, st.just("shared")) | st.builds(
    Need, names, st.just("exclusive"), st.integers(1, MAX_PERMITS)
)


@given(st.lists(needs, min_size=1, max_size=8, unique_by=lambda need: need.resource))
def test_needs_come_back_from_the_wire_as_they_were(given: list[Need]) -> None:
    ordered = needs_of(given)
    assert from_wire(to_wire(ordered)) == ordered
    assert [one.resource for one in ordered] == sorted(one.resource for one in given)


def test_a_name_a_need_or_several_of_either() -> None:
    assert needs_of("b") == (Need("b"),)
    assert needs_of(Need("b", "shared")) == (Need("b", "shared"),)
    assert needs_of(["b", Need("a", permits=2)]) == (Need("a", permits=2), Need("b"))
    assert needs_of([], empty=True) == ()


def test_the_wire_form_can_be_read() -> None:
    assert to_wire(needs_of(["infra/prod/vpc", Need("con fig", "shared")])) == "s1:con%20fig x1:infra/prod/vpc"


@pytest.mark.parametrize("bad", [[], ["a", "a"], ["a", Need("a", "shared")], [1], None, 7, ["a", None], "", [[]]])
def test_what_cannot_be_meant_is_refused(bad: object) -> None:
    with pytest.raises(InvalidInput):
        needs_of(bad)  # type: ignore[arg-type]


def test_there_is_a_limit_to_how_many() -> None:
    assert len(needs_of([f"r{n}" for n in range(MAX_NEEDS)])) == MAX_NEEDS
    with pytest.raises(InvalidInput):
        needs_of([f"r{n}" for n in range(MAX_NEEDS + 1)])


@pytest.mark.parametrize(
    "arguments",
    [("a", "both"), ("a", "exclusive", 0), ("a", "exclusive", MAX_PERMITS + 1), ("a", "shared", 2), ("a*",), (None,)],
)
def test_a_need_is_checked_when_it_is_made(arguments: tuple[object, ...]) -> None:
    with pytest.raises(InvalidInput):
        Need(*arguments)  # type: ignore[arg-type]


LEVELS = "/".join("abcdefghijklmnop")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("a/**/b", "only as its last part"),
        ("**/a", "only as its last part"),
        ("a**", "only as its last part"),
        ("a/**/**", "only as its last part"),
        ("**", "only as its last part"),
        ("/**", "must name a path"),
        (f"{LEVELS}/q/**", "at most 16 levels"),
        (" /**", "white space"),
        ("a/*", "must not contain"),
    ],
)
def test_a_subtree_is_a_path_and_two_stars(bad: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Need(bad)


def test_a_subtree_travels_as_it_is_named() -> None:
    needs = needs_of(["con fig/**", Need(f"{LEVELS}/**", "shared")])
    assert to_wire(needs) == f"s1:{LEVELS}/** x1:con%20fig/**"
    assert from_wire(to_wire(needs)) == needs


def test_a_subtree_has_no_permits() -> None:
    with pytest.raises(InvalidInput, match="must be 1 for a subtree"):
        Need("a/**", permits=2)


@pytest.mark.parametrize("within", ["a", "a/b", "a/b/**"])
def test_what_lies_in_a_subtree_is_not_asked_for_beside_it(within: str) -> None:
    with pytest.raises(InvalidInput, match=r"lies in 'a/\*\*'"):
        needs_of([within, Need("a/**", "shared"), "b"])
    assert len(needs_of(["a/**", "ab", "b/a", "c/**"])) == 4


def test_what_only_the_engine_names_is_left_out() -> None:
    assert from_wire("x1:a x1:~dedup/k") == (Need("a"),)
    assert "~" not in to_wire([Need("~dedup/k")])


@pytest.mark.parametrize("wire", ["x", "x1", "y1:a", "1:a", "x1:", "x1:a s:b"])
def test_other_text_is_corrupt(wire: str) -> None:
    with pytest.raises(Corrupt):
        from_wire(wire)
