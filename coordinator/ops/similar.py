"""Jobs whose text is nearly that of one that was handed in before: found, and then reported, joined or refused.

Three round trips: who shares buckets, the submission, and the entry of the new text. Two jobs that are handed in at the
same moment may not see each other, for what is found is what was entered before: this is a finding, not an exclusion
(that is what `Dedup` is for).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coordinator.errors import BatchRefused, CoordinatorError, TooSimilar
from coordinator.model.measures import Meter
from coordinator.model.names import Priority
from coordinator.model.states import FINAL, State
from coordinator.ops import work
from coordinator.ops.likeness import Resemblance, Similar
from coordinator.ops.submission import Submission
from coordinator.ops.work import Submitted
from coordinator.policy import minhash
from coordinator.policy.similarity import OnSimilar, normalise, shingles, similarity, text_of
from coordinator.sections import SimilarRules
from coordinator.wire import calls, replies
from coordinator.wire.calls import JobAsk, Scope
from coordinator.wire.replies import Raw
from coordinator.wire.step import Operation, Stream

log = logging.getLogger(__name__)
Answer = Submitted | CoordinatorError
# By handler.
Rules = Mapping[str, SimilarRules]
# The jobs that share the most buckets are those that are most alike; so many are compared.
MOST_COMPARED = 8


@dataclass(frozen=True, slots=True)
class Likeness:
    """A text ready to be compared. `threshold` 1 and `looks` False: it is only entered."""

    text: str
    shingles: frozenset[str]
    buckets: tuple[str, ...]
    threshold: float
    looks: bool
    on_similar: OnSimilar
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Match:
    """A job that is like ours, and its state."""

    found: Resemblance
    state: State

    @property
    def stands(self) -> bool:
        """Whether it can take the place of ours: one that ended without success cannot."""
        return self.state not in FINAL or self.state is State.SUCCEEDED


def likeness(made: Submission, job: JobAsk, rules: Rules, batch: bool = False) -> Likeness | None:
    """What a submission has to be compared by, by its own word or the rules for its handler; None if nobody asks for
    it, or there is no text. `job` is its wire form, which has the priority that rules may have chosen. Raises
    ConfigError without the library."""
    asked = made.options.similar
    if asked is None and rules and made.name in rules:
        asked = _by(rules[made.name], made.payload)
    if not asked:
        return None
    given = normalise(text_of(made.payload) if asked.text is None else asked.text)
    if not given:
        return None
    own = shingles(given)
    threshold, looks = asked.of(Priority(job.priority), batch)
    buckets = minhash.buckets(asked.group or made.name, own)
    # Joined, it would hold nothing of what it needs, and its key would be left for others.
    apart = asked.on_similar == "join" and bool(job.options.get("needs") or job.options.get("dedup"))
    on_similar: OnSimilar = "report" if apart else asked.on_similar
    return Likeness(given, own, buckets, threshold, looks, on_similar, round(asked.ttl * 1000) or 1)


def _by(rule: SimilarRules, payload: object) -> Similar:
    """What the settings ask of a handler's jobs."""
    text = None
    if rule.text:
        found = payload if isinstance(payload, Mapping) else {}
        text = text_of([found.get(name) for name in rule.text])
    threshold = rule.thresholds if rule.threshold is None else rule.threshold
    return Similar(text, rule.on_similar, threshold, rule.ttl, rule.group or "")  # type: ignore[arg-type]


def submit(scope: Scope, max_payload: int, job: JobAsk, like: Likeness | None, meter: Meter) -> Operation[Submitted]:
    """As `work.submit`. Raises TooSimilar too."""
    if like is None:
        return (yield from work.submit(scope, max_payload, job))
    [match] = yield from _matches(scope, [like], meter)
    decided = _decided(match, like)
    if isinstance(decided, CoordinatorError):
        raise decided
    if isinstance(decided, Submitted):
        return decided
    done: Submitted = yield from work.submit(scope, max_payload, _noted(job, match))
    yield from _enter(scope, [(done, like)])
    return _told(done, match)


