"""Nearly the same text twice, through both clients."""

from collections.abc import Callable
from typing import Any

import pytest

from coordinator import Dedup, Settings, Similar, State, Submission
from coordinator.errors import BatchRefused, Overloaded, PayloadTooLarge, TooSimilar
from tests.support.scene import Scene

FIRST = "The login page shows an error after the password was changed"
SECOND = "Login page: shows error, after the password was CHANGED twice!"
OTHER = "Release notes for the billing service need a new paragraph"


def title(text: str) -> dict[str, str]:
    return {"title": text}


def test_a_hit_is_a_fact_on_the_ticket(co: Any, other: Any) -> None:
    first = co.submit("triage", title(FIRST), similar=Similar())
    assert first.similar is None
    unlike = other.submit("triage", title(OTHER), similar=Similar())
    assert unlike.similar is None
    second = other.submit("triage", title(SECOND), similar=Similar())
    assert second.ident != first.ident
    assert not second.duplicate
    assert second.similar.ident == first.ident
    assert 0.7 <= second.similar.similarity < 1
    said = co.explain(second.ident).fields["similar"]
    assert said == f"{first.ident} {second.similar.similarity:.3f}"
    same = co.submit("triage", title(FIRST), similar=Similar())
    assert (same.similar.ident, same.similar.similarity) == (first.ident, 1.0)


def test_whoever_does_not_ask_is_neither_compared_nor_found(co: Any, raw: Any, namespace: str) -> None:
    co.submit("triage", title(FIRST))
    assert list(raw.scan_iter(f"co:{{{namespace}}}:gist:*")) == []
    assert co.submit("triage", title(FIRST), similar=Similar()).similar is None
    assert co.submit("triage", title(FIRST)).similar is None


def test_a_hit_can_be_refused_or_joined(co: Any, scene: Scene) -> None:
    first = co.submit("triage", title(FIRST), similar=Similar())
    with pytest.raises(TooSimilar) as caught:
        co.submit("triage", title(SECOND), similar=Similar(on_similar="reject"))
    assert (caught.value.existing, caught.value.state) == (first.ident, "ready")
    assert caught.value.similarity >= 0.7
    joined = co.submit("triage", title(SECOND), similar=Similar(on_similar="join"))
    assert (joined.ident, joined.duplicate) == (first.ident, True)
    assert joined.similar.ident == first.ident
    assert co.survey().queues[0].ready == 1
    [(ident, fence)] = scene.claim()
    assert scene.settle(ident, fence) == "ok"
    assert joined.result(10) == 1


def test_what_asks_for_more_than_to_be_done_does_not_join(co: Any) -> None:
    first = co.submit("triage", title(FIRST), similar=Similar())
    join = Similar(on_similar="join")
    for asked in ({"resources": ["r/1"]}, {"dedup": Dedup("k")}):
        made = co.submit("triage", title(SECOND), similar=join, **asked)
        assert made.ident != first.ident
        assert not made.duplicate
        assert made.similar is not None
    assert co.submit("triage", title(SECOND), dedup=Dedup("k", on_conflict="join")).ident == made.ident


def test_the_settings_say_it_for_all_jobs_of_a_handler_and_can_be_changed(connect: Callable[..., Any]) -> None:
    rules = Settings.of(similar={"triage": {"text": ["title"], "on_similar": "join"}}).similar
    co = connect(similar=rules)
    first = co.submit("triage", {**title(FIRST), "body": OTHER})
    joined = co.submit("triage", {**title(SECOND), "body": FIRST})
    assert (joined.ident, joined.similar.ident) == (first.ident, first.ident)
    assert co.submit("other", title(SECOND)).similar is None
    assert co.submit("triage", title(SECOND), similar=False).ident != first.ident
    co.configure({"similar": {"triage": {"on_similar": "reject", "thresholds": {"low": 0.95}}}})
    two = [Submission("triage", title(FIRST)), Submission("triage", title(SECOND), priority="low")]
    with pytest.raises(BatchRefused) as caught:
        co.submit_many(two)
    assert [type(one) for one in caught.value.errors.values()] == [TooSimilar]
    assert caught.value.tickets[1] is not None


