"""Judges a finished run from two accounts of it: the server's, in the server's order, and what each process believed.

It shares no code with the engine and reads no Redis: it is handed plain facts and replays them under the rules as they
are promised to users. All resources are exclusive here, a request needs all of its resources
at once, and waits have no limit of their own. The rules:

- `exclusion`: no resource has two holders, in the server's order and, along the fences, by what the processes believed;
- `fence`: each grant of a resource has a larger fence than all grants of it before; nobody acts under any other number;
- `order`: whoever is granted stands first in all its lines: its rank, time of arrival plus one aging period for each
  level below the most urgent, is the smallest of all that wait for any of the same resources. Where a line has another
  mode, those go by that who need nothing else, among themselves;
- `lost`: each pull has one request, that reaches an end and leaves nothing held;
- `twice`: no pull ends twice, no holding starts twice;
- `sequence`: nothing happens to a request that cannot happen at that point, such as a grant after the end;
- `stale`: a job is settled under its newest fence only;
- `needs`: what was asked for is what the pull needs, with its priority;
- `told`: the end that a process was told is the end there was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from coordinator_demo import overlaps
from coordinator_demo.facts import Claim, Fact, Problem, Rule, Verdict, Wanted

TOP_PRIORITY = 4
GOOD_ENDS = frozenset({"succeeded", "released"})
# What may happen to a request that has a lease, or none, without ending it.
STEPS_BACK = frozenset({("holding", "returned"), ("holding", "parked"), ("parked", "returned"), ("waiting", "parked")})


@dataclass(slots=True)
class _Request:
    """A request while the server's account is replayed."""

    pull: str
    resources: frozenset[str]
    priority: int
    stamp: int
    asked: Fact
    phase: Literal["waiting", "parked", "holding", "ended"] = "waiting"
    fence: int = 0
    fences: list[int] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    state: str = ""

    def stands_on(self, resource: str) -> bool:
        """Whether it stands in that line, and not in one above or below only."""
        return not self.asked.lines or resource in self.asked.lines

    def permits(self, resource: str) -> int:
        return self.asked.permits.get(resource, 1)

    def kind(self, resource: str, size: int) -> overlaps.Kind:
        """How it has a resource of so many permits."""
        if resource in self.asked.shared:
            return "shared"
        return "counted" if size > 1 and self.stands_on(resource) else "alone"


def check(wanted: Iterable[Wanted], facts: Iterable[Fact], claims: Iterable[Claim], aging_us: int) -> Verdict:
    """The verdict on one run. `facts` in the server's order, `claims` of each process in that process's order."""
    pulls = {one.pull: one for one in wanted}
    replay = _Replay(pulls, aging_us)
    for fact in facts:
        replay.apply(fact)
    replay.finish()
    beliefs = _Beliefs(replay.requests, replay.largest)
    for claim in claims:
        beliefs.apply(claim)
    beliefs.finish()
    return Verdict(
        tuple(replay.problems + beliefs.problems), len(pulls), replay.grants, replay.comparisons, beliefs.count
    )


