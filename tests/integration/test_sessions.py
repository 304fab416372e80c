"""Liveness: death is seen in seconds, and whoever is thought dead learns of it first."""

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from coordinator import AsyncCoordinator, AsyncLease, Coordinator, LockTicket, Settings, State
from coordinator.errors import LeaseLost, WaitCancelled, WaitTimeout
from coordinator.keys import key
from tests.support.until import until

HOLDER = """
import sys, time
from coordinator import Coordinator, Settings
settings = Settings.of(namespace=sys.argv[2], session_ttl=2.0, sweep_interval=0.2, operation_timeout=2.0)
co = Coordinator.connect(sys.argv[1], settings=settings)
lease = co.acquire("a")
waiting = co.request("b")
print(lease.fence, flush=True)
for line in sys.stdin:
    if line.strip() == "held":
        print(lease.held, lease.lost.wait(5), flush=True)
    else:
        try:
            lease.release()
            print("released", flush=True)
        except Exception as error:
            print(type(error).__name__, flush=True)
"""


@pytest.fixture
def holder(redis_url: str, namespace: str) -> Any:
    """A process of its own that holds `a` and waits for `b`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, redis_url, namespace],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()


def say(process: Any, line: str) -> str:
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return str(process.stdout.readline()).strip()


def test_the_lock_of_a_killed_process_goes_on_within_its_session(other: Any, holder: Any) -> None:
    blocker = other.acquire("b")
    fence = int(holder.stdout.readline())
    behind_dead_waiter = other.request("b")
    began = time.monotonic()
    holder.kill()
    lease = other.acquire("a", wait=10)
    assert time.monotonic() - began < 2.0 + 0.2 + 1.0
    assert lease.fence > fence
    until(lambda: other.line("b").line_length == 1, what="the dead waiter is gone")
    blocker.release()
    assert behind_dead_waiter.wait(5).held


def test_a_paused_holder_learns_of_its_loss_and_is_refused(other: Any, holder: Any) -> None:
    fence = int(holder.stdout.readline())
    holder.send_signal(signal.SIGSTOP)
    lease = other.acquire("a", wait=10)
    assert lease.fence > fence
    holder.send_signal(signal.SIGCONT)
    assert say(holder, "held") == "False True"
    assert say(holder, "release") == "LeaseLost"
    assert lease.held


def test_holding_for_longer_than_the_session_is_fine(co: Any, other: Any) -> None:
    lease = co.acquire("a")
    ticket = other.request("a")
    with pytest.raises(WaitTimeout):
        ticket.wait(3.0)  # longer than the session lasts without heartbeats
    assert lease.held
    lease.release()
    assert ticket.wait(5).held


def test_a_lost_session_is_replaced_by_the_next_call(co: Any, raw: Any, namespace: str) -> None:
    lease = co.acquire("a")
    raw.zadd(f"co:{{{namespace}}}:sessions", {raw.hget(f"co:{{{namespace}}}:req:{lease.ident}", "session"): 1})
    until(lease.lost.is_set, what="the heartbeat is refused")
    assert not lease.held
    replacement = co.acquire("b")
    until(lambda: co.get(lease.ident).state() == State.LOST, what="the sweep takes the lock back")
    assert replacement.held
    with pytest.raises(LeaseLost):
        lease.release()
    assert co.acquire("a", wait=5).held


def test_a_session_lost_between_heartbeats_is_replaced_in_the_call(connect: Any, raw: Any, namespace: str) -> None:
    client = connect(session_ttl=30.0, sweep_interval=10.0)
    with client.lock("a"):
        pass
    raw.zadd(f"co:{{{namespace}}}:sessions", {raw.zrange(f"co:{{{namespace}}}:sessions", 0, 0)[0]: 1})
    assert client.acquire("a").held


def lapse_on_the_way(driver: Any) -> None:
    """The next lock is granted, and before its answer is here the session has lapsed and another is open: the process
    was stopped meanwhile, and another of its threads was quicker."""
    real = driver.store.call

    async def awaited(answer: Any) -> Any:
        return lapsed(await answer)

    def lapsed(answer: Any) -> Any:
        driver.keeper.ensure(lost=driver.keeper.session)
        return answer

    def call(one: Any, *more: Any) -> Any:
        answer = real(one, *more)
        if one.script != "request":
            return answer
        driver.store.call = real
        return awaited(answer) if inspect.isawaitable(answer) else lapsed(answer)

    driver.store.call = call


def test_what_was_granted_to_a_session_that_lapsed_meanwhile_is_not_believed_under_the_next(
    co: Any, other: Any
) -> None:
    co.acquire("b")
    lapse_on_the_way(co._driver)
    lease = co.acquire("a")
    assert co._driver.keeper.session, "another is open"
    assert not lease.held
    until(lease.lost.is_set, what="its holder is told")
    assert lease.why_lost == "the session has lapsed"
    lease.release()
    assert other.acquire("a", wait=5).held
    assert co.acquire("c").held


def is_lost(call: Callable[[], Any]) -> bool:
    """Whether a forked child is told so."""
    try:
        call()
    except LeaseLost as error:
        return "forked" in error.why
    return False


def is_cancelled(ticket: LockTicket) -> None:
    """Wait for a ticket until it is."""
    with pytest.raises(WaitCancelled):
        ticket.wait()


def test_a_forked_child_has_a_session_of_its_own(redis_url: str, settings: Settings) -> None:
    with Coordinator.connect(redis_url, settings=settings) as co:
        lease = co.acquire("a")
        ends, ticket = lease.trusted_until, co.request("a")
        waits = threading.Thread(target=is_cancelled, args=(ticket,))
        waits.start()
        until(ticket._turn.locked)
        report, child_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                refused = co.try_acquire("a") is None
                own = co.acquire("b")
                answer = f"{lease.held} {refused} {own.held} {own.ident.split('-')[0] != lease.ident.split('-')[0]}"
                lease.release()  # not the child's to release
                answer += f" {is_lost(lambda: lease.extend(1))} {is_lost(lambda: lease.hand_over(ticket.ident))}"
                answer += f" {is_lost(ticket.wait)}"
                os.write(child_end, answer.encode())
                own.release()
                co.close()
            finally:
                os._exit(0)
        assert os.read(report, 100) == b"False True True True True True True"
        os.waitpid(pid, 0)
        os.close(report)
        os.close(child_end)
        assert lease.held
        assert lease.trusted_until == ends
        ticket.cancel()
        waits.join(30)
        assert co.get(lease.ident).state() == State.HELD


def test_a_forked_child_of_an_asyncio_process_has_a_session_of_its_own(redis_url: str, settings: Settings) -> None:
    co = AsyncCoordinator.connect(redis_url, settings=settings)
    report, child_end = os.pipe()

    async def in_child(lease: AsyncLease) -> str:
        own = await co.acquire("b", wait=10)
        for theirs in (lease.extend(1), lease.hand_over("r"), ticket.wait()):
            with pytest.raises(LeaseLost):
                await theirs
        pids = [one.fields.get("pid") for one in (await co.survey()).sessions]
        await co.close()
        return f"{lease.held} {own.fence > lease.fence} {str(os.getpid()) in pids}"

    with asyncio.Runner() as runner:
        lease, ticket = runner.run(co.acquire("a")), runner.run(co.request("a"))
        pid = os.fork()
        if pid == 0:
            try:
                with asyncio.Runner() as own_runner:
                    os.write(child_end, own_runner.run(in_child(lease)).encode())
            finally:
                os._exit(0)
        assert os.read(report, 100) == b"False True True"
        os.waitpid(pid, 0)
        os.close(report)
        os.close(child_end)
        assert lease.held
        runner.run(lease.release())
        runner.run(co.close())


def test_fork_in_the_middle_of_traffic(redis_url: str, settings: Settings) -> None:
    with Coordinator.connect(redis_url, settings=settings) as co:
        stop = threading.Event()
        errors: list[BaseException] = []

        def traffic(name: str) -> None:
            try:
                while not stop.is_set():
                    with co.lock(name):
                        pass
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=traffic, args=(f"r{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        codes = []
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    with co.lock("child", wait=20):
                        code = 0
                finally:
                    os._exit(code)
            codes.append(os.waitpid(pid, 0)[1])
        stop.set()
        for thread in threads:
            thread.join(20)
        assert codes == [0] * 5
        assert errors == []


def test_a_process_that_just_ends_releases_what_it_held(redis_url: str, namespace: str, raw: Any) -> None:
    program = "import sys; from coordinator import Coordinator; Coordinator.connect(*sys.argv[1:]).acquire('a')"
    subprocess.run([sys.executable, "-c", program, redis_url, namespace], check=True, timeout=30)
    assert raw.zcard(f"co:{{{namespace}}}:sessions") == 0
    assert raw.zcard(f"co:{{{namespace}}}:resources") == 0


@pytest.mark.parametrize("ask", ["acquire", "request"])
def test_who_comes_back_under_another_session_stands_in_line_as_anybody(
    co: Any, connect: Any, raw: Any, namespace: str, ask: str
) -> None:
    """What is said of the session before is no word on what is asked under the new one."""
    lease, late = co.acquire("a"), connect(session_ttl=600.0)
    late.acquire("b")
    [theirs] = raw.zrange(key(namespace, "SESSIONS"), -1, -1)
    raw.zadd(key(namespace, "SESSIONS"), {theirs: 1})
    if ask == "acquire":
        with pytest.raises(WaitTimeout):
            late.acquire("a", wait=0.05)
        assert co.line("a").line_length == 0
    else:
        ticket = late.request("a")
        with pytest.raises(WaitTimeout):
            ticket.wait(0)
        lease.release()
        ticket.wait(5).release()
