"""When texts are nearly the same, and how surely that is found."""

import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import ConfigError, InvalidInput
from coordinator.model.names import Priority
from coordinator.ops import similar
from coordinator.ops.likeness import Similar
from coordinator.ops.similar import Likeness
from coordinator.ops.submission import Submission, to_ask
from coordinator.policy import minhash
from coordinator.policy.similarity import (
    BANDING,
    LEAST_RECALL,
    MAX_TEXT,
    MOST_HASHES,
    Banding,
    banding,
    normalise,
    shingles,
    similarity,
    text_of,
    threshold_of,
)
from coordinator.settings import Settings

TEXTS = st.text(max_size=200)
PLAIN = st.recursive(
    st.none() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def pair(chance: random.Random, alike: float, size: int = 200) -> tuple[frozenset[str], frozenset[str]]:
    """Two sets whose similarity is as near to that as their size allows."""
    common = round(2 * size * alike / (1 + alike))
    words = [f"{chance.getrandbits(48):x}" for _ in range(2 * size - common)]
    return frozenset(words[:size]), frozenset(words[size - common :])


def recall(alike: float, pairs: int = 600) -> float:
    chance = random.Random(7)
    found = 0
    for _ in range(pairs):
        one, other = pair(chance, alike)
        assert similarity(one, other) == pytest.approx(alike, abs=0.01)
        found += bool(set(minhash.buckets("g", one)) & set(minhash.buckets("g", other)))
    return found / pairs


@given(TEXTS, TEXTS)
def test_similarity_is_symmetric_and_between_nothing_and_one(one: str, other: str) -> None:
    left, right = shingles(normalise(one)), shingles(normalise(other))
    assert similarity(left, right) == similarity(right, left)
    assert 0 <= similarity(left, right) <= 1
    assert (similarity(left, right) == 1) == (left == right != frozenset())


@given(TEXTS)
def test_a_text_is_like_itself_and_in_the_same_buckets(text: str) -> None:
    own = shingles(normalise(text))
    if own:
        assert similarity(own, shingles(normalise(text))) == 1
        assert minhash.buckets("g", own) == minhash.buckets("g", shingles(normalise(text)))


@given(TEXTS)
def test_normalising_twice_changes_nothing_and_is_bounded(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert len(once) <= MAX_TEXT


@given(PLAIN)
def test_the_text_of_any_payload_can_be_compared(payload: object) -> None:
    shingles(normalise(text_of(payload)))


def test_what_makes_no_difference() -> None:
    assert normalise("  Fix: the LOGIN-bug!\n") == normalise("fix the\tlogin bug") == "fix the login bug"
    assert normalise("\ufb01x \uff22ug") == "fix bug"
    assert text_of({"a": "one", "n": 1, "b": ["two", {"c": "three"}]}) == "one two three"
    assert shingles("") == frozenset()
    assert shingles("abc") == {"abc"}
    assert similarity(shingles(""), shingles("")) == 0


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 40), st.integers(1, 10))
def test_what_is_more_alike_is_found_more_surely(one: float, other: float, bands: int, rows: int) -> None:
    less, more = sorted((one, other))
    made = Banding(bands, rows)
    assert 0 <= made.found(less) <= made.found(more) <= 1


@given(st.floats(0.4, 0.95), st.floats(0.5, 0.99))
def test_the_bands_find_as_surely_as_was_asked(threshold: float, wanted: float) -> None:
    made = banding(threshold, wanted)
    assert made.found(threshold) >= wanted - 1e-9
    assert made.hashes <= MOST_HASHES
    assert Banding(made.bands - 1, made.rows).found(threshold) < wanted or made.bands == 1


def test_too_few_hash_functions_are_said_so() -> None:
    with pytest.raises(ValueError, match="too few"):
        banding(0.1, 0.99, 10)


@pytest.mark.parametrize("alike", [0.3, 0.6, 0.7, 0.9])
def test_recall_is_what_the_formula_says(alike: float) -> None:
    wanted = BANDING.found(alike)
    deviation = (wanted * (1 - wanted) / 600) ** 0.5
    assert recall(alike) == pytest.approx(wanted, abs=4 * deviation + 0.005)
    assert alike < 0.6 or wanted >= LEAST_RECALL


def test_other_groups_have_other_buckets() -> None:
    own = shingles("fix the login bug")
    assert not set(minhash.buckets("one", own)) & set(minhash.buckets("two", own))
    assert len(set(minhash.buckets("one", own))) == BANDING.bands


def test_every_process_and_version_makes_the_same_buckets() -> None:
    """Otherwise texts that others have entered are not found; then `minhash.VERSION` has to be raised."""
    said = "from coordinator.policy import minhash; print(*minhash.buckets('g', ['fix ', 'ix t', 'x th'])[:2])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(minhash.buckets("g", ["fix ", "ix t", "x th"])[:2]) == GOLDEN