def test_many_that_are_refused_do_not_hide_the_one_that_is_there(co: Any) -> None:
    first = co.submit("triage", title(FIRST), similar=Similar())
    for number in range(30):
        with pytest.raises(TooSimilar) as caught:
            co.submit("triage", title(f"{SECOND} {number}"), similar=Similar(on_similar="reject"))
        assert caught.value.existing == first.ident


@pytest.mark.parametrize("how", ["reject", "join"])
def test_what_ended_without_success_stands_in_nobody_s_way(co: Any, how: Any) -> None:
    first = co.submit("triage", title(FIRST), similar=Similar())
    first.cancel()
    second = co.submit("triage", title(SECOND), similar=Similar(on_similar=how))
    assert second.state() == State.READY
    assert second.similar.ident == first.ident


@pytest.mark.parametrize(
    ("priority", "hit"), [("low", True), ("normal", True), ("critical", False), ("emergency", False)]
)
def test_the_more_urgent_the_surer_it_must_be(co: Any, priority: str, hit: bool) -> None:
    co.submit("triage", title(FIRST), similar=Similar(), priority="emergency")
    found = co.submit("triage", title(SECOND), similar=Similar(), priority=priority).similar
    assert (found is not None) == hit


def test_groups_and_texts_of_one_s_own(co: Any) -> None:
    co.submit("triage", 1, similar=Similar(FIRST))
    assert co.submit("other", 2, similar=Similar(FIRST)).similar is None
    assert co.submit("other", 3, similar=Similar(FIRST, group="triage")).similar is not None
    assert co.submit("triage", 4, similar=Similar(OTHER)).similar is None


def test_a_batch_is_compared_with_what_was_there_before(connect: Callable[..., Any]) -> None:
    co = connect(max_queue=6)
    first = co.submit("triage", title(FIRST), similar=Similar())
    tickets = co.submit_many(
        [
            Submission("triage", title(FIRST), similar=Similar()),
            Submission("triage", title(SECOND), similar=Similar()),
            Submission("triage", title(SECOND), similar=Similar(threshold=0.7)),
            Submission("triage", title(FIRST), similar=Similar(on_similar="join")),
            Submission("triage", title(FIRST)),
        ]
    )
    assert [one.similar and one.similar.ident for one in tickets] == [first.ident, None, first.ident, first.ident, None]
    assert [one.duplicate for one in tickets] == [False, False, False, True, False]
    with pytest.raises(BatchRefused) as caught:
        co.submit_many(
            [
                Submission("triage", title(FIRST), similar=Similar(on_similar="reject")),
                Submission("triage", title(OTHER), similar=Similar()),
                Submission("triage", title(OTHER), similar=Similar()),
            ]
        )
    assert {at: type(one) for at, one in caught.value.errors.items()} == {0: TooSimilar, 2: Overloaded}
    assert [one is not None for one in caught.value.tickets] == [False, True, False]


def test_a_refused_job_is_not_found_later(co: Any) -> None:
    with pytest.raises(PayloadTooLarge):
        co.submit("triage", "x" * 2_000_000, similar=Similar(FIRST))
    assert co.submit("triage", title(FIRST), similar=Similar()).similar is None


def commands(raw: Any) -> int:
    return sum(one["calls"] for one in raw.info("commandstats").values())


def test_a_look_is_the_same_work_however_many_texts_there_are(co: Any, raw: Any, redis_url: str) -> None:
    """Texts with nothing in common but the form, as those of one handler are."""

    def text(number: int) -> str:
        return f"ticket {number * 7919 % 100_003} of customer {number * 104_729 % 99_991} on host {number:x}"

    used = []
    for most in (100, 1000):
        co.submit_many([Submission("triage", n, similar=Similar(text(n))) for n in range(most // 2, most)])
        before = commands(raw)
        for number in range(20):
            co.submit("triage", number, similar=Similar(text(10**6 + number), on_similar="report"))
        used.append((commands(raw) - before) / 20)
    assert max(used) <= 90
    assert used[1] <= used[0] + 20
