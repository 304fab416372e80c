"""Which strategy loses less on a workload that drifts."""

from pathlib import Path

import pytest

from bench.drift import SEED, STRATEGIES, simulate, table

pytestmark = pytest.mark.no_redis


@pytest.mark.parametrize("seed", [SEED, 1, 2])
def test_quantile_beats_success_rate_in_false_timeouts_and_in_time(seed: int) -> None:
    quantile, rate = simulate(STRATEGIES["quantile"], seed), simulate(STRATEGIES["success_rate"], seed)
    assert quantile.runs == rate.runs > 50_000
    assert quantile.false * 5 < rate.false
    assert quantile.lost * 2 < rate.lost


def test_the_table_of_the_page_is_this_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "timeouts.md"
    assert table() in page.read_text(encoding="utf-8"), "run `python -m bench.drift`"
