"""When a copy of an answer is believed."""

import pytest

from coordinator.drivers import clock
from coordinator.drivers.near import NearCache
from coordinator.model.measures import NoMeter
from coordinator.ops.answers import Kept
from coordinator.sections import Coalescing


def kept(seconds: float, asked: float | None = None) -> Kept:
    return Kept("j", seconds, b"\x01", clock.now() if asked is None else asked)


@pytest.fixture
def session() -> list[str]:
    return ["s1"]


@pytest.fixture
def near(session: list[str]) -> NearCache:
    return NearCache(Coalescing(entries=10, bytes=100_000), lambda: session[0], NoMeter)


def test_only_under_the_session_that_it_was_made_under(near: NearCache, session: list[str]) -> None:
    near.keep("k", kept(60), "s1", near.mark())
    assert near.look("k") is not None
    for other in ("", "s2"):
        session[0] = other
        assert near.look("k") is None


def test_its_time_counts_from_before_it_was_asked_for(near: NearCache) -> None:
    near.keep("old", kept(60, clock.now() - 61), "s1", near.mark())
    assert near.look("old") is None
    near.keep("young", kept(60, clock.now() - 50), "s1", near.mark())
    found = near.look("young")
    assert found is not None
    assert 9 < found.seconds_left <= 10


def test_what_was_asked_for_before_anything_was_dropped_is_not_kept(near: NearCache) -> None:
    mark = near.mark()
    near.drop(["another"])
    near.keep("k", kept(60), "s1", mark)
    assert near.look("k") is None


@pytest.mark.parametrize("named", ["k", "*"])
def test_it_goes_when_its_name_is_called_or_that_of_all(near: NearCache, named: str) -> None:
    for key in ("k", "other"):
        near.keep(key, kept(60), "s1", near.mark())
    near.drop([named])
    assert near.look("k") is None
    assert (near.look("other") is None) == (named == "*")


def test_what_is_out_of_time_makes_room_before_anything_is_evicted(near: NearCache) -> None:
    for number in range(10):
        near.keep(f"old{number}", kept(60, clock.now() - 59.999_9), "s1", near.mark())
    while near.stats().entries:
        pass
    for number in range(10):
        near.keep(f"k{number}", kept(60), "s1", near.mark())
    assert near.stats().evicted == 0
    near.look("k0")
    near.keep("more", kept(60), "s1", near.mark())
    assert near.look("k0") is not None
    assert near.look("k1") is None
    assert (near.stats().entries, near.stats().evicted) == (10, 1)


def test_other_bounds_count_from_now_on(near: NearCache) -> None:
    near.keep("k", kept(60), "s1", near.mark())
    near.adopt(Coalescing(entries=1, bytes=100_000))
    assert near.look("k") is None
    for name in ("a", "b"):
        near.keep(name, kept(60), "s1", near.mark())
    assert (near.look("a"), near.stats().entries) == (None, 1)
