"""The scenes of the storm, each judged from the record: what was found, as figures, and what does not hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from coordinator_demo.account import ENDS
from coordinator_demo.storm.plan import (
    ALARM,
    BANK,
    BEHIND,
    CALLERS,
    CHARGE,
    IN_FRONT,
    MAIL,
    QUICK,
    REPORT,
    REPORT_TAKES,
    ROUNDS,
    STUCK,
    STUCK_FOR,
    Span,
)
from coordinator_demo.storm.record import Job, Record, moment

Figure = float | int | str

# What the server counts for each state that a job can end in.
STATES = {
    "succeeded": "succeed",
    "failed": "fail",
    "dead": "bury",
    "cancelled": "cancel",
    "expired": "expire",
    "shed": "shed",
}
BREAKER_EVENTS = ("open", "half_open", "close")
# What a busy machine may add: until a breaker has opened and after it might close.
SLACK = 3.0
# EMERGENCY is flat if it waits at most so many times as long as before the flood, or no longer than the floor.
# Before it that is a fraction of a millisecond; in it 20 to 35 ms, on a busy machine too: with all slots in use the
# next is free when a run ends. The floor is three times that.
TIMES, FLOOR = 3.0, 0.1
# How many of the last runs may still be cut off: so few, or that share.
FEW, CUT_OFF = 2, 0.2
# Who was on the way to the dependency when its breaker opened.
IN_FLIGHT = 0.25


@dataclass(slots=True)
class Scene:
    """What became of one scene. `told` says it in figures, `problems` what does not hold."""

    name: str
    title: str
    told: list[str] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether everything that is claimed of it is so."""
        return not self.problems

    def claim(self, so: bool, otherwise: str) -> None:
        """What has to be so, and what to say if it is not."""
        if not so:
            self.problems.append(otherwise)


def judge(record: Record) -> list[Scene]:
    """All scenes."""
    return [one(record) for one in SCENES]


def outage(record: Record) -> Scene:
    """A dependency fails: its breaker opens, its jobs wait, and none is lost or failed for it."""
    scene = Scene("outage", f"a dependency fails for {record.plan.outage:g} s")
    span, jobs = record.plan.failing, record.named(CHARGE)
    opened, probed, closed = (record.happened(f"breaker_{one}", (f"breaker/{BANK}",)) for one in BREAKER_EVENTS)
    first, last = (moment(opened[0]) if opened else math.inf), (moment(closed[-1]) if closed else math.inf)
    refused = [one for one in record.visits("charge") if one.refused]
    # Who was on the way to the dependency when the breaker opened gets there, but nobody else.
    later = record.visits("charge", Span(first + IN_FLIGHT, span.end))
    waits = _held_back(record, jobs, Span(first, span.end))
    bad = [one.ident for one in jobs if one.state != "succeeded"]
    scene.figures = {
        "jobs": len(jobs),
        "succeeded": len(jobs) - len(bad),
        "waited_at_breaker": len(waits),
        "longest_wait_s": round(max(waits, default=0.0), 2),
        "opened_after_s": round(first - span.begin, 2),
        "opened": len(opened),
        "refused_calls": len(refused),
        "probes": len(later),
        "closed_after_s": round(last - span.end, 2),
    }
    scene.claim(first - span.begin < SLACK, "the breaker did not open soon after the outage began")
    scene.claim(bool(waits) and record.counters.get("gate", 0) >= len(waits), "no job waited at the breaker")
    scene.claim(bool(probed), "no probe was let through")
    scene.claim(len(later) <= len(probed), f"{len(later)} calls reached the dependency through {len(probed)} probes")
    soon = record.plan.open_for + SLACK
    scene.claim(0 <= last - span.end <= soon, "the breaker did not close soon after the outage")
    scene.claim(not bad, f"{len(bad)} of {len(jobs)} jobs did not succeed, such as {bad[:1]}")
    scene.told = [
        f"opened {first - span.begin:.1f} s after it began, closed {last - span.end:.1f} s after it ended",
        f"{len(waits)} jobs waited, up to {max(waits, default=0.0):.1f} s",
        f"{len(refused)} calls were refused in that time, {len(later)} of them probes",
        f"{len(jobs) - len(bad)} of {len(jobs)} jobs succeeded, none was lost or failed for it",
    ]
    return scene


