"""Signatures: what was signed for one thing is good for nothing else, and unsigned data is as it always was."""

import json
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import BadSignature, ConfigError, PayloadTooLarge
from coordinator.model.signing import MARK, UNSIGNED, JobMark, Signer, Tie
from coordinator.ops.submission import Dedup, Submission, to_ask
from coordinator.settings import Settings

OLD, NEW = b"o" * 32, b"n" * 32
SIGNER = Signer("ns", {"old": OLD, "new": NEW}, "new")
JOB = JobMark("id-1", "mail.send", "default", "key-1")
SECRET = "s" * 32

words = st.text(max_size=8)
marks = st.builds(JobMark, words, words, words, words)


@given(marks, st.binary(max_size=200), st.sampled_from(["id", "dedup"]))
def test_what_was_signed_comes_back(mark: JobMark, packed: bytes, tie: Tie) -> None:
    assert SIGNER.open_payload(mark, SIGNER.seal_payload(mark, packed, tie)) == packed


@given(words, st.binary(max_size=200))
def test_a_result_that_was_signed_comes_back(ident: str, packed: bytes) -> None:
    assert SIGNER.open_result(ident, SIGNER.seal_result(ident, packed)) == packed


@given(st.binary(min_size=1, max_size=40), st.integers(min_value=0), st.integers(1, 255))
def test_a_byte_that_was_changed_anywhere_is_noticed(packed: bytes, where: int, change: int) -> None:
    sealed = bytearray(SIGNER.seal_payload(JOB, packed, "id"))
    sealed[where % len(sealed)] ^= change
    with pytest.raises(BadSignature):
        SIGNER.open_payload(JOB, bytes(sealed))


@given(st.integers(min_value=0, max_value=80))
def test_what_was_cut_short_is_noticed(length: int) -> None:
    sealed = SIGNER.seal_payload(JOB, b"x" * 30, "id")
    with pytest.raises(BadSignature):
        SIGNER.open_payload(JOB, sealed[:length] if length < len(sealed) else sealed + b"x")


@given(st.binary(max_size=120))
def test_no_bytes_make_it_fail_otherwise(stored: bytes) -> None:
    for given_ in (stored, MARK + stored, MARK[:1] + stored):
        with pytest.raises(BadSignature):
            SIGNER.open_payload(JOB, given_)
        with pytest.raises(BadSignature):
            SIGNER.open_result("id-1", given_)


@given(marks, marks, st.binary(max_size=20))
def test_a_payload_of_one_job_is_none_of_another(one: JobMark, other: JobMark, packed: bytes) -> None:
    same = (one.ident, one.name, one.queue) == (other.ident, other.name, other.queue)
    sealed = SIGNER.seal_payload(one, packed, "id")
    if same:
        assert SIGNER.open_payload(other, sealed) == packed
    else:
        with pytest.raises(BadSignature, match="wrong signature"):
            SIGNER.open_payload(other, sealed)


@pytest.mark.parametrize("change", [{"name": "mail"}, {"queue": "bulk"}, {"ident": "id-2"}])
def test_name_queue_and_id_are_signed(change: dict[str, str]) -> None:
    with pytest.raises(BadSignature, match="wrong signature"):
        SIGNER.open_payload(replace(JOB, **change), SIGNER.seal_payload(JOB, b"x", "id"))


@pytest.mark.parametrize("change", [{"name": "mail"}, {"queue": "bulk"}, {"dedup": "key-2"}, {"dedup": ""}])
def test_a_payload_tied_to_a_dedup_key_fits_every_job_of_that_key_only(change: dict[str, str]) -> None:
    sealed = SIGNER.seal_payload(JOB, b"x", "dedup")
    assert SIGNER.open_payload(replace(JOB, ident="id-2"), sealed) == b"x"
    with pytest.raises(BadSignature, match="wrong signature"):
        SIGNER.open_payload(replace(JOB, **change), sealed)


def test_a_payload_is_no_result_and_a_namespace_no_other() -> None:
    payload, result = SIGNER.seal_payload(JOB, b"x", "id"), SIGNER.seal_result("id-1", b"x")
    with pytest.raises(BadSignature):
        SIGNER.open_result("id-1", payload)
    with pytest.raises(BadSignature):
        SIGNER.open_payload(JOB, result)
    with pytest.raises(BadSignature):
        replace(SIGNER, namespace="other").open_payload(JOB, payload)
    with pytest.raises(BadSignature):
        SIGNER.open_result("id-2", result)


def test_words_do_not_run_into_each_other() -> None:
    sealed = SIGNER.seal_payload(JobMark("a", "bc", "d"), b"x", "id")
    with pytest.raises(BadSignature):
        SIGNER.open_payload(JobMark("ab", "c", "d"), sealed)


