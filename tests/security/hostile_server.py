"""A server that speaks RESP and answers whatever it likes."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

INFO = b"redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\n"
HELLO = b"%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n"
LONGEST = 1_048_576
STATUSES = (
    *(b"ok", b"granted", b"waiting", b"busy", b"ended", b"accepted", b"duplicate", b"rejected", b"conflict", b"gone"),
    *(b"refused", b"queue_full", b"line_full", b"over_capacity", b"too_large", b"session_lost", b"lost", b"stale"),
    *(b"final", b"pending", b"held", b"told", b"schema", b"running", b"succeeded", b"failed", b"nonsense"),
)
WORDS = (
    *(
        b"",
        b"0",
        b"1",
        b"-1",
        b"nan",
        b"inf",
        b"1e400",
        b"9" * 5000,
        b"\xff\xfe",
        b"x 1 2 3 4",
        b"\x1b[31m\r\n",
        b"job",
    ),
    *(b"x1:a", b"s9999999999999999999:b", b"state", b"priority", b"x" * 70_000, b"\xc1\x01i\x03new", b"\x91" * 2000),
)
# What is no reply, or one that never ends, or one of a protocol that was not asked for. (A list is announced no longer
# than this because hiredis makes room for all of it at once, and takes seconds to throw that away.)
BROKEN = (
    *(
        b"*3000000\r\n",
        b"$536870912\r\nabc",
        b"$-5\r\nx\r\n",
        b":abc\r\n",
        b"*-7\r\n",
        b"\x00\xff\xfe\r\n",
        b"+",
        b"\r\n",
    ),
    *(
        b"*1\r\n" * 5000 + b":1\r\n",
        b"%1\r\n+a\r\n:1\r\n",
        b">2\r\n+pubsub\r\n+x\r\n",
        b",nan\r\n",
        b"(" + b"9" * 6000 + b"\r\n",
    ),
    *(
        b"_\r\n",
        b"#t\r\n",
        b"~1\r\n:1\r\n",
        b"=5\r\ntxt:x\r\n",
        b"$10000000000\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ),
)
ERRORS = (
    *(b"ERR \x1b[31m\x00 evil", b"MOVED 0 127.0.0.1:1", b"ASK 0 127.0.0.1:1", b"NOSCRIPT none", b"LOADING", b"BUSY"),
    *(
        b"OOM command not allowed",
        b"WRONGTYPE Operation",
        b"NOPERM no",
        b"READONLY",
        b"EXECABORT",
        b"ERR Function not found",
    ),
    *(
        b"NOAUTH Authentication required.",
        b"ERR unknown command",
        b"x" * 50_000,
        b"",
        b"WRONGPASS",
        b"ERR user_function:1: x",
    ),
)


class HostileServer:
    """Answers what a connection begins with as Redis does, and everything else as it likes.

    `polite` is the share of answers that are well-formed. `answered` counts those to scripts.
    """

    def __init__(self, folder: Path, seed: int, polite: float) -> None:
        self.path = folder / "hostile.sock"
        self.url = f"unix://{self.path}"
        self.answered = 0
        self._chance, self._polite = random.Random(seed), polite
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        for one in (self._listener, *list(self._open)):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(near)
            thread = threading.Thread(target=self._serve, args=(near,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, near: socket.socket) -> None:
        with near, near.makefile("rb") as stream, contextlib.suppress(OSError, ValueError):
            for words in _requests(stream):
                reply, ends = self._reply(words)
                near.sendall(reply)
                if ends:
                    break
        self._open.discard(near)

    def _reply(self, words: list[bytes]) -> tuple[bytes, bool]:
        """The answer, and whether the connection ends with it."""
        command = words[0].upper()
        if command in (b"CLIENT", b"AUTH", b"SELECT", b"FUNCTION", b"PING"):
            return b"+OK\r\n", False
        with self._lock:
            if command in (b"INFO", b"HELLO") and self._chance.random() < 0.95:
                return (_bulk(INFO) if command == b"INFO" else HELLO), False
            self.answered += 1
            if self._chance.random() < self._polite:
                reply = self._polite_reply(0)
                # What a client holds of an answer is bounded by the answer, and so that is.
                return (reply if len(reply) < LONGEST else b":0\r\n"), False
            kind = self._chance.choice((BROKEN, BROKEN, ERRORS, ERRORS, ERRORS, (b"",)))
            found = self._chance.choice(kind)
            return (b"-" + found + b"\r\n", False) if kind is ERRORS else (found, True)

    def _polite_reply(self, depth: int) -> bytes:
        """A well-formed reply that means nothing: most often a list that begins with a word that replies begin with."""
        pick = self._chance.random()
        if depth == 0 and pick < 0.8:
            rest = [self._polite_reply(1) for _ in range(self._chance.randrange(14))]
            return b"*%d\r\n" % (len(rest) + 1) + _bulk(self._chance.choice(STATUSES)) + b"".join(rest)
        if depth < 4 and pick < 0.35:
            inner = [self._polite_reply(depth + 1) for _ in range(self._chance.randrange(14))]
            return b"*%d\r\n" % len(inner) + b"".join(inner)
        if pick < 0.5:
            return b":%d\r\n" % self._chance.choice((0, 1, -1, 2**63 - 1, -(2**63), 7))
        if pick < 0.55:
            return self._chance.choice((b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b"+OK\r\n"))
        return _bulk(self._chance.choice(WORDS if pick < 0.85 else STATUSES))


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(value), value)


def _requests(stream: Any) -> Iterator[list[bytes]]:
    while line := stream.readline():
        words = []
        for _ in range(int(line[1:])):
            size = int(stream.readline()[1:])
            words.append(stream.read(size + 2)[:-2])
        yield words
