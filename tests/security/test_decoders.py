"""Every decoder, fed with anything: a value or our error, and nothing that is executed."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coordinator import RetryPolicy, Settings
from coordinator.drivers.messages import Postman
from coordinator.errors import CoordinatorError, Corrupt, InvalidInput, StoreUnavailable
from coordinator.keys import FAMILIES, classify, decode, encode, key
from coordinator.model import codec
from coordinator.model.names import Priority, label, milliseconds, request_id, resource_name
from coordinator.model.need import Need, needs_of
from coordinator.model.signing import JobMark, Signer
from coordinator.model.states import State
from coordinator.ops import (
    doctor,
    fleet,
    forecasting,
    freezing,
    gathering,
    heirs,
    history,
    inspect,
    locks,
    looking,
    operator,
    requests,
    watching,
    work,
)
from coordinator.policy.faults import family_at, fault
from coordinator.policy.resend import remedy
from coordinator.wire import needs, replies
from coordinator.wire.calls import Claim, Deed, Gathering, LockAsk, Report, Scope
from coordinator.wire.step import Call, Stream

pytestmark = pytest.mark.no_redis
# How long an example takes depends on who else is at work on the machine. The examples are others in each run, and many
# more in the long form, for the soak.
fuzz = settings(deadline=None, max_examples=400 if os.environ.get("COORDINATOR_TEST_LONG") else 40)

SCOPE = Scope.of("fuzz", Settings.of(namespace="fuzz").terms())
# Pieces of what we write, so that what is built of them gets further than the first check.
PIECES = st.sampled_from(
    (
        *("x1:a", "s1:b", "~dedup/k", "x", "1", "0", "-1", "1e400", "nan", "9" * 5000, "²", "3 1000 30000 2 0.1", " "),
        *(":", "%", "%zz", "%ff", "granted", "ended", "lost", "cancel", "bell", "id-1", "running", "\x1b[31m", "\r\n"),
        *("{", "}", "*"),
    )
)
texts = st.text(max_size=40) | st.lists(PIECES, max_size=8).map("".join) | st.lists(PIECES, max_size=8).map(" ".join)
raw_bytes = st.binary(max_size=80) | texts.map(lambda one: one.encode(errors="replace"))


class Canary:
    """Something whose pickle runs code when it is loaded."""

    fired: ClassVar[list[bool]] = []

    def __reduce__(self) -> Any:
        return (_fire, ())


def _fire() -> None:
    Canary.fired.append(True)


def ours(function: Callable[..., Any], *args: Any) -> Any:
    """What the function returns; only errors of ours may come out."""
    try:
        return function(*args)
    except CoordinatorError:
        return None


@fuzz
@given(raw_bytes | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str).map(str.encode))
@example(b"\x91" * 200_000)
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xc6\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff\xc0")
@example(b"\xd6\xff\x00\x00\x00\x00" * 3)
@example(b"\xc7\x04\x05abcd")
@example(pickle.dumps({"a": 1}))
def test_msgpack(packed: bytes) -> None:
    ours(codec.unpack, packed, "it")


@fuzz
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.binary(), st.lists, max_leaves=20))
def test_what_was_packed_comes_back_and_all_else_is_refused_on_the_way_in(value: Any) -> None:
    try:
        packed = codec.pack(value, "it", 10_000)
    except InvalidInput:
        return
    assert codec.unpack(packed, "it") == value


def test_what_is_larger_than_anybody_may_hand_in_is_not_even_parsed() -> None:
    with pytest.raises(Corrupt, match="more than anybody may hand in"):
        codec.unpack(b"\xc0" * (codec.MAX_PACKED + 1), "it")


@pytest.mark.parametrize(
    "dump", [pickle.dumps(Canary()), pickle.dumps(Canary(), 0), msgpack.packb(pickle.dumps(Canary()))]
)
def test_code_in_a_payload_stays_data(dump: bytes) -> None:
    for decoder in (codec.unpack, lambda one, _what: codec.metadata_of(one.decode("latin-1"))):
        ours(decoder, dump, "it")
    assert not Canary.fired
    pickle.loads(pickle.dumps(Canary()))
    assert Canary.fired.pop(), "the canary would not have sung"


@fuzz
@given(texts)
@example('{"a": NaN}')
@example("[" * 100_000)
@example('{"a": ' + "9" * 5000 + "}")
def test_metadata(written: str) -> None:
    found = ours(codec.metadata_of, written)
    assert found is None or isinstance(found, dict)
    if found:
        json.dumps(found, allow_nan=False)


@fuzz
@given(texts)
def test_needs(wire: str) -> None:
    for one in ours(needs.from_wire, wire) or ():
        assert needs.from_wire(needs.to_wire([one])) == (one,)


@fuzz
@given(texts)
@example("9" * 5000 + " 1 1 1 1")
@example("3 " + "9" * 400 + " 1 1 1")
@example("3 1 1 " + "9" * 400 + " 1")
def test_a_retry_policy(wire: str) -> None:
    found = ours(RetryPolicy.from_wire, wire)
    assert found is None or RetryPolicy.from_wire(found.to_wire()) == RetryPolicy.from_wire(found.to_wire())
    if found is not None:
        assert all((found.delay(n, 0.5) or 0) >= 0 for n in (1, 2, 1000))


@fuzz
@given(texts, raw_bytes)
def test_keys_and_names(text: str, found: bytes) -> None:
    ours(decode, text)
    assert decode(encode(text)) == text or "\ufffd" in text
    for checked in (resource_name, request_id, needs_of, Priority.of):
        ours(checked, text)
    ours(label, text, "it")
    ours(milliseconds, text, "it")
    kind = classify("fuzz", f"co:{{fuzz}}:{text}")
    assert kind is None or kind[0] in FAMILIES
    assert doctor.find("fuzz", found) is None or found.startswith(b"co:{fuzz}:")
    for one in FAMILIES:
        place = key("fuzz", one.name).encode() + found
        for reads in (doctor.find, doctor.place_of, doctor.session_of):
            ours(reads, "fuzz", place)
    ours(doctor.dedup_owner, found)
    ours(doctor.resource_shown, found)


@fuzz
@given(raw_bytes)
@example(b"lost id-1 \xc2\xb2")
@example(b"lost id-1 " + b"9" * 5000)
@example(b"granted")
@example(b"cancel a")
def test_messages_in_an_inbox(message: bytes) -> None:
    lost: list[tuple[str, int, str]] = []
    postman = Postman(lambda *words: lost.append(words))
    slot = type("Slot", (), {"put": lambda self, words: None})()
    postman.keep("id-1", slot, False)
    for found in (message, message.decode(errors="replace"), None, 7, [message], {message: message}):
        postman.deliver(found)
        postman.deliver_all([found])
        postman.deliver_all(found)
    assert all(isinstance(fence, int) for _ident, fence, _why in lost)


@fuzz
@given(st.binary(max_size=200), texts, texts)
def test_signatures(stored: bytes, ident: str, name: str) -> None:
    signer = Signer("fuzz", {"k": b"s" * 32}, "k")
    ours(signer.open_payload, JobMark(ident, name, "q", "d"), stored)
    ours(signer.open_result, ident, b"\xc1\x01" + stored)


@fuzz
@given(texts)
def test_error_messages_of_redis(message: str) -> None:
    remedy(message)
    assert isinstance(fault(message, "it", "line\n'req:'\n"), CoordinatorError)
    assert message[:200] not in str(fault(message, "it")) or len(message) <= 40
    for line in (-1, 0, 1, 2, 10**9):
        family_at(message, line)


@fuzz
@given(texts)
def test_a_settings_file(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file: Path = tmp_path_factory.mktemp("toml") / "co.toml"
    for written in (text, f"url = {json.dumps(text)}\n", f"namespace = {json.dumps(text)}\n", f"max_line = {text}\n"):
        file.write_text(written, encoding="utf-8", errors="replace")
        ours(lambda: Settings.from_toml(file).signer())


# --- replies

words = st.sampled_from(sorted({*replies.REFUSALS, *(state.value for state in State)})).map(str.encode)
words |= st.sampled_from([b"ok", b"granted", b"waiting", b"busy", b"ended", b"accepted", b"final", b"pending", b"told"])
leaves = words | raw_bytes | st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats()
answers = st.recursive(leaves, lambda inner: st.lists(inner, max_size=14), max_leaves=40)
shaped = answers | st.tuples(words, st.lists(answers, max_size=14)).map(lambda one: [one[0], *one[1]])

ASK = LockAsk("j", 1, "x1:a", False, 1000, 1000)
DEED = Deed("op", "why", "c")
LATCH = Gathering("l", "latch", 2, 1000)
CLAIM, REPORT = Claim(1, 5, 1000, ("q",)), Report("j", "1", "succeeded", 0, b"\x01")
OPERATIONS: dict[str, Callable[[], Any]] = {
    "explain": lambda: inspect.explain(SCOPE, "j"),
    "position": lambda: forecasting.position(SCOPE, "j"),
    "line": lambda: inspect.line(SCOPE, "a"),
    "survey": lambda: inspect.survey(SCOPE),
    "holders": lambda: looking.holders(SCOPE, "a/*"),
    "changes": lambda: watching.page(SCOPE, "1-1"),
    "waiters": lambda: looking.waiters(SCOPE, [Need("a"), Need("b")]),
    "held_by": lambda: looking.held_by(SCOPE, "ann"),
    "events": lambda: history.events(SCOPE),
    "dead": lambda: history.dead(SCOPE),
    "standing": lambda: work.standing(SCOPE, "j"),
    "result": lambda: work.result(SCOPE, "j", 0.0),
    "cancel": lambda: requests.cancel(SCOPE, "j"),
    "reprioritise": lambda: requests.reprioritise(SCOPE, "j", Priority.HIGH),
    "replay": lambda: requests.replay(SCOPE, "j", "c"),
    "force": lambda: operator.force(SCOPE, "j", DEED),
    "transfer": lambda: operator.transfer(SCOPE, "j", "k", DEED),
    "hand_over": lambda: operator.hand_over(SCOPE, "j", 1, "k", DEED),
    "heirs": lambda: heirs.transfer(SCOPE, "j", "", "ann", DEED),
    "reorder": lambda: operator.reorder(SCOPE, "j", "before", "k", DEED),
    "audit": lambda: operator.audit(SCOPE),
    "freeze": lambda: freezing.freeze(SCOPE, "a/**", 1.0, DEED),
    "freeze_until": lambda: freezing.freeze_until(SCOPE, "a/**", freezing.EPOCH, DEED),
    "thaw": lambda: freezing.thaw(SCOPE, "a/**", DEED),
    "freezes": lambda: freezing.freezes(SCOPE),
    "let_pass": lambda: freezing.let_pass(SCOPE, "j", DEED),
    "count_down": lambda: gathering.count_down(SCOPE, LATCH, "c"),
    "meet": lambda: gathering.meet(SCOPE, LATCH, "c", 0.0),
    "define": lambda: requests.define(SCOPE, "a", DEED, {"capacity": 2}),
    "acquire": lambda: locks.acquire(SCOPE, ASK, 0.0),
    "release": lambda: locks.release(SCOPE, "j", 1),
    "extend": lambda: locks.extend(SCOPE, "j", 1, 1000),
    "claim": lambda: fleet.exchange(SCOPE, CLAIM, []),
    "settle": lambda: fleet.exchange(SCOPE, CLAIM, [REPORT]),
    "progress": lambda: fleet.note_progress(SCOPE, "j", 1, "half"),
    "wish": lambda: fleet.wish(SCOPE, "j", 1),
}


# To make up an answer takes much longer than to read it, so each is read by every operation.
@settings(fuzz, max_examples=3000 if os.environ.get("COORDINATOR_TEST_LONG") else 150)
@given(given_=st.lists(shaped, min_size=1, max_size=4))
def test_replies(given_: list[Any]) -> None:
    for name, begin in OPERATIONS.items():
        try:
            ours(_carried_out, begin(), given_)
        except Exception as error:
            error.add_note(f"in {name}")
            raise


def _carried_out(operation: Any, given_: list[Any]) -> Any:
    """As a driver does it, with replies of anybody's making. One that goes on for longer is told that the store is
    away, until it ends."""
    reply: Any = None
    failure: Exception | None = None
    first, left = True, list(given_)
    for _ in range(100):
        try:
            step = replies.advance(operation, reply, failure, first)
        except StopIteration as done:
            return done.value
        reply = failure = None
        first = False
        if not left:
            failure = StoreUnavailable("away")
        elif isinstance(step, Call):
            reply = left.pop()
        elif isinstance(step, Stream):
            reply = [left.pop() if left else None for _ in step.calls]
        else:
            reply = {"Now": 1.0, "Session": "s", "Expect": "1"}.get(type(step).__name__, ("resync",))
    raise AssertionError("it does not end")
