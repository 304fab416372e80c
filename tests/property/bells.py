"""Whether every ready job has woken somebody: while a worker stands idle, no job lies that nobody was rung for."""

from __future__ import annotations

from coordinator.wire.step import Call
from tests.property.engine import Look
from tests.support.model import World


class Bells:
    """Who has been rung and has not come yet. A worker answers a bell with its next claim."""

    def __init__(self) -> None:
        self._heard: dict[str, int] = {}
        self._rung: set[str] = set()

    def hear(self, call: Call, look: Look, world: World) -> None:
        """After each step: note who was rung and who came; then no job may lie."""
        if call.script in ("sweep", "beat"):
            # A sweep may have been part of it: it rings again for the jobs of those who were rung and died.
            self._rung = {session for session in self._rung if world.live(session)}
        if call.script == "close_session" or (call.script in ("claim", "settle") and call.args[2] != 0):
            self._rung.discard(str(call.args[1]))
        for session in look.sessions:
            bells = sum(word.startswith("bell ") for word in look.words("INBOX", session))
            if bells > self._heard.get(session, 0):
                self._rung.add(session)
            self._heard[session] = bells
        for queue in look.queues:
            idle = [session for session in look.words("IDLE", queue) if world.live(session)]
            lying = len(look.words("READY", queue)) - len(self._rung)
            assert not idle or lying <= 0, f"{idle} are idle, while {lying} jobs in {queue} have woken nobody"
