"""What latches and barriers should do, in plain Python: who has come, which rounds are over, and who is to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from coordinator.wire.calls import Gathering

Answer = tuple[str, ...]


@dataclass
class Gathered:
    """One latch or barrier. `rounds` are those that are over, each with all who were in it and the number that each was
    told, if it was; of a latch there is one. `left_out`: who was taken for dead, in whichever round."""

    thing: Gathering
    live: Callable[[str], bool]
    came: dict[str, str] = field(default_factory=dict)
    rounds: list[dict[str, str]] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    watching: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    begun: bool = False

    @property
    def barrier(self) -> bool:
        return self.thing.kind == "barrier"

    def passed(self, ident: str) -> bool:
        """Whether the one of that id may go on."""
        return any(ident in one for one in self.rounds) or (bool(self.rounds) and not self.barrier)

    def number(self, ident: str) -> str:
        """The number that it was told in the last round, or nothing."""
        return self.rounds[-1].get(ident, "") if self.rounds else ""

    def numbered(self, ident: str, word: str) -> bool:
        """Whether this may be its number: those of the last round of a barrier have one, each another, and keep it."""
        if not self.barrier or not self.rounds or ident not in self.rounds[-1]:
            return word == ""
        before, last = self.number(ident), self.rounds[-1]
        last[ident] = word
        others = [number for one, number in last.items() if one != ident]
        return word in map(str, range(len(last))) and word not in others and before in ("", word)

    def call(self, thing: Gathering, act: str, session: str, ident: str, came_in: str) -> Answer:
        """The answer of the script, as its header says, without the number of who was in the round."""
        if session and not self.live(session):
            return ("session_lost",)
        if self.begun and (thing.kind, thing.needed) != (self.thing.kind, self.thing.needed):
            return "mismatch", self.thing.kind, str(self.thing.needed)
        return self._barrier(act, session, ident, came_in) if self.barrier else self._latch(act, session, ident)

    def _barrier(self, act: str, session: str, ident: str, came_in: str) -> Answer:
        number = len(self.rounds)
        if (came_in and int(came_in) < number - 1) or (self.rounds and ident and ident in self.rounds[-1]):
            return "open", came_in or str(number)
        if act == "come":
            self.begun, self.came[ident] = True, session
            self.left_out.discard(ident)
            if len(self.came) >= self.thing.needed:
                self.left_out |= {one for one, of in self.came.items() if not self.live(of)}
                self.came = {one: of for one, of in self.came.items() if one not in self.left_out}
            if len(self.came) >= self.thing.needed:
                self._open()
                return "open", str(number)
        elif act == "leave":
            self.came.pop(ident, None)
        self._watch(act, session)
        return "shut", str(number), str(len(self.came))

    def _latch(self, act: str, session: str, ident: str) -> Answer:
        if self.rounds:
            return "open", "0"
        if act == "come":
            self.begun, self.came[ident] = True, session
        if len(self.came) >= self.thing.needed:
            self._open()
            return "open", "0"
        self._watch(act, session)
        return "shut", "0", str(len(self.came))

    def _watch(self, act: str, session: str) -> None:
        if session and act != "leave":
            self.watching.add(session)

    def _open(self) -> None:
        self.rounds.append(dict.fromkeys(self.came, ""))
        self.told += [session for session in sorted(self.watching) if self.live(session)]
        self.came, self.watching = {}, set()
