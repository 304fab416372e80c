"""The pure part of the compatible lock: names, tokens, patience."""

from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from redis import exceptions as redis_errors

from coordinator.compat.errors import LineRefused, LineUnavailable, NotOwned, as_redis
from coordinator.compat.held import Terms
from coordinator.compat.plain import Patience, Place, resource_of
from coordinator.compat.renewer import AT_ONCE, Duty, Entry, batches
from coordinator.errors import CoordinatorError, LeaseLost, LineFull, StoreUnavailable, UnknownOutcome
from coordinator.model.names import resource_name
from coordinator.settings import Settings


class SimpleFloat:
    """A number as other libraries have them."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value


NAMES = st.binary(min_size=1, max_size=600)


@given(NAMES)
def test_every_name_of_redis_has_a_resource(name: bytes) -> None:
    assert resource_name(resource_of(name)) == resource_of(memoryview(name))


@given(NAMES, NAMES)
def test_different_names_have_different_resources(one: bytes, other: bytes) -> None:
    assert (resource_of(one) == resource_of(other)) == (one == other)


def test_usual_names_can_be_read() -> None:
    assert resource_of("report:2026-11") == "redis-lock/report:2026-11"
    assert resource_of("{user}:1") == "redis-lock/%7Buser%7D:1"


def test_a_token_tells_of_its_place() -> None:
    place = Place("t-1", "01ABC", 1_800_000_000_000_001)
    assert Place.read(place.token().encode()) == place


@given(st.binary(max_size=80))
def test_other_tokens_tell_of_none(token: bytes) -> None:
    found = Place.read(token)
    assert found is None or found.token().encode() == token


def test_the_head_tries_when_the_ttl_ends_and_no_later_than_its_own_time() -> None:
    patience = Patience.of(10.0, 0.1, True, 1.0)
    assert [patience.pause(10.0, -1, tries) for tries in (0, 1, 5, 6, 5000)] == [0.002, 0.004, 0.064, 0.1, 0.1]
    assert patience.pause(10.0, 30, 9) == pytest.approx(0.031)
    assert patience.pause(10.95, -1, 9) == pytest.approx(0.05)
    assert patience.pause(11.0, -1, 9) is None
    assert Patience.of(10.0, 0.1, False, 5.0).left(10.0) == 0
    assert Patience.of(10.0, 0.0, True, None).pause(1e9, -1, 9) == 0.002


def test_patience_may_have_no_end() -> None:
    assert Patience.of(10.0, 0.1, True, float("inf")).ends is None
    assert Patience.of(10.0, 0.1, True, -1.0).left(10.0) == 0


@pytest.mark.parametrize("timeout", ["5", b"5", float("inf"), float("nan"), [5], 10**400, Decimal("nan"), 1j])
def test_a_timeout_that_is_no_time_is_refused_in_both_families(timeout: Any) -> None:
    with pytest.raises(LineRefused, match="timeout: must be a number of seconds"), as_redis("job"):
        Terms.of(timeout, Settings.of())


@pytest.mark.parametrize("timeout", [2.5, Decimal("2.5"), Fraction(5, 2), SimpleFloat(2.5)])
def test_a_timeout_is_any_kind_of_number(timeout: Any) -> None:
    terms = Terms.of(timeout, Settings.of())
    assert (terms.ttl_ms, terms.line, type(terms.ttl), type(terms.line)) == (2500, 2.5, float, float)
    one = Terms.of(True, Settings.of())
    assert (one.ttl_ms, one.line, type(one.line)) == (1000, 1.0, float)


def test_a_try_is_not_repeated_for_as_long_as_other_calls() -> None:
    assert Terms.of(5, Settings.of(retry_for=60)).try_for < 2
    assert Terms.of(None, Settings.of(retry_for=0.5)).try_for == 0.5


@pytest.mark.parametrize(
    ("problem", "becomes", "theirs"),
    [
        (LeaseLost("x", "gone"), NotOwned, redis_errors.LockNotOwnedError),
        (redis_errors.LockNotOwnedError("gone"), NotOwned, redis_errors.LockNotOwnedError),
        (StoreUnavailable("away"), LineUnavailable, redis_errors.ConnectionError),
        (UnknownOutcome("away"), LineUnavailable, redis_errors.ConnectionError),
        (LineFull("x", 3), LineRefused, redis_errors.LockError),
    ],
)
def test_errors_are_of_both_families(problem: Exception, becomes: type, theirs: type) -> None:
    with pytest.raises(becomes) as caught, as_redis("job"):
        raise problem
    assert isinstance(caught.value, CoordinatorError)
    assert isinstance(caught.value, theirs)
    assert str(caught.value)


def keys_of(client: Any, count: int, first: int = 0) -> list[Entry[Any]]:
    leases = (SimpleNamespace(ident=f"r{first + number}") for number in range(count))
    return [Entry(Duty(lease, client, f"lock{at}", b"", None), 0.0) for at, lease in enumerate(leases)]


def test_what_a_pool_of_connections_holds_is_looked_at_together() -> None:
    one, other = redis.Redis(), redis.Redis()
    sharing = redis.Redis(connection_pool=one.connection_pool)
    many = keys_of(one, 2 * AT_ONCE) + keys_of(sharing, 1) + keys_of(other, 3)
    assert [len(batch) for batch in batches(many)] == [AT_ONCE, AT_ONCE, 1, 3]
    assert [entry for batch in batches(many) for entry in batch] == many
    assert batches([]) == []


def test_of_a_cluster_each_slot_is_looked_at_by_itself() -> None:
    cluster = MagicMock(spec=redis.RedisCluster)
    cluster.keyslot.side_effect = lambda name: int(name.removeprefix("lock")) % 3
    assert sorted(len(batch) for batch in batches(keys_of(cluster, 10))) == [3, 3, 4]
