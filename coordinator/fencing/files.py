"""Fences of files: the newest one stands in `name.fence`, which is locked (flock) while it is looked at and written.

For files of one machine, or of a network file system that has flock among machines. POSIX only.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from coordinator.errors import Corrupt, shortened
from coordinator.fencing.fences import Fence, check, number

# Written over in place; a fence never gets shorter.
DIGITS = 20
# The mark of a file that nobody has written yet.
UNSEEN = b"0" * DIGITS


@contextmanager
def guarded_file(path: str | Path, fence: Fence) -> Iterator[Path]:
    """Alone with a file that nobody has written under a newer fence; what is inside must change nothing else.

    The fence is on disk before the code inside begins, so older holders are refused from then on, whatever happens.
    Waits for others that are inside. Raises StaleFence; Corrupt if the file of the fence is empty, or holds no fence.
    """
    # By whatever name it is called, a file has one fence.
    target, ours = Path(os.path.realpath(path)), number(fence)
    mark = target.with_name(f"{target.name}.fence")
    file = _opened(mark)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        stored = os.pread(file, DIGITS + 1, 0)
        if len(stored) != DIGITS or not stored.isdigit():
            raise Corrupt(_unreadable(mark, stored))
        check(str(path), ours, int(stored))
        if int(stored) != ours:
            os.pwrite(file, b"%0*d" % (DIGITS, ours), 0)
            os.fsync(file)
        if stored == UNSEEN:
            # Else it could be gone again after a power cut.
            _on_disk(target.parent)
        yield target
    finally:
        os.close(file)


def replace_file(path: str | Path, data: bytes | str, fence: Fence) -> None:
    """Put new contents in place of a file's, all at once, unless it was written under a newer fence: StaleFence.

    Readers see the old or the new contents, never a part. On disk when this returns. The permissions stay; those of a
    new file follow the umask. What a symbolic link names is replaced, and the link stays.
    """
    with guarded_file(path, fence) as target:
        name = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                with suppress(FileNotFoundError):
                    os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:
            name.unlink(missing_ok=True)
            raise
        _on_disk(target.parent)


def _opened(mark: Path) -> int:
    """The file of a fence. It comes to be with a mark in it, all at once: one that is empty has lost its mark."""
    while True:
        with suppress(FileNotFoundError):
            # Never replaced, for then two could hold locks on two files of this name.
            return os.open(mark, os.O_RDWR | os.O_CLOEXEC)
        name = mark.with_name(f".{mark.name}.{secrets.token_hex(8)}")
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            os.write(file, UNSEEN)
            os.fsync(file)
            # Unlike a rename it fails where another was quicker.
            with suppress(FileExistsError):
                os.link(name, mark)
        finally:
            os.close(file)
            name.unlink()


def _unreadable(mark: Path, stored: bytes) -> str:
    what = f"holds no fence: {shortened(stored)}" if stored else "is empty, so which fence was seen last is lost"
    return (
        f"{str(mark)!r} {what}; once nobody is at work under an old lease, remove it, and the next to come "
        "makes it anew"
    )


def _on_disk(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
