"""What a server says, as it goes over the wire."""

from __future__ import annotations

from typing import Any


def wire(reply: Any) -> bytes:
    """A reply, or an error that is one."""
    match reply:
        case None:
            return b"*-1\r\n"
        case Exception():
            return f"-{reply}\r\n".encode()
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case int():
            return b":%d\r\n" % reply
        case str():
            return f"+{reply}\r\n".encode()
    return b"*%d\r\n%b" % (len(reply), b"".join(map(wire, reply)))