def slowness(record: Record) -> Scene:
    """A latency doubles: runs are cut off until the timeout has followed, and no job is lost for that."""
    double = 2 * REPORT_TAKES
    scene = Scene("slowness", f"a latency doubles, from {REPORT_TAKES:g} to {double:g} s")
    slow, jobs = record.plan.slow, record.named(REPORT)
    late = Span(slow.end - (slow.end - slow.begin) / 3, math.inf)
    retried = record.happened("retry", [one.ident for one in jobs])
    cut = [moment(one) for one in retried if "timed out" in one.get("why", "")]
    runs, cut_late = record.visits("report", late), [one for one in cut if late.has(one)]
    was = max((one.seconds for one in record.timeouts if one.at < slow.begin), default=math.nan)
    now = record.timeouts[-1].seconds if record.timeouts else math.nan
    bad = [one.ident for one in jobs if one.state != "succeeded"]
    scene.figures = {
        "jobs": len(jobs),
        "succeeded": len(jobs) - len(bad),
        "timeout_before_s": round(was, 3),
        "timeout_after_s": round(now, 3),
        "moves": record.timeouts[-1].moves if record.timeouts else 0,
        "cut_off": len(cut),
        "cut_off_in_last_third": len(cut_late),
        "runs_in_last_third": len(runs),
        "escalations": sum(int(one["to"]) > int(one["from"]) for one in record.happened("escalate")),
    }
    scene.claim(was < double, f"the timeout was {was:.3g} s before, so there was nothing to adapt to")
    scene.claim(bool(cut), "no run was cut off")
    scene.claim(now > 1.1 * double, f"the timeout is {now:.3g} s in the end, for runs of {double:g} s")
    scene.claim(bool(runs), "nothing ran in the last third")
    few = len(cut_late) <= max(FEW, CUT_OFF * len(runs))
    scene.claim(few, f"{len(cut_late)} of the last {len(runs)} runs were still cut off")
    scene.claim(not bad, f"{len(bad)} of {len(jobs)} jobs did not succeed, such as {bad[:1]}")
    scene.told = [
        f"their timeout went from {was:.2f} to {now:.2f} s in {scene.figures['moves']} moves",
        f"{len(cut)} runs were cut off and tried again, of the last {len(runs)} runs {len(cut_late)}",
        f"{len(jobs) - len(bad)} of {len(jobs)} jobs succeeded",
    ]
    return scene


def flood(record: Record) -> Scene:
    """LOW floods a queue: LOW is what is refused and displaced, and EMERGENCY does not notice."""
    scene = Scene("flood", "a queue is flooded with LOW")
    refused = {one: len(record.noted("refused", priority=one)) for one in ("low", "high", "emergency")}
    mails, alarms = record.named(MAIL), record.named(ALARM)
    lows, others = [one for one in mails if one.priority == "low"], refused["high"] + refused["emergency"]
    shed = [one for one in lows if one.state == "shed"]
    calm, wet = (_p95(_waits(alarms, span)) for span in (record.plan.calm, record.plan.flood))
    low = _waits([one for one in lows if one.state == "succeeded"], record.plan.flood)
    usual = median(low) if low else math.nan
    bad = [one.ident for one in [*mails, *alarms] if one.state != "succeeded" and one not in shed]
    scene.figures = {
        "low_accepted": len(lows),
        "low_refused": refused["low"],
        "low_displaced": len(shed),
        "others_refused": others,
        "emergency_p95_before_ms": _ms(calm),
        "emergency_p95_in_flood_ms": _ms(wet),
        "low_median_wait_ms": _ms(usual),
    }
    scene.claim(refused["low"] > 0, "nothing was refused")
    scene.claim(bool(shed), "nothing was displaced")
    scene.claim(record.counters.get("shed", 0) == len(shed), "something more urgent than LOW was displaced")
    scene.claim(not others, f"{others} jobs more urgent than LOW were refused")
    scene.claim(wet <= max(FLOOR, TIMES * calm) and wet < usual, "EMERGENCY waited longer in the flood")
    scene.claim(not bad, f"{len(bad)} jobs that were let in did not succeed, such as {bad[:1]}")
    scene.told = [
        f"{len(lows)} LOW were let in, {refused['low']} refused, {len(shed)} displaced by HIGH; of all others none",
        f"EMERGENCY waited {_ms(wet):.0f} ms (p95), before the flood {_ms(calm):.0f} ms",
        f"LOW waited {_ms(usual):.0f} ms (median)",
    ]
    return scene


