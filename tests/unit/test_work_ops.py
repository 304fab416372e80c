"""Handing in jobs and waiting for results, fed by hand."""

import pytest

from coordinator.errors import BatchRefused, Corrupt, Duplicate, JobFailed, NotFound, QueueFull, WaitTimeout
from coordinator.model.codec import pack
from coordinator.model.states import State
from coordinator.ops import work
from coordinator.wire.calls import JobAsk, Scope
from coordinator.wire.step import Expect, Forget, Now, Session, Wait
from tests.support.engine import TERMS
from tests.unit.hand import Hand

SCOPE = Scope.of("n", TERMS)
PENDING = [b"pending", b"running", b"0.4 planning"]


def job(ident: str, payload: bytes = b"", needs: str = "") -> JobAsk:
    return JobAsk(ident, "work", "default", 1, payload, {"needs": needs} if needs else {})


def test_a_job_is_one_call() -> None:
    hand = Hand(work.submit(SCOPE, 1000, job("j")))
    hand.expects("submit", [b"ok"])
    assert hand.returns() == work.Submitted("j")


@pytest.mark.parametrize(("how", "replaced"), [(b"joined", False), (b"replaced", True)])
def test_a_duplicate_is_a_fact_and_not_an_error(how: bytes, replaced: bool) -> None:
    hand = Hand(work.submit(SCOPE, 1000, job("j")))
    hand.expects("submit", [b"ok", [0, b"duplicate", b"other", how]])
    assert hand.returns() == work.Submitted("other", duplicate=True, replaced=replaced)


def test_a_refused_job_raises_its_reason() -> None:
    hand = Hand(work.submit(SCOPE, 1000, job("j")))
    hand.expects("submit", [b"ok", [0, b"rejected", b"other", b"running"]])
    assert hand.raises(Duplicate).existing == "other"


def test_a_batch_says_which_were_refused_and_keeps_the_others() -> None:
    hand = Hand(work.submit_many(SCOPE, 1000, [job("j1"), job("j2"), job("j3")]))
    hand.expects(["submit"], [[b"ok", [1, b"queue_full", b"q", 1]]])
    error = hand.raises(BatchRefused)
    assert error.tickets == (work.Submitted("j1"), None, work.Submitted("j3"))
    assert isinstance(error.errors[1], QueueFull)


def test_a_batch_of_none_asks_nothing() -> None:
    assert Hand(work.submit_many(SCOPE, 1000, [])).returns() == []