GOLDEN = ["88ead4d1e8f7105d", "15aecc03eeb19a80"]


def test_the_thresholds_are_those_of_the_priorities() -> None:
    assert [threshold_of(one, batch=False) for one in Priority] == [0.6, 0.7, 0.8, 0.9, 1.0]
    assert [threshold_of(one, batch=True) for one in Priority] == [0.9, 0.9, 0.9, 0.9, 1.0]


def likeness(made: Submission, batch: bool = False) -> Likeness | None:
    return similar.likeness(made, to_ask("j", made, 10_000), {}, batch)


def like(**options: object) -> Likeness | None:
    return likeness(Submission("job", {"title": "Fix the login bug"}, **options))


def test_what_is_compared_and_from_where_on() -> None:
    assert like() is None
    assert likeness(Submission("job", {"n": 1}, similar=Similar())) is None
    made = likeness(Submission("job", {"title": "Fix the login bug"}, similar=Similar(), priority="high"))
    assert made is not None
    assert (made.text, made.threshold, made.looks) == ("fix the login bug", 0.8, True)
    urgent = likeness(Submission("job", "text", similar=Similar(), priority="emergency"))
    assert urgent is not None
    assert not urgent.looks
    exact = likeness(Submission("job", "text", similar=Similar(threshold=1), priority="emergency"))
    assert exact is not None
    assert exact.looks
    batch = likeness(Submission("job", "text", similar=Similar()), batch=True)
    assert batch is not None
    assert batch.threshold == 0.9


def test_thresholds_can_be_given_by_priority() -> None:
    asked = Similar(threshold={"high": 0.95, Priority.NORMAL: 1, "emergency": 0.9})  # type: ignore[dict-item]
    found = {one: asked.of(one, batch=False) for one in Priority}
    assert found == {
        Priority.LOW: (0.6, True),
        Priority.NORMAL: (1, False),
        Priority.HIGH: (0.95, True),
        Priority.CRITICAL: (0.9, True),
        Priority.EMERGENCY: (0.9, True),
    }
    assert (asked.of(Priority.LOW, batch=True), asked.of(Priority.HIGH, batch=True)) == ((0.9, True), (0.95, True))


def test_the_settings_say_it_for_the_jobs_of_a_handler_that_say_nothing() -> None:
    rules = Settings.of(
        similar={
            "job": {"on_similar": "join", "thresholds": {"high": 0.9}, "text": ["title"], "ttl": 60, "group": "bugs"},
            "exact": {"threshold": 1},
        }
    ).similar

    def by(name: str, payload: object, **options: Any) -> Likeness | None:
        made = Submission(name, payload, **options)
        return similar.likeness(made, to_ask("j", made, 10_000), rules)

    payload = {"title": "Fix the login bug", "body": "It is broken"}
    made = by("job", payload, priority="high")
    assert made is not None
    assert (made.text, made.threshold, made.on_similar, made.ttl_ms) == ("fix the login bug", 0.9, "join", 60_000)
    assert made.buckets == minhash.buckets("bugs", made.shingles)
    own = by("job", payload, similar=Similar())
    assert own is not None
    assert (own.text, own.on_similar) == ("fix the login bug it is broken", "report")
    exact = by("exact", "some text", priority="emergency")
    assert exact is not None
    assert (exact.threshold, exact.looks) == (1, True)
    assert [by("job", payload, similar=False), by("job", {"body": "It"}), by("job", "text"), by("other", payload)] == [
        None
    ] * 4


@pytest.mark.parametrize(
    "bad",
    [
        *({"threshold": 0.5}, {"thresholds": {"high": 1.5}}, {"thresholds": {"higher": 0.9}}, {"on_similar": "drop"}),
        *({"group": "a b"}, {"threshold": 0.7, "thresholds": {"low": 0.7}}),
    ],
)
def test_rules_that_cannot_work_are_complained_of(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"similar\.job"):
        Settings.of(similar={"job": bad})


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minhash, "RMinHash", None)
    with pytest.raises(ConfigError, match=r"coordinator\[similar\]"):
        like(similar=Similar())


@pytest.mark.parametrize(
    "bad",
    [
        *({"threshold": 0.5}, {"threshold": 1.1}, {"threshold": True}, {"threshold": float("nan")}, {"ttl": 0}),
        *({"threshold": {"high": 0.5}}, {"threshold": {"higher": 0.9}}),
        *({"on_similar": "rejects"}, {"text": 1}, {"group": "a b"}),
    ],
)
def test_what_cannot_work_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        Similar(**bad)  # type: ignore[arg-type]