def stuck(record: Record) -> Scene:
    """A job keeps the event loop of its worker: those behind it are stolen."""
    scene = Scene("stuck", f"{ROUNDS} times, a job keeps its worker busy for {STUCK_FOR:g} s")
    front, others = record.named(STUCK), record.named(QUICK)
    over = min((one.ended - one.asked for one in front if one.ended), default=math.nan)
    stolen = record.happened("stolen", [one.ident for one in others])
    last = max((one.ended - one.asked if one.ended else math.inf for one in others), default=math.nan)
    bad = [one.ident for one in [*front, *others] if one.state != "succeeded"]
    scene.figures = {
        "others": len(others),
        "stolen": len(stolen),
        "last_of_them_after_s": round(last, 3),
        "stuck_for_s": round(over, 3),
    }
    scene.claim(len(others) == ROUNDS * (IN_FRONT + BEHIND), "a batch was not handed in")
    scene.claim(bool(stolen), "nothing was stolen")
    scene.claim(all(one["from"] != one["to"] for one in stolen), "a job was stolen by its own worker")
    scene.claim(last < over / 2, "the others waited for it")
    scene.claim(not bad, f"{len(bad)} jobs did not succeed, such as {bad[:1]}")
    scene.told = [
        f"{len(stolen)} of the {len(others)} other jobs of these batches were stolen",
        f"the last of them was over after {last:.2f} s, the job in front after {over:.2f} s",
    ]
    return scene


def identical(record: Record) -> Scene:
    """Everybody asks for the same: it is done once."""
    answers, visits = record.noted("answered"), record.visits("digest")
    callers = {one["process"] for one in answers}
    scene = Scene("identical", f"{CALLERS} identical calls from {len(callers)} processes")
    executed, joined, hits = (
        sum(one[word] for one in record.noted("counted")) for word in ("executed", "joined", "hits")
    )
    makers = {one["by"] for one in answers}
    scene.figures = {
        "answers": len(answers),
        "executions": len(visits),
        "joined": joined,
        "found_its_result": hits,
        "executions_by_the_metrics": record.measured.count("coalesce.executed"),
        "different_answers": len(makers),
    }
    scene.claim(len(answers) == CALLERS, f"{len(answers)} of {CALLERS} callers have an answer")
    scene.claim(len(callers) > 1, "they all called from one process")
    scene.claim(len(visits) == 1, f"the dependency was asked {len(visits)} times")
    said = f"{executed} executions, {joined} joins and {hits} hits"
    scene.claim(executed == 1 and joined + hits == CALLERS - 1, f"the applications count {said}")
    scene.claim(len(makers) == 1, f"there are {len(makers)} different answers")
    scene.told = [f"{len(visits)} execution; {joined} joined it, {hits} came after it; {len(answers)} equal answers"]
    return scene


def account(record: Record) -> Scene:
    """All jobs together: each reached one final state, once. What the server counted says the same as the records."""
    scene = Scene("account", "all jobs that were accepted")
    states = Counter(one.state for one in record.jobs)
    asked = len(record.jobs)
    ended = sum(record.counters.get(name, 0) for name in ENDS)
    unfinished = [one.ident for one in record.jobs if one.ended is None]
    counted = record.counters.get("ask", 0)
    scene.figures = {"accepted": asked, "counted": counted, "ends": ended, "unfinished": len(unfinished), **states}
    scene.claim(bool(asked), "no job was accepted")
    scene.claim(not unfinished, f"{len(unfinished)} jobs have not ended, such as {unfinished[:1]}")
    scene.claim(counted == asked, f"the applications know of {asked} jobs, and the server of {counted}")
    scene.claim(ended == counted, f"{counted} jobs ended {ended} times")
    for state, name in STATES.items():
        said, parts = record.counters.get(name, 0), states[state]
        scene.claim(said == parts, f"by their records {parts} jobs are {state}, and the server counted {said}")
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    scene.told = [f"{asked} jobs ended once each: {told}" if scene.held else told]
    return scene


SCENES: tuple[Callable[[Record], Scene], ...] = (outage, slowness, flood, stuck, identical, account)


def _held_back(record: Record, jobs: Sequence[Job], shut: Span) -> list[float]:
    """How long the jobs that were handed in while the breaker was not closed waited until their first call."""
    begun: dict[str, float] = {}
    for one in record.visits("charge"):
        begun.setdefault(one.job, one.at)
    waits = [begun[one.ident] - one.asked for one in jobs if shut.has(one.asked) and one.ident in begun]
    return [one for one in waits if one > IN_FLIGHT]


def _waits(jobs: Sequence[Job], span: Span) -> list[float]:
    return [one.waited for one in jobs if one.waited is not None and span.has(one.asked)]


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[max(0, math.ceil(0.95 * len(values)) - 1)] if values else math.nan


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
