"""What an election should do, in plain Python: who leads, and who is next."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field


@dataclass
class Elected:
    """One election. The `line` has the priority and the number of arrival of those who wait; larger is more urgent."""

    leader: str = ""
    line: dict[str, tuple[int, int]] = field(default_factory=dict)
    arrived: int = 0

    @property
    def order(self) -> list[str]:
        """Those who wait, the next first."""
        return sorted(self.line, key=lambda one: (-self.line[one][0], self.line[one][1]))

    def stand(self, name: str, priority: int) -> None:
        self.arrived += 1
        self.line[name] = (priority, self.arrived)
        self._elect()

    def reprioritise(self, name: str, priority: int) -> None:
        self.line[name] = (priority, self.line[name][1])

    def go(self, names: AbstractSet[str], heir: str = "") -> None:
        """Some leave the line or the lead, at one moment; `heir` is put before all others."""
        self.line = {one: rank for one, rank in self.line.items() if one not in names}
        if self.leader in names:
            self.leader = ""
        self._elect(heir)

    def _elect(self, heir: str = "") -> None:
        if not self.leader and self.line:
            self.leader = heir or self.order[0]
            self.line.pop(self.leader)
