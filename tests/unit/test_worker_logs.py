"""Log lines of a worker process, and the pieces of its life that need no server."""

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

from workers.logs import escape_values
from workers.service import Service
from workers.threads import Threads

PROGRAM = """
import logging
from workers import logs
from workers.context import ProcessContext
from coordinator import Priority

logs.configure(logs.Style({style!r}))
ctx = ProcessContext("j-1", "job", "default", Priority.LOW, 1, 1, {{}}, (), 7)
try:
    raise ValueError("bad\\x1b[31m")
except ValueError as error:
    ctx.log.warning("over\\nthere", value="a\\x1b[2Jb", exc_info=error)
logging.getLogger("other").info("plain \\x07 %s", "words")
"""


@pytest.mark.parametrize("style", ["json", "console"])
def test_lines_of_all_loggers_come_out_alike_and_clean(style: str) -> None:
    words = [sys.executable, "-c", PROGRAM.format(style=style)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    assert not done.stdout
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr
    assert "j-1" in done.stderr
    assert "plain" in done.stderr
    assert "ValueError" in done.stderr
    if style == "json":
        assert len(done.stderr.splitlines()) == 2


def test_values_are_escaped_and_numbers_stay() -> None:
    event: Any = {"event": "a\nb", "n": 3, "none": None, "list": ["\x1b"], "exception": "one\ntwo\x1b"}
    assert escape_values(None, "", event) == {
        "event": "a\\nb",
        "n": 3,
        "none": None,
        "list": "['\\x1b']",
        "exception": "one\ntwo\\x1b",
    }


class Counted(Service):
    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []

    async def _begin(self) -> None:
        self.log.append("begin")

    async def _end(self) -> None:
        self.log.append("end")


async def test_a_service_starts_and_stops_once() -> None:
    service = Counted()
    await service.start()
    await service.start()
    assert service.started
    await service.stop()
    await service.stop()
    await service.start()
    assert (service.log, service.started) == (["begin", "end"], False)


async def test_a_service_that_was_stopped_before_it_started_stays_stopped() -> None:
    service = Counted()
    await service.stop()
    await service.start()
    assert service.log == []


async def test_idle_threads_are_used_again() -> None:
    threads, loop = Threads(), asyncio.get_running_loop()

    async def run(function: Any) -> Any:
        done: asyncio.Future[Any] = loop.create_future()
        threads.run(function, lambda value, error: loop.call_soon_threadsafe(done.set_result, (value, error)))
        return await done

    first, _ = await run(threading.get_ident)
    problem = ValueError("no")

    def fail() -> None:
        raise problem

    assert await run(fail) == (None, problem)
    seen = {(await run(threading.get_ident))[0] for _ in range(20)}
    assert len(seen | {first}) <= 3
    threads.stop()