def test_large_batches_go_in_pieces_that_one_call_can_carry() -> None:
    sizes = [len(one) for one in work.chunks([job(f"j{n}") for n in range(601)])]
    assert sizes == [150, 150, 150, 150, 1]
    third = b"x" * (work.MAX_BYTES_PER_CALL // 3)
    assert [len(one) for one in work.chunks([job(f"j{n}", third) for n in range(7)])] == [3, 3, 1]
    whole = b"x" * (work.MAX_BYTES_PER_CALL + 1)
    assert [len(one) for one in work.chunks([job("a", whole), job("b", whole)])] == [1, 1]
    assert list(work.chunks([])) == []


def test_a_batch_has_no_more_needs_than_one_script_looks_at() -> None:
    three = [job(f"j{n}", needs=f"x1:a/{n} x1:b/{n} x1:c/{n}") for n in range(20)]
    assert [len(one) for one in work.chunks(three)] == [13, 7]
    most = " ".join(f"x1:{n}" for n in range(work.MAX_NEEDS_PER_CALL + 1))
    assert [len(one) for one in work.chunks([job("a", needs=most), job("b", needs=most)])] == [1, 1]


def test_every_piece_of_a_batch_is_answered_in_place() -> None:
    hand = Hand(work.submit_many(SCOPE, 1000, [job(f"j{n}") for n in range(151)]))
    hand.expects(["submit", "submit"], [[b"ok"], [b"ok", [0, b"duplicate", b"other", b"joined"]]])
    assert [one.ident for one in hand.returns()] == [*(f"j{n}" for n in range(150)), "other"]


def watching(seconds: float | None) -> Hand:
    """A wait for a result that has looked once, at 100.0."""
    hand = Hand(work.result(SCOPE, "j", seconds))
    hand.expects(Expect("j", own=True), "7")
    hand.expects(Now(), 100.0)
    hand.expects(Session(), ("s", 100.0))
    hand.expects("watch", PENDING)
    return hand


def test_a_result_that_is_there_is_not_waited_for() -> None:
    hand = Hand(work.result(SCOPE, "j", None))
    hand.expects(Expect("j", own=True), "7")
    hand.expects(Now(), 100.0)
    hand.expects(Session(), ("s", 100.0))
    hand.expects("watch", [b"final", b"succeeded", b"", pack({"a": 1}, "result", 100)])
    hand.expects(Forget("j", "7"))
    assert hand.returns() == {"a": 1}


def test_a_message_is_only_a_hint_and_the_truth_is_looked_at() -> None:
    hand = watching(5)
    hand.expects(Now(), 101.0)
    hand.expects(Wait("j", 4.0, "7"), ("resync",))
    hand.expects(Session(), ("s", 100.0))
    hand.expects("watch", PENDING)
    hand.expects(Now(), 103.0)
    hand.expects(Wait("j", 2.0, "7"), ("ended", "j", "succeeded"))
    hand.expects(Session(), ("s", 100.0))
    hand.expects("watch", [b"final", b"succeeded", b"", b""])
    hand.expects(Forget("j", "7"))
    assert hand.returns() is None


def test_a_wait_for_a_result_that_runs_out_leaves_the_job_alone() -> None:
    hand = watching(5)
    hand.expects(Now(), 104.0)
    hand.expects(Wait("j", 1.0, "7"), None)
    hand.expects(Session(), ("s", 100.0))
    hand.expects("watch", PENDING)
    hand.expects(Now(), 105.0)
    hand.expects(Forget("j", "7"))
    assert hand.raises(WaitTimeout).ident == "j"


@pytest.mark.parametrize("state", [State.FAILED, State.DEAD, State.CANCELLED, State.EXPIRED])
def test_a_job_that_did_not_succeed_raises_how_it_ended(state: State) -> None:
    hand = watching(None)
    hand.expects(Now(), 100.0)
    hand.expects(Wait("j", work.LOOK_AGAIN, "7"), ("ended", "j", state.value))
    hand.expects(Session(), ("s", 100.0))
    hand.expects("watch", [b"final", state.encode(), b"broke", b""])
    hand.expects(Forget("j", "7"))
    error = hand.raises(JobFailed)
    assert (error.state, error.why) == (state, "broke")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError()])
def test_an_interrupted_wait_for_a_result_keeps_no_messages(error: BaseException) -> None:
    hand = watching(None)
    hand.expects(Now(), 100.0)
    hand.expects(Wait, error)
    hand.expects(Forget("j", "7"))
    hand.raises(type(error))


def test_a_lapsed_session_is_replaced_while_waiting() -> None:
    hand = watching(None)
    hand.expects(Now(), 100.0)
    hand.expects(Wait, ("session_lost",))
    hand.expects(Session(), ("s", 100.0))
    hand.expects("watch", [b"session_lost"])
    hand.expects(Session(lost="s"), ("s2", 100.0))
    hand.expects("watch", [b"final", b"succeeded", b"", b""])
    hand.expects(Forget("j", "7"))
    hand.returns()


def test_how_a_request_stands() -> None:
    hand = Hand(work.standing(SCOPE, "j"))
    hand.expects("watch", PENDING)
    assert hand.returns() == work.Standing(State.RUNNING, "", "0.4 planning", b"")
    hand = Hand(work.standing(SCOPE, "j"))
    hand.expects("watch", [b"gone"])
    assert hand.raises(NotFound).ident == "j"


def test_a_result_that_is_not_ours_is_corrupt() -> None:
    hand = watching(None)
    hand.expects(Now(), 100.0)
    hand.expects(Wait, ("ended", "j", "succeeded"))
    hand.expects(Session(), ("s", 100.0))
    hand.expects("watch", [b"final", b"succeeded", b"", b"\x81"])
    hand.expects(Forget("j", "7"))
    hand.raises(Corrupt)
