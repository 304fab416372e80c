"""What a server forgets, it forgets at a loss that is known, and not what is older than the tier allows: runs in which
it forgot more, written by hand, are found out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf

import pytest

from chaos.checker.losses import Loss, forgiven, judged_share, lost_ages
from chaos.history import SERVER, Op
from chaos.scenario import Verdict
from chaos.scenarios.network import to_next_answer
from chaos.scenarios.restarts import FAST_SECONDS, JUDGED, verdict

pytestmark = pytest.mark.no_redis
SECOND = 10**9
EVERY = SECOND // 4
ALLOWANCE = round(FAST_SECONDS * SECOND)
# Two outages of half a second, the second one seven seconds after the first.
OUTAGES = ((8 * SECOND, 17 * SECOND // 2), (31 * SECOND // 2, 16 * SECOND))
END = 20 * SECOND
# What a power cut takes of a file that is synced once a second.
UNSYNCED = SECOND


def job_at(at: int) -> str:
    return f"j{at // EVERY}"


def moments() -> Iterable[int]:
    """When jobs are handed in: all the time, while there is a server."""
    return (at for at in range(EVERY, END, EVERY) if not any(began <= at <= back for began, back in OUTAGES))


def survivors(back: int, forgotten: Callable[[int], bool]) -> frozenset[str]:
    """What the server knows when it is back."""
    return frozenset(job_at(at) for at in moments() if at < back and not forgotten(at))


def tell(forgotten: Callable[[int], bool], ages: Callable[[int], bool] | None = None) -> tuple[list[Op], list[Loss]]:
    """A run in which the jobs of some moments are lost, at the first outage that came after them unless `ages` says
    which were still there after all outages."""
    ops, gone = [], forgotten
    for number, at in enumerate(moments()):
        job, ended, fence = job_at(at), at + SECOND // 10, 100 + number
        ops.append(Op("p", "submit", {"job": job}, at, at + SECOND // 100, "ok"))
        ops.append(Op("w", "start", {"job": job}, at + SECOND // 50, at + SECOND // 50, "ok", fence=fence))
        if gone(at):
            continue
        ops.append(Op("p", "told", {"job": job, "state": "succeeded"}, at, ended, "ok"))
        ops.append(Op("p", "release", {"resource": "r", "request": f"r{number}"}, at, ended, "ok", fence=fence))
        ops.append(Op("p", "acquire", {"resource": "r", "request": f"r{number}"}, at, ended, "ok", fence=fence))
        ops.append(Op(SERVER, "job", {"job": job, "state": "succeeded"}, fence=fence))
    missing = gone if ages is None else ages
    return ops, [Loss(began, back, survivors(back, missing)) for began, back in OUTAGES]


def young(at: int) -> bool:
    """Handed in less than a second before an outage."""
    return any(began - UNSYNCED < at < began for began, _ in OUTAGES)


def outcome(ops: list[Op], losses: list[Loss]) -> Verdict:
    return verdict(ops, losses, FAST_SECONDS, [], 10)


def missed(found: Verdict) -> set[str]:
    return {one.name for one in found.figures if not one.met}


def test_what_was_young_may_be_lost() -> None:
    found = outcome(*tell(young))
    assert found.passed, (found.problems, found.figures)
    assert {one.name: one.value for one in found.figures}["lost because younger than 2 s"] == 6


def before(moment: int) -> Callable[[int], bool]:
    return lambda at: at < moment


ILLEGAL: dict[str, Callable[[], tuple[list[Op], list[Loss]]]] = {
    # The last outage took everything that was ever acknowledged.
    "all before the last outage": lambda: tell(before(OUTAGES[1][0])),
    "all before the first outage": lambda: tell(before(OUTAGES[0][0])),
    # Young at the second outage, and there after it: whatever took it then, it was no outage.
    "young, and gone later": lambda: tell(young, ages=lambda _at: False),
    "a single old one": lambda: tell(lambda at: young(at) or at == 5 * SECOND),
    "of the time between the outages, more than may be": lambda: tell(lambda at: 12 * SECOND < at < OUTAGES[1][0]),
    "one that no outage came after": lambda: tell(lambda at: young(at) or at == END - EVERY),
}


@pytest.mark.parametrize("made", ILLEGAL.values(), ids=ILLEGAL.keys())
def test_a_server_that_forgot_more_is_found_out(made: Callable[[], tuple[list[Op], list[Loss]]]) -> None:
    found = outcome(*made())
    assert {one.rule for one in found.problems} == {"lost"}
    assert missed(found) >= {"acknowledged and lost", "age of the oldest lost"}


def test_the_loss_that_took_a_job_is_the_first_after_which_it_was_not_there() -> None:
    ops = [Op("p", "submit", {"job": "j"}, 0, SECOND, "ok")]
    first, second = Loss(2 * SECOND, 3 * SECOND), Loss(9 * SECOND, 10 * SECOND)

    def age(*kept: frozenset[str]) -> float:
        return lost_ages(ops, [replace(one, kept=each) for one, each in zip((first, second), kept, strict=True)])[0]

    gone, there = frozenset[str](), frozenset({"j"})
    assert age(gone, gone) == pytest.approx(1)
    assert age(there, gone) == pytest.approx(8)
    assert age(there, there) == inf
    # Where nobody looked, the first that can have been it was it.
    assert lost_ages(ops, [first, second]) == [pytest.approx(1)]
    assert lost_ages(ops, []) == [inf]


def test_what_was_there_after_the_loss_is_not_forgiven_and_its_end_is() -> None:
    ops = [
        Op("p", "submit", {"job": "j"}, 0, SECOND, "ok"),
        Op("p", "told", {"job": "j", "state": "succeeded"}, 0, SECOND, "ok"),
    ]
    loss = Loss(2 * SECOND, 3 * SECOND, frozenset({"j"}))
    assert [one.outcome for one in forgiven(ops, [loss], ALLOWANCE)] == ["ok", "unknown"]
    assert {one.outcome for one in forgiven(ops, [replace(loss, kept=frozenset())], ALLOWANCE)} == {"unknown"}


def test_outages_so_close_that_all_is_forgiven_have_shown_nothing() -> None:
    ops, losses = tell(young)
    assert judged_share(ops, losses, ALLOWANCE) >= JUDGED
    close = [Loss(at, at + SECOND // 10, frozenset()) for at in range(SECOND, END, SECOND)]
    assert judged_share(ops, close, ALLOWANCE) < 0.1
    assert "of each kind of acknowledgement, share old enough to be judged" in missed(outcome(ops, close))
    assert judged_share([one for one in ops if one.op != "told"], losses, ALLOWANCE) == 0


def test_an_error_is_no_answer_after_trouble() -> None:
    asked = [
        Op("p", "submit", {}, 0, 2 * 10**9, "unknown"),
        Op("p", "start", {}, 0, 3 * 10**9),
        Op("p", "submit", {}, 0, 4 * 10**9),
    ]
    assert to_next_answer(asked, [10**9, 5 * 10**9]) == [3.0, float("inf")]
