"""What a history says about a server that forgot: which acknowledgements were too young to count, and which callers
were told something that is no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf

from chaos.checker.facts import Problem
from chaos.history import SERVER, Op
from coordinator import errors

TYPED = frozenset(name for name, found in vars(errors).items() if isinstance(found, type))
FORGIVEN = ("submit", "told", "release")


@dataclass(frozen=True, slots=True)
class Loss:
    """The server was lost at `at`. What it had answered is read until `over`, when there was another, or later.

    `kept`: the jobs that the other one knew when it began; None if nobody looked.
    """

    at: int
    over: int
    kept: frozenset[str] | None = None

    def took(self, one: Op) -> bool:
        """Whether what was acknowledged before may have gone with it, as far as anybody looked. Ends and releases may
        have gone though their job was there."""
        if (one.completed or 0) > self.over:
            return False
        return one.op != "submit" or self.kept is None or one.arg("job") not in self.kept

    def age(self, one: Op) -> int:
        """How old an acknowledgement was, in nanoseconds."""
        return max(0, self.at - (one.completed or 0))


def forgiven(ops: Iterable[Op], losses: Sequence[Loss], allowance_ns: int) -> list[Op]:
    """The history as the tier promises it: what was acknowledged less than the allowance before a loss is unknown. A
    job that was there after the loss is not forgiven, however young it was.

    Not so a grant: its fence was given out, and must not be given out again.
    """

    def excused(one: Op) -> bool:
        return any(loss.took(one) for loss in _excuses(one, losses, allowance_ns))

    return [replace(one, outcome="unknown") if _acknowledged(one) and excused(one) else one for one in ops]


def judged_share(ops: Iterable[Op], losses: Sequence[Loss], allowance_ns: int) -> float:
    """Of each kind of acknowledgement the share for which no loss can be an excuse, because none came soon after; the
    least of these shares."""
    whole, judged = Counter(dict.fromkeys(FORGIVEN, 0)), Counter[str]()
    for one in filter(_acknowledged, ops):
        whole[one.op] += 1
        judged[one.op] += not any(True for _ in _excuses(one, losses, allowance_ns))
    return min(judged[name] / count if count else 0.0 for name, count in whole.items())


def _acknowledged(one: Op) -> bool:
    return one.process != SERVER and one.op in FORGIVEN and one.outcome == "ok" and one.completed is not None


def _excuses(one: Op, losses: Sequence[Loss], allowance_ns: int) -> Iterator[Loss]:
    """The losses before which an acknowledgement was younger than the allowance."""
    done = one.completed or 0
    return (loss for loss in losses if loss.at - allowance_ns < done <= loss.over)


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
    """For each acknowledged job that the server does not know: how old the acknowledgement was, in seconds, at the loss
    that took it, which is the first after which it was not there. Infinite if it was there after all of them."""
    known = {one.arg("job") for one in ops if one.process == SERVER and one.op == "job"}
    in_order = sorted(losses, key=lambda loss: loss.at)
    found = []
    for one in ops:
        if one.op != "submit" or not _acknowledged(one) or one.arg("job") in known:
            continue
        taken = next((loss for loss in in_order if loss.took(one)), None)
        found.append(inf if taken is None else taken.age(one) / 1e9)
    return found
