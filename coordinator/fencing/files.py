"""Fences of files: the newest one stands in `name.fence`, which is locked (flock) while it is looked at and written.

For files of one machine, or of a network file system that has flock among machines. POSIX only.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from coordinator.errors import Corrupt
from coordinator.fencing.fences import Fence, check, number

# Written over in place; a fence never gets shorter.
DIGITS = 20


@contextmanager
def guarded_file(path: str | Path, fence: Fence) -> Iterator[Path]:
    """Alone with a file that nobody has written under a newer fence; what is inside must change nothing else.

    The fence is on disk before the code inside begins, so older holders are refused from then on, whatever happens.
    Waits for others that are inside. Raises StaleFence; Corrupt if the fence cannot be read.
    """
    target, ours = Path(path), number(fence)
    # Never replaced, for then two could hold locks on two files of this name.
    file = os.open(f"{target}.fence", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        stored = os.pread(file, DIGITS + 1, 0)
        if stored and not (len(stored) == DIGITS and stored.isdigit()):
            raise Corrupt(f"{target}.fence does not hold a fence")
        check(str(target), ours, int(stored or b"0"))
        if int(stored or b"0") != ours:
            os.pwrite(file, b"%0*d" % (DIGITS, ours), 0)
            os.fsync(file)
        yield target
    finally:
        os.close(file)


def replace_file(path: str | Path, data: bytes | str, fence: Fence) -> None:
    """Put new contents in place of a file's, all at once, unless it was written under a newer fence: StaleFence.

    Readers see the old or the new contents, never a part. On disk when this returns.
    """
    with guarded_file(path, fence) as target:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                with suppress(FileNotFoundError):
                    os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(name)
            raise
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
