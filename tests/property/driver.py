"""Short words for the calls of the engine, for tests that tell one story each."""

from __future__ import annotations

from typing import Any

from coordinator.keys import key
from coordinator.wire import calls
from coordinator.wire.calls import Claim, JobAsk, LockAsk, Report, Scope, Word
from tests.property.engine import Engine
from tests.property.machine import QUEUES, START_US, TERMS
from tests.support.engine import per_job


class Driver:
    """One namespace with sessions `s1` and `s2`, and a clock that only `advance` moves."""

    def __init__(self, engine: Engine, namespace: str) -> None:
        self.engine, self.scope, self.namespace = engine, Scope.of(namespace, TERMS), namespace
        self.us, self.claims = START_US, 0
        engine.set_clock(self.us)
        for session in ("s1", "s2"):
            engine.call(calls.open_session(self.scope, session, {"queues": " ".join(QUEUES)}))

    def advance(self, seconds: float, *sessions: str) -> None:
        """Let time pass; `sessions` make a call that takes nothing back, and so stay alive."""
        self.us += round(seconds * 1_000_000)
        self.engine.set_clock(self.us)
        for session in sessions:
            self.settle(session)

    def submit(self, *jobs: tuple[str, dict[str, Word]], queue: str = "qa") -> list[Any]:
        asks = [JobAsk(ident, "work", queue, int(words.pop("priority", 1)), b"x", words) for ident, words in jobs]
        call = calls.submit(self.scope, 1000, asks)
        return per_job(call, self.engine.call(call))

    def request(self, session: str, ident: str, needs: str, priority: int = 1, trying: bool = False) -> list[str]:
        ask = LockAsk(ident, priority, needs, trying, None, 600_000)
        reply: list[str] = self.engine.call(calls.request(self.scope, session, ask))
        return reply

    def release(self, ident: str) -> str:
        [fence] = self.engine.read([("HGET", key(self.namespace, "REQ", ident), "fence")])
        return str(self.engine.call(calls.release(self.scope, ident, int(fence)))[0])

    def claim(self, session: str, wanted: int = 1, queues: tuple[str, ...] = QUEUES) -> dict[str, str]:
        """Fences by job."""
        self.claims += 1
        reply = self.engine.call(calls.claim(self.scope, session, Claim(self.claims, wanted, 60_000, queues)))
        return {one[0]: one[1] for one in reply[1:]}

    def settle(self, session: str, *reports: Report) -> list[list[str]]:
        reply = self.engine.call(calls.settle(self.scope, session, Claim(0, 0, 1000, ()), reports))
        settled: list[list[str]] = reply[1]
        return settled

    def cancel(self, ident: str) -> str:
        return str(self.engine.call(calls.cancel(self.scope, ident, "cancel", "not wanted"))[0])

    def reprioritise(self, ident: str, priority: int) -> str:
        return str(self.engine.call(calls.reprioritise(self.scope, ident, priority))[0])

    def sweep(self) -> None:
        while self.engine.call(calls.sweep(self.scope))[1] != "0":
            pass

    def close(self, session: str) -> None:
        self.engine.call(calls.close_session(self.scope, session))

    def remaining_ms(self, ident: str) -> int:
        """How long the record of a request that is over will still be there."""
        [left] = self.engine.read([("PTTL", key(self.namespace, "REQ", ident))])
        return int(left)

    def state(self, ident: str) -> str:
        [state] = self.engine.read([("HGET", key(self.namespace, "REQ", ident), "state")])
        return str(state.decode())

    def bells(self, session: str) -> int:
        """How often the session was told that there is work."""
        [words] = self.engine.read([("LRANGE", key(self.namespace, "INBOX", session), "0", "-1")])
        return sum(word.startswith(b"bell ") for word in words)
