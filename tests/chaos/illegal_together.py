"""Histories in which holders do not go together, though some of them share, or have permits."""

from tests.chaos.illegal import ILLEGAL, breaks
from tests.chaos.stories import Story

__all__ = ["ILLEGAL"]


@breaks("exclusion")
def a_writer_beside_a_reader(s: Story) -> None:
    s.acquire("p1", 1, mode="shared")
    s.acquire("p2", 2)
    s.release("p1", 1)
    s.release("p2", 2)


@breaks("exclusion")
def a_reader_beside_a_writer(s: Story) -> None:
    s.acquire("p1", 1)
    s.acquire("p2", 2, mode="shared")
    s.release("p1", 1)
    s.release("p2", 2)


@breaks("exclusion")
def a_leaf_below_a_subtree_that_is_shared(s: Story) -> None:
    s.acquire("p1", 1, "a/**", mode="shared")
    s.acquire("p2", 2, "a/b")
    s.release("p1", 1, "a/**")


@breaks("exclusion")
def a_subtree_around_a_reader(s: Story) -> None:
    s.acquire("p1", 1, "a/b", mode="shared")
    s.acquire("p2", 2, "a/**")
    s.release("p1", 1, "a/b")


@breaks("exclusion")
def more_permits_than_there_are(s: Story) -> None:
    for fence in (1, 2, 3):
        s.acquire(f"p{fence}", fence, permits=1, size=2)
    for fence in (1, 2, 3):
        s.release(f"p{fence}", fence)


@breaks("exclusion")
def a_reader_beside_somebody_who_has_permits(s: Story) -> None:
    s.acquire("p1", 1, permits=1, size=2)
    s.acquire("p2", 2, mode="shared")
    s.release("p1", 1)


@breaks("exclusion")
def a_shared_subtree_around_somebody_who_has_permits(s: Story) -> None:
    s.acquire("p1", 1, "a/b", permits=1, size=2)
    s.acquire("p2", 2, "a/**", mode="shared")
    s.release("p1", 1, "a/b")


@breaks("exclusion")
def a_writer_granted_beside_readers(s: Story) -> None:
    s.shares("r1", 1)
    s.shares("r2", 2)
    s.granted("r1", 1)
    s.granted("r2", 2)
    s.asked("w", 3)
    s.granted("w", 3)
    for one in ("r1", "r2", "w"):
        s.ended(one)


@breaks("exclusion")
def a_shared_subtree_granted_around_a_writer(s: Story) -> None:
    s.asked("w", 1, ("a/b",))
    s.granted("w", 1)
    s.shares("tree", 2, "a/**")
    s.granted("tree", 2)
    s.ended("w")
    s.ended("tree")


@breaks("exclusion")
def more_permits_granted_than_there_are(s: Story) -> None:
    s.sized(3)
    for number in (1, 2):
        s.asked(f"r{number}", number, permits={"a": 2})
        s.granted(f"r{number}", number)
    for number in (1, 2):
        s.ended(f"r{number}")


@breaks("order")
def a_reader_overtakes_a_writer(s: Story) -> None:
    s.shares("first", 1)
    s.granted("first", 1)
    s.asked("w", 2)
    s.shares("later", 3)
    s.granted("later", 2)
    for one in ("first", "later"):
        s.ended(one)
    s.granted("w", 3)
    s.ended("w")


@breaks("order")
def a_reader_overtakes_a_reader_in_one_line(s: Story) -> None:
    s.shares("r1", 1)
    s.shares("r2", 2)
    s.granted("r2", 1)
    s.granted("r1", 2)
    s.ended("r1")
    s.ended("r2")
