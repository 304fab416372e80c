"""Publishing what a process has measured, reading what all have, and keeping the alerts. What a sample says is known
on the floor above; here it is fields and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coordinator.errors import InvalidInput
from coordinator.model.names import milliseconds, text, whole
from coordinator.wire import calls, replies
from coordinator.wire.calls import Scope
from coordinator.wire.replies import number
from coordinator.wire.step import Operation

MOST_SAMPLES = 2000
# So many in one call: 300 took the server 3 ms, and 15 now and then.
PAGE = 50


@dataclass(frozen=True, slots=True)
class Terms:
    """How the stream is kept: ms between two samples of a process, its length and bytes at most, and ms between two
    looks at the alerts (0: never)."""

    interval_ms: int
    max_length: int
    max_bytes: int
    judge_ms: int


@dataclass(frozen=True, slots=True)
class Published:
    """What came of publishing: when (epoch seconds by the server's clock), and whether the alerts are ours to judge."""

    at: float
    judge: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Samples as they lie in the stream, the newest first, each with its id; and how alerts stand, by rule."""

    at: float
    samples: tuple[tuple[str, Mapping[str, str]], ...]
    alerts: Mapping[str, str]


def publish(scope: Scope, mark: str, terms: Terms, fields: Sequence[str], moved: str = "") -> Operation[Published]:
    """Publish a sample. `mark` is the process and the number of the sample, by which readers know it; `moved` says how
    far its batch size has moved (`policy.batch.moved`)."""
    limits = (terms.interval_ms, terms.max_length, terms.max_bytes, terms.judge_ms)
    raw = yield calls.publish(scope, mark, limits, fields, moved)
    replies.expect(raw, "ok")
    return Published(number(replies.part(raw, 1)) / 1000, number(replies.part(raw, 2)) == 1)


def samples(scope: Scope, seconds: float, most: int = MOST_SAMPLES) -> Operation[Found]:
    """The samples of the last so many seconds, page by page, and the alerts. Raises InvalidInput."""
    window, left = milliseconds(seconds, "seconds"), whole(most, "most", 1, MOST_SAMPLES)
    found: list[tuple[str, Mapping[str, str]]] = []
    while True:
        wanted = min(PAGE, left - len(found))
        raw = yield calls.samples(scope, window, wanted, found[-1][0] if found else "")
        replies.expect(raw, "ok")
        page = [(replies.text(one[0]), replies.fields(one[1])) for one in raw[2]]
        found += page
        if len(page) < wanted or len(found) >= left:
            return Found(number(raw[1]) / 1000, tuple(found), replies.fields(raw[3]))


def judge(scope: Scope, mark: str, verdicts: Sequence[tuple[str, str, str, str, str, str]]) -> Operation[bool]:
    """Write how alerts stand. False: somebody else judges by now."""
    raw = yield calls.judge(scope, mark, verdicts)
    return replies.expect(raw, "ok", "stale") == "ok"


def acknowledge(scope: Scope, rule: str, was: str, now: str, by: str) -> Operation[bool]:
    """Note that an alert has been seen. False: it stands otherwise by now. Raises InvalidInput."""
    if not rule:
        raise InvalidInput("rule", rule, "must be the name of a rule")
    raw = yield calls.acknowledge(scope, rule, was, now, text(by, "by"))
    return replies.expect(raw, "ok", "changed") == "ok"
