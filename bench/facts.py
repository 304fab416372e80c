"""Where and with what a run was made."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.peers import Peer
from bench.processes import ROOT
from coordinator import __version__
from coordinator.drivers.embedded import find_server

CPUS = Path("/proc/cpuinfo")
PINNED = re.compile(r"([A-Za-z0-9-]+)(?:\[[^\]]*\])?==(\S+)")


def facts(peers: Sequence[Peer], repeat: int, aof: bool, quick: bool) -> dict[str, str]:
    """What a reader needs to know to compare."""
    sizes = "quick sizes" if quick else "full sizes"
    return {
        "machine": f"{os.cpu_count()} CPUs, {_processor()}, {platform.system()} {platform.release()}",
        "load before the run": ", ".join(f"{one:.2f}" for one in os.getloadavg()),
        "Redis": f"{_redis_version()}, {'append-only file, fsync every second' if aof else 'no persistence'}, loopback",
        "Python": platform.python_version(),
        "run": f"{repeat} repetition(s), {sizes}; medians, with least and most in brackets",
        "commit": _commit(),
        "libraries": ", ".join([f"coordinator {__version__}", *_versions(peers)]),
    }


def _commit() -> str:
    """Which state of this project was measured; with a `+` if files differ from it."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    words = [git, "describe", "--always", "--dirty=+"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _versions(peers: Sequence[Peer]) -> list[str]:
    found: dict[str, str] = {}
    for peer in peers:
        for requirement in peer.requirements:
            if match := PINNED.fullmatch(requirement):
                found[match[1]] = match[2]
    return [f"{name} {version}" for name, version in found.items()]


def _processor() -> str:
    if CPUS.exists():
        match = re.search(r"^model name\s*:\s*(.+)$", CPUS.read_text(encoding="utf-8"), re.MULTILINE)
        if match:
            return match[1]
    return platform.machine()


def _redis_version() -> str:
    said = subprocess.run([find_server(), "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"v=(\S+)", said)
    return match[1] if match else said.strip()
