"""What lies in the reserve is begun here or offered to others, never both."""

from typing import Any

from tests.support.fleet import LoopDriver, claimed
from workers.job import Job
from workers.registry import Handler
from workers.reserve import Shelf


async def _nothing(_context: Any, _payload: Any) -> None:
    return


def _jobs(count: int) -> list[Job]:
    handler, driver = Handler("job", _nothing, "async"), LoopDriver()
    return [Job(claimed(f"j-{n}", fence=n), handler, driver) for n in range(count)]  # type: ignore[arg-type]


async def test_what_is_offered_is_begun_by_nobody_and_what_has_begun_is_not_offered() -> None:
    shelf, jobs = Shelf(), _jobs(5)
    shelf.put(jobs[0])
    shelf.put(jobs[1])
    shelf.queue.extend(jobs[2:])
    assert shelf.take(jobs[0])
    assert not shelf.take(jobs[0])
    assert shelf.queue.popleft() is jobs[2]
    assert shelf.tail(2) == jobs[3:]
    assert shelf.tail(9) == jobs[1:2]
    assert not shelf.take(jobs[1])
    assert not shelf.queue
    assert not len(shelf)


async def test_only_what_was_here_the_last_time_lies() -> None:
    shelf, jobs = Shelf(), _jobs(6)
    shelf.queue.extend(jobs[:4])
    assert shelf.look() == (0, 0)
    shelf.queue.popleft()
    shelf.queue.extend(jobs[4:])
    assert shelf.look() == (3, 1)
    # What was offered has not begun.
    assert shelf.tail(2) == jobs[4:]
    assert shelf.look() == (3, 0)
