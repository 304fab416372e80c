"""The keeper of the session, with a store that answers when the test lets it."""

import threading
from typing import Any

import pytest

from coordinator.drivers.keeper import Duties, Keeper
from coordinator.errors import ClientClosed, StoreUnavailable
from coordinator.wire.calls import Scope
from coordinator.wire.step import Call
from tests.support.engine import TERMS
from tests.support.until import until


class SlowStore:
    """Answers the opening of a session when `answer` is set, all else at once."""

    def __init__(self) -> None:
        self.asked, self.answer = threading.Event(), threading.Event()
        self.away = False
        self.calls: list[str] = []
        self.left: list[int | None] = []
        self.due: list[int] = []
        self.nothing_due = threading.Event()

    def call(self, call: Call, _retry_for: float | None = None) -> list[Any]:
        self.calls.append(call.script)
        if call.script == "open_session":
            self.asked.set()
            assert self.answer.wait(10)
            return [b"ok", call.args[1]]
        if self.away:
            raise StoreUnavailable("away")
        if call.script == "close_session" and self.left:
            left = self.left.pop(0)
            if left is None:
                raise StoreUnavailable("the answer was lost")
            return [b"ok", left]
        if call.script == "beat" and not self.due:
            self.nothing_due.set()
        return [b"ok", 0, 0, self.due.pop(0) if self.due else 1000, 0, 0]


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
def keeper(store: SlowStore) -> Keeper:
    duties = Duties({}, lambda _session: None, lambda _session: None, lambda _sent, _waiting: None)
    kept: Any = store
    return Keeper(kept, Scope.of("n", TERMS), 10.0, 1.0, duties)


def opening(keeper: Keeper, store: SlowStore) -> tuple[threading.Thread, list[object]]:
    """A thread that opens a session and has not been answered yet."""
    found: list[object] = []

    def ensure() -> None:
        try:
            found.append(keeper.ensure())
        except ClientClosed as error:
            found.append(error)

    thread = threading.Thread(target=ensure)
    thread.start()
    assert store.asked.wait(10)
    return thread, found


def test_letting_go_does_not_wait_for_a_session_that_is_being_opened(keeper: Keeper, store: SlowStore) -> None:
    thread, found = opening(keeper, store)
    other = threading.Thread(target=keeper.let_go, args=("a",), daemon=True)
    other.start()
    other.join(5)
    stuck = other.is_alive()
    store.answer.set()
    thread.join(10)
    keeper.close()
    assert not stuck
    assert found
    assert store.calls[-1] == "close_session"


def test_a_session_that_is_opened_while_the_client_closes_is_closed_too(keeper: Keeper, store: SlowStore) -> None:
    thread, found = opening(keeper, store)
    keeper.close()
    store.answer.set()
    thread.join(10)
    assert isinstance(found[0], ClientClosed)
    assert store.calls == ["open_session", "close_session"]
    with pytest.raises(ClientClosed):
        keeper.ensure()


@pytest.mark.parametrize(
    ("left", "asked"),
    [
        ([96, 48, 0], 3),
        ([96, None, None, 48], 3),
        ([96, None, 48, None, 0], 5),
        ([None, 0], 1),
    ],
    ids=["in parts", "a server that is gone", "answers that are lost", "a server that was gone before"],
)
def test_a_session_is_closed_in_parts_until_nothing_is_left(
    keeper: Keeper, store: SlowStore, left: list[int | None], asked: int
) -> None:
    store.left = left
    store.answer.set()
    keeper.ensure()
    keeper.close()
    assert store.calls.count("close_session") == asked


class Held:
    """A holding that remembers what it was told."""

    ident, fence, trusted_until = "r", 77, float("inf")

    def __init__(self) -> None:
        self.told: list[str] = []

    def lose(self, why: str) -> None:
        self.told.append(why)

    def ask_to_yield(self, grace: float | None) -> None:
        self.told.append(f"yield {grace}")


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(("fence", "losses"), [(77, 1), (76, 0)])
def test_what_was_taken_back_before_its_holder_heard_of_it_is_lost_when_it_comes(
    keeper: Keeper, fence: int, losses: int, many: bool
) -> None:
    held = Held()
    keeper.lose("r", fence, "the server took it back")
    hold(keeper, held, many)
    assert len(held.told) == losses
    keeper.let_go("r")
    hold(keeper, held, many)
    assert len(held.told) == losses


def hold(keeper: Keeper, held: Held, many: bool) -> None:
    if many:
        keeper.hold_all([held])
    else:
        keeper.hold(held)


def test_of_many_that_are_held_each_is_told_of_its_own_loss_until_it_is_let_go(keeper: Keeper) -> None:
    first, second, third = found = [Held(), Held(), Held()]
    for number, one in enumerate(found):
        one.ident = f"r{number}"
    keeper.hold_all(found)
    keeper.let_go_all(["r1", "unknown"])
    for ident in ("r0", "r1"):
        keeper.lose(ident, 77, "the server took it back")
    assert [len(one.told) for one in (first, second, third)] == [1, 0, 0]


def test_a_heartbeat_that_failed_is_tried_again_at_once_and_then_less_and_less_often(
    keeper: Keeper, store: SlowStore
) -> None:
    for _ in range(2):
        store.away = True
        assert [keeper._beat("s") for _ in range(7)] == [0, 0.05, 0.1, 0.2, 0.4, 0.5, 0.5]
        store.away = False
        assert keeper._beat("s") == 1.0


class Noting(threading.Event):
    """Remembers how long it was to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return super().wait(timeout)


def test_while_a_sweep_leaves_something_the_next_comes_at_the_pace_of_the_server(
    keeper: Keeper, store: SlowStore
) -> None:
    store.due = [-1] * 20
    store.answer.set()
    keeper._beat_now = noted = Noting()
    keeper.ensure()
    keeper.beat_soon()
    assert store.nothing_due.wait(10)
    keeper.close()
    assert noted.waits[0] == 1.0
    assert sorted(noted.waits[1:21])[10] < 0.025, "the store answers at once, and the machine may be busy now and then"
    assert noted.waits[21:] in ([], [1.0])


def test_whatever_way_a_holding_is_lost_its_request_is_said_to_be_over(store: SlowStore) -> None:
    over: list[str] = []
    duties = Duties({}, lambda _session: None, lambda _session: None, lambda _sent, _waiting: None, over=over.append)
    kept: Any = store
    keeper = Keeper(kept, Scope.of("n", TERMS), 10.0, 1.0, duties)
    keeper.lose("early", 1, "the server took it back")
    told, lapsed, ran_out = Held(), Held(), Held()
    told.ident, lapsed.ident, ran_out.ident, ran_out.trusted_until = "told", "lapsed", "ran out", 0.0
    keeper.hold_all([told, lapsed, ran_out])
    keeper.lose("told", 77, "the server took it back")
    store.answer.set()
    keeper.ensure()
    until(lambda: "ran out" in over)
    keeper.ensure(lost=keeper.session)
    keeper.close()
    assert over == ["early", "told", "ran out", "lapsed"]
