"""What a history says about a server that forgot: which acknowledgements were too young to count, and which callers
were told something that is no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from chaos.checker.facts import Problem
from chaos.history import SERVER, Op
from coordinator import errors

TYPED = frozenset(name for name, found in vars(errors).items() if isinstance(found, type))


FORGIVEN = frozenset({"submit", "told", "release"})


@dataclass(frozen=True, slots=True)
class Loss:
    """The server was lost at `at`. What it had answered is read until `over`, when there was another, or later."""

    at: int
    over: int


def forgiven(ops: Iterable[Op], losses: Sequence[Loss], allowance_ns: int) -> list[Op]:
    """The history as the tier promises it: what was acknowledged less than the allowance before a loss is unknown.

    Not so a grant: its fence was given out, and must not be given out again.
    """

    def young(one: Op) -> bool:
        done = one.completed
        if done is None or one.op not in FORGIVEN:
            return False
        return any(loss.at - allowance_ns < done <= loss.over for loss in losses)

    return [replace(one, outcome="unknown") if one.process != SERVER and young(one) else one for one in ops]


def check_fences(ops: Iterable[Op]) -> list[Problem]:
    """No fence is ever given out twice, whatever the server forgot."""
    given: Counter[tuple[str, int]] = Counter()
    for one in ops:
        if one.op == "acquire" and one.outcome == "ok":
            given[one.arg("resource"), one.fence] += 1
        elif one.op == "start":
            given[one.arg("job"), one.fence] += 1
    return [
        Problem("fence", f"{what}: fence {fence} was given out {count} times")
        for (what, fence), count in given.items()
        if count > 1
    ]


def check_errors(ops: Iterable[Op]) -> Iterator[Problem]:
    """Callers are told one of our errors, or nothing has gone wrong."""
    for one in ops:
        error = one.arg("error")
        if error and error not in TYPED:
            yield Problem("told", f"{one.process} was told {error} by {one.op}, which is no error of ours")


def longest_trouble(ops: Iterable[Op]) -> float:
    """The longest time, in seconds, for which a process was told nothing but errors: from the call that met the first
    of them to the next answer, or to the last error if there was none."""
    since: dict[str, int] = {}
    longest = 0
    for one in sorted((one for one in ops if one.completed is not None), key=lambda one: one.completed or 0):
        done = one.completed or 0
        if one.arg("error"):
            began = since.setdefault(one.process, one.invoked)
            longest = max(longest, done - began)
        elif one.outcome == "ok" and one.process in since:
            longest = max(longest, done - since.pop(one.process))
    return longest / 1e9


def lost_ages(ops: Sequence[Op], losses: Sequence[Loss]) -> list[float]:
    """For each acknowledged job that the server does not know: how old the acknowledgement was at the loss, in
    seconds."""
    known = {one.arg("job") for one in ops if one.process == SERVER and one.op == "job"}
    found = []
    for one in ops:
        if one.op != "submit" or one.outcome != "ok" or one.completed is None or one.arg("job") in known:
            continue
        after = [loss.at - one.completed for loss in losses if one.completed <= loss.over]
        found.append(max(0, min(after, default=0)) / 1e9)
    return found
