"""What contenders note of a lock, and what is made of it."""

import threading
import time

import pytest

from bench.actors.locker import Locker
from bench.statistics import overlaps

pytestmark = pytest.mark.no_redis


class Fair(Locker):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def acquire(self, name):
        self.lock.acquire()
        return name

    def release(self, held):
        self.lock.release()


class Open(Fair):
    """Lets everybody in."""

    def acquire(self, name):
        return name

    def release(self, held):
        pass


class Breaking(Fair):
    """Fails as it lets go."""

    def release(self, held):
        super().release(held)
        raise ValueError("it is stuck")


def contended(actor):
    return actor.contend(threads=4, start_at=time.monotonic_ns(), seconds=0.05, hold=0.002)


def test_holds_of_a_lock_do_not_overlap():
    found = contended(Fair())
    assert len(found["holds"]) == sum(map(len, found["waits"])) > 1
    assert overlaps(found["holds"]) == 0


def test_holds_of_what_is_no_lock_overlap():
    assert overlaps(contended(Open())["holds"]) > 0


def test_a_contender_that_fails_is_not_left_out():
    with pytest.raises(ValueError, match="it is stuck"):
        contended(Breaking())


def test_the_processor_time_of_a_hand_off_is_that_of_taking_and_giving_back():
    actor = Fair()
    actor.take()
    actor.give()
    spent = actor.spent()
    assert spent > 0
    sum(range(1_000_000))
    assert actor.spent() == spent
