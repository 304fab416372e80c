"""What is kept about requests for whoever waits for them, and that it does not grow with what is over."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from coordinator.drivers.aslot import AsyncSlot
from coordinator.drivers.hall import Hall, Slot
from coordinator.drivers.messages import MOST_OVER, MOST_UNREAD, RESYNC, Postman


class Kept:
    """A slot that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def put(self, words: tuple[str, ...]) -> None:
        self.told.append(words)


@pytest.fixture
def postman() -> Postman:
    made = Postman(lambda ident, _fence, _why: made.over(ident))
    return made


@pytest.mark.parametrize("last", ["ended {} cancelled", "lost {} 77"])
def test_of_requests_that_are_over_and_not_asked_about_only_the_last_are_kept(postman: Postman, last: str) -> None:
    postman.keep("alive", Kept(), False)
    names = [f"r{number}" for number in range(3 * MOST_OVER)]
    for ident in names:
        postman.keep(ident, Kept(), False)
        postman.deliver(last.format(ident).encode())
    assert postman.asked() == ["alive"], "else the server is asked about the others with each heartbeat"
    assert list(postman._slots) == ["alive", *names[-MOST_OVER:]]
    for ident in names:
        postman.drop(ident, "")
    assert not postman._over


def test_who_waits_by_a_name_of_its_own_is_never_forgotten(postman: Postman) -> None:
    reader = postman.keep("job", Kept(), True)
    postman.keep("job", Kept(), False)
    for ident in ("job", *map(str, range(MOST_OVER))):
        postman.keep(ident, Kept(), False)
        postman.deliver(f"ended {ident} cancelled".encode())
    assert postman.slot("job", "") is None
    assert postman.slot("job", reader) is not None


def test_what_turns_out_not_to_be_over_is_kept_like_any_other(postman: Postman) -> None:
    postman.keep("r", Kept(), False)
    postman.deliver(b"ended r cancelled")
    postman.keep("r", Kept(), False)
    assert postman.asked() == ["r"]
    assert not postman._over


def sync_slot() -> tuple[Any, Callable[[], Any]]:
    slot = Slot(Hall())
    return slot, lambda: slot.get(0)


def async_slot() -> tuple[Any, Callable[[], Any]]:
    slot = AsyncSlot()
    return slot, lambda: asyncio.run(slot.get(0))


@pytest.mark.parametrize("made", [sync_slot, async_slot])
def test_messages_that_nobody_reads_do_not_pile_up(made: Callable[[], tuple[Any, Callable[[], Any]]]) -> None:
    slot, get = made()
    for number in range(10 * MOST_UNREAD):
        slot.put(RESYNC)
        slot.put(("session_lost", f"s{number}"))
    found = [words for words in iter(get, None) if words]
    assert found[:2] == [RESYNC, ("session_lost", "s0")]
    assert (len(found), found.count(RESYNC)) == (MOST_UNREAD, 1)
    slot.put(RESYNC)
    assert get() == RESYNC
