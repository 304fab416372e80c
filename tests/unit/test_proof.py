"""What is made of the replies to a call that replicas are to have."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from coordinator.drivers.demands import Demands, Proof
from coordinator.drivers.direct import AsyncDirect, Direct, NotReplicated, _proven
from coordinator.drivers.store import AsyncStore, Store
from coordinator.errors import AccessDenied, ProtocolError, Unconfirmed
from coordinator.settings import Settings
from coordinator.wire.step import Call, Stream

REFUSED = ResponseError("NOPERM No permissions to access a channel")
GONE = ResponseError("ERR Function not found")
PROOF = Proof(1, (("PUBLISH", "co:{n}:proof", ""), ("WAIT", 1, 500)))
INFO = {"redis_version": "7.0.15", "maxmemory_policy": "noeviction"}
GRANT = Stream([Call("request", "co:{n}:meta", ())], confirmed=True)


@pytest.mark.parametrize("replies", [[b"ok", 0, 0], [b"ok", REFUSED, 1], [b"ok", 0, REFUSED]])
def test_what_is_not_proven_may_have_happened_all_the_same(replies: list[Any]) -> None:
    with pytest.raises(NotReplicated):
        _proven(replies, PROOF)


def test_the_first_reply_is_the_answer_or_the_error() -> None:
    assert _proven([b"ok", 0, 2], PROOF) == b"ok"
    with pytest.raises(ResponseError, match="NOSCRIPT"):
        _proven([ResponseError("NOSCRIPT"), REFUSED, 0], PROOF)


def test_what_goes_along_ends_with_the_wait_and_is_said_on_a_channel_of_the_namespace() -> None:
    demands = Demands.of(Settings.of(namespace="n", durability="replicated", replicas=2, replica_timeout=0.5))
    assert demands.proof is not None
    assert demands.proof.words == (("PUBLISH", "co:{n}:proof", ""), ("WAIT", 2, 500))
    assert Demands.of(Settings.of(namespace="n")).proof is None
    with pytest.raises(Unconfirmed, match="only 1 of 2"):
        demands.confirmed([b"granted", 0, 1])


@pytest.mark.parametrize("refused", [REFUSED, NoPermissionError("this user has no permissions to run 'publish'")])
def test_a_refused_proof_says_which_right_is_lacking_and_where_it_is_printed(refused: ResponseError) -> None:
    expected = r"run PUBLISH on the channel `co:\{n\}:proof`.*`coordinator acl` prints"
    with pytest.raises(AccessDenied, match=expected):
        Demands(1, confirmed_by=PROOF).confirmed([b"granted", refused, 1])
    with pytest.raises(AccessDenied, match="run WAIT, "):
        Demands(1, confirmed_by=PROOF).confirmed([b"granted", 0, refused])
    with pytest.raises(NotReplicated, match=expected):
        _proven([b"ok", refused, 1], PROOF)
    with pytest.raises(Unconfirmed, match="WAIT cannot be used"):
        Demands(1, confirmed_by=PROOF).confirmed([b"granted", 0, ResponseError("WAIT cannot be used with replicas")])


class Line(Direct):
    """Gives the replies of a proven call one after the other, and counts the others."""

    def __init__(self, *proven: list[Any]) -> None:
        self.proven, self.others = list(proven), 0

    def along(self, *_asked: Any) -> list[Any]:
        return self.proven.pop(0)

    def __call__(self, *_words: Any) -> Any:
        self.others += 1
        return [b"granted"]


class AsyncLine(AsyncDirect):
    """As `Line`."""

    def __init__(self, *proven: list[Any]) -> None:
        self._line = Line(*proven)

    @property
    def others(self) -> int:
        return self._line.others

    async def along(self, *asked: Any) -> list[Any]:
        return self._line.along(*asked)

    async def __call__(self, *words: Any) -> Any:
        return self._line(*words)


def confirmed(line: Line) -> Any:
    store = Store(redis.Redis(), Demands(1, confirmed_by=PROOF))
    store._programs.learn(INFO)
    store._exchange = line
    return store.stream(GRANT)


def async_confirmed(line: AsyncLine) -> Any:
    store = AsyncStore(redis.asyncio.Redis(socket_timeout=1), Demands(1, confirmed_by=PROOF))
    store.programs.learn(INFO)
    store._exchange = line
    return asyncio.run(store.stream(GRANT))


@pytest.mark.parametrize(("lined", "ask"), [(Line, confirmed), (AsyncLine, async_confirmed)])
@pytest.mark.parametrize("gone", [GONE, NoScriptError("No matching script")])
def test_a_grant_whose_script_is_forgotten_before_it_is_proven_is_asked_about_once_more(
    lined: Callable[..., Any], ask: Callable[..., Any], gone: ResponseError
) -> None:
    line = lined([gone, 0, 1], [[b"granted"], 0, 1])
    assert ask(line) == [[b"granted"]]
    assert line.others == 1, "the call itself, by the way on which scripts are loaded"
    with pytest.raises(Unconfirmed, match="given back"):
        ask(lined([gone, 0, 1], [gone, 0, 1]))
    with pytest.raises(ProtocolError, match="refused the script 'request'"):
        ask(lined([ResponseError("ODD"), 0, 1]))
