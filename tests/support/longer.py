"""The scripts without the ways that are written out straight for jobs about which nothing is said."""

from __future__ import annotations

from functools import cache
from typing import Any

from coordinator.wire import loader
from coordinator.wire.step import Call
from tests.support.engine import Engine, plain
from tests.support.played import REPLACED

# Lua that is put behind a fragment, so that the script takes its general path: nothing counts as plain any more, and
# the ready jobs of one queue are merged with those of a second one, which is always empty.
_BEHIND = {
    "lib/submit_alone": "submit_alone = function() end",
    "lib/submit_plain": "is_plain = function() end",
    "lib/claim_alone": "claim_alone = function() end",
    "lib/plain_job": "plain_job.is_new = function() end",
    "lib/settle_plain": "settle_plain.fits = function() end",
    "lib/heads": """do
  local straight = order_of
  order_of = function(ctx, queues, wanted)
    return straight(ctx, #queues == 1 and { queues[1], 'no such queue' } or queues, wanted)
  end
end""",
}


@cache
def _texts() -> dict[str, str]:
    return REPLACED | {name: f"{loader.source(name)}\n{behind}" for name, behind in _BEHIND.items()}


@cache
def _script_text(name: str, shebang: bool) -> str:
    body = loader.resolve(name, replace=_texts())
    return f"{loader.program(name, shebang).text.splitlines()[0]}\n{body}" if shebang else body


class Longer(Engine):
    """A namespace in which every job goes the longer way: it leaves what the straight ways have to leave."""

    def sent(self, call: Call) -> list[Any]:
        """The reply, and nothing is looked at."""
        reply: list[Any] = plain(self.raw.eval(_script_text(call.script, self._shebang), 1, call.key, *call.args))
        return reply
