"""The settings of each policy, a section of its own in the settings file and in the environment.

A section is one class here and one line in `Settings`. Its fields carry bounds and a description, from which the
complaints and the table in docs/settings.md are made; a method turns it into the value that its policy takes. In a
TOML file it is a table, `[timeouts]` with `lock = 20`; in the environment `COORDINATOR_TIMEOUTS__LOCK=20`; as an
argument `Settings.of(timeouts={"lock": 20})`.

A section can be changed while the fleet runs (`live`), but for what it names as `fixed`. So whoever goes by it reads it
from the settings in force each time, or subscribes to changes (`drivers.live`).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from coordinator.policy import adaptive
from coordinator.policy.adaptive import BASES, Adaptive, Strategy
from coordinator.policy.budget import FLOOR, SHARE, WINDOW, Budget


class Section(BaseModel):
    """Settings that belong together. `fixed` names those that only count when a process starts."""

    fixed: ClassVar[frozenset[str]] = frozenset()
    model_config = ConfigDict(extra="forbid", frozen=True)


class Retries(Section):
    """How many retries a handler may have in the whole fleet: a share of its successes and a floor (namespace)."""

    budget: bool = Field(True, description="whether retries beyond the budget are put off")
    share: float = Field(SHARE, ge=0, le=1, description="retries per success")
    floor: float = Field(FLOOR, ge=0.001, le=10**6, description="retries a second, whatever succeeds")
    window: float = Field(WINDOW, ge=1, le=3600, description="for about how long unused retries are kept")

    def allowed(self) -> Budget:
        """The budget, in the units of Redis."""
        return Budget(round(self.share * 1000), round(self.floor * 1000), round(self.window * 1000))


class Timeouts(Section):
    """Timeouts that follow what the fleet sees: what they begin from, and how far they may go."""

    fixed = frozenset({"handlers"})
    strategy: Strategy = Field("quantile", description="what moves them: `quantile` or `success_rate`")
    lock: float = Field(BASES[adaptive.LOCK], ge=0.001, le=10**8, description="base of the wait for a lock")
    queue: float = Field(BASES[adaptive.QUEUE], ge=0.001, le=10**8, description="base of the wait in a queue")
    renewal: float = Field(BASES[adaptive.RENEWAL], ge=0.001, le=3600, description="base of the renewal of a session")
    connection: float = Field(BASES[adaptive.CONNECTION], ge=0.001, le=600, description="base of opening a session")
    operation: float = Field(BASES[adaptive.OPERATION], ge=0.001, le=10**8, description="base of one run of a handler")
    least: float = Field(adaptive.LEAST, gt=0, le=1, description="least multiple of the base")
    most: float = Field(adaptive.MOST, ge=1, le=1000, description="largest multiple of the base")
    handlers: bool = Field(False, description="whether handlers that name no timeout have an adaptive one")
    names: int = Field(256, ge=1, le=100_000, description="resources, queues and handlers that are counted apart")

    def rules(self) -> dict[str, Adaptive]:
        """The rules of each type."""
        bases = {kind: getattr(self, kind) for kind in BASES}
        return {kind: Adaptive(base, self.strategy, self.least, self.most) for kind, base in bases.items()}


class Coalescing(Section):
    """Answers of coalesced calls that each process keeps copies of in its memory."""

    entries: int = Field(10_000, ge=0, le=10**7, description="copies at most; 0: none")
    bytes: int = Field(16 * 1_048_576, ge=0, le=2**40, description="bytes of these copies at most")
