"""Registering handlers, and finding a registry by its name."""

import functools
import sys
from pathlib import Path
from typing import Any

import pytest

from coordinator import RetryPolicy, TimeoutPolicy
from coordinator.errors import ConfigError, InvalidInput
from workers import Registry
from workers.registry import load


async def on_loop(ctx: Any, payload: Any) -> None: ...


def plain(ctx: Any, payload: Any) -> None: ...


class Callable:
    async def __call__(self, ctx: Any, payload: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "asked", "executor"),
    [
        (on_loop, None, "async"),
        (plain, None, "thread"),
        (plain, "process", "process"),
        (plain, "thread", "thread"),
        (Callable(), None, "async"),
        (functools.partial(on_loop), None, "async"),
        (functools.partial(plain), None, "thread"),
    ],
)
def test_a_handler_runs_where_its_kind_says(function: Any, asked: Any, executor: str) -> None:
    jobs = Registry()
    assert jobs.handler("a", executor=asked)(function) is function
    found = jobs.get("a")
    assert found is not None
    assert found.executor == executor


@pytest.mark.parametrize(
    ("function", "asked"), [(on_loop, "thread"), (on_loop, "process"), (plain, "async"), (plain, "proces"), (3, None)]
)
def test_what_cannot_run_there_is_refused(function: Any, asked: Any) -> None:
    with pytest.raises(InvalidInput):
        Registry().handler("a", executor=asked)(function)


def test_a_name_is_taken_once() -> None:
    jobs = Registry()
    jobs.handler("a")(plain)
    with pytest.raises(InvalidInput, match=r"is taken by .*plain"):
        jobs.handler("a")(on_loop)
    assert len(jobs) == 1


@pytest.mark.parametrize("name", ["", "with space", "x" * 129, None, "a\n"])
def test_a_bad_name_is_refused(name: Any) -> None:
    with pytest.raises(InvalidInput):
        Registry().handler(name)


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(None, None), (2, 2), (0.5, 0.5), (TimeoutPolicy(run=3), 3), (TimeoutPolicy(), None)]
)
def test_a_timeout_is_a_number_or_the_run_of_a_policy(timeout: Any, seconds: float | None) -> None:
    jobs = Registry()
    jobs.handler("a", timeout=timeout)(plain)
    found = jobs.get("a")
    assert found is not None
    assert found.timeout == seconds


@pytest.mark.parametrize(
    "options",
    [{"timeout": 0}, {"timeout": TimeoutPolicy(total=3)}, {"timeout": "3"}, {"retry": 3}, {"queue": "a b"}],
)
def test_bad_options_are_refused(options: Any) -> None:
    with pytest.raises(InvalidInput):
        Registry().handler("a", **options)


def test_the_queues_are_those_of_the_handlers() -> None:
    jobs = Registry()
    assert jobs.queues == ("default",)
    jobs.handler("a", queue="mail", retry=RetryPolicy.none())(plain)
    assert jobs.queues == ("mail",)
    jobs.handler("b")(plain)
    assert jobs.queues == ("default", "mail")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_a_registry_is_loaded_from_the_current_directory(folder: Path) -> None:
    (folder / "loaded_tasks.py").write_text("from workers import Registry\njobs = Registry()\nother = 3\n")
    assert isinstance(load("loaded_tasks:jobs"), Registry)
    with pytest.raises(ConfigError, match="did you mean loaded_tasks:jobs"):
        load("loaded_tasks:job")
    with pytest.raises(ConfigError, match=r"not a workers\.Registry"):
        load("loaded_tasks:other")


@pytest.mark.parametrize("target", ["", "module", "module:", ":jobs", "no_such_module_here:jobs", "no_such.sub:jobs"])
def test_a_target_that_is_none_says_so(target: str, folder: Path) -> None:
    with pytest.raises(ConfigError):
        load(target)


def test_a_module_that_misses_another_fails_with_its_own_error(folder: Path) -> None:
    (folder / "broken_tasks.py").write_text("import no_such_module_anywhere\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        load("broken_tasks:jobs")