def submit_many(
    scope: Scope, max_payload: int, jobs: Sequence[JobAsk], likes: Sequence[Likeness | None], meter: Meter
) -> Operation[list[Submitted]]:
    """As `work.submit_many`; each job is compared with those before the call. Raises BatchRefused too."""
    if not any(likes):
        return (yield from work.submit_many(scope, max_payload, jobs))
    matches = yield from _matches(scope, likes, meter)
    answers: dict[int, Answer] = {}
    for at, like in enumerate(likes):
        decided = _decided(matches[at], like)
        if decided is not None:
            answers[at] = decided
    rest = [at for at in range(len(jobs)) if at not in answers]
    handed_in = yield from _hand_in(scope, max_payload, [_noted(jobs[at], matches[at]) for at in rest])
    yield from _enter(scope, list(zip(handed_in, (likes[at] for at in rest), strict=True)))
    for at, answer in zip(rest, handed_in, strict=True):
        answers[at] = _told(answer, matches[at]) if isinstance(answer, Submitted) else answer
    in_order = [answers[at] for at in range(len(jobs))]
    errors = {at: one for at, one in enumerate(in_order) if isinstance(one, CoordinatorError)}
    done = [one if isinstance(one, Submitted) else None for one in in_order]
    if errors:
        raise BatchRefused(done, errors)
    return [one for one in done if one is not None]


def _hand_in(scope: Scope, max_payload: int, jobs: Sequence[JobAsk]) -> Operation[list[Answer]]:
    try:
        return list((yield from work.submit_many(scope, max_payload, jobs)))
    except BatchRefused as error:
        return [one or error.errors[at] for at, one in enumerate(error.tickets)]


def _matches(scope: Scope, likes: Sequence[Likeness | None], meter: Meter) -> Operation[list[Match | None]]:
    """The most similar earlier job for each text, if there is one from the threshold on."""
    looking = [at for at, like in enumerate(likes) if like is not None and like.looks]
    found: list[Match | None] = [None] * len(likes)
    if not looking:
        return found
    wanted = [one for one in likes if one is not None and one.looks]
    replied = yield Stream([calls.similar(scope, MOST_COMPARED, like.buckets) for like in wanted])
    for at, like, raw in zip(looking, wanted, replied, strict=True):
        found[at] = _best(raw, like)
    meter.count("near.checked", len(looking))
    hits = len(likes) - found.count(None)
    if hits:
        meter.count("near.hits", hits)
    return found


def _best(raw: Raw, like: Likeness) -> Match | None:
    """Of the candidates that are similar enough, first those that can take the place of ours, then the most similar."""
    replies.expect(raw, "ok")
    matches = [_compared(one, like) for one in raw[1:]]
    enough = [one for one in matches if one.found.similarity >= like.threshold]
    return max(enough, key=lambda one: (one.stands, one.found.similarity), default=None)


def _compared(raw: Raw, like: Likeness) -> Match:
    ident, state, gist = (replies.text(word) for word in raw)
    return Match(Resemblance(ident, similarity(like.shingles, shingles(gist))), State(state))


def _decided(match: Match | None, like: Likeness | None) -> Answer | None:
    """The answer to a submission that is not to be handed in."""
    if match is None or like is None or not match.stands or like.on_similar == "report":
        return None
    if like.on_similar == "reject":
        return TooSimilar(match.found.ident, match.state, match.found.similarity)
    return Submitted(match.found.ident, duplicate=True, similar=match.found)


def _noted(job: JobAsk, match: Match | None) -> JobAsk:
    """What was found stands in the record too."""
    if match is None:
        return job
    return job._replace(options={**job.options, "similar": f"{match.found.ident} {match.found.similarity:.3f}"})


def _told(done: Submitted, match: Match | None) -> Submitted:
    return done._replace(similar=match.found) if match else done


def _enter(scope: Scope, accepted: Sequence[tuple[Answer, Likeness | None]]) -> Operation[None]:
    """Enter the texts of accepted jobs. These are in: if it fails, later ones will not find them, and that is all."""
    entries = [
        calls.index_text(scope, done.ident, like.ttl_ms, like.text, like.buckets)
        for done, like in accepted
        if isinstance(done, Submitted) and not done.duplicate and like is not None
    ]
    if not entries:
        return
    try:
        for raw in (yield Stream(entries)):
            replies.expect(raw, "ok", "gone")
    except CoordinatorError as error:
        log.warning("%d texts were not entered, and will not be found: %s", len(entries), error)
