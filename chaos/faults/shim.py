"""Compiles the small C libraries that are loaded into a server to change what it sees of the machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from chaos.faults.unavailable import Unavailable


def library(name: str) -> Path:
    """The shared object of `{name}.c` beside this file, compiled at the first use. Raises Unavailable."""
    source = Path(__file__).with_name(f"{name}.c")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"coordinator-chaos-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    # Its name is no secret, and what lies there is loaded into our servers.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise Unavailable(f"others may write to {folder}: delete it")
    made = folder / f"{name}-{digest}.so"
    if not made.exists():
        _compile(source, made)
    return made


def _compile(source: Path, made: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Unavailable(f"{source.name} must be compiled and there is no C compiler: install gcc and libc6-dev")
    with tempfile.TemporaryDirectory(dir=made.parent) as folder:
        draft = Path(folder) / made.name
        command = [compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", str(draft), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"{source.name} could not be compiled: {done.stderr.strip()}")
        draft.replace(made)
