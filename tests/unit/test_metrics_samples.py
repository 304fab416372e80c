"""A sample comes back from the stream as it was measured, and many make one picture, whoever measured what."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import Corrupt
from coordinator.metrics.recorder import Recorder
from coordinator.metrics.sample import Origin, distribution, fields_of, observed_of, sample_of
from coordinator.metrics.window import FEWEST, Window, figures, window
from coordinator.model.histogram import ERROR, Observed
from coordinator.model.measures import MEASURES, MOST_LABELS, SHARES, Kind, is_figure

NOW = 1_800_000_000.0
WORKER = Origin("p", "worker", "host", "7")
counts = st.dictionaries(st.sampled_from([one.name for one in MEASURES if one.kind is Kind.COUNT]), st.integers(1, 9))


def entry(fields: list[str], at: float = NOW) -> tuple[str, dict[str, str]]:
    """An entry of the stream."""
    return f"{at * 1000:.0f}-0", dict(zip(fields[::2], fields[1::2], strict=True))


def measured(origin: Origin = WORKER, number: int = 1, at: float = NOW, **counted: Any) -> tuple[str, dict[str, str]]:
    """An entry with some counts: `measured(queue__batches=3)`."""
    recorder = Recorder()
    for name, value in counted.items():
        first, _, label = name.replace("__", ".").partition("___")
        recorder.count(first, value, label)
    return entry(fields_of(origin, number, 1.0, recorder.take()), at)


def test_a_sample_comes_back_as_it_was_measured() -> None:
    recorder = Recorder()
    recorder.count("queue.processed", 3, "succeeded")
    recorder.gauge("queue.running", 2)
    recorder.observe("queue.run", 0.25)
    found = sample_of(*entry(fields_of(WORKER, 17, 1.5, recorder.take())))
    assert (found.origin, found.number, found.at, found.seconds) == (WORKER, "17", NOW, 1.5)
    assert (found.counts, found.gauges) == ({"queue.processed:succeeded": 3}, {"queue.running": 2.0})
    run = observed_of(found.distributions["queue.run"])
    assert (run.count, run.total) == (1, 0.25)


@given(st.lists(st.floats(1e-5, 1e5), min_size=1, max_size=50), st.sampled_from([Kind.TIME, Kind.SIZE]))
def test_a_distribution_comes_back_with_its_mean_and_its_buckets(values: list[float], kind: Kind) -> None:
    one = Observed()
    for value in values:
        one.histogram.add(value)
        one.total += value
    back = observed_of(distribution(one, kind))
    assert back.histogram == one.histogram
    assert back.total == pytest.approx(one.total, rel=1e-6)


@given(st.text(max_size=80))
def test_whatever_a_breaker_is_called_its_label_is_plain_text(name: str) -> None:
    recorder = Recorder()
    recorder.gauge("breaker.state", 2, name)
    ident, fields = entry(fields_of(WORKER, 1, 1.0, recorder.take()))
    assert all(char.isprintable() and char.isascii() and char != " " for key in fields for char in key)
    assert sum(sample_of(ident, fields).gauges.values()) == 2


def test_of_very_many_labels_the_least_are_one() -> None:
    recorder = Recorder()
    for n in range(3 * MOST_LABELS):
        recorder.gauge("rate.limit", n + 1, f"b{n}")
    found = sample_of(*entry(fields_of(WORKER, 1, 1.0, recorder.take()))).gauges
    assert len(found) == MOST_LABELS + 1
    assert found[f"rate.limit:b{3 * MOST_LABELS - 1}"] == 3 * MOST_LABELS
    assert sum(found.values()) == sum(range(1, 3 * MOST_LABELS + 1))


@pytest.mark.parametrize(
    "fields",
    [{}, {"process": "p"}, {"process": "p", "kind": "worker", "ms": "soon"}, {"ms": "1", "queue.batches": "1"}],
)
def test_what_is_no_sample_is_left_out_and_the_others_count(fields: dict[str, str]) -> None:
    with pytest.raises(Corrupt):
        sample_of("1-0", fields)
    assert window([(f"{NOW * 1000:.0f}-1", fields), measured(queue__batches=3)], NOW).count("queue.batches") == 3


def test_a_name_that_is_not_known_here_is_left_out() -> None:
    ident, fields = measured(queue__batches=1)
    assert sample_of(ident, {**fields, "from.the_future": "1"}).counts == {"queue.batches": 1}


def test_a_sample_that_was_sent_twice_counts_once() -> None:
    one = measured(number=4, queue__batches=3)
    assert window([one, one, measured(number=3, at=NOW - 1, queue__batches=2)], NOW).count("queue.batches") == 5


@given(st.lists(counts, min_size=1, max_size=6))
def test_counts_of_all_processes_add_up_whoever_made_them(each: list[dict[str, int]]) -> None:
    entries = []
    for n, counted in enumerate(each):
        recorder = Recorder()
        for name, value in counted.items():
            recorder.count(name, value)
        entries.append(entry(fields_of(Origin(f"p{n}", "worker"), 1, 1.0, recorder.take())))
    made = window(entries, NOW)
    for name in {name for counted in each for name in counted}:
        assert made.count(name) == sum(counted.get(name, 0) for counted in each)


def gauged(process: str, at: float, **values: float) -> tuple[str, dict[str, str]]:
    recorder = Recorder()
    for name, value in values.items():
        recorder.gauge(name.replace("__", "."), value)
    return entry(fields_of(Origin(process, "worker"), round(at), 1.0, recorder.take()), at)


def test_gauges_are_as_each_process_said_last_and_are_added_or_the_largest() -> None:
    made = window(
        [
            gauged("p", NOW, queue__running=1, queue__last_run=0.5, queue__since_run=7),
            gauged("q", NOW - 1, queue__running=10, queue__last_run=0.2, queue__since_run=3),
            gauged("p", NOW - 2, queue__running=100, queue__last_run=9.0, queue__since_run=1),
        ],
        NOW,
    )
    assert (made.gauge("queue.running"), made.gauge("queue.last_run")) == (11, 0.5)
    assert made.gauge("queue.since_run") == 3
    assert made.gauge("batch.target") is None


def test_quantiles_are_those_of_all_processes_together() -> None:
    entries = []
    for n in range(10):
        recorder = Recorder()
        for _ in range(10):
            recorder.observe("queue.run", 0.1 * (n + 1))
        entries.append(entry(fields_of(Origin(f"p{n}", "worker"), 1, 1.0, recorder.take())))
    known = figures(window(entries, NOW))
    for name, value in (("p50", 0.5), ("p90", 0.9), ("p99", 1.0)):
        assert known[f"queue.run.{name}"] == pytest.approx(value, rel=ERROR + 1e-6)
    assert known["queue.run.mean"] == pytest.approx(0.55, rel=1e-4)


def test_rates_are_by_the_second_of_the_time_that_the_samples_span() -> None:
    made = window([measured(number=n, at=NOW - n, queue__batches=5) for n in range(4)], NOW)
    assert made.seconds == pytest.approx(4.0)
    assert figures(made)["queue.batches"] == pytest.approx(5.0)


def test_shares_are_of_enough_things_or_not_told() -> None:
    def known(**made: int) -> dict[str, float]:
        return figures(window([measured(**made)], NOW))

    assert known(timeout__expired=1, timeout__met=FEWEST - 2).get("timeout_share") is None
    assert known(timeout__expired=5, timeout__met=FEWEST - 5)["timeout_share"] == pytest.approx(5 / FEWEST)
    assert known(coalesce__calls=100, coalesce__executed=10)["coalesce_share"] == pytest.approx(0.9)
    assert known(retry__failed=10, retry__succeeded=30)["retry_failure_share"] == pytest.approx(0.25)


def test_jobs_that_end_as_failed_or_dead_are_told_by_the_minute() -> None:
    def told(seconds: float, **did: int) -> float | None:
        made = Window(seconds, counts={f"fleet.did:{event}": times for event, times in did.items()})
        return figures(made).get("dead_per_minute")

    assert told(60) is None
    assert told(60, succeed=5) == 0
    assert told(60, succeed=5, fail=2, bury=1) == 3
    assert told(3600, bury=120) == 2
    # One in the first second of a fleet is one.
    assert told(1, fail=1) == 1


def test_mean_waits_are_told_by_priority_of_all_processes_together() -> None:
    entries = []
    for process, waited, began in (("p", 900, 3), ("q", 3100, 1)):
        recorder = Recorder()
        recorder.count("queue.waited_ms", waited, "low")
        recorder.count("queue.started", began, "low")
        recorder.count("queue.started", began, "emergency")
        entries.append(entry(fields_of(Origin(process, "worker"), 1, 1.0, recorder.take())))
    known = figures(window(entries, NOW))
    assert {name: value for name, value in known.items() if name.startswith("mean_wait:")} == {
        "mean_wait:low": 1.0,
        "mean_wait:emergency": 0.0,
    }
    assert is_figure("mean_wait:low")


def test_nothing_has_no_figures_but_rates_of_nought() -> None:
    known = figures(Window(1.0))
    assert set(known.values()) == {0.0}
    assert not set(SHARES) & set(known)


def test_every_figure_that_is_told_is_one_that_a_rule_may_name() -> None:
    recorder = Recorder()
    for one in MEASURES:
        label = one.labels[0] if one.labels else ""
        if one.kind is Kind.COUNT:
            recorder.count(one.name, 100, label)
        elif one.kind is Kind.GAUGE:
            recorder.gauge(one.name, 1, label)
        else:
            recorder.observe(one.name, 1)
    known = figures(window([entry(fields_of(WORKER, 1, 1.0, recorder.take()))], NOW))
    assert [name for name in known if not is_figure(name)] == []
    assert not any(
        map(is_figure, ("queue.run", "queue.run.p100", "queue.batches.p99", "no_share", "queue.nothing", ""))
    )
