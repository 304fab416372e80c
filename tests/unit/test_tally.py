"""Lost messages are noticed at the next heartbeat, whatever is just on its way."""

from coordinator.drivers.tally import STUCK_SECONDS, Tally


def test_nothing_is_behind_when_all_has_come() -> None:
    tally = Tally()
    assert not tally.behind(0, 0)
    tally.arrived = 3
    assert not tally.behind(3, 0)


def test_a_lost_message_is_noticed_and_not_mourned_for_ever() -> None:
    tally = Tally()
    noticed = [tally.behind(1, 0) for _ in range(5)]
    assert noticed == [True, True, False, False, False]


def test_every_further_loss_is_noticed() -> None:
    tally = Tally()
    for sent in range(1, 20):
        assert tally.behind(sent, 0), sent


def test_a_message_that_was_only_on_its_way_hides_no_later_loss() -> None:
    tally = Tally()
    assert tally.behind(1, 0)  # it looks lost, and arrives a moment later
    tally.arrived = 1
    assert tally.behind(2, 0), "the second one is lost between two heartbeats"
    tally = Tally()
    assert tally.behind(1, 0)
    tally.arrived = 1
    assert not tally.behind(1, 0)
    assert tally.behind(2, 0)


def test_what_lies_unread_is_looked_for_once() -> None:
    tally = Tally()
    assert tally.behind(1, 1)
    assert not tally.behind(1, 1)
    assert tally.behind(2, 2)


def test_unread_messages_that_come_after_a_loss_hide_no_later_loss() -> None:
    tally = Tally()
    assert tally.behind(2, 1)  # one lost, one unread
    tally.arrived = 1
    tally.behind(2, 0)
    assert not tally.behind(2, 0)
    assert tally.behind(3, 0)


def test_a_reader_is_stuck_when_messages_lie_there_for_too_long() -> None:
    tally = Tally()
    assert not tally.stuck(1, 100.0)
    assert not tally.stuck(1, 100.0 + STUCK_SECONDS / 2)
    assert tally.stuck(1, 100.0 + STUCK_SECONDS)
    assert not tally.stuck(1, 100.0 + STUCK_SECONDS), "the time begins anew"
    assert not tally.stuck(0, 200.0)
    assert not tally.stuck(1, 201.0)