def test_keys_are_changed_one_at_a_time() -> None:
    before = Signer("ns", {"old": OLD}, "old").seal_payload(JOB, b"x", "id")
    assert SIGNER.open_payload(JOB, before) == b"x"
    with pytest.raises(BadSignature, match="signed with key 'old', and the keys here are: new"):
        Signer("ns", {"new": NEW}, "new").open_payload(JOB, before)
    with pytest.raises(BadSignature, match="wrong signature"):
        Signer("ns", {"old": NEW}, "old").open_payload(JOB, before)


def test_without_keys_data_is_as_it_always_was_and_signed_data_is_refused() -> None:
    assert UNSIGNED.seal_payload(JOB, b"x", "id") == b"x"
    assert UNSIGNED.seal_result("id-1", b"") == b""
    assert UNSIGNED.open_payload(JOB, b"x") == b"x"
    with pytest.raises(BadSignature, match="the keys here are: none"):
        UNSIGNED.open_payload(JOB, SIGNER.seal_payload(JOB, b"x", "id"))


def test_while_keys_are_rolled_out_unsigned_data_may_be_let_through_but_no_forged() -> None:
    lenient = replace(SIGNER, strict=False)
    assert lenient.open_payload(JOB, b"x") == b"x"
    with pytest.raises(BadSignature):
        lenient.open_payload(JOB, SIGNER.seal_payload(JOB, b"x", "id") + b"y")


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(), st.lists))
def test_no_msgpack_value_begins_like_an_envelope(value: Any) -> None:
    assert not msgpack.packb(value).startswith(MARK[:1])


def test_secrets_do_not_show() -> None:
    assert "o" * 32 not in repr(SIGNER)
    assert "n" * 32 not in f"{SIGNER}"


@pytest.mark.parametrize(
    ("dedup", "tie"),
    [
        (None, "id"),
        (Dedup("k", "join"), "id"),
        (Dedup("k", "reject"), "id"),
        (Dedup("k", "replace"), "dedup"),
        (Dedup("k", "rerun"), "dedup"),
    ],
)
def test_only_what_may_replace_another_payload_is_tied_to_the_dedup_key(dedup: Dedup | None, tie: Tie) -> None:
    found = to_ask("id-1", Submission("mail.send", 1, dedup=dedup), 1000, SIGNER).payload
    mark = JobMark("id-1", "mail.send", "default", "" if dedup is None else "k")
    assert found == SIGNER.seal_payload(mark, b"\x01", tie)


def test_a_signature_counts_towards_the_size_of_a_payload() -> None:
    assert len(to_ask("j", Submission("a", "x" * 98), 100).payload) == 100
    with pytest.raises(PayloadTooLarge):
        to_ask("j", Submission("a", "x" * 98), 100, SIGNER)


# --- settings


def test_keys_come_from_the_settings(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.of(namespace="ns").signer() == Signer("ns")
    assert Settings.of(namespace="ns", signing_keys={"a": SECRET}).signer() == Signer("ns", {"a": SECRET.encode()}, "a")
    monkeypatch.setenv("COORDINATOR_SIGNING_KEYS", json.dumps({"a": SECRET}))
    assert Settings.of().signer().keys == {"a": SECRET.encode()}
    monkeypatch.delenv("COORDINATOR_SIGNING_KEYS")
    file = tmp_path / "keys.toml"
    file.write_text(f'2026 = "{SECRET}"\n')
    found = Settings.of(signing_keys_file=file, signing_keys={"b": SECRET}, sign_with="2026", require_signatures=False)
    assert (set(found.signer().keys), found.signer().sign_with, found.signer().strict) == ({"2026", "b"}, "2026", False)


@pytest.mark.parametrize(
    ("given_", "problem"),
    [
        ({"signing_keys": {"a": "canary"}}, "at least 32 characters"),
        ({"signing_keys": {"a b": SECRET}}, "letters, digits"),
        ({"signing_keys": {"a": SECRET, "b": SECRET}}, r"sign_with: must be the id of one of the keys \(a, b\)"),
        ({"signing_keys": {"a": SECRET}, "sign_with": "b"}, "sign_with"),
        ({"sign_with": "b"}, "there are no signing_keys"),
        ({"signing_keys_file": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"signing_keys": "canary"}, "signing_keys"),
        ({"signing_keys": {"a": ["canary"]}}, "signing_keys"),
    ],
)
def test_keys_that_cannot_be_used_are_named_and_not_shown(given_: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        Settings.of(**given_).signer()
    assert "canary" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_keys_in_the_environment_that_are_no_json_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDINATOR_SIGNING_KEYS", "a=canary")
    with pytest.raises(ConfigError, match="must be JSON") as caught:
        Settings.of()
    assert "canary" not in str(caught.value)


def test_a_file_of_keys_may_hold_nothing_else(tmp_path: Any) -> None:
    file = tmp_path / "keys.toml"
    file.write_text("[keys]\na = 1\n")
    with pytest.raises(ConfigError, match="must be text"):
        Settings.of(signing_keys_file=file).signer()
