"""Which variables of the environment are settings, and which of ours are none.

All begin alike, so a variable that is neither is a mistake in writing: it is refused, as the same word in a file is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

PREFIX = "COORDINATOR_"
NESTED = "__"
# What is ours and no setting: what `acl` and `lock` and workers are given or hand on, and switches of faults and tests.
# Also what Kubernetes gives every process when a service is called `coordinator`.
_OTHERS = re.compile(
    r"ACL_SECRET|WORKER_URL|FENCE|LEASE_ID|RESOURCES|FAILPOINTS|PROPERTY_RUN|TEST_\w+"
    r"|SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_\w+)?)?"
)


def variable(path: str) -> str:
    """The variable of a setting: `COORDINATOR_TIMEOUTS__LOCK` of `timeouts.lock`."""
    return PREFIX + path.replace(".", NESTED).upper()


def strangers(names: Iterable[str], plain: Iterable[str], tables: Iterable[str]) -> Iterator[str]:
    """Variables that look like settings and are none, of all `names`. `plain` are settings of one value, `tables` those
    with names below them."""
    tables = tuple(tables)
    whole, begun = {variable(one) for one in (*plain, *tables)}, tuple(variable(one) + NESTED for one in tables)
    for name in sorted({one.upper() for one in names}):
        ours = name.startswith(PREFIX) and not _OTHERS.fullmatch(name.removeprefix(PREFIX))
        if ours and name not in whole and not name.startswith(begun):
            yield name


def refusal(name: str, paths: Iterable[str]) -> str:
    """The complaint about a stranger, with a hint at which of the settings may have been meant."""
    words = [variable(one).removeprefix(PREFIX) for one in paths]
    near = get_close_matches(name.removeprefix(PREFIX), words, 1)
    return f"{name}: no such setting{f'; did you mean {PREFIX}{near[0]}?' if near else ''}"
