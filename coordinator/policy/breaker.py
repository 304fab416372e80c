"""When a handler, or what it depends on, is left alone for a while.

A breaker is *closed* (all pass), *open* (nobody passes until a moment) or *half open* (a few pass, on trial):

- closed: `failures` failures within `window` open it. Every success forgives the oldest failure that still counts:
  without that a busy handler of which one run in a thousand fails would be stopped again and again, for it too has five
  failures in a minute. So it opens where failures outnumber successes for a while, and at once where all runs fail.
  The window slides: the times of the failures are kept, at most `failures` of them.
- open: for `open_for`, whatever comes in of runs that began before. They do not count after it has closed, either.
- half open: at most `probes` runs at a time, in the whole fleet. Only their outcomes count: `successes` of them close
  it, one failure opens it for another `open_for`. A probe that ends in another way (cancelled, handed back, its worker
  died) gives its place to the next and counts for nothing, so a breaker never waits for a run that is no more. Nor does
  it for one that hangs: a probe keeps its place for `open_for` at most, since nobody has to be patient for longer than
  with whatever is down. The run goes on, and its outcome counts when it comes.

A probe that fails before any other of its breaker has succeeded says that what it depends on is still down, and
little of its job: it is *excused*, and costs the job no attempt. After it the job waits for `open_for` and its own
pause, or an eighth of `open_for` if that is longer: the next probe is another's, if there is another. With each further
excuse of the job `open_for` counts double, up to 16-fold: so jobs that fail by their own fault are asked ever more
rarely, and a few of them at the head keep nobody from being asked. Each is excused 10 times at most (55 minutes, by the
defaults, if it is alone), and then its attempts count; so however many they are, they end. Once a probe has succeeded
the fault is the job's own, and counts at once. So no probe fails a job unless the outage outlasts its excuses; the runs
that opened the breaker have burnt their attempts, and so have those of a job that may run only once.

Jobs that come while it is open wait in their order, and none is failed for it. Whoever would rather know at once says
`on_open="refuse"`: they are refused as long as it is open, and told for how long that still is. Half open it lets them
in, for there must be somebody to try it out with; so refusing has the hysteresis of the breaker.

The defaults are the customary ones: 5 failures in 60 s cannot be one bad input tried three times, 30 s outlasts most
restarts, 3 successes are no stroke of luck, and one probe at a time spares whatever has just come back.

`coordinator/lua/lib/breaker.lua` does the same on the server, for the fleet; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from coordinator.model.names import milliseconds, one_of, whole

BreakerState = Literal["closed", "open", "half_open"]
# What becomes of jobs that are handed in while a breaker is open.
OnOpen = Literal["wait", "refuse"]
ON_OPEN: tuple[str, ...] = get_args(OnOpen)

MAX_COUNTED = 100
MAX_PROBES = 64
# So many failed probes cost a job no attempt.
MAX_EXCUSED = 10
# The pause after a failed probe doubles at most so often.
DOUBLINGS = 4
# So many of the newest probes are remembered. No more can have a place at once (MAX_PROBES), so only probes that have
# lost theirs are forgotten.
MAX_KNOWN = 64


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """How many `failures` within `window` seconds open a breaker, for how long it is open (`open_for`), how many
    `probes` run at a time after that, and how many `successes` of probes close it. `on_open`: jobs that are handed in
    while it is open `wait` in their order, or are refused at once with BreakerOpen. Raises InvalidInput."""

    failures: int = 5
    successes: int = 3
    open_for: float = 30.0
    window: float = 60.0
    probes: int = 1
    on_open: OnOpen = "wait"

    def __post_init__(self) -> None:
        whole(self.failures, "failures", 1, MAX_COUNTED)
        whole(self.successes, "successes", 1, MAX_COUNTED)
        whole(self.probes, "probes", 1, MAX_PROBES)
        milliseconds(self.open_for, "open_for", least=0.001)
        milliseconds(self.window, "window", least=0.001)
        one_of(self.on_open, "on_open", ON_OPEN)

    def to_wire(self) -> str:
        """`5:3:30000:60000:1`: failures, successes, open and window in ms, probes; and `:1` if it refuses."""
        open_ms, window_ms = milliseconds(self.open_for, "open_for"), milliseconds(self.window, "window")
        refuses = ":1" if self.on_open == "refuse" else ""
        return f"{self.failures}:{self.successes}:{open_ms}:{window_ms}:{self.probes}{refuses}"


class Probe(NamedTuple):
    """A run on trial, and when it began."""

    run: str
    began: int


@dataclass(frozen=True, slots=True)
class Breaker:
    """A breaker at one moment, in ms. `failed`: the failures that count, oldest first; `passed`: probes that
    succeeded; `probing`: who is on trial, oldest first; `opened`: when it opened last."""

    state: BreakerState = "closed"
    failed: tuple[int, ...] = ()
    until: int = 0
    passed: int = 0
    probing: tuple[Probe, ...] = ()
    opened: int = -1

    @property
    def runs(self) -> frozenset[str]:
        """Which runs are on trial."""
        return frozenset(one.run for one in self.probing)


CLOSED = Breaker()


def opened(policy: BreakerPolicy, now: int) -> Breaker:
    """A breaker that opens now."""
    return Breaker("open", until=now + milliseconds(policy.open_for, "open_for"), opened=now)


def looked_at(breaker: Breaker, now: int) -> Breaker:
    """The breaker as time has made it."""
    if breaker.state == "open" and now >= breaker.until:
        return Breaker("half_open", opened=breaker.opened)
    return breaker


def placed(policy: BreakerPolicy, breaker: Breaker, now: int) -> int:
    """How many probes have their place yet."""
    since = now - milliseconds(policy.open_for, "open_for")
    return sum(one.began > since for one in breaker.probing)


def room(policy: BreakerPolicy, breaker: Breaker, now: int) -> int | None:
    """How many may pass now; None: no limit."""
    if breaker.state == "closed":
        return None
    return 0 if breaker.state == "open" else max(0, policy.probes - placed(policy, breaker, now))


def begun(breaker: Breaker, run: str, now: int) -> Breaker:
    """After a run that was let through has begun."""
    if breaker.state != "half_open":
        return breaker
    return replace(breaker, probing=(*breaker.probing, Probe(run, now))[-MAX_KNOWN:])


def failed(policy: BreakerPolicy, breaker: Breaker, run: str, now: int, began: int | None = None) -> Breaker:
    """After a run that failed, and `began` then or just now."""
    if breaker.state == "half_open":
        return opened(policy, now) if run in breaker.runs else breaker
    if breaker.state == "open" or _is_old(breaker, began):
        return breaker
    counted = (*_counting(policy, breaker, now), now)
    return opened(policy, now) if len(counted) >= policy.failures else replace(breaker, failed=counted)


def succeeded(policy: BreakerPolicy, breaker: Breaker, run: str, now: int, began: int | None = None) -> Breaker:
    """After a run that succeeded, and `began` then or just now."""
    if breaker.state == "closed":
        if _is_old(breaker, began):
            return breaker
        return replace(breaker, failed=_counting(policy, breaker, now)[1:])
    if run not in breaker.runs:
        return breaker
    passed = breaker.passed + 1
    return Breaker(opened=breaker.opened) if passed >= policy.successes else replace(ended(breaker, run), passed=passed)


def excused(breaker: Breaker, run: str, before: int) -> bool:
    """Whether a run that fails now costs its job no attempt. `before`: how often that was so with the job."""
    on_trial = breaker.state == "half_open" and run in breaker.runs
    return on_trial and not breaker.passed and before < MAX_EXCUSED


def comes_back(policy: BreakerPolicy, pause: float, before: int = 0) -> float:
    """After how many seconds a job comes back whose probe is excused. `pause`: what its retry policy says. `before`:
    how often that was so already."""
    return policy.open_for * 2.0 ** min(before, DOUBLINGS) + max(pause, policy.open_for / 8)


def ended(breaker: Breaker, run: str) -> Breaker:
    """After a run that ended without saying anything of whom it depends on."""
    return replace(breaker, probing=tuple(one for one in breaker.probing if one.run != run))


def _is_old(breaker: Breaker, began: int | None) -> bool:
    return began is not None and began < breaker.opened


def _counting(policy: BreakerPolicy, breaker: Breaker, now: int) -> tuple[int, ...]:
    since = now - milliseconds(policy.window, "window")
    return tuple(one for one in breaker.failed if one > since)
