"""How a call is made while an earlier copy of it may still be on its way: on a connection that was given up, say.

A script knows a copy by the id or the fence that it carries, from what the first left behind. A try that finds its
resources taken leaves nothing; so a copy that came late would be granted to nobody as soon as all is free. Sent again
it says so, and leaves a record of its answer.
"""

from __future__ import annotations

from coordinator.wire.step import Call

# Where a call of `request` says whether it waits.
TRYING = 5


def sent_again(call: Call) -> Call:
    """The call as it is sent when it was sent before."""
    if call.script != "request" or call.args[TRYING] != "try":
        return call
    return call._replace(args=(*call.args[:TRYING], "again", *call.args[TRYING + 1 :]))
