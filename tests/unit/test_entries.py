"""Re-entrant leases by owner, counted."""

from dataclasses import dataclass

import pytest

from coordinator.drivers.entries import LEAST_SWEPT, Entries
from coordinator.errors import Deadlock, InvalidInput, UpgradeRefused
from coordinator.model.need import Need, needs_of


@dataclass
class Lease:
    ident: str
    needs: tuple[Need, ...]
    held: bool = True


def test_an_owner_has_it_again_until_it_has_left_as_often() -> None:
    entries, lease = Entries[Lease](), Lease("r1", needs_of("a"))
    assert entries.again("ann", lease.needs) is None
    assert entries.entered("ann", lease) is lease
    assert entries.again("ann", lease.needs) is lease
    assert entries.again("bob", lease.needs) is None
    assert entries.again("ann", needs_of("b")) is None
    assert [entries.leave("ann", lease) for _ in range(3)] == [False, True, True]
    assert entries.again("ann", lease.needs) is None


def test_what_replicas_have_can_be_had_again_as_such_and_nothing_else() -> None:
    entries, sure, other = Entries[Lease](), Lease("r1", needs_of("a")), Lease("r2", needs_of("b"))
    entries.entered("ann", sure, confirmed=True)
    entries.entered("ann", other)
    assert entries.again("ann", sure.needs, confirmed=True) is sure
    with pytest.raises(InvalidInput):
        entries.again("ann", other.needs, confirmed=True)


def test_leases_that_were_lost_and_never_given_back_do_not_pile_up() -> None:
    entries, kept = Entries[Lease](), Lease("kept", needs_of("a"))
    entries.entered("ann", kept, confirmed=True)
    for number in range(5 * LEAST_SWEPT):
        lost = Lease(f"r{number}", needs_of("b"), held=False)
        entries.entered(f"owner {number}", lost, confirmed=True)
    assert max(map(len, (entries._held, entries._times, entries._confirmed))) <= LEAST_SWEPT
    assert entries.again("ann", kept.needs, confirmed=True) is kept


@pytest.mark.parametrize("wanted", [Need("a"), Need("a", permits=2), ("a", "b")])
def test_what_would_wait_for_itself_is_refused(wanted: object) -> None:
    entries = Entries[Lease]()
    entries.entered("ann", Lease("r1", needs_of(Need("a", "shared"))))
    with pytest.raises(UpgradeRefused) as refused:
        entries.again("ann", needs_of(wanted))  # type: ignore[arg-type]
    assert (refused.value.resource, refused.value.ident, refused.value.cycle) == ("a", "r1", ("r1",))
    assert isinstance(refused.value, Deadlock)


def test_a_lease_that_is_lost_is_not_had_again_and_each_release_says_so() -> None:
    entries, lease = Entries[Lease](), Lease("r1", needs_of("a"))
    entries.entered("ann", lease)
    entries.again("ann", lease.needs)
    lease.held = False
    assert entries.again("ann", needs_of(("a", "b"))) is None
    assert entries.leave("ann", lease)
