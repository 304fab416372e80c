"""What a history says about a server that forgot: which acknowledgements were too young to count, and which callers
were told something that is no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from chaos.checker.facts import Problem
from chaos.history import SERVER, Op
from coordinator import errors

TYPED = frozenset(name for name, found in vars(errors).items() if isinstance(found, type))


FORGIVEN = frozenset({"submit", "told", "release"})


def forgiven(ops: Iterable[Op], losses: Sequence[int], allowance_ns: int) -> list[Op]:
    """The history as the tier promises it: what was acknowledged less than the allowance before a loss is unknown.

    Not so a grant: its fence was given out, and must not be given out again.
    """

    def young(one: Op) -> bool:
        done = one.completed
        return one.op in FORGIVEN and done is not None and any(done <= at < done + allowance_ns for at in losses)

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


def lost_ages(ops: Sequence[Op], losses: Sequence[int]) -> list[float]:
    """For each acknowledged job that the server does not know: how old the acknowledgement was at the loss, in
    seconds."""
    known = {one.arg("job") for one in ops if one.process == SERVER and one.op == "job"}
    found = []
    for one in ops:
        if one.op != "submit" or one.outcome != "ok" or one.completed is None or one.arg("job") in known:
            continue
        after = [at - one.completed for at in losses if at >= one.completed]
        found.append(min(after, default=0) / 1e9)
    return found
