"""How long a server is at work with one call, by its own account.

By the clock: the microseconds that it counts for commands of a kind, which is how long everybody else waits. And by its
processor, which leaves out when the system gave that to somebody else in the midst of it (the host of a virtual machine
may do so unseen), and has more in it besides, such as reading the command and writing the answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from chaos.faults.node import Node

_COUNTED = re.compile(rb"cmdstat_(?:fcall|fcall_ro|evalsha|evalsha_ro|eval):calls=(\d+),usec=(\d+)")
_BY_SCHEDULER = 2


class Spent(NamedTuple):
    """What a call took the server, in milliseconds."""

    clock: float
    processor: float


class Busy:
    """Looks at a server before and after a call."""

    def __init__(self, node: Node) -> None:
        self._client: Any = node.client()
        # As it comes: the two numbers wanted are a small part of the text.
        self._client.set_response_callback("INFO", lambda told, **_: told)
        # The processor time of another process: clock_getcpuclockid(3), which Python has for threads only.
        self._processor = (~node.pid << 3) | _BY_SCHEDULER

    def close(self) -> None:
        """Close its connection."""
        self._client.close()

    def during(self, call: Callable[[], Any]) -> tuple[Any, Spent | None]:
        """Make a call. What it took is not known if another script ran meanwhile, as a heartbeat does."""
        calls_before, before = self._counted()
        begun = time.clock_gettime(self._processor)
        answer = call()
        processor = time.clock_gettime(self._processor) - begun
        calls_after, after = self._counted()
        known = calls_after - calls_before == 1
        return answer, Spent((after - before) / 1000, processor * 1000) if known else None

    def _counted(self) -> tuple[int, int]:
        found = _COUNTED.findall(self._client.execute_command("INFO", "commandstats"))
        return sum(int(count) for count, _ in found), sum(int(us) for _, us in found)
