"""What happens when. All processes of a run make the same plan of its start and of how long the dependency fails."""

from __future__ import annotations

from dataclasses import dataclass

CHARGE, REPORT, MAIL, ALARM, DIGEST = "storm.charge", "storm.report", "storm.mail", "storm.alarm", "storm.digest"
STUCK, QUICK = "storm.stuck", "storm.quick"
DIGEST_PRIORITY = "high"
BANK = "bank"
MAIN, FLOODED, BATCH = "default", "flood", "batch"

APPS, SLOTS, BATCH_SLOTS = 2, 16, 32
MAX_QUEUE = 600
# Seconds that the dependency takes: for a charge, a digest, and a report before and after that doubles.
CHARGE_TAKES, DIGEST_TAKES, REPORT_TAKES = 0.005, 0.4, 0.3
# Where the timeout of a report begins: a run that takes twice as long as before is cut off.
REPORT_BASE = 0.5
MAIL_TAKES = 0.05
CHARGES_A_SECOND, REPORTS_A_SECOND, ALARMS_A_SECOND = 15, 10, 10
FLOODERS, HIGH_BURST = 4, 240
CALLERS = 100
# Batches, one after the other: each a job that keeps its event loop for a while, and so many others. A worker that is
# rung begins one job before it claims more, so there is one for each worker in front of it.
ROUNDS, IN_FRONT, BEHIND, STUCK_FOR, ROUND_EVERY = 3, 2, 30, 1.0, 1.25
LEAD = 1.5


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, in epoch seconds."""

    begin: float
    end: float

    def has(self, moment: float) -> bool:
        """Whether a moment is in it."""
        return self.begin <= moment < self.end


@dataclass(frozen=True, slots=True)
class Plan:
    """`start` is in epoch seconds, `outage` how long the dependency fails; all else follows from these."""

    start: float
    outage: float

    @property
    def failing(self) -> Span:
        """While the dependency answers no charge."""
        return Span(self.start + LEAD, self.start + LEAD + self.outage)

    @property
    def open_for(self) -> float:
        """How long a breaker is open: so that a few probes meet the failing dependency, and the last one does not."""
        return max(0.5, 0.3 * self.outage)

    @property
    def sweep(self) -> float:
        """A timeout moves once in two of these."""
        return min(0.5, max(0.05, self.outage / 40))

    @property
    def slow(self) -> Span:
        """While a report takes twice as long."""
        return Span(self.start + LEAD + 0.1 * self.outage, self.end)

    @property
    def calm(self) -> Span:
        """Before the flood."""
        return Span(self.start + 0.3, self.flood.begin)

    @property
    def flood(self) -> Span:
        """While LOW is handed in as fast as it goes."""
        begin = self.start + LEAD + 0.4 * self.outage
        return Span(begin, begin + max(1.0, 0.25 * self.outage))

    @property
    def burst(self) -> float:
        """When HIGH wants more room than is left."""
        return (self.flood.begin + 2 * self.flood.end) / 3

    @property
    def rounds(self) -> tuple[float, ...]:
        """When the batches with a stuck job are handed in."""
        return tuple(self.start + LEAD + ROUND_EVERY * number for number in range(ROUNDS))

    @property
    def identical(self) -> float:
        """When everybody asks for the same."""
        return self.start + LEAD + 0.85 * self.outage

    @property
    def end(self) -> float:
        """When nothing more is handed in."""
        return self.failing.end + 1.0
