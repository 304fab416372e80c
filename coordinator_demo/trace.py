"""The trace: who asks for which directories, when, how urgently and for how long.

A file of that shape is a CSV with at least the columns of `COLUMNS`, one row for each directory a pull request touches;
the rows of one pull stand together and form one ask. What cannot be replayed faithfully is refused with the line and
the column, before any process is started.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coordinator import CoordinatorError, Need, Priority
from coordinator.model.need import MAX_NEEDS

COLUMNS = ("arrival_s", "pull", "repo", "project", "workspace", "priority", "hold_s")
DEFAULT_TRACE = Path(__file__).parent / "data" / "terraform-pulls-small.csv"
MAX_DIGITS = 15
_SAME_WITHIN_A_PULL = ("arrival_s", "priority", "hold_s")


class TraceError(Exception):
    """A file that is no trace. The message names the line and the column."""

    def __init__(self, path: Path, line: int, column: str, problem: str) -> None:
        place = f"{path}:{line}" + (f": column {column}" if column else "")
        super().__init__(f"{place}: {problem}")
        self.line, self.column = line, column


@dataclass(frozen=True, slots=True)
class Pull:
    """One pull request: what it needs all at once, and in seconds of the trace when and for how long."""

    key: str
    number: int
    arrival: float
    hold: float
    priority: Priority
    resources: tuple[str, ...]

    @property
    def is_job(self) -> bool:
        """Odd pulls are run by the workers; even ones are locks that an application instance holds itself."""
        return self.number % 2 == 1


@dataclass(frozen=True, slots=True)
class Trace:
    """All pulls in order of arrival."""

    pulls: tuple[Pull, ...]

    @property
    def span(self) -> float:
        """Seconds from the first arrival to the end of the last hold, if nobody had to wait."""
        return max(one.arrival + one.hold for one in self.pulls)

    def factor(self, seconds: float) -> float:
        """Seconds of replay per second of trace. One factor for arrivals and holds keeps the contention as it was."""
        return seconds / self.span


def load(path: Path) -> Trace:
    """Read a trace. Raises TraceError; OSError when the file cannot be read."""
    pulls: dict[str, _Building] = {}
    current = ""
    for line, row in _rows(path):
        key = f"{row['repo']}#{_number(path, line, row)}"
        if key != current and key in pulls:
            raise TraceError(path, line, "pull", f"{key} began on line {pulls[key].line}; its rows must stand together")
        current = key
        pulls.setdefault(key, _Building(path, line, row)).add(line, row)
    if not pulls:
        raise TraceError(path, 2, "", "no rows: a trace needs at least one pull")
    first = min(float(one.row["arrival_s"]) for one in pulls.values())
    built = [one.pull(key, first) for key, one in pulls.items()]
    return Trace(tuple(sorted(built, key=lambda one: one.arrival)))


def split(resource: str) -> tuple[str, str]:
    """For people: the repository without its owner, and the directory in it, with the workspace if it has a name."""
    _, _, path = resource.partition("/")
    repository, _, directory = path.partition("/")
    return repository, directory.removesuffix("/default")


class _Building:
    """One pull while its rows are read."""

    def __init__(self, path: Path, line: int, row: dict[str, str]) -> None:
        self.path, self.line, self.row = path, line, row
        self.resources: list[str] = []

    def add(self, line: int, row: dict[str, str]) -> None:
        for column in _SAME_WITHIN_A_PULL:
            if row[column] != self.row[column]:
                said = f"{row[column]!r}, but the pull began with {self.row[column]!r} on line {self.line}"
                raise TraceError(self.path, line, column, said)
        resource = self._resource(line, row)
        if resource in self.resources:
            raise TraceError(self.path, line, "project", f"the pull has asked for {resource} already")
        if len(self.resources) == MAX_NEEDS:
            raise TraceError(self.path, line, "project", f"more than {MAX_NEEDS} resources in one pull")
        self.resources.append(resource)

    def _resource(self, line: int, row: dict[str, str]) -> str:
        for column in ("repo", "project", "workspace"):
            if not row[column].strip():
                raise TraceError(self.path, line, column, "must not be empty")
        name = f"{row['repo']}/{row['project']}/{row['workspace']}"
        try:
            return Need(name).resource
        except CoordinatorError as error:
            raise TraceError(self.path, line, "project", f"cannot be the name of a resource: {error}") from None

    def pull(self, key: str, first: float) -> Pull:
        return Pull(
            key=key,
            number=int(self.row["pull"]),
            arrival=_seconds(self.path, self.line, "arrival_s", self.row) - first,
            hold=_seconds(self.path, self.line, "hold_s", self.row),
            priority=_priority(self.path, self.line, self.row),
            resources=tuple(self.resources),
        )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            names = reader.fieldnames or ()
            for column in COLUMNS:
                if column not in names:
                    raise TraceError(path, 1, column, f"is missing; a trace has {', '.join(COLUMNS)}")
            for row in reader:
                yield reader.line_num, _checked(path, reader.line_num, row)
        except UnicodeDecodeError:
            raise TraceError(path, reader.line_num + 1, "", "is not UTF-8 text") from None
        except csv.Error as error:
            raise TraceError(path, reader.line_num, "", f"is not CSV: {error}") from None


def _checked(path: Path, line: int, row: dict[str, str]) -> dict[str, str]:
    for column in COLUMNS:
        if row[column] is None:
            raise TraceError(path, line, column, "is missing: the row is too short")
    # Checked for every row, so that the complaint is about the line that is wrong and not about the pull's first.
    _seconds(path, line, "arrival_s", row)
    _seconds(path, line, "hold_s", row)
    _priority(path, line, row)
    return row


def _number(path: Path, line: int, row: dict[str, str]) -> int:
    if not row["pull"].isascii() or not row["pull"].isdigit() or len(row["pull"]) > MAX_DIGITS:
        raise TraceError(path, line, "pull", f"must be a pull number, not {row['pull']!r}")
    return int(row["pull"])


def _seconds(path: Path, line: int, column: str, row: dict[str, str]) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise TraceError(path, line, column, f"must be a number of seconds, 0 or more, not {row[column]!r}")
    return value


def _priority(path: Path, line: int, row: dict[str, str]) -> Priority:
    try:
        return Priority[row["priority"]]
    except KeyError:
        known = ", ".join(one.name for one in Priority)
        raise TraceError(path, line, "priority", f"must be one of {known}, not {row['priority']!r}") from None
