"""When the scenarios are played: before all other tests, and in two of the test processes."""

from __future__ import annotations

from itertools import islice

import pytest

# They take longest, so none may be left for the end, when the other processes have nothing to do. They have bounds of
# time, so no more of them are played at once than a small machine has processors.
ABREAST = 2


@pytest.hookimpl(trylast=True)  # after they were shuffled
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    processes: int = getattr(config, "workerinput", {}).get("workercount", 1)
    scenarios = [one for one in items if one.get_closest_marker("scenario")]
    others = iter([one for one in items if not one.get_closest_marker("scenario")])
    if processes <= ABREAST:
        items[:] = [*scenarios, *others]
        return
    # Each process begins with a part of the list, all of one length (xdist's `worksteal`).
    ordered: list[pytest.Item] = []
    for at, length in enumerate(lengths(len(items), processes)):
        mine = scenarios[at::ABREAST] if at < ABREAST else []
        ordered += mine + list(islice(others, max(0, length - len(mine))))
    items[:] = [*ordered, *others]


def lengths(total: int, parts: int) -> list[int]:
    """How long each part of a list is."""
    found: list[int] = []
    for left in range(parts, 0, -1):
        found.append((total - sum(found)) // left)
    return found
