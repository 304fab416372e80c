"""What a process measures: names are those of the table, nothing is lost, nothing is counted twice."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.metrics.recorder import Recorder, SharedRecorder
from coordinator.model import measures
from coordinator.model.measures import BY_NAME, MEASURES, Kind, allowed


def test_what_was_taken_is_not_taken_again() -> None:
    recorder = Recorder()
    recorder.count("queue.batches")
    recorder.count("queue.batches", 2)
    recorder.count("queue.processed", 1, "succeeded")
    recorder.observe("queue.run", 0.5)
    recorder.observe("queue.run", 1.5)
    recorder.gauge("queue.running", 3)
    taken = recorder.take()
    assert taken.counts == {"queue.batches": 3, "queue.processed:succeeded": 1}
    assert (taken.observed["queue.run"].count, taken.observed["queue.run"].mean) == (2, 1.0)
    assert taken.gauges == {"queue.running": 3}
    again = recorder.take()
    assert again.empty
    assert again.gauges == {"queue.running": 3}


def test_what_is_given_back_is_taken_with_what_came_since() -> None:
    recorder = Recorder()
    recorder.count("queue.batches", 2)
    recorder.observe("queue.run", 1.0)
    taken = recorder.take()
    recorder.count("queue.batches", 3)
    recorder.observe("queue.run", 2.0)
    recorder.observe("lock.wait", 3.0)
    recorder.give_back(taken)
    both = recorder.take()
    assert both.counts == {"queue.batches": 5}
    assert (both.observed["queue.run"].count, both.observed["queue.run"].total) == (2, 3.0)
    assert both.observed["lock.wait"].count == 1


@pytest.mark.parametrize("field", ["no.such", "queue.processed:no_such", "queue.run", "queue.batches:some", ""])
def test_what_the_table_does_not_have_is_left_out(field: str) -> None:
    recorder = Recorder()
    recorder.count(field)
    assert recorder.take().counts == {}


def test_a_measure_is_taken_only_as_what_it_is() -> None:
    recorder = Recorder()
    recorder.gauge("queue.batches", 1)
    recorder.observe("queue.batches", 1)
    taken = recorder.take()
    assert (taken.gauges, taken.observed) == ({}, {})


@given(st.text(max_size=20))
def test_what_users_name_can_be_a_label(name: str) -> None:
    assert allowed(f"breaker.state:{name}", (Kind.GAUGE,))
    assert allowed(f"queue.enqueued:{name}", (Kind.COUNT,)) == (name in ("", *measures.PRIORITIES, measures.OTHER))


def test_threads_that_share_a_recorder_lose_nothing() -> None:
    recorder, each = SharedRecorder(), 20_000

    def work() -> None:
        for _ in range(each):
            recorder.count("queue.batches")
            recorder.observe("queue.run", 0.01)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    taken = recorder.take()
    assert (taken.counts["queue.batches"], taken.observed["queue.run"].count) == (4 * each, 4 * each)


def test_names_are_unique_and_in_groups_that_stand_together() -> None:
    assert len(BY_NAME) == len(MEASURES)
    groups = [one.name.partition(".")[0] for one in MEASURES]
    assert list(dict.fromkeys(groups)) == [group for n, group in enumerate(groups) if n == 0 or groups[n - 1] != group]


def test_nobody_adds_up_what_only_the_largest_can_say() -> None:
    assert not [one.name for one in MEASURES if one.largest and one.kind is not Kind.GAUGE]
