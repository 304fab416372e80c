"""Which policy holds a job back, and from which figures: a gate that it waits at, or the pause before its retry."""

from __future__ import annotations

from coordinator.cli.shapes import seconds, whole
from coordinator.cli.words import clean, count, duration, ordinal
from coordinator.model.lease import Explanation, GateView
from coordinator.model.names import MAX_SECONDS
from coordinator.ops.lessons import Learnt
from coordinator.policy.retry import RetryPolicy

# How many words the field `postponed` of a record has.
POSTPONED = 4
# How many numbers the field `terms` of a gate has. A breaker: failures, successes, open ms, window ms, probes. A limit:
# burst, and thousandths of a run per second. An adaptive limit: initial, least, most, increase, decrease.
BREAKER_TERMS, LIMIT_TERMS, ADAPTIVE_TERMS = 5, 2, 5
_GATES = {"breaker": "breaker", "rate": "the rate limit of", "adaptive": "the adaptive limit of"}


def at_gate(found: Explanation, gate: GateView) -> list[str]:
    """Which breaker or limit holds a job back, since and until when, from which figures, and where it stands there."""
    place, what = ordinal(gate.place or 0), f"{_GATES.get(gate.kind, gate.kind)} {clean(gate.name)}"
    since = f" for {duration(found.at - gate.since)}" if gate.since is not None else ""
    said = [f"It has waited{since} at {what}: {place} of {gate.waiting} there."]
    said += _breaker(found, gate) if gate.kind == "breaker" else _limit(found, gate)
    if gate.fields.get("why"):
        said.append(f'It was opened by hand: "{clean(gate.fields["why"])}".')
    return said


def for_ever(since: float | None, until: float | None) -> bool:
    """Whether a breaker was opened until somebody closes it, that is for the longest time there is."""
    return since is not None and until is not None and round(until - since) >= MAX_SECONDS


def _breaker(found: Explanation, gate: GateView) -> list[str]:
    fields, terms = gate.fields, _terms(gate, BREAKER_TERMS)
    rest = duration(gate.until - found.at) if gate.until is not None else ""
    if fields.get("state") == "open":
        opened = seconds(fields, "since")
        if for_ever(opened, gate.until):
            return ["It is open until somebody closes it."]
        told = f" for {duration(found.at - opened)}" if opened is not None else ""
        said = [f"The breaker has been open{told}; in {rest} the first in line is let through as a probe."]
        if terms and not fields.get("why"):
            said.append(
                f"{count(terms[0], 'failure')} within {duration(terms[3] / 1000)}, or a probe that fails, open it for "
                f"{duration(terms[2] / 1000)}; {count(terms[1], 'probe')} that succeed close it."
            )
        return said
    if fields.get("state") == "half_open":
        running, passed = len(fields.get("probing", "").split()), whole(fields, "passed") or 0
        needed = f" of {terms[1]}" if terms else ""
        return [f"The breaker is half open: {count(running, 'probe')} running, {passed}{needed} succeeded so far."]
    return ["The breaker is closed; it goes on at once."]


def _limit(found: Explanation, gate: GateView) -> list[str]:
    rest = duration(gate.until - found.at) if gate.until is not None else ""
    shut = seconds(gate.fields, "until")
    if shut is not None and shut > found.at:
        return [f"A handler was told to come back later: nobody passes in the next {rest}."]
    said = [f"The next token is there in {rest}." if rest else "It goes on at once."]
    fixed, adaptive = _terms(gate, LIMIT_TERMS), _terms(gate, ADAPTIVE_TERMS)
    if gate.kind == "rate" and fixed:
        said.append(f"The limit is {fixed[1] / 1000:g} a second, and up to {fixed[0]} at once.")
    elif gate.kind == "adaptive" and adaptive:
        pace = float(gate.fields.get("pace") or adaptive[0] / 1000)
        said.append(f"The limit is {pace:.3g} a second now, between {adaptive[1] / 1000:g} and {adaptive[2] / 1000:g}.")
    return said


def _terms(gate: GateView, many: int) -> list[int]:
    """The numbers of a gate's terms, if there are so many."""
    words = gate.fields.get("terms", "").strip(":").split(":")
    return [int(one) for one in words] if len(words) == many and all(one.isdecimal() for one in words) else []


def pause(found: Explanation) -> list[str]:
    """Who chose the pause before a retry, and by what; and which runs do not count."""
    return [*_excused(found), *_chosen(found)]


def _chosen(found: Explanation) -> list[str]:
    waited, attempts = whole(found.fields, "waited"), whole(found.fields, "attempts")
    put_off = _postponed(found)
    if put_off or not waited or not attempts:
        return put_off
    said, word = f"The pause of {duration(waited / 1000)} is by ", found.fields.get("retry", "")
    if not word:
        return [f"{said}the retry policy of its handler, or of the settings."]
    own = RetryPolicy.from_wire(word)
    ends = f"from {duration(own.base)} to at most {duration(own.cap)}"
    return [f"{said}the job's own retry policy: {own.strategy}, {ends}, {count(own.max_attempts, 'attempt')} in all."]


def likeness(found: Explanation) -> list[str]:
    """Which earlier job has nearly the same text."""
    ident, _, similarity = found.fields.get("similar", "").partition(" ")
    return [f"Its text is nearly that of job {clean(ident)} (similarity {clean(similarity)})."] if similarity else []


def escalated(name: str, known: Learnt) -> list[str]:
    """How far a handler's time is lengthened."""
    late, most = known.escalation.late, known.escalation.policy.most
    level = min(known.escalation.level, most)
    if not level:
        return []
    return [
        f"Runs of {clean(name)} kept running out of time: it is escalated to level {level} of {most}, so a run that "
        f"begins now has {known.escalation.factor:.3g} times its time; {count(late, 'timeout')} in a row at that level."
    ]


def _excused(found: Explanation) -> list[str]:
    """How often it was a probe of a breaker and failed."""
    times = whole(found.fields, "excused")
    if not times:
        return []
    said = f"{count(times, 'run')} of it failed as a probe of a breaker before any other had succeeded"
    return [f"{said}, which cost it no attempt."]


def _postponed(found: Explanation) -> list[str]:
    """Why a retry waits for longer than its policy says; the record has ms, how many, per mille, and per 1000 s."""
    words = found.fields.get("postponed", "").split()
    if len(words) != POSTPONED or not all(one.isdecimal() for one in words):
        return []
    wait, behind, share, floor = (int(one) for one in words)
    name = clean(found.fields.get("name", ""))
    return [
        f"Its retry was put off to {duration(wait / 1000)} after that: with it {count(behind, 'retry', 'retries')} of "
        f"{name} went beyond the budget of the fleet, {share / 10:g} % of successes and {floor / 1000:g} a second."
    ]
