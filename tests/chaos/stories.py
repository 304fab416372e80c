"""Histories written by hand, for the checker to judge."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chaos.checker import judge
from chaos.checker.lines import to_op
from chaos.history import SERVER, Op, Outcome
from coordinator_demo.facts import Fact

MS = 1_000_000


class Story:
    """A history in the making. Time passes by itself: each call takes one millisecond, and the next begins after it."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.now = 0

    def op(self, process: str, op: str, fence: int = 0, outcome: Outcome = "ok", **args: Any) -> Op:
        """Something that a process did."""
        self.now += MS
        made = Op(process, op, args, self.now, self.now + MS // 2, outcome, self.now // 1000, fence)
        self.ops.append(made)
        return made

    def server(self, op: str, fence: int = 0, **args: Any) -> None:
        """Something that the server says of itself."""
        self.ops.append(Op(SERVER, op, args, fence=fence))

    # --- jobs

    def submit(self, job: str, outcome: Outcome = "ok") -> None:
        self.op("app", "submit", job=job, outcome=outcome)

    def run(self, job: str, fence: int, worker: str = "w1", done: bool = True, trusted_us: int = 0) -> None:
        self.op(worker, "start", fence, job=job, **({"trusted_us": trusted_us} if trusted_us else {}))
        if done:
            self.op(worker, "done", fence, job=job)

    def back(self, job: str, event: str = "crash", why: str = "session lost") -> None:
        """The server takes a job back from whoever has it."""
        self.now += MS
        self.ops.append(Op(SERVER, "move", {"job": job, "event": event, "why": why}, server_us=self.now // 1000))

    def told(self, job: str, state: str = "succeeded", outcome: Outcome = "ok") -> None:
        self.op("app", "told", job=job, state=state, outcome=outcome)

    def record(self, job: str, state: str = "succeeded", fence: int = 0, deliveries: int = 1, needs: int = 0) -> None:
        self.server("job", fence, job=job, state=state, attempts=1, deliveries=deliveries, crashes=0, needs=needs)

    def counted(self, **counts: int) -> None:
        for name, count in counts.items():
            self.server("counted", name=name, count=count)

    # --- locks

    def acquire(self, who: str, fence: int, resource: str = "a", outcome: Outcome = "ok", **how: Any) -> None:
        self.op(who, "acquire", fence, resource=resource, request=f"{resource}{fence}", outcome=outcome, **how)

    def release(self, who: str, fence: int, resource: str = "a", outcome: Outcome = "ok") -> None:
        self.op(who, "release", fence, resource=resource, request=f"{resource}{fence}", outcome=outcome)

    def hold(self, who: str, fence: int, resource: str = "a") -> None:
        self.acquire(who, fence, resource)
        self.release(who, fence, resource)

    def write(self, who: str, fence: int, place: int, guarded: bool = True, outcome: Outcome = "ok") -> None:
        self.op(who, "write", fence, resource="a", guarded=guarded, place=place, outcome=outcome)

    # --- lines

    def asked(self, request: str, stamp: int, resources: Iterable[str] = "a", priority: int = 1, **how: Any) -> None:
        wanted = sorted(resources)
        self.server("fact", what="asked", request=request, resources=wanted, priority=priority, stamp=stamp, **how)

    def shares(self, request: str, stamp: int, resource: str = "a", priority: int = 1) -> None:
        self.asked(request, stamp, (resource,), priority, shared=[resource])

    def sized(self, size: int, resource: str = "a") -> None:
        self.ops.append(to_op(Fact("sized", "", permits={resource: size})))

    def ordered(self, mode: str, resource: str = "a") -> None:
        self.server("fact", what="ordered", request="", resources=[resource], state=mode)

    def granted(self, request: str, fence: int) -> None:
        self.server("fact", fence, what="granted", request=request)

    def ended(self, request: str, state: str = "released", fence: int = 0) -> None:
        self.server("fact", fence, what="ended", request=request, state=state)

    def returned(self, request: str, stamp: int = 0) -> None:
        self.server("fact", what="returned", request=request, **({"stamp": stamp} if stamp else {}))

    def rules(self, *, drained: bool = True) -> set[str]:
        """The rules that the checker finds broken."""
        return {one.rule for one in judge(self.ops, drained=drained, steady=True)}
