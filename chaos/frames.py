"""Where one message of Redis's protocol ends and the next begins."""

from __future__ import annotations

# What follows the first byte of a message: so many bytes, messages, or pairs of messages. All others are lines.
_SIZED, _LISTS, _MAPS = b"$=!", b"*~>", b"%|"
_ATTRIBUTE = ord("|")


class Frames:
    """Cuts a stream of bytes into messages, versions 2 and 3 of the protocol."""

    def __init__(self) -> None:
        self._data = bytearray()
        # How far the message in front has been read, and how many of its parts are still to come.
        self._at, self._due = 0, 1

    def feed(self, data: bytes) -> None:
        """Take in what has arrived."""
        self._data += data

    def take(self) -> bytes | None:
        """The next whole message, or None until more has arrived."""
        while self._due:
            if not self._step():
                return None
        whole = bytes(self._data[: self._at])
        del self._data[: self._at]
        self._at, self._due = 0, 1
        return whole

    def _step(self) -> bool:
        end = self._data.find(b"\r\n", self._at)
        if end < 0:
            return False
        kind, after, parts = self._data[self._at], end + 2, 0
        if kind in _SIZED:
            size = int(self._data[self._at + 1 : end])
            after += size + 2 if size >= 0 else 0
            if after > len(self._data):
                return False
        elif kind in _LISTS:
            parts = max(0, int(self._data[self._at + 1 : end]))
        elif kind in _MAPS:
            # An attribute stands in front of the message it belongs to.
            parts = 2 * int(self._data[self._at + 1 : end]) + (kind == _ATTRIBUTE)
        self._at, self._due = after, self._due + parts - 1
        return True


def words_of(request: bytes, most: int) -> tuple[bytes, ...]:
    """The first words of a request."""
    words: list[bytes] = []
    at = request.find(b"\r\n") + 2
    while len(words) < most and at < len(request):
        end = request.find(b"\r\n", at)
        size = int(request[at + 1 : end])
        words.append(request[end + 2 : end + 2 + size])
        at = end + 4 + size
    return tuple(words)
