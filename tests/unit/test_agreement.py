"""What a process and a server that forgot its newest writes come to agree on."""

import math

import pytest

from coordinator.drivers.agreement import PHANTOM_SECONDS, SHOWN, Agreement

PATIENCE = 10.0


@pytest.fixture
def agreement() -> Agreement:
    return Agreement(PATIENCE)


def look(agreement: Agreement, now: float, owned: set[str], claiming: float = math.inf, **held: str) -> tuple[str, ...]:
    """Ask and answer once; what is given up, then what is lost."""
    question = agreement.question(held, held.keys(), claiming, now)
    left = owned - set(question.strays)
    lost = agreement.answer(left, [one for one, _ in question.believed if one not in owned], question, now)
    return (*question.strays, *(f"lost {one}" for one in lost))


def test_nobody_is_asked_while_the_numbers_agree(agreement: Agreement) -> None:
    assert not agreement.doubted(3, 3, 0.0)
    assert agreement.doubted(3, 2, 0.0)


def test_a_stray_is_given_up_once_its_time_is_over(agreement: Agreement) -> None:
    assert look(agreement, 0, {"a", "b"}, a="1") == ()
    assert agreement.doubted(1, 1, 5), "a doubt is followed up even if the numbers agree by chance"
    assert look(agreement, 5, {"a", "b"}, a="1") == ()
    assert look(agreement, 10, {"a", "b"}, a="1") == ("b",)
    assert look(agreement, 30, {"a"}, a="1") == ()
    assert not agreement.doubted(1, 1, 31)


def test_what_becomes_known_in_time_is_no_stray(agreement: Agreement) -> None:
    look(agreement, 0, {"a"})
    look(agreement, 5, {"a"}, a="1")
    assert look(agreement, 12, {"a"}) == ()


def test_one_that_ended_meanwhile_and_came_again_is_waited_for_anew(agreement: Agreement) -> None:
    look(agreement, 0, {"a"})
    look(agreement, 5, set())
    assert look(agreement, 11, {"a"}) == ()
    assert look(agreement, 21, {"a"}) == ("a",)


def test_what_a_list_that_was_cut_does_not_show_may_still_be_there(agreement: Agreement) -> None:
    many = {f"x{n}" for n in range(SHOWN)}
    held = dict.fromkeys(many, "1")
    look(agreement, 0, {"a"}, **held)
    look(agreement, 5, many, **held)
    assert look(agreement, 10, {"a"}, **held)[0] == "a"


def test_a_claim_on_its_way_is_waited_for(agreement: Agreement) -> None:
    look(agreement, 5, {"a"}, claiming=4)
    assert look(agreement, 20, {"a"}, claiming=4) == ()
    assert look(agreement, 21, {"a"}, claiming=20) == ("a",)


def test_a_phantom_is_lost_at_the_second_look(agreement: Agreement) -> None:
    assert look(agreement, 0, set(), a="1") == ()
    assert look(agreement, PHANTOM_SECONDS, set(), a="1") == ("lost a",)


def test_what_is_held_again_under_another_fence_is_no_phantom(agreement: Agreement) -> None:
    look(agreement, 0, set(), a="1")
    assert look(agreement, PHANTOM_SECONDS, set(), a="2") == ()


def test_looks_are_not_more_often_than_needed(agreement: Agreement) -> None:
    look(agreement, 0, {"a"})
    assert not agreement.doubted(1, 0, 0.5)
    assert agreement.doubted(1, 0, 1.0)
