"""What handlers leave behind, and what is made of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.actors.keyed import STEPS
from bench.actors.marks import RECORD, Mark, MarkReader, open_gate, record_at
from bench.model import NotMeasured
from bench.workloads.drain import rate
from bench.workloads.keyed import KeyedJob, judged
from tests.support.server import eventually

pytestmark = pytest.mark.no_redis

ROOT = Path(__file__).parents[2]
FORKING = """
import os
from bench.actors.marks import mark
for number in range(3):
    mark(number)
if not os.fork():
    mark(7)
    os._exit(0)
os.wait()
"""


def test_each_process_waits_at_the_gate_and_has_a_book_of_its_own(tmp_path):
    reader = MarkReader(tmp_path)
    environment = {**os.environ, "BENCH_MARKS": str(tmp_path), "BENCH_ROOM": "10", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", FORKING], env=environment) as child:
        assert eventually(lambda: reader.processes == 1, 20)
        assert reader.look() == 0
        open_gate(tmp_path)
        assert child.wait(20) == 0
    assert reader.processes == 2
    assert [mark.number for mark in sorted(reader.marks)] == [0, 1, 2, 7]
    assert [mark.process == child.pid for mark in sorted(reader.marks)] == [True, True, True, False]


# Each byte of the words, so that those that are 0 or 255 come often.
words = st.binary(min_size=8, max_size=8) | st.lists(st.sampled_from([0, 1, 127, 128, 255]), min_size=8, max_size=8)
numbers = words.map(lambda one: int.from_bytes(bytes(one), "little", signed=True))


def record(at, number):
    return RECORD.pack(at, number, ~at, ~number)


@given(numbers, numbers, st.sets(st.integers(0, RECORD.size - 1)))
def test_whichever_bytes_of_a_record_are_missing_it_is_noticed(at, number, missing):
    full = record(at, number)
    seen = bytes(0 if place in missing else byte for place, byte in enumerate(full))
    assert record_at(seen, 0) == ((at, number) if seen == full else None)


def test_every_piece_of_a_record_is_noticed_whichever_end_is_written_first():
    full = record(0x0102030405060708, 0)
    pieces = [(full[:cut].ljust(len(full), b"\0"), full[cut:].rjust(len(full), b"\0")) for cut in range(1, len(full))]
    assert {record_at(piece, 0) for pair in pieces for piece in pair if piece != full} == {None}


def test_a_reader_waits_for_the_rest_of_a_record(tmp_path):
    book, full = tmp_path / "7.marks", record(5, 3)
    with book.open("w+b", buffering=0) as file:
        file.write(record(4, 2) + full[:9])
        file.truncate(10 * RECORD.size)
        reader = MarkReader(tmp_path)
        assert (reader.look(), reader.look()) == (1, 1)
        file.seek(RECORD.size)
        file.write(full)
    assert reader.look() == 2
    assert reader.marks == [Mark(4, 2, 7), Mark(5, 3, 7)]


def test_a_rate_leaves_the_first_tenth_out():
    slow_start = [Mark(number * 10**9, number, 1) for number in range(10)]
    steady = [Mark(9 * 10**9 + number * 10**7, number, 1) for number in range(1, 91)]
    assert rate(slow_start + steady) == pytest.approx(100)
    with pytest.raises(NotMeasured, match="only 10 jobs"):
        rate(slow_start)


def marks_of(*jobs):
    """Marks of jobs given as (arrived, begun, done) in ms."""
    times = [(number, step, at) for number, job in enumerate(jobs) for step, at in enumerate(job)]
    return [Mark(at * 1_000_000, number * STEPS + step, 1) for number, step, at in times]


def test_keyed_jobs_are_judged_by_their_marks():
    jobs = [KeyedJob(0, 4), KeyedJob(0, 0), KeyedJob(1, 4)]
    found = judged(jobs, marks_of((0, 0, 4), (0, 5, 9), (2, 2, 4)), opened=0)
    assert found["makespan"] == pytest.approx(9 / 8)
    assert found["makespan_nominal"] == pytest.approx(9 / 4)
    assert found["lock_wait_ms"] == pytest.approx(5 / 3)
    assert found["urgent_wait_ms"] == pytest.approx(1)
    with pytest.raises(NotMeasured, match="only 2 of 3"):
        judged(jobs, marks_of((0, 0, 4), (0, 5, 9), (2, 2)), opened=0)
    with pytest.raises(NotMeasured, match="1 of 3 jobs had their resource while another had it"):
        judged(jobs, marks_of((0, 0, 4), (0, 3, 9), (2, 2, 4)), opened=0)
