"""What the bench makes of measurements: the order they are made in, who is best, and what is said of a loss."""

import pytest

from bench import targets
from bench.catalogue import UnknownName, chosen_peers, chosen_workloads
from bench.model import Record
from bench.peers import PEERS
from bench.report import markdown, number, raw_table, verdict_table
from bench.results import Results
from bench.session import Plan
from bench.workloads.base import Sizes

pytestmark = pytest.mark.no_redis


def results_of(name, **rates):
    """Results of one workload, each peer with its values of jobs per second; a string is a failure."""
    records = []
    for peer, values in rates.items():
        for repetition, value in enumerate(values):
            told = {"failure": value} if isinstance(value, str) else {"figures": {"per_second": value}}
            records.append(Record(name, peer, repetition, **told))
    return Results(chosen_workloads(name), records)


def only_verdict(results):
    (verdict,) = results.verdicts()
    return verdict


def test_repetitions_are_the_outer_loop_and_everybody_takes_part():
    plan = Plan(chosen_workloads("enqueue,bulk,pairs,depth"), chosen_peers("rq,python-redis-lock"), 2, Sizes(), False)
    made = [(task.repetition, task.workload.name, task.peer.name) for task in plan.tasks()]
    assert made[:7] == [
        (0, "enqueue", "coordinator"),
        (0, "enqueue", "rq"),
        (0, "bulk", "coordinator"),
        (0, "bulk", "rq"),
        (0, "pairs", "coordinator"),
        (0, "pairs", "python-redis-lock"),
        (0, "depth", "coordinator"),
    ]
    assert made[7:] == [(1, *rest) for _, *rest in made[:6]]  # depth is measured once


def test_the_median_is_compared_with_the_best_peer_of_the_run():
    verdict = only_verdict(results_of("drain", coordinator=[500, 700, 100], huey=[60], dramatiq=[99, 101]))
    assert (verdict.ours, verdict.best, verdict.best_peer, verdict.ratio) == (500, 100, "dramatiq", 5)
    assert verdict.reached


def test_a_loss_is_said():
    results = results_of("drain", coordinator=[400], dramatiq=[100])
    assert only_verdict(results).reached is False
    assert "| **no** |" in verdict_table(results.verdicts())


def test_the_floor_is_no_peer():
    assert only_verdict(results_of("enqueue", coordinator=[5], floor=[100], dramatiq=[1])).best_peer == "dramatiq"


def test_the_best_floor_stands_beside_a_target_with_what_it_would_reach():
    verdict = only_verdict(results_of("pairs", **{"redis-py": [100], "floor": [110], "floor-direct": [104, 106, 120]}))
    assert (verdict.best_peer, verdict.floor, verdict.floor_ratio, verdict.in_reach) == ("redis-py", 110, 1.1, True)
    assert only_verdict(results_of("pairs", coordinator=[90], floor=[110])).in_reach is None  # there is no peer
    assert only_verdict(results_of("drain", coordinator=[500], dramatiq=[100])).floor is None


@pytest.mark.parametrize(
    ("floor", "said"), [(104.0, "**no**: nor does the floor"), (105.0, "**no**"), (None, "**no**")]
)
def test_of_a_missed_target_it_is_said_whether_the_floor_misses_it_too(floor, said):
    floors = {} if floor is None else {"floor-direct": [floor]}
    shown = verdict_table(results_of("pairs", **{"coordinator": [90], "redis-py": [100], **floors}).verdicts())
    assert f"| {said} |" in shown
    beside = "- | -" if floor is None else f"{number(floor)}/s | {floor / 100:.2f}"
    assert f"| 90/s | 100/s (redis-py) | 0.90 | {beside} | - | - | >= 1.05 x best peer |" in shown


def test_what_keeps_our_promises_is_no_floor_and_stands_beside_it():
    results = results_of("pairs", **{"coordinator": [90], "redis-py": [100], "floor": [110], "floor-kept": [120]})
    verdict = results.verdicts()[0]
    assert (verdict.best_peer, verdict.floor, verdict.kept, verdict.kept_ratio) == ("redis-py", 110, 120, 1.2)
    assert "| 110/s | 1.10 | 120/s | 1.20 | >= 1.05 x best peer |" in verdict_table(results.verdicts())


