"""Names that users choose reach a key in one way that cannot be abused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from coordinator import keys
from coordinator.errors import InvalidInput
from coordinator.model.names import resource_name

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
nasty = texts | st.text("{}*?[]\\~%:/. \n\x00aä", min_size=1, max_size=12)


@given(nasty)
def test_a_name_comes_back_as_it_was(name: str) -> None:
    assert keys.decode(keys.encode(name)) == name


@given(nasty, nasty)
def test_different_names_give_different_keys(one: str, other: str) -> None:
    assert (keys.encode(one) == keys.encode(other)) == (one == other)


@given(nasty)
def test_an_encoded_name_is_plain_text_without_anything_that_redis_reads_into_it(name: str) -> None:
    encoded = keys.encode(name)
    assert encoded.isascii()
    assert not set(encoded) & set("{}*?[]\\~: \n\x00'\"")


@given(nasty)
def test_all_keys_of_a_namespace_are_in_one_slot_of_a_cluster(name: str) -> None:
    encoded = keys.encode(name)
    slots = {
        key_slot(keys.key("ns", one.name, encoded if one.suffix.endswith(":") else "").encode())
        for one in keys.FAMILIES
    }
    assert slots == {key_slot(b"ns")}


@given(nasty)
def test_a_key_is_classified_as_what_it_was_made_for(name: str) -> None:
    encoded = keys.encode(name)
    for one in keys.FAMILIES:
        member = encoded if one.suffix.endswith(":") else ""
        assert keys.classify("ns", keys.key("ns", one.name, member)) == (one, member)


def test_keys_of_others_are_not_ours() -> None:
    for foreign in ("co:{other}:meta", "co:{ns}:nonsense", "co:{ns}:line:", "co:{ns}:metal", "meta", ""):
        assert keys.classify("ns", foreign) is None


def test_no_namespace_reaches_into_another() -> None:
    assert keys.classify("a", keys.key("a:b", "META")) is None
    assert keys.classify("a:b", keys.key("a", "META")) is None


def test_what_is_left_as_it_is_stays_readable() -> None:
    assert keys.encode("infra/prod/vpc-1.2_3@x+y=z,w") == "infra/prod/vpc-1.2_3@x+y=z,w"
    assert keys.key("default", "LINE", "infra/prod/vpc") == "co:{default}:line:infra/prod/vpc"


def test_names_and_suffixes_of_families_are_unique() -> None:
    assert len({one.name for one in keys.FAMILIES}) == len({one.suffix for one in keys.FAMILIES}) == len(keys.FAMILIES)
    with pytest.raises(KeyError):
        keys.family("NONSENSE")


def test_the_name_of_a_family_gives_its_suffix() -> None:
    assert {one.name: keys.suffix(one.name) for one in keys.FAMILIES} == {one.name: one.suffix for one in keys.FAMILIES}
    with pytest.raises(KeyError):
        keys.suffix("NONSENSE")


@given(st.text("{}*?[]\\", min_size=1))
def test_patterns_and_hash_tags_are_refused_before_they_are_encoded(name: str) -> None:
    with pytest.raises(InvalidInput):
        resource_name(name)
