"""The retry budget as values: the bound that it is for, and that it puts nothing off without need."""

from hypothesis import given
from hypothesis import strategies as st

from coordinator.policy.budget import TOKEN, Budget, opened, spent, succeeded

budgets = st.builds(Budget, st.integers(0, 1000), st.integers(1, 10**6), st.integers(1000, 60_000))
# Ms that pass, successes, retries.
steps = st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 50), st.integers(0, 20)), max_size=30)


@given(budgets, steps)
def test_retries_that_have_begun_never_exceed_the_share_and_the_floor(
    budget: Budget, happened: list[tuple[int, int, int]]
) -> None:
    now, account, successes = 0, opened(budget, 0), 0
    begins: list[int] = []
    paid = {0: 0}
    for passed, good, retries in happened:
        now += passed
        account = succeeded(account, good)
        successes += good
        for _ in range(retries):
            account, allowed = spent(budget, account, now)
            begins.append(now + allowed.wait)
        paid[now] = successes
    for moment in begins:
        begun = sum(one <= moment for one in begins)
        good = max(count for at, count in paid.items() if at <= moment)
        assert begun * TOKEN <= budget.reserve + budget.share * good + budget.floor * moment / TOKEN + 1


@given(budgets, st.integers(0, 10**7))
def test_an_account_that_nobody_uses_keeps_its_reserve_and_no_more(budget: Budget, idle: int) -> None:
    account = opened(budget, 0)
    whole_ones = budget.reserve // TOKEN
    for _ in range(min(whole_ones, 200)):
        account, allowed = spent(budget, account, idle)
        assert allowed.wait == 0
    if whole_ones < 200:
        assert spent(budget, account, idle)[1].wait > 0


@given(budgets, steps, st.integers(1, 1000))
def test_more_successes_never_put_a_retry_off_for_longer(
    budget: Budget, happened: list[tuple[int, int, int]], more: int
) -> None:
    now, fewer, richer = 0, opened(budget, 0), opened(budget, 0)
    for passed, good, retries in happened:
        now += passed
        fewer, richer = succeeded(fewer, good), succeeded(richer, good + more)
        for _ in range(retries):
            fewer, of_fewer = spent(budget, fewer, now)
            richer, of_richer = spent(budget, richer, now)
            assert of_richer.wait <= of_fewer.wait + 1


def test_the_formula_by_hand() -> None:
    budget = Budget(share=100, floor=2000, window=1000)
    account = opened(budget, 0)
    waits = []
    for _ in range(4):
        account, allowed = spent(budget, account, 0)
        waits.append((allowed.wait, allowed.behind))
    assert waits == [(0, 0), (0, 0), (500, 1), (1000, 2)], "two at once, then two a second"
    account, allowed = spent(budget, succeeded(account, 30), 0)
    assert allowed.wait == 0, "thirty successes pay for three: the two that were put off, and this one"


def test_what_successes_paid_in_fades() -> None:
    budget = Budget(share=100, floor=1000, window=10_000)
    soon, _ = spent(budget, succeeded(opened(budget, 0), 1000), 100)
    assert soon.tokens > 100 * TOKEN
    late, _ = spent(budget, succeeded(opened(budget, 0), 1000), 3_600_000)
    assert late.tokens < 10 * TOKEN


def test_a_clock_that_steps_back_pays_nothing() -> None:
    budget = Budget()
    account, _ = spent(budget, opened(budget, 1000), 1000)
    assert spent(budget, account, 0)[0].tokens == account.tokens - TOKEN
    assert spent(budget, account, 0)[0].at == 1000