def test_a_bound_on_a_figure_itself_is_asked_of_the_floor_itself():
    results = results_of("contend", **{"coordinator": [700], "redis-py": [600], "floor": [880]})
    verdict = results.verdicts()[0]
    assert (verdict.reached, verdict.in_reach, verdict.floor) == (False, False, 880)


def test_a_target_may_name_its_rival():
    verdict = only_verdict(results_of("enqueue", coordinator=[120], huey=[200], dramatiq=[100]))
    assert (verdict.best_peer, verdict.ratio, verdict.reached) == ("huey", 1.2, True)
    assert "200/s (huey) | 1.20 (dramatiq) |" in verdict_table([verdict])
    alone = only_verdict(results_of("enqueue", coordinator=[120], huey=[200]))
    assert (alone.reached, alone.why) == (None, "dramatiq was not measured")


def test_a_smaller_figure_is_the_better_one_where_it_is():
    records = [
        Record("handoff", peer, 0, {"p50_ms": p50, "p99_ms": p99})
        for peer, p50, p99 in (("coordinator", 0.6, 2.0), ("redis-py-1ms", 1.0, 1.9), ("python-redis-lock", 2.0, 1.8))
    ]
    median, tail = Results(chosen_workloads("handoff"), records).verdicts()
    assert (median.best_peer, median.ratio, median.reached) == ("redis-py-1ms", 0.6, True)
    assert (tail.best_peer, tail.reached) == ("python-redis-lock", False)


@pytest.mark.parametrize("ours", [["it fell over"], [9_000, "it fell over"], ["it fell over", 9_000, 9_000]])
def test_our_own_failure_is_no_success_whatever_the_other_repetitions_came_to(ours):
    results = results_of("drain", coordinator=ours, dramatiq=[100])
    verdict = only_verdict(results)
    assert (verdict.reached, verdict.why) == (False, "it fell over")
    assert "| **no**: it fell over |" in verdict_table([verdict])
    assert results.failed() == ["drain"]


def test_a_failure_of_another_library_is_its_own_affair():
    results = results_of("drain", coordinator=[900], dramatiq=[100, "it fell over"])
    assert only_verdict(results).reached
    assert results.failed() == []


def test_who_has_no_figures_stands_in_the_table_with_the_reason():
    results = results_of("bulk", coordinator=[7_000.0, 9_000.0], rq=["has no | call"], bullmq=[1, "it fell over"])
    table = raw_table(results, results.workloads[0])
    assert "| coordinator | 8,000 (7,000 .. 9,000) |" in table
    assert "| rq | n/a |" in table
    assert "- rq: n/a: has no | call" in table
    assert "- bullmq: of some repetitions n/a: it fell over" in table


def test_a_report_has_the_facts_and_every_workload():
    results = results_of("bulk", coordinator=[9_000.0], bullmq=[1_000.0])
    said = markdown(results, {"Redis": "7"})
    assert "- Redis: 7" in said
    ours = "| enqueue in bulk, 1,000 per call: jobs | 9,000/s | 1,000/s (bullmq) | 9.00 |"
    assert f"{ours} - | - | - | - | >= 3 x best peer | yes |" in said


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "n/a"), (0, "0"), (0.01234, "0.0123"), (98.76, "98.8"), (12345.6, "12,346")]
)
def test_numbers_show_the_digits_that_count(value, shown):
    assert number(value) == shown


def test_every_target_is_about_a_figure_that_is_measured_and_a_peer_that_exists():
    known = {(workload.name, figure.key) for workload in chosen_workloads("") for figure in workload.figures}
    names = {peer.name for peer in PEERS} | {"", targets.BEST}
    for target in targets.TARGETS:
        assert (target.workload, target.figure) in known
        assert target.against in names
        assert target.reached(target.bound)
        worse = target.bound + (-0.1 if target.sign == ">=" else 0.1)
        assert not target.reached(worse)


def test_what_a_library_lacks_is_a_workload():
    names = {workload.name for workload in chosen_workloads("")}
    for peer in PEERS:
        assert names >= {*peer.lacks, *peer.only}


def test_unknown_names_are_refused_with_those_there_are():
    with pytest.raises(UnknownName, match=r"no workload 'drian'; there are enqueue, bulk"):
        chosen_workloads("drian")
    with pytest.raises(UnknownName, match=r"no library 'sidekiq'"):
        chosen_peers("sidekiq")
    assert [peer.name for peer in chosen_peers("none")] == ["coordinator"]
    assert [peer.name for peer in chosen_peers("huey")] == ["coordinator", "huey"]
