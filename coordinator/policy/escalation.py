"""Longer timeouts for a handler whose runs keep running out of time.

After 3 timeouts in a row its runs get 1.5 times the time, after 3 more of runs with that much 1.5 times as much again,
up to level 5 (7.6 times). While it is raised a retry after a timeout waits for at least a quarter of the time it had at
first, as much longer as the runs are. The first success takes it back to level 0. It multiplies whatever timeout the
handler has, be it fixed or adaptive, but not the one that a job brings itself: that is a promise to whoever handed it
in.

- 3, so that one slow moment changes nothing. A level needs as many as the one before: what was given more time has to
  show that it is not enough. Runs that began under a lower level do not count, or one bad minute of a busy fleet, where
  dozens run at a time, would go straight to the top.
- 1.5 and level 5: adaptive timeouts follow what succeeds, and nothing that succeeds takes longer than they allow. This
  is the way out of that, and it must end: something that hangs is not to hang for ever.
- A quarter: a run that ran out of time has kept somebody busy for that long.

These numbers are settings, `[escalation]`. `lib/health.lua` does this for the fleet; here it is as values.
"""

from __future__ import annotations

from dataclasses import dataclass

AFTER, GROWTH, HIGHEST, PAUSE = 3, 1.5, 5, 0.25
# A report says the level of a run with one digit.
MAX_LEVEL = 9


@dataclass(frozen=True, slots=True)
class EscalationPolicy:
    """After how many timeouts in a row a handler is raised by a level, to which at most (0: never); what its time is
    multiplied by with each, and which share of its time a retry after a timeout waits at least."""

    after: int = AFTER
    factor: float = GROWTH
    most: int = HIGHEST
    pause: float = PAUSE


USUAL = EscalationPolicy()


@dataclass(frozen=True, slots=True)
class Escalation:
    """How far a handler is escalated, and how many timeouts in a row there were at this level."""

    level: int = 0
    late: int = 0
    policy: EscalationPolicy = USUAL

    @property
    def factor(self) -> float:
        """What the time of a run is multiplied by. A level that is too high by now counts as the highest."""
        return float(self.policy.factor ** min(self.level, self.policy.most))

    def timed_out(self, begun: int) -> Escalation:
        """After a timeout of a run that began under the level `begun`."""
        policy = self.policy
        # The highest there may be can be lowered while a handler is above it.
        level = min(self.level, policy.most)
        if begun < level:
            return self
        late = 1 if level < self.level else self.late + 1
        if late >= policy.after and level < policy.most:
            return Escalation(level + 1, 0, policy)
        return Escalation(level, min(late, policy.after), policy)

    def succeeded(self) -> Escalation:
        """After a success."""
        return Escalation(policy=self.policy)

    def pause(self, base: float) -> float:
        """The shortest wait before a retry after a timeout; `base` is what a run has without escalation. Seconds."""
        return base * self.policy.pause * self.factor if self.level else 0.0
