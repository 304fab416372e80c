"""More of what is measured at depth: texts that are nearly the same, and what processes tell of themselves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from chaos.deep import HOLD_MS, Deep, Phase
from coordinator.drivers.ids import new_id
from coordinator.metrics import judging
from coordinator.metrics.publisher import Options
from coordinator.ops import pulse
from coordinator.ops.similar import MOST_COMPARED
from coordinator.policy import minhash
from coordinator.policy.similarity import shingles
from coordinator.wire import calls

KEPT = Options()
# So many measures of a sample have a value, and so many alerts change at once.
MEASURES, RULES = 60, 10


def phases(deep: Deep) -> Iterator[Phase]:
    """As `deep.phases`."""
    yield from _texts(deep)
    yield from _measures(deep)


def _texts(deep: Deep) -> Iterator[Phase]:
    """All share their buckets, so that these are full."""
    scope, call = deep.scope, deep.call
    text = "the words of a job " * 20
    buckets = minhash.buckets("job", shingles(text))

    def entered() -> None:
        call(calls.index_text(scope, deep.one_job("later"), HOLD_MS, text, buckets))

    yield "a text", "index_text", entered
    yield "full buckets", "similar", lambda: call(calls.similar(scope, MOST_COMPARED, buckets))


def _measures(deep: Deep) -> Iterator[Phase]:
    scope, call = deep.scope, deep.call
    process, number = new_id(), itertools.count(1)
    # At every call the server says what it knows itself, and the caller is to look at the alerts.
    limits = (0, KEPT.max_length, KEPT.max_bytes, 1)
    words = ["process", process, "kind", "chaos", "ms", "1000"]
    words += [word for n in range(MEASURES) for word in (f"queue.processed:{n}", "1")]
    marks = [""]

    def published() -> None:
        """Until it is ours to judge, which is so once a millisecond."""
        judge = b"0"
        while int(judge) == 0:
            marks[0] = f"{process} {next(number)}"
            _, _, judge = call(calls.publish(scope, marks[0], limits, [*words, "number", marks[0].split()[1]]))

    def judged() -> None:
        published()
        now = marks[0].replace(" ", "-")
        rules = [(f"{now}-{n}", "", "raised", "raised", "warning", "1") for n in range(RULES)]
        call(calls.judge(scope, marks[0], rules))
        call(calls.judge(scope, marks[0], [(one[0], "raised", "", "resolved", "calm", "0") for one in rules]))

    def seen() -> None:
        published()
        call(calls.judge(scope, marks[0], [(marks[0], "", "raised", "", "", "")]))
        call(calls.acknowledge(scope, marks[0], "raised", "acknowledged", "chaos"))
        call(calls.judge(scope, marks[0], [(marks[0], "acknowledged", "", "", "", "")]))

    yield "a sample, and what the server knows", "publish", published
    yield f"{RULES} alerts", "judge", judged
    yield "an alert", "acknowledge", seen
    window = round(judging.WINDOW * 1000)
    yield "a page", "samples", lambda: call(calls.samples(scope, window, pulse.PAGE))
