"""Histories in which the server's account of lines cannot be right, or is not there."""

from tests.chaos.illegal import ILLEGAL, breaks
from tests.chaos.stories import Story

__all__ = ["ILLEGAL"]


def one_lock(s: Story) -> None:
    s.asked("a9", 9)
    s.granted("a9", 10)
    s.ended("a9")


@breaks("incomplete")
def a_job_with_a_resource_that_never_stood_in_line(s: Story) -> None:
    one_lock(s)
    s.submit("j")
    s.run("j", 5)
    s.record("j", fence=5, needs=1)


@breaks("incomplete")
def an_account_without_anybody_in_line(s: Story) -> None:
    s.counted(ask=1)
    s.hold("p1", 5)


@breaks("sequence")
def a_request_that_asks_twice(s: Story) -> None:
    s.asked("a9", 9)
    one_lock(s)


@breaks("sequence")
def a_grant_to_whoever_holds_already(s: Story) -> None:
    s.asked("a9", 9)
    s.granted("a9", 10)
    s.granted("a9", 11)
    s.ended("a9")


@breaks("sequence")
def a_new_fence_for_whoever_waits(s: Story) -> None:
    s.asked("a9", 9)
    s.server("fact", what="regranted", request="a9", fence=10)
    s.granted("a9", 11)
    s.ended("a9")


@breaks("sequence")
def a_return_of_whoever_waits(s: Story) -> None:
    s.asked("a9", 9)
    s.server("fact", what="returned", request="a9")
    s.granted("a9", 11)
    s.ended("a9")


@breaks("twice")
def a_holder_that_is_done_twice(s: Story) -> None:
    s.asked("a10", 9)
    s.granted("a10", 10)
    s.hold("p1", 10)
    s.release("p1", 10)
    s.ended("a10")
