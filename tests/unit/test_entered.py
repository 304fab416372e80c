"""What several have entered, and who gives back what."""

from dataclasses import dataclass

import pytest

from coordinator.drivers.entered import LATEST, OLDEST, Entered
from coordinator.errors import InvalidInput


@dataclass(eq=False)
class Lease:
    """A lease."""

    name: str
    held: bool = True


A, B, C = "thread A", "thread B", "thread C"


def entered(*those: tuple[str, Lease]) -> Entered[Lease]:
    found = Entered[Lease]()
    for who, lease in those:
        found.add(who, lease)
    return found


def taken(of: Entered[Lease], who: str, own: int = LATEST, others: int = OLDEST) -> Lease | None:
    entry = of.take(who, own, others)
    return None if entry is None else entry.lease


def test_each_gives_back_what_they_got_themselves_the_latest_first_or_the_oldest() -> None:
    first, second, third, other = (Lease(name) for name in "1234")
    all_of_them = entered((A, first), (A, second), (B, other), (A, third))
    assert all_of_them.latest(A) is third
    assert taken(all_of_them, A) is third
    assert taken(all_of_them, A, OLDEST) is first
    assert taken(all_of_them, B) is other
    assert taken(all_of_them, A) is second
    assert taken(all_of_them, A) is None
    assert all_of_them.latest(A) is None


def test_what_was_lost_is_given_back_by_who_lost_it() -> None:
    lost, later = Lease("lost", held=False), Lease("later")
    all_of_them = entered((A, lost), (B, later))
    assert all_of_them.latest(C) is later
    assert taken(all_of_them, C) is later, "who has nothing gives back what is held"
    assert taken(all_of_them, C) is lost
    all_of_them = entered((A, lost), (B, later))
    assert taken(all_of_them, A) is lost
    assert taken(all_of_them, B) is later


def test_who_has_nothing_gives_back_the_oldest_of_others_or_the_latest() -> None:
    first, second, third = (Lease(name) for name in "123")
    all_of_them = entered((A, first), (B, second), (A, third))
    assert taken(all_of_them, C) is first
    assert taken(all_of_them, C, others=LATEST) is third


def test_whoever_is_still_there_leaves_their_own() -> None:
    gone = lambda who: who == A  # noqa: E731
    lost, second, other = Lease("lost", held=False), Lease("2"), Lease("3")
    all_of_them = entered((A, lost), (B, other), (A, second))
    assert [all_of_them.leave(C, gone) for _ in range(3)] == [lost, second, other], "the last is the only one"
    assert all_of_them.leave(C, gone) is None
    all_of_them = entered((B, other), (B, second), (A, lost))
    assert all_of_them.leave(B, gone) is second
    assert all_of_them.leave(C, gone) is lost
    all_of_them = entered((B, other), (B, second))
    with pytest.raises(InvalidInput, match="still there"):
        all_of_them.leave(C, gone)
    assert len(all_of_them) == 2


def test_what_could_not_be_given_back_is_there_again() -> None:
    lease = Lease("1")
    all_of_them = entered((A, lease))
    entry = all_of_them.take(A)
    assert entry is not None
    assert len(all_of_them) == 0
    all_of_them.put_back(entry)
    assert taken(all_of_them, A) is lease


def test_what_was_lost_and_never_given_back_does_not_pile_up() -> None:
    all_of_them = Entered[Lease]()
    leases: list[Lease] = []
    for turn in range(50):
        who = A if turn % 2 else f"thread {turn}"
        all_of_them.forget_lost(who, lambda: [A])
        leases.append(Lease(str(turn)))
        all_of_them.add(who, leases[-1])
        leases[-1].held = False
    assert len(all_of_them) <= 3
    assert taken(all_of_them, A) is leases[-1]
