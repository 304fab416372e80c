"""A virtual environment for each library, made when it is first needed and kept."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.model import NotInstalled
from bench.processes import ROOT

KEPT = ROOT / ".bench"
INSTALL_SECONDS = 600


def environment_for(requirements: Sequence[str]) -> Path:
    """The bin folder of an environment that holds just these. No requirements: our own environment.

    Raises NotInstalled if it cannot be made.
    """
    if not requirements:
        return Path(sys.executable).parent
    words = " ".join([sys.version, *requirements])
    name = re.split(r"[^a-z-]", requirements[0])[0]
    folder = KEPT / "venvs" / f"{name}-{hashlib.sha256(words.encode()).hexdigest()[:10]}"
    if not (folder / "complete").exists():
        _make(folder, requirements)
    return folder / "bin"


def _make(folder: Path, requirements: Sequence[str]) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "-q", "--disable-pip-version-check", "install"]
    try:
        for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], [*pip, *requirements]):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        said = str(getattr(error, "stderr", "") or error).strip()
        raise NotInstalled(f"could not be installed: {said.splitlines()[-1] if said else error}") from error
    (folder / "complete").touch()
