"""The rules about what operators do to holders and lines, on top of those about sessions, locks, jobs and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coordinator import StaleFence
from coordinator.fencing import fenced
from coordinator.keys import key
from coordinator.model.terms import Terms
from coordinator.ops import operator
from coordinator.wire import calls
from coordinator.wire.calls import Deed, LockAsk
from coordinator.wire.step import Call
from tests.property.machine import TERMS, needs_of, priorities, which
from tests.property.machine_jobs import JobMachine
from tests.support.model import ACTIVE, QUEUED, Request
from tests.support.model_calls import Answer
from tests.support.model_verbs import VerbModel

WHO, WHY = "op", "so it must be"
VERBS = ("force", "transfer", "steal", "hand_over", "reorder")
fences = st.sampled_from(("", "own", "own", "old"))


class VerbMachine(JobMachine):
    """Locks and jobs that operators, and their own holders, hand on and move."""

    # Whom a full line pushes out is shown elsewhere.
    terms: ClassVar[Terms] = replace(TERMS, shedding=0, max_line=100)

    def modelled(self, us: int) -> VerbModel:
        self.verbs, self.written = VerbModel(self.terms, us), dict[str, int]()
        return self.verbs

    # --- verbs

    @rule(n=which, to=which, fence=fences, twice=st.booleans())
    @precondition(lambda self: any(r.state in ACTIVE for r in self.model.requests.values()))
    def transfer(self, n: int, to: int, fence: str, twice: bool) -> None:
        r = self.pick(n, ACTIVE if n < 90 else ("waiting", "lost", "released"))
        heir = self.heir(r, to)
        if r and heir:
            seen = {"": "", "own": str(r.fence), "old": str(r.fence - 1)}[fence]
            self.take_away(r, heir, seen, "transfer", twice)

    def take_away(self, r: Request, heir: Request, fence: str, verb: str, twice: bool = False) -> Answer:
        deed = self.deed()
        call = calls.transfer(self.scope, r.ident, fence, heir.ident, deed, verb)
        return self.verb(
            r, call, lambda: self.verbs.transfer(r.ident, fence, heir.ident, deed.call_id, verb), heir, twice
        )

    @rule(n=which, to=which, stale=st.integers(0, 9), twice=st.booleans())
    @precondition(lambda self: any(r.state == "held" for r in self.model.requests.values()))
    def hand_over(self, n: int, to: int, stale: int, twice: bool) -> None:
        r = self.pick(n, ("held",) if stale < 8 else ("waiting", "lost", "released", "running"))
        heir = self.heir(r, to)
        if r and heir:
            fence, deed = r.fence - (stale == 7), self.deed()
            call = calls.hand_over(self.scope, r.ident, fence, heir.ident, deed)
            self.verb(r, call, lambda: self.verbs.hand_over(r.ident, fence, heir.ident, deed.call_id), heir, twice)

    @rule(n=which, exact=st.booleans(), twice=st.booleans())
    @precondition(lambda self: any(r.state in ACTIVE for r in self.model.requests.values()))
    def take(self, n: int, exact: bool, twice: bool) -> None:
        r = self.pick(n, ACTIVE)
        if r:
            fence, deed = str(r.fence) if exact else "", self.deed()
            call = calls.force(self.scope, r.ident, fence, deed)
            self.verb(r, call, lambda: self.verbs.force(r.ident, fence, deed.call_id), None, twice)

    @rule(n=which, needs=needs_of, priority=priorities)
    @precondition(lambda self: self.live_sessions())
    def steal(self, n: int, needs: str, priority: int) -> None:
        """As the operation does it, call by call: whoever is in the way, until it is granted."""
        ask = LockAsk(self.new("t"), priority, needs, False, None, 9000)
        self.ask(n % 90, ask)
        thief = self.model.requests.get(ask.ident)
        if thief is None or thief.state == "held":
            return
        doing, answer = operator._clear_the_way(self.scope, ask.ident, self.deed()), None
        try:
            while True:
                wanted = doing.send(answer)
                assert isinstance(wanted, Call)
                answer = self.carried_out(wanted, thief)
        except StopIteration:
            assert thief.state == "held", f"{thief.ident} has stolen and is {thief.state}"

    def carried_out(self, wanted: Call, thief: Request) -> object:
        words = [str(word) for word in wanted.args]
        if wanted.script == "transfer":
            self.take_away(self.model.requests[words[1]], thief, "", "steal")
            return self.said
        if wanted.script == "reorder":
            self.move(thief, words[2])
            return self.raw
        return self.engine.call(wanted)

    @rule(n=which, place=st.sampled_from(("front", "back")))
    def reorder(self, n: int, place: str) -> None:
        r = self.pick(n, QUEUED if n < 90 else (*ACTIVE, "cancelled", "released"))
        if r:
            self.move(r, place)

    def move(self, r: Request, place: str) -> None:
        deed = self.deed()
        call = calls.reorder(self.scope, r.ident, place, "", deed)
        self.step(call, lambda: self.verbs.reorder(r.ident, place, deed.call_id), [r.ident])
        self.on_record()

    # --- what every verb has to keep

    def verb(self, r: Request, call: Call, act: Callable[[], Answer], heir: Request | None, twice: bool) -> Answer:
        """The audit has it, once, and the old holder is out: by what it asks for, and by what it writes."""
        before, subjects = r.fence, [r.ident, *([heir.ident] if heir else [])]
        alone = [resource for resource in r.needs if self.model.holders(resource) == [r]]
        for resource in alone:
            self.writes(r, before, resource)
        answer = self.step(call, act, subjects)
        self.said = self.raw
        if twice and self.repeatable:
            again = self.step(call, act, subjects)
            assert again == answer, f"answered {answer}, and repeated {again}"
        self.on_record()
        if answer[0] == "ok":
            for resource in alone:
                self.is_out(r, before, resource)
        if answer[0] == "ok" and r.kind == "lock":
            extend = calls.extend(self.scope, r.ident, before, 1000)
            told = self.step(extend, lambda: self.model.extend(r.ident, before, 1000), [r.ident])
            assert told[0] == "lost", f"{r.ident} was taken away and is extended"
        return answer

    def is_out(self, r: Request, fence: int, resource: str) -> None:
        """Once a new holder has written, the old one may not."""
        for new in self.model.holders(resource):
            assert self.writes(new, new.fence, resource) or len(self.model.holders(resource)) > 1
            assert not self.writes(r, fence, resource), f"{r.ident} writes after {new.ident}"

    def writes(self, r: Request, fence: int, resource: str) -> bool:
        """Whether it may write what the resource guards."""
        newest, store = self.written.get(resource, 0), key(self.engine.namespace, "META") + f"-{resource}"
        try:
            fenced(self.engine.client, fence, "SET", store, r.ident)
        except StaleFence:
            assert fence < newest, f"{r.ident} may not write under {fence}, and the newest was {newest}"
            return False
        assert fence >= newest, f"{r.ident} wrote under {fence} after {newest}"
        self.written[resource] = fence
        return True

    def on_record(self) -> None:
        """The audit says what was done, by whom, why, to whom and for whom, and both fences."""
        entries = [entry for entry in self.audit() if entry["event"] in VERBS]
        said = [
            (one["event"], one["id"], one.get("to", ""), int(one.get("fence_before", 0)), one["by"], one["why"])
            for one in entries
        ]
        wanted = [(*entry, WHO, WHY) for entry in self.verbs.record]
        assert said == wanted, f"the audit says {said[-2:]}, not {wanted[-2:]}"
        for entry in entries:
            before, after = int(entry.get("fence_before", 0)), int(entry["fence"] or 0)
            assert entry["event"] == "reorder" or after > before or not after, f"fences do not grow in {entry}"
        if entries and entries[-1]["event"] in ("transfer", "steal", "hand_over"):
            heir, after = self.model.requests[entries[-1]["to"]], int(entries[-1]["fence"] or 0)
            assert heir.state != "held" or heir.fence == after, f"{heir.ident} has {heir.fence}, by the audit {after}"

    def audit(self) -> list[dict[str, str]]:
        entries = self.engine.client.xrange(key(self.engine.namespace, "AUDIT"))
        return [{name.decode(): value.decode() for name, value in entry.items()} for _, entry in entries]

    def heir(self, r: Request | None, to: int) -> Request | None:
        """Mostly one that waits for what the other has; one that comes for it if there is none."""
        if r is None or to >= 85:
            return self.pick(to, (*QUEUED, *ACTIVE, "released"))
        if not any(self.verbs.follows(r, one) for one in self.model.requests.values()) and self.live_sessions():
            self.come_for(r, to)
        fit = [one for one in self.model.requests.values() if self.verbs.follows(r, one)]
        return fit[to % len(fit)] if fit else None

    def come_for(self, r: Request, n: int) -> None:
        """Somebody asks for some of what another has."""
        names = [name for name in r.needs if not name.startswith("~")]
        if names:
            name, session = names[n % len(names)], self.session(n)
            ask = LockAsk(self.new("h"), n % 5, f"{r.needs[name].mode}1:{name}", False, None, 9000)
            self.step(calls.request(self.scope, session, ask), lambda: self.model.request(session, ask))

    def deed(self) -> Deed:
        return Deed(WHO, WHY, self.new("c"))