class _Replay:
    """The server's account, fact by fact."""

    def __init__(self, pulls: Mapping[str, Wanted], aging_us: int) -> None:
        self.problems: list[Problem] = []
        self.requests: dict[str, _Request] = {}
        self.grants = self.comparisons = 0
        self._pulls, self._aging_us = pulls, aging_us
        self._waiting: dict[str, set[str]] = {}
        self._holders: dict[str, set[str]] = {}
        self._sizes: dict[str, int] = {}
        self.largest: dict[str, int] = {}  # the most permits that a resource ever had
        self._last_fence: dict[str, int] = {}
        self._modes: dict[str, str] = {}

    def apply(self, fact: Fact) -> None:
        aside = {"asked": self._asked, "ordered": self._ordered, "sized": self._sized}.get(fact.what)
        if aside:
            aside(fact)
            return
        request = self.requests.get(fact.request)
        if request is None:
            self._complain("sequence", f"{fact.what} {fact.request}, which never asked")
        elif request.phase == "ended":
            rule: Rule = "twice" if fact.what == "ended" else "sequence"
            self._complain(rule, f"{_name(fact, request)}: {fact.what} after it had ended as {request.state}")
        elif fact.what == "granted":
            self._granted(fact, request)
        elif fact.what == "regranted":
            self._regranted(fact, request)
        elif fact.what == "ended":
            self._ended(fact, request)
        elif fact.what == "reprioritised":
            request.priority = fact.priority
        else:
            self._stepped_back(fact, request)

    def _ordered(self, fact: Fact) -> None:
        self._modes.update(dict.fromkeys(fact.resources, fact.state))

    def _sized(self, fact: Fact) -> None:
        self._sizes.update(fact.permits)
        for resource, size in fact.permits.items():
            self.largest[resource] = max(size, self.largest.get(resource, 1))

    def _asked(self, fact: Fact) -> None:
        if fact.request in self.requests:
            self._complain("sequence", f"{fact.request} asked twice")
            return
        self.requests[fact.request] = _Request(fact.pull, fact.resources, fact.priority, fact.stamp, fact)
        self._join(fact.request)
        pull = self._pulls.get(fact.pull)
        if pull is None:
            self._complain("needs", f"{fact.request} asked for pull {fact.pull or '(none)'}, which is not in the trace")
        elif (pull.resources, pull.priority) != (fact.resources, fact.priority):
            self._complain(
                "needs",
                f"{fact.pull} needs {_list(pull.resources)} at priority {pull.priority}, "
                f"but asked for {_list(fact.resources)} at {fact.priority}",
            )

    def _granted(self, fact: Fact, request: _Request) -> None:
        if request.phase != "waiting":
            self._complain("sequence", f"{_name(fact, request)}: granted while {request.phase}")
            return
        self.grants += 1
        self._check_order(fact, request)
        for resource in request.resources:
            for holder in self._in_the_way(request, resource):
                text = f"{resource}: granted to {_name(fact, request)} while {self._who(holder)} held it"
                self._complain("exclusion", text)
            self._holders.setdefault(resource, set()).add(fact.request)
        self._leave(fact.request)
        request.phase = "holding"
        self._draw(fact, request)

    def _in_the_way(self, request: _Request, resource: str) -> list[str]:
        """Of those who hold a resource the ones that do not go together with one more; all, if no permit is left."""
        largest, held = self.largest.get(resource, 1), sorted(self._holders.get(resource, ()))
        kind, kinds = request.kind(resource, largest), [self.requests[one].kind(resource, largest) for one in held]
        size = self._sizes.get(resource, 1)
        used = sum(min(size, self.requests[one].permits(resource)) for one in held)
        if kind == "counted" and held and used + min(size, request.permits(resource)) > size:
            return held
        return [one for one, other in zip(held, kinds, strict=True) if not overlaps.together(kind, other)]

    def _check_order(self, fact: Fact, request: _Request) -> None:
        for resource in request.resources:
            rank = self._stand(request, resource)
            for other in self._waiting.get(resource, set()) - {fact.request}:
                self.comparisons += 1
                theirs = self._stand(self.requests[other], resource)
                if rank is not None and theirs is not None and theirs < rank and self._waits(request, other, resource):
                    text = f"{_name(fact, request)} was granted, but {self._who(other)} stood before it"
                    self._complain("order", f"{resource}: {text}")

    def _waits(self, request: _Request, other: str, resource: str) -> bool:
        """Whether one waits for another that stands before it: not where both share, unless they stand in one line."""
        one, two = request, self.requests[other]
        share = resource in one.asked.shared and resource in two.asked.shared
        return not share or (one.stands_on(resource) and two.stands_on(resource))

    def _regranted(self, fact: Fact, request: _Request) -> None:
        if request.phase != "holding":
            self._complain("sequence", f"{_name(fact, request)}: a new fence while {request.phase}")
            return
        request.taken.add(request.fence)
        self._draw(fact, request)

    def _draw(self, fact: Fact, request: _Request) -> None:
        for resource in request.resources:
            before = self._last_fence.get(resource, 0)
            if fact.fence <= before:
                self._complain("fence", f"{resource}: fence {fact.fence} of {_name(fact, request)} follows {before}")
            self._last_fence[resource] = max(before, fact.fence)
        request.fence = fact.fence
        request.fences.append(fact.fence)

    def _stepped_back(self, fact: Fact, request: _Request) -> None:
        if (request.phase, fact.what) not in STEPS_BACK:
            self._complain("sequence", f"{_name(fact, request)}: {fact.what} while {request.phase}")
            return
        if request.phase == "holding":
            request.taken.add(request.fence)
            self._let_go(fact.request, request)
        self._leave(fact.request)
        request.phase = "parked"
        if fact.what == "returned":
            request.phase, request.stamp = "waiting", fact.stamp or request.stamp
            self._join(fact.request)

    def _ended(self, fact: Fact, request: _Request) -> None:
        if request.phase == "holding":
            if fact.fence and fact.fence != request.fence:
                text = f"{_name(fact, request)} was settled under fence {fact.fence}, but its newest is {request.fence}"
                self._complain("stale", text)
            self._let_go(fact.request, request)
        elif fact.state in GOOD_ENDS:
            self._complain("sequence", f"{_name(fact, request)}: {fact.state} while {request.phase}, without a grant")
        if fact.state not in GOOD_ENDS:
            request.taken.add(request.fence)
        self._leave(fact.request)
        request.phase, request.state = "ended", fact.state

    def _join(self, request: str) -> None:
        for resource in self.requests[request].resources:
            self._waiting.setdefault(resource, set()).add(request)

    def _leave(self, request: str) -> None:
        for resource in self.requests[request].resources:
            self._waiting.get(resource, set()).discard(request)

    def _let_go(self, ident: str, request: _Request) -> None:
        for resource in request.resources:
            self._holders.get(resource, set()).discard(ident)

    def _stand(self, request: _Request, resource: str) -> int | None:
        """What the order of a line goes by; None: nobody waits for this one there."""
        mode = self._modes.get(resource)
        if not mode:
            return self._rank(request)
        if len(request.resources) > 1 or mode == "unordered":
            return None
        return -request.stamp if mode.startswith("newest") else request.stamp

    def _rank(self, request: _Request) -> int:
        return request.stamp + (TOP_PRIORITY - request.priority) * self._aging_us

    def _who(self, ident: str) -> str:
        return f"{self.requests[ident].pull} ({ident})"

    def finish(self) -> None:
        ends: Counter[str] = Counter()
        asked: Counter[str] = Counter()
        for ident, request in self.requests.items():
            asked[request.pull] += 1
            if request.phase == "ended":
                ends[request.pull] += 1
            else:
                self._complain("lost", f"{self._who(ident)} never ended: it is still {request.phase}")
        for pull in self._pulls:
            if not asked[pull]:
                self._complain("lost", f"{pull} never asked")
            elif ends[pull] > 1:
                self._complain("twice", f"{pull} ended {ends[pull]} times")

    def _complain(self, rule: Rule, text: str) -> None:
        self.problems.append(Problem(rule, text))


