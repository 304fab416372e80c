"""How many jobs a worker claims: bounds that hold whatever was seen, what is learnt, and how that fares beside every
fixed size. What is played here runs by the numbers it is given: no clock, and no chance without a seed."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.model.measures import LIMITS
from coordinator.policy import batch
from coordinator.policy.batch import ARMS, COLD, LONGEST, MOST, RENEWED, Aim, Bounds, Plan, Seen, State

AIMS = st.builds(
    lambda target, least, more: Aim(target, least, min(MOST, least + more)),
    st.floats(0.001, 3600),
    st.integers(1, MOST),
    st.integers(0, MOST),
)
BOUNDS = st.builds(Bounds, st.integers(1, 5000), st.sampled_from([24, 64, 1000]), st.floats(0.1, 3600))
SEEN = st.builds(
    lambda jobs, idle, each, begun, busy: Seen(jobs, idle + each * begun, each * begun, begun, busy),
    st.integers(0, 500),
    st.floats(0, 100),
    st.one_of(st.floats(0, 1e-3), st.floats(0, 100)),
    st.integers(0, 500),
    st.booleans(),
)
HISTORIES = st.lists(SEEN, max_size=30)


def after(history: Sequence[Seen], aim: Aim, bounds: Bounds) -> State:
    state = batch.cold(aim)
    for seen in history:
        state = batch.learn(state, batch.plan(state, aim, bounds), seen)
    return state


# --- what holds whatever was seen


@given(st.integers(1, MOST), st.integers(1, MOST))
def test_only_sizes_that_are_far_from_each_other_are_news(told: int, now: int) -> None:
    assert batch.moved(told, now) == (max(told, now) / min(told, now) >= 4)
    assert batch.moved(told, now) == batch.moved(now, told)


@settings(max_examples=150)
@given(HISTORIES, AIMS, BOUNDS, st.integers(0, 5000), st.integers(0, 600), st.booleans())
def test_a_claim_stays_within_all_its_bounds(
    history: list[Seen], aim: Aim, bounds: Bounds, free: int, reserved: int, starts: bool
) -> None:
    state = after(history, aim, bounds)
    plan = batch.plan(state, aim, bounds)
    size = plan.size(free, reserved, starts)
    assert 0 <= size <= min(free, bounds.half, bounds.call, aim.most)
    assert plan.why in LIMITS
    assert plan.reason(size, free) in LIMITS
    if size > 1:
        all_of_it = (reserved + size) * state.work.each
        assert all_of_it <= bounds.lease * RENEWED * (1 + 1e-9)
        assert all_of_it <= aim.target * (1 + 1e-9) or reserved + size <= aim.least


@settings(max_examples=50)
@given(HISTORIES, AIMS, BOUNDS, st.integers(1, 5000))
def test_a_worker_with_nothing_to_do_claims_at_least_one(
    history: list[Seen], aim: Aim, bounds: Bounds, free: int
) -> None:
    assert batch.plan(after(history, aim, bounds), aim, bounds).size(free, 0, starts=True) >= 1


@given(st.integers(1, 100), st.integers(1, 100))
def test_least_is_kept_where_slots_and_leases_allow(least: int, free: int) -> None:
    aim, bounds = Aim(0.05, least), Bounds(500, 500, 3600)
    slow = batch.learn(batch.cold(aim), batch.plan(batch.cold(aim), aim, bounds), Seen(1, 1, 1.0, 1, False))
    assert batch.plan(slow, aim, bounds).size(free, 0, starts=True) == min(least, free)


@given(st.floats(1e-6, 10), st.floats(0, 1e-3), st.integers(1, 300))
def test_a_claim_is_not_larger_than_pays(each: float, level: float, jobs: int) -> None:
    state = batch.cold(Aim())._replace(work=batch.Work(each * jobs, float(jobs)), level=level)
    full = batch.plan(state, Aim(), Bounds(500, 500, 3600)).full
    trip = max(batch.TRIP, batch.CALL_JOBS * level)
    alike = max(trip / batch.SHARE, batch.UNEVEN * (trip * each) ** 0.5)
    assert full <= 2 or jobs < 2 * COLD or alike >= (full - 1) * each * (1 - 1e-9)
    assert full >= min(2, int(0.05 / each))  # two always pay, where they may be reserved


@given(st.floats(1e-6, 0.1), st.integers(2, 60), st.integers(200, 600))
def test_jobs_that_are_alike_are_even_and_few_long_ones_make_them_uneven(each: float, jobs: int, claims: int) -> None:
    work = batch.Work(each, 1.0)
    for _ in range(claims):
        work = batch.worked(work, each * jobs, jobs)
    assert work.uneven == pytest.approx(1)
    work = batch.worked(work, 100 * each, 1)
    assert work.uneven > 10


@settings(max_examples=50)
@given(HISTORIES, st.floats(0, 1), st.floats(0, 10))
def test_the_more_uneven_jobs_are_the_larger_claims_pay(history: list[Seen], spread: float, more: float) -> None:
    state = after(history, Aim(), Bounds(50, 64, 10))
    pays = [batch.worth(state._replace(work=state.work._replace(spread=one))) for one in (spread, spread + more)]
    assert pays[0] <= pays[1]


@settings(max_examples=50)
@given(HISTORIES, st.floats(1e-6, 10), st.floats(1, 10))
def test_longer_jobs_never_make_larger_claims(history: list[Seen], each: float, times: float) -> None:
    aim, bounds = Aim(), Bounds(50, 64, 10)
    state = after(history, aim, bounds)
    rooms = [batch.plan(state._replace(work=batch.Work(work, 1.0)), aim, bounds).room for work in (each, each * times)]
    assert rooms[1] <= rooms[0]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 300)), min_size=1, max_size=30))
def test_the_work_of_a_job_lies_between_the_least_and_the_most_that_was_seen(seen: list[tuple[float, int]]) -> None:
    work = batch.cold(Aim()).work
    known = [work.each]
    for each, jobs in seen:
        work = batch.worked(work, each * jobs, jobs)
        known.append(each)
        assert min(known) * (1 - 1e-9) <= work.each <= max(known) * (1 + 1e-9)


# --- what is learnt


def quick(state: State, aim: Aim, bounds: Bounds) -> tuple[State, Plan]:
    plan = batch.plan(state, aim, bounds)
    state = batch.learn(state, plan, Seen(plan.full, 0.002, plan.full * 20e-6, plan.full, True))
    return state, batch.plan(state, aim, bounds)


def test_a_cold_worker_is_careful_once() -> None:
    aim, bounds = Aim(), Bounds(50, 64, 10)
    state = batch.cold(aim)
    assert batch.plan(state, aim, bounds)[:2] == (COLD, batch.RESERVED)
    assert quick(state, aim, bounds)[1][:2] == (50, batch.SLOTS)


def test_one_long_job_among_quick_ones_is_felt_in_the_next_claim_and_soon_forgotten() -> None:
    aim, bounds = Aim(), Bounds(50, 64, 10)
    state, plan = quick(batch.cold(aim), aim, bounds)
    for _ in range(20):
        state, plan = quick(state, aim, bounds)
    assert plan.full >= 32
    state = batch.learn(state, plan, Seen(1, 0.2, 0.2, 1, False))
    after = batch.plan(state, aim, bounds)
    assert (after.room, after.tight) == (15, batch.RESERVED)
    assert after[:2] == (9, batch.LEARNT)  # 10 ms are 3, but that all the work is in one of 64 says more about the mean
    for _ in range(30):
        state, plan = quick(state, aim, bounds)
    assert plan.full >= 32


@pytest.mark.parametrize(
    ("aim", "bounds", "expected"),
    [
        (Aim(), Bounds(50, 64, 10), (50, batch.SLOTS)),
        (Aim(), Bounds(500, 64, 10), (64, batch.CALL)),
        (Aim(most=9), Bounds(500, 64, 10), (9, batch.SETTING)),
        (Aim(), Bounds(500, 64, 0.004), (10, batch.RENEWAL)),
        (Aim(target=0.001), Bounds(500, 64, 10), (10, batch.RESERVED)),
    ],
)
def test_a_plan_says_what_set_it(aim: Aim, bounds: Bounds, expected: tuple[int, str]) -> None:
    state = batch.cold(aim)._replace(work=batch.Work(100e-6 * 0.999, 1.0))
    assert batch.plan(state, aim, bounds)[:2] == expected


def sizes(cost: Callable[[int], float], noise: float, seed: int, epochs: int = 400) -> Counter[int]:
    """How many jobs came in claims of which size, where a job of a claim of n costs `cost(n)` beside its own 5 us, on a
    machine that is by turns up to 1.7 times as slow as it can be."""
    chance, aim, bounds, used = random.Random(seed), Aim(), Bounds(64, 64, 10), Counter[int]()
    state, pace = batch.cold(aim), 1.0
    for number in range(epochs):
        if number % 50 == 0:
            pace = chance.choice([1.0, 1.3, 1.7])
        plan = batch.plan(state, aim, bounds)
        claims = batch.epoch(state)
        jobs = plan.full * claims
        spent = jobs * 5e-6
        idle = sum(cost(plan.full) * plan.full * pace * chance.lognormvariate(0, noise) for _ in range(claims))
        state = batch.learn(state, plan, Seen(jobs, spent + idle, spent, jobs, True))
        used[plan.full] += jobs
    return used


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("noise", "calls"), [(0.2, 1.015), (0.6, 1.06)])
def test_the_bandit_pays_little_to_learn_that_the_largest_is_best(noise: float, calls: float, seed: int) -> None:
    used = sizes(lambda n: 16e-6 * (1 + 24 / n), noise, seed)
    each = sum((5e-6 + 16e-6 * (1 + 24 / n)) * jobs for n, jobs in used.items()) / used.total()
    assert each <= 1.02 * (5e-6 + 16e-6 * (1 + 24 / 64))
    assert sum(jobs / n for n, jobs in used.items()) <= calls * used.total() / 64


@pytest.mark.parametrize("seed", range(3))
def test_the_bandit_finds_a_size_in_the_middle_where_large_claims_cost_more(seed: int) -> None:
    used = sizes(lambda n: 10e-6 * (1 + 8 / n) + (n * 0.6e-6 if n > 16 else 0), 0.2, seed)
    assert used[16] > 0.7 * used.total()


# --- beside every fixed size, known only in hindsight

WORKERS, CALL, EACH = 4, 300e-6, 20e-6


class Sizer(Protocol):
    def size(self, now: float) -> int: ...

    def came(self, jobs: int, seconds: float, spent: float) -> None: ...


class Fixed:
    def __init__(self, size: int) -> None:
        self._size = size

    def size(self, now: float) -> int:
        return self._size

    def came(self, jobs: int, seconds: float, spent: float) -> None: ...


class Adaptive:
    """As a worker goes by the policy."""

    def __init__(self) -> None:
        self._aim, self._bounds = Aim(), Bounds(64, 64, 10.0)
        self._state = batch.cold(self._aim)
        self._plan = batch.plan(self._state, self._aim, self._bounds)
        self._left, self._due = 1, 0.0
        self._seen = Seen(0, 0.0, 0.0, 0, True)

    def size(self, now: float) -> int:
        if not self._left or now >= self._due:
            self._state = batch.learn(self._state, self._plan, self._seen)
            self._plan = batch.plan(self._state, self._aim, self._bounds)
            self._left, self._due, self._seen = batch.epoch(self._state), now + LONGEST, Seen(0, 0.0, 0.0, 0, True)
        self._left -= 1
        return self._plan.size(128, 0, starts=True)

    def came(self, jobs: int, seconds: float, spent: float) -> None:
        seen = self._seen
        busy = seen.busy and jobs == self._plan.full
        self._seen = Seen(seen.jobs + jobs, seen.seconds + seconds, seen.spent + spent, seen.begun + jobs, busy)


Jobs = list[tuple[float, float]]


def play(jobs: Jobs, made: Callable[[], Sizer]) -> tuple[float, float]:
    """When the last job is done, and how long a job takes from its arrival on average. `jobs`: when each arrives, and
    how long it runs. A claim costs CALL, and EACH for every job that it brings."""
    sizers, at, end, lasted = [made() for _ in range(WORKERS)], 0, 0.0, 0.0
    free = [(0.0, number) for number in range(WORKERS)]
    while at < len(jobs):
        since, number = heapq.heappop(free)
        since = max(since, jobs[at][0])
        now, first, spent = since + CALL, at, 0.0
        wanted = sizers[number].size(since)
        while at < len(jobs) and at - first < wanted and jobs[at][0] <= since:
            arrived, runs = jobs[at]
            now, spent, at = now + EACH + runs, spent + runs, at + 1
            lasted += now - arrived
        sizers[number].came(at - first, now - since, spent)
        heapq.heappush(free, (now, number))
        end = max(end, now)
    return end, lasted / len(jobs)


QUICK, SLOW = 20e-6, 0.2


def kinds(seed: int, scale: int) -> dict[str, list[float]]:
    chance = random.Random(seed)
    return {
        "short": [QUICK] * 4000 * scale,
        "long": [SLOW] * 50 * scale,
        "mixed": [SLOW if chance.random() < 0.1 else QUICK for _ in range(150 * scale)],
        "rare": [SLOW if chance.random() < 0.005 else QUICK for _ in range(4000 * scale)],
        "various": [chance.lognormvariate(-6.9, 1) for _ in range(1000 * scale)],
        "drifting": [QUICK * 10 ** (3 * abs(1 - 2 * number / 1500 / scale)) for number in range(1500 * scale)],
        "changing": ([QUICK] * 500 * scale + [0.02] * 100 * scale) * 3,
    }


def compared(jobs: Jobs, which: int) -> tuple[float, dict[int, float]]:
    """How much worse than the best fixed size the policy is, and each fixed size."""
    fixed = {1 << arm: play(jobs, lambda arm=arm: Fixed(1 << arm))[which] for arm in range(ARMS - 2)}  # type: ignore[misc]
    best = min(fixed.values())
    return play(jobs, Adaptive)[which] / best, {size: value / best for size, value in fixed.items()}


# How long a run is. Mixed jobs take a long one: which size is best in a run with sixty of 200 ms is a matter of luck,
# and the best over all such runs is itself 10 % behind in one of twenty-five.
LENGTHS = {"mixed": 16, "rare": 5}
# Seeds that no constant was chosen by.
HELD_OUT = range(5000, 5006)


@pytest.mark.parametrize("kind", ["short", "long", "mixed", "various", "drifting", "changing"])
def test_a_full_queue_is_worked_off_nearly_as_fast_as_with_the_best_fixed_size(kind: str) -> None:
    # Where nothing is left to chance one run says all.
    for seed in HELD_OUT if kind in ("mixed", "various") else HELD_OUT[:1]:
        ratio, _fixed = compared([(0.0, runs) for runs in kinds(seed, LENGTHS.get(kind, 4))[kind]], 0)
        assert ratio <= 1.1


def arriving(kind: str, seed: int) -> Jobs:
    """Jobs that come by chance, for 70 % of what the workers can do."""
    runs, chance, now = kinds(seed, LENGTHS.get(kind, 4))[kind], random.Random(seed), 0.0
    each = sum(runs) / len(runs) + EACH + CALL / 64
    jobs = []
    for one in runs:
        now += chance.expovariate(0.7 * WORKERS / each)
        jobs.append((now, one))
    return jobs


@pytest.mark.parametrize("kind", ["short", "long", "mixed", "various"])
def test_jobs_that_keep_coming_take_nearly_as_little_time_as_with_the_best_fixed_size(kind: str) -> None:
    for seed in HELD_OUT[: 2 if kind == "short" else None]:
        ratio, _fixed = compared(arriving(kind, seed), 1)
        assert ratio <= 1.1


def test_where_one_job_in_two_hundred_does_all_the_work_claims_are_no_smaller_than_pays() -> None:
    """Of a single run it is a matter of luck by how much: in one of 20,000 jobs a hundred are long."""
    ratios = [compared(arriving("rare", seed), 1)[0] for seed in HELD_OUT]
    assert sum(ratios) / len(ratios) <= 1.1


def test_what_is_best_for_short_jobs_is_bad_for_others_and_the_other_way_round() -> None:
    short, mixed = compared(arriving("short", 0), 1)[1], compared(arriving("mixed", 0), 1)[1]
    long = compared([(0.0, runs) for runs in kinds(0, 4)["long"]], 0)[1]
    assert all(size >= 16 for size, ratio in short.items() if ratio <= 1.1)
    assert all(ratio >= 1.15 for size, ratio in mixed.items() if size >= 16)
    assert long[64] >= 1.2
    assert short[1] > 10
