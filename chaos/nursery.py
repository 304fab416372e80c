"""The process that forks: reads one line of JSON per child to start, says when it has, and when one has ended.

A child that ends at once is kept as a zombie until the parent says it has `seen` the id: only then is it reaped, so the
parent never takes hold of an id that belongs to another process by now.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from typing import Any

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def serve(channel: socket.socket) -> None:
    """Fork until the other end is closed, then kill the children that are left."""
    wake, alarm = os.pipe()
    for end in (wake, alarm):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that it writes to the pipe
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    seen: set[int] = set()
    unread = b""
    while True:
        ready = select.select([channel.fileno(), wake], [], [])[0]
        if wake in ready:
            os.read(wake, 4096)
        if channel.fileno() in ready:
            got = channel.recv(1 << 16)
            if not got:
                break
            *lines, unread = (unread + got).split(b"\n")
            for line in lines:
                _obey(json.loads(line), channel, seen)
        _reap(channel, seen)
    # The kernel kills the children of a process that ends: each has asked for it.


def _obey(said: dict[str, Any], channel: socket.socket, seen: set[int]) -> None:
    if "seen" in said:
        seen.add(said["seen"])
        return
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be_child(parent, said["entry"], said["args"], channel)
    _say(channel, forked=pid)


def _reap(channel: socket.socket, seen: set[int]) -> None:
    for pid in list(seen):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            seen.discard(pid)
            _say(channel, ended=pid, code=os.waitstatus_to_exitcode(status))


def _say(channel: socket.socket, **words: int) -> None:
    channel.sendall(json.dumps(words).encode() + b"\n")


def _be_child(parent: int, entry: str, args: dict[str, Any], channel: socket.socket) -> None:
    code = 1
    try:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        channel.close()
        module, _, name = entry.partition(":")
        getattr(importlib.import_module(module), name)(**args)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        # Not the interpreter's own end: what is registered for that belongs to the nursery.
        sys.stderr.flush()
        os._exit(code)


def main(words: Sequence[str]) -> None:
    """`python -m chaos.nursery <descriptor of the channel> <module>...`"""
    for module in words[1:]:
        importlib.import_module(module)
    # What is imported is shared with every child; without this the first collection would copy it into each.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(words[0])) as channel:
        serve(channel)


if __name__ == "__main__":
    main(sys.argv[1:])
