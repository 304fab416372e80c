"""What a release costs on the server, in commands inside its script, when many wait."""

from collections import Counter

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import LockAsk
from tests.support.engine import Engine, script_text, wire_needs

# What the step "released, and the next one has it" consists of. Each is there for a promise of its own.
OPENING = Counter(
    get=1,  # the clock (a test's: `TIME` on a server)
    # The clock's mark, the last number drawn, what is on in this namespace; the one that goes, and the one that comes.
    hgetall=3,
)
LEAVING = Counter(
    zrem=1,  # its maximum hold
    hdel=1,  # out of the holders
    exists=1,  # whether the resource is still wanted, or leaves the index, and whether anybody has it still
    hset=1,  # its state
    pexpire=1,  # its record goes by itself
    srem=1,  # its session no longer owns it
    xadd=1,  # the event
)
COMING = Counter(
    zrange=1,  # the first in line
    zscore=1,  # whether that one's process lives: no grant to the dead
    hset=2,  # into the holders; its state, fence and lease
    zadd=1,  # its maximum hold
    zrem=1,  # out of the line
    xadd=1,  # the event
    rpush=1,  # the message that wakes it, the only one
    hincrby=1,  # how many messages there were, by which a lost one is noticed
)
CLOSING = Counter(
    hincrby=3,  # counters: releases, grants, time waited
    hset=1,  # the number drawn as the fence
)
COMMANDS = OPENING + LEAVING + COMING + CLOSING


def wait_in_line(engine: Engine, count: int) -> None:
    """So many wait for the same, each in a process of its own."""
    pipe = engine.raw.pipeline(transaction=False)
    for number in range(count):
        session = f"w{number}"
        asked = LockAsk(f"r{number}", 1, wire_needs("a"), trying=False, wait_ms=None, hold_ms=60_000)
        for call in (calls.open_session(engine.scope, session, {}), calls.request(engine.scope, session, asked)):
            pipe.eval(script_text(call.script, engine._shebang, True), 1, call.key, *call.args)
    pipe.execute()


def commands(engine: Engine) -> Counter[str]:
    found = engine.raw.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): one["calls"] for name, one in found.items()})


@pytest.mark.parametrize("waiters", [10, 1000])
def test_a_release_costs_the_same_however_many_wait_and_wakes_one(engine: Engine, waiters: int) -> None:
    engine.rules(max_line=2000)
    engine.open("s")
    fence = engine.hold("s", "r", "a")
    wait_in_line(engine, waiters)
    engine.advance(0.5)
    call = calls.release(engine.scope, "r", fence)
    text = script_text("release", engine._shebang, True)
    before = commands(engine)
    assert engine.raw.eval(text, 1, call.key, *call.args)[0] == b"ok"
    spent = commands(engine) - before
    woken = [number for number in range(waiters) if engine.raw.exists(engine.key("INBOX", f"w{number}"))]
    assert (woken, engine.holders("a"), len(engine.line("a"))) == ([0], ["r0"], waiters - 1)
    assert spent - Counter(eval=1, info=1) == COMMANDS
    assert COMMANDS.total() == 24
