"""Lines, replayed from the server's account: who stood before whom, who held what, and under which fence.

The replay itself is the demonstration's checker; this turns a history into its terms. The account covers requests for
resources: the everyday steps of jobs without any are counted by the server, but not streamed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace

from chaos.checker.facts import Problem
from chaos.history import SERVER, Op
from coordinator_demo import checker
from coordinator_demo.facts import Claim, Fact, Wanted

# Events of which every single one is in the account.
_STREAMED = frozenset(
    {"grant", "release", "lose", "crash", "give_back", "bury", "cancel", "expire", "fail", "again", "retry", "snooze"}
)


def to_op(fact: Fact) -> Op:
    """A fact of the server's account as a line of the history."""
    args = {
        "what": fact.what,
        "request": fact.request,
        "resources": sorted(fact.resources),
        "priority": fact.priority,
        "stamp": fact.stamp,
        "state": fact.state,
        "shared": sorted(fact.shared),
        "permits": dict(fact.permits),
    }
    return Op(SERVER, "fact", {name: value for name, value in args.items() if value}, fence=fact.fence)


def check_lines(ops: Sequence[Op], aging_us: int, *, drained: bool) -> list[Problem]:
    """The breaches of the rules about lines, exclusion and fences in the server's own account."""
    facts = [_fact(one) for one in ops if one.process == SERVER and one.op == "fact"]
    asked = {one.request: one for one in facts if one.what == "asked"}
    wanted = [Wanted(one.pull, one.resources, one.priority) for one in asked.values()]
    claims = [claim for one in ops if one.process != SERVER for claim in _claims(one) if claim.request in asked]
    known = _without_withdrawn(
        [one for one in facts if one.request in asked or one.what in ("ordered", "sized")], claims, ops
    )
    verdict = checker.check(wanted, known, sorted(claims, key=lambda one: one.t), aging_us)
    found = [Problem(one.rule, one.text) for one in verdict.problems if drained or one.rule != "lost"]
    return [*found, *_unaccounted(ops, asked.keys()), *_whole(ops)]


def _unaccounted(ops: Sequence[Op], asked: Set[str]) -> Iterator[Problem]:
    """What is in no line of the account has not been judged at all: everybody who got a lock must have asked there, and
    so must every job that needs a resource."""
    accounted = asked or any(one.op == "counted" and one.arg("name") == "ask" for one in ops)
    for kind, had in (("acquire", "was granted"), ("job", "needs a resource")):
        for one in ops if accounted else ():
            request = one.arg("request") or (one.arg("job") if one.args.get("needs") else "")
            if one.op == kind and one.outcome == "ok" and request and request not in asked:
                yield Problem("incomplete", f"{request} {had}, and is not in the account")


def _without_withdrawn(facts: list[Fact], claims: list[Claim], ops: Sequence[Op]) -> list[Fact]:
    """A caller that was interrupted while it asked does not know the request, and whatever that is granted meanwhile is
    released on its behalf: an end without anybody having held it. At most one for each such caller."""
    held = {one.request for one in claims}
    interrupted = sum(one.op == "acquire" and (one.outcome != "ok" or one.completed is None) for one in ops)
    unheld = [one.request for one in facts if one.state == "released" and one.request not in held]
    withdrawn = set(unheld) if len(unheld) <= interrupted else set()
    return [replace(one, state="cancelled") if one.state and one.request in withdrawn else one for one in facts]


def _fact(one: Op) -> Fact:
    # The demonstration knows a request by the pull it is for; here each is its own.
    pull = one.arg("request") if one.arg("what") == "asked" else ""
    sets = {name: frozenset(one.args.get(name, ())) for name in ("resources", "shared", "lines")}
    return Fact(**{"request": "", **one.args, **sets}, pull=pull, fence=one.fence)


def _claims(one: Op) -> Iterator[Claim]:
    """What an operation says about what its process believed."""
    request = one.arg("request") or one.arg("job")
    if one.op in ("start", "done"):
        yield Claim("holding" if one.op == "start" else "done", one.process, one.invoked, request, one.fence)
    elif one.op == "acquire" and one.outcome == "ok" and one.completed is not None:
        yield Claim("holding", one.process, one.completed, request, one.fence)
    elif one.op == "release":
        yield Claim("done", one.process, one.invoked, request, one.fence)


def _whole(ops: Iterable[Op]) -> Iterator[Problem]:
    """The server counts its events apart from the stream: none may be missing from the account."""
    seen: Counter[str] = Counter()
    counted = {}
    for one in ops:
        if one.process == SERVER and one.op == "seen":
            seen[one.arg("name")] += int(one.args["count"])
        elif one.process == SERVER and one.op == "counted":
            counted[one.arg("name")] = int(one.args["count"])
    for name in sorted(_STREAMED & counted.keys()):
        if counted[name] != seen[name]:
            yield Problem("incomplete", f"the server counts {counted[name]} times {name}, its stream has {seen[name]}")
