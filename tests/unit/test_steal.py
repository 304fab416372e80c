"""The policy of stealing: what is offered, who may take, and whom to rob."""

from hypothesis import given
from hypothesis import strategies as st

from coordinator.policy import steal

backlogs = st.dictionaries(st.text("abc", min_size=1), st.integers(0, 8), max_size=5).map(
    lambda loads: {worker: [f"{worker}/{n}" for n in range(load)] for worker, load in loads.items()}
)


@given(backlogs, st.integers(0, 40))
def test_each_job_is_the_tail_of_whoever_is_the_most_loaded_then(left: dict[str, list[str]], wanted: int) -> None:
    total = sum(map(len, left.values()))
    taken = steal.spoils(left, wanted)
    assert len(taken) == min(wanted, total)
    for worker, job in taken:
        assert len(left[worker]) == max(map(len, left.values()))
        assert left[worker].pop() == job


@given(backlogs, st.integers(0, 40))
def test_robbing_leaves_nobody_with_much_more_than_another_that_was_robbed(
    left: dict[str, list[str]], wanted: int
) -> None:
    robbed = steal.spoils(left, wanted)
    for worker, job in robbed:
        left[worker].remove(job)
    rests = [len(left[worker]) for worker, _ in robbed]
    assert not rests or max(map(len, left.values())) - min(rests) <= 1


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_a_worker_offers_what_it_will_not_begin_soon(lying: int, begun: int) -> None:
    offered = steal.surplus(lying, begun)
    assert 0 <= offered <= min(lying, steal.MAX_OFFER)
    assert lying - offered >= min(lying, begun)
    assert steal.surplus(lying, 0) == min(lying, steal.MAX_OFFER)


@given(st.integers(0, 100), st.booleans(), st.none() | st.integers(0, 8))
def test_only_who_can_begin_it_takes_a_job(wanted: int, idle: bool, places: int | None) -> None:
    found = steal.appetite(wanted, idle, places)
    assert 0 <= found <= wanted
    assert found <= (wanted if places is None else places)
    assert idle or not found
    assert steal.appetite(wanted, True, None) == wanted