class _Beliefs:
    """What the processes say, held against the server's account."""

    def __init__(self, requests: Mapping[str, _Request], largest: Mapping[str, int]) -> None:
        self.problems: list[Problem] = []
        self.count = 0
        self._requests, self._largest = requests, largest
        self._held: dict[tuple[str, int], list[float]] = {}

    def apply(self, claim: Claim) -> None:
        self.count += 1
        request = self._requests.get(claim.request)
        if request is None:
            self._complain("sequence", f"{claim.process} speaks of {claim.request}, which the server does not know")
        elif claim.what == "told":
            if claim.state != request.state:
                text = f"{claim.process} was told that {request.pull} is {claim.state}, but it is {request.state}"
                self._complain("told", text)
        elif claim.fence not in request.fences:
            self._complain("fence", f"{claim.process} used fence {claim.fence} for {request.pull}, which never had it")
        elif claim.what == "holding":
            if (claim.request, claim.fence) in self._held:
                self._complain("twice", f"{claim.process} started {request.pull} again under fence {claim.fence}")
            self._held.setdefault((claim.request, claim.fence), [claim.t])
        else:
            self._done(claim, request)

    def _done(self, claim: Claim, request: _Request) -> None:
        interval = self._held.get((claim.request, claim.fence))
        if interval is None:
            self._complain("sequence", f"{claim.process} was done with {request.pull} before it had it")
        elif len(interval) > 1:
            self._complain("twice", f"{claim.process} was done with {request.pull} again under fence {claim.fence}")
        else:
            interval.append(claim.t)

    def finish(self) -> None:
        """Whoever was not deprived of a resource must have been done before the next fence was used."""
        by_resource: dict[str, list[tuple[int, str]]] = {}
        for (ident, fence), interval in self._held.items():
            if len(interval) == 1 and fence not in self._requests[ident].taken:
                self._complain("lost", f"{self._requests[ident].pull} was started under fence {fence} and never done")
            for resource in self._requests[ident].resources:
                by_resource.setdefault(resource, []).append((fence, ident))
        for ident, request in self._requests.items():
            if request.state in GOOD_ENDS and request.fences and (ident, request.fence) not in self._held:
                self._complain("lost", f"{request.pull} ended as {request.state}, but no process ever had it")
        for resource, grants in by_resource.items():
            self._check_believed(resource, sorted(grants))

    def _check_believed(self, resource: str, grants: list[tuple[int, str]]) -> None:
        ends, size = overlaps.Ends(), self._largest.get(resource, 1)
        spans = []
        for fence, ident in grants:
            interval, request = self._held[ident, fence], self._requests[ident]
            kind = request.kind(resource, size)
            ended, owner = ends.before(kind)
            if interval[0] < ended:
                text = f"{resource}: {request.pull} began {(ended - interval[0]) * 1000:.3f} ms before {owner} was done"
                self._complain("exclusion", text)
            # A holder that was deprived may still believe for a while: that is what the fence is for.
            if fence not in request.taken:
                ends.add(kind, interval[-1], request.pull)
                if kind == "counted":
                    spans.append((interval[0], interval[-1], request.permits(resource)))
        most = overlaps.most_at_once(spans)
        if most > size:
            self._complain("exclusion", f"{resource}: {most} permits were in use at once, of {size}")

    def _complain(self, rule: Rule, text: str) -> None:
        self.problems.append(Problem(rule, text))


def _name(fact: Fact, request: _Request) -> str:
    return f"{request.pull} ({fact.request})"


def _list(resources: frozenset[str]) -> str:
    return ", ".join(sorted(resources)) or "nothing"
