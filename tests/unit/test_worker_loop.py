"""The event loop of a worker process."""

import asyncio
import importlib
import sys

import pytest

from workers import loop


def which() -> str:
    seen: list[str] = []

    async def main() -> None:
        seen.append(type(asyncio.get_running_loop()).__module__.partition(".")[0])

    loop.run(main())
    return seen[0]


def test_uvloop_is_used_where_it_is_installed() -> None:
    pytest.importorskip("uvloop")
    assert which() == "uvloop"


def test_without_uvloop_it_is_the_loop_of_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "uvloop", None)
        importlib.reload(loop)
        assert which() == "asyncio"
    importlib.reload(loop)
