"""Network namespaces of the run's own, a link between them, and cutting it.

Nothing outside is touched: the namespaces are made here and have no way out, and the rules that drop packets live
inside them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from chaos.faults.unavailable import Unavailable

DEVICE = "wire"
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def require_namespaces() -> None:
    """Raises Unavailable with the reason when this process cannot make network namespaces and filter in them."""
    if os.geteuid() != 0:
        raise Unavailable("network namespaces need root: run as root, or in a container with NET_ADMIN and SYS_ADMIN")
    for program, package in (("ip", "iproute2"), ("iptables", "iptables")):
        if shutil.which(program) is None:
            raise Unavailable(f"{program} is not installed: apt-get install {package}")


class Network:
    """Two hosts, `a` and `b`, that reach each other unless the link is cut. Raises Unavailable."""

    def __init__(self) -> None:
        require_namespaces()
        tag = secrets.token_hex(3)
        subnet = f"10.213.{secrets.randbelow(256)}"
        self.address = {"a": f"{subnet}.1", "b": f"{subnet}.2"}
        self._names = {"a": f"chaos-{tag}-a", "b": f"chaos-{tag}-b"}

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """This thread is on that host: so are the sockets it opens, and the threads and processes it starts."""
        with open("/proc/thread-self/ns/net", "rb") as home, self._file(host).open("rb") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def cut(self) -> None:
        """Drop every packet between the hosts, both ways. Neither is told."""
        self._filter("-A")

    def heal(self) -> None:
        """Let packets through again."""
        self._filter("-D")

    def _filter(self, how: str) -> None:
        for chain, way in (("INPUT", "-i"), ("OUTPUT", "-o")):
            _run("ip", "netns", "exec", self._names["a"], "iptables", "-w", how, chain, way, DEVICE, "-j", "DROP")

    def _make(self) -> None:
        for name in self._names.values():
            _run("ip", "netns", "add", name)
        a, b = self._names["a"], self._names["b"]
        _run("ip", "-n", a, "link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns", b)
        for host, name in self._names.items():
            _run("ip", "-n", name, "addr", "add", f"{self.address[host]}/24", "dev", DEVICE)
            for device in ("lo", DEVICE):
                _run("ip", "-n", name, "link", "set", device, "up")
        # It may be installed, and the kernel have none of it: better known now than at the first cut.
        _run("ip", "netns", "exec", a, "iptables", "-w", "-S")

    def _remove(self) -> None:
        for host, name in self._names.items():
            if self._file(host).exists():
                _run("ip", "netns", "del", name)

    def _file(self, host: str) -> Path:
        return Path("/run/netns") / self._names[host]


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "this thread cannot change its network namespace")


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(words)}: {done.stderr.strip()}")
