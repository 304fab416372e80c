"""What is made of the replies to a call that replicas are to have."""

from typing import Any

import pytest
from redis.exceptions import ResponseError

from coordinator.drivers.demands import Demands
from coordinator.drivers.direct import NotReplicated, _proven
from coordinator.errors import Unconfirmed
from coordinator.settings import Settings

REFUSED = ResponseError("NOPERM No permissions to access a channel")


@pytest.mark.parametrize("replies", [[b"ok", 0, 0], [b"ok", REFUSED, 1], [b"ok", 0, REFUSED]])
def test_what_is_not_proven_may_have_happened_all_the_same(replies: list[Any]) -> None:
    with pytest.raises(NotReplicated):
        _proven(replies, 1)


def test_the_first_reply_is_the_answer_or_the_error() -> None:
    assert _proven([b"ok", 0, 2], 1) == b"ok"
    with pytest.raises(ResponseError, match="NOSCRIPT"):
        _proven([ResponseError("NOSCRIPT"), REFUSED, 0], 1)


def test_what_goes_along_ends_with_the_wait_and_is_said_on_a_channel_of_the_namespace() -> None:
    demands = Demands.of(Settings.of(namespace="n", durability="replicated", replicas=2, replica_timeout=0.5))
    assert demands.proof is not None
    assert demands.proof.words == (("PUBLISH", "co:{n}:proof", ""), ("WAIT", 2, 500))
    assert Demands.of(Settings.of(namespace="n")).proof is None
    with pytest.raises(Unconfirmed, match="only 1 of 2"):
        demands.confirmed([b"granted", 0, 1])
