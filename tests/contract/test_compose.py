"""compose.yaml and the Dockerfile hold what they promise, as far as that can be told without starting a container."""

from __future__ import annotations

import shlex
from importlib import import_module
from pathlib import Path

import pytest
import typer
import yaml

from coordinator_demo.cli import app as demo_app
from coordinator_demo.run import aging_after
from coordinator_demo.trace import DEFAULT_TRACE, load
from workers.cli import app as workers_app

pytestmark = pytest.mark.no_redis

ROOT = Path(__file__).parents[2]
APPS = {"coordinator_demo": demo_app, "workers": workers_app}
OURS = ("instance-0", "instance-1", "worker", "check")


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def dockerfile() -> list[list[str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line and not line.startswith("#")]


def instructions(dockerfile: list[list[str]], name: str) -> list[list[str]]:
    return [words[1:] for words in dockerfile if words[0] == name]


def parse(command: list[str]) -> tuple[str, str, dict]:
    """The module, sub-command and options of `python -m ...`, by that module's real command line."""
    assert command[:2] == ["python", "-m"]
    group = typer.main.get_command(APPS[command[2]])
    with group.make_context(command[2], command[3:]) as context:
        name, chosen, rest = group.resolve_command(context, command[3:])
        with chosen.make_context(name, rest, parent=context) as inner:
            return command[2], name, inner.params


def test_redis_keeps_what_it_is_given(compose) -> None:
    redis = compose["services"]["redis"]
    _, _, tag = redis["image"].partition(":")
    options = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))

    assert tag
    assert tag[0].isdigit()
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--appendonly"] == "yes"
    assert redis["healthcheck"]["test"][0] == "CMD-SHELL"
    assert "redis-cli ping" in redis["healthcheck"]["test"][1]
    assert any(one.endswith(":/data") for one in redis["volumes"])


@pytest.mark.parametrize("name", OURS)
def test_everything_waits_for_a_healthy_redis(compose, name) -> None:
    assert compose["services"][name]["depends_on"]["redis"] == {"condition": "service_healthy"}


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_that_the_program_understands(compose, name) -> None:
    _, _, options = parse(compose["services"][name]["command"])

    assert options["url"] == "redis://redis:6379/0"
    # A worker may be given several.
    assert options["namespace"] in ("demo", ["demo"])


def test_the_two_instances_share_the_trace_between_them(compose) -> None:
    parsed = [parse(compose["services"][name]["command"]) for name in ("instance-0", "instance-1")]

    assert [one[:2] for one in parsed] == [("coordinator_demo", "instance")] * 2
    assert [one[2]["index"] for one in parsed] == [0, 1]
    assert {one[2]["of"] for one in parsed} == {2}


def test_the_worker_runs_handlers_that_exist_and_can_be_scaled(compose) -> None:
    worker = compose["services"]["worker"]
    _, name, options = parse(worker["command"])
    module, _, attribute = options["target"].partition(":")

    assert name == "run"
    assert hasattr(import_module(module), attribute)
    assert "container_name" not in worker
    assert "ports" not in worker


def test_all_processes_share_the_rules_that_the_judge_goes_by(compose) -> None:
    services = [compose["services"][name] for name in OURS]
    seconds = {parse(one["command"])[2]["seconds"] for one in services if one["command"][2] == "coordinator_demo"}
    environments = [one["environment"] for one in services]

    (length,) = seconds
    assert all(one == environments[0] for one in environments)
    assert float(environments[0]["COORDINATOR_AGING_AFTER"]) == aging_after(load(DEFAULT_TRACE), length)
    assert all(
        any(volume.partition(":")[2] == one["environment"]["DEMO_HISTORY"] for volume in one["volumes"])
        for one in services
    )


def test_the_image_copies_what_is_there_and_what_docker_sees(dockerfile) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sources = [word for words in instructions(dockerfile, "COPY") for word in words[:-1]]

    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored


def test_the_image_installs_locked_files_and_does_not_run_as_root(dockerfile) -> None:
    (base,) = instructions(dockerfile, "FROM")
    runs = [" ".join(words) for words in instructions(dockerfile, "RUN")]
    user = instructions(dockerfile, "USER")[-1][0]

    assert base[0].startswith("python:3.12-slim")
    assert any("pip install --require-hashes -r requirements.lock" in run for run in runs)
    assert not any("pip install" in run for run in runs if "--require-hashes" not in run and "--no-deps" not in run)
    assert user not in ("root", "0")
    assert any(f"useradd --system --uid 10001 {user}" in run for run in runs)
