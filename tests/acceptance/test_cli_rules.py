"""Rules of priority from the command line, and what they do to requests that are given no priority."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coordinator import AsyncCoordinator, Coordinator, Need, Priority, Settings, Submission
from tests.support.cli import Cli

RULES = """
[[rule]]
name = "hotfix"
priority = "emergency"
when = { "metadata.title" = { contains = "HOTFIX" } }

[[rule]]
name = "plans"
priority = "low"
when = { name = { like = "*.plan" }, "payload.kind" = { equals = "routine" } }

[[rule]]
name = "production"
priority = "critical"
when = { resources = { like = "infra/prod/*" } }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "rules.toml"
    made.write_text(RULES)
    return made


@pytest.fixture
def settings(namespace: str, file: Path) -> Settings:
    return Settings.of(namespace=namespace, priority_rules=file)


def test_rules_are_tried_out(cli: Cli, file: Path) -> None:
    said = cli.call("rules", "test", str(file), "--set", "name=deploy", "--set", "resources=infra/prod/vpc").stdout
    assert said.splitlines() == [
        "critical: by the rule production",
        "  hotfix: no: metadata.title is not given",
        "  plans: no: name 'deploy' is not like \"*.plan\"",
        "  production: matches: resources 'infra/prod/vpc' is like \"infra/prod/*\"",
    ]
    found = cli.json("rules", "test", str(file), "--attributes", '{"metadata": {"title": "HOTFIX: x"}}')
    assert (found["priority"], found["rule"], len(found["tried"])) == ("emergency", "hotfix", 1)
    assert cli.call("rules", "test", str(file)).stdout.startswith("normal: no rule matches\n")


def test_a_bad_file_is_refused_with_every_complaint(cli: Cli, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[[rule]]\nname = ""\npriority = "urgent"\n')
    done = cli.call("rules", "test", str(bad))
    assert done.returncode == os.EX_CONFIG
    assert all(f"rule 1.{part}" in done.stderr for part in ("name", "priority", "when"))
    assert cli.call("submit", "job", COORDINATOR_PRIORITY_RULES=str(bad)).returncode == os.EX_CONFIG


def test_the_example_is_valid(cli: Cli, tmp_path: Path) -> None:
    made = tmp_path / "example.toml"
    made.write_text(cli.call("rules", "example").stdout)
    assert cli.json("rules", "test", str(made), "--set", "metadata.base=main")["rule"] == "into production"


def test_a_job_without_a_priority_has_that_of_the_rules_and_why_names_the_rule(
    cli: Cli, redis_url: str, settings: Settings
) -> None:
    with Coordinator.connect(redis_url, settings=settings) as co:
        first, second, third = co.submit_many(
            [
                Submission("vpc.plan", {"kind": "routine"}, resources=iter([Need("infra/prod/vpc", "shared")])),
                Submission("vpc.apply", {}, resources=["infra/prod/vpc"]),
                Submission("vpc.plan", {"kind": "routine"}, priority="high"),
            ]
        )
        plain = co.submit("job")
        found = [co.explain(one.ident).priority for one in (first, second, third, plain)]
        assert found == [Priority.LOW, Priority.CRITICAL, Priority.HIGH, Priority.NORMAL]
        said = cli.json("why", first.ident)
        assert (said["rule"], said["sentences"][-1]) == ("plans", 'Its priority was chosen by the rule "plans".')
        assert cli.json("why", third.ident)["rule"] is None
        co.reprioritise(first.ident, "high")
        assert cli.json("why", first.ident)["rule"] is None


async def test_a_lock_request_without_a_priority_has_that_of_the_rules(redis_url: str, settings: Settings) -> None:
    async with AsyncCoordinator.connect(redis_url, settings=settings) as co:
        async with co.lock("infra/prod/vpc") as lease:
            ticket = await co.request("infra/prod/vpc", metadata={"title": "HOTFIX: y"})
            assert (await co.explain(lease.ident)).priority is Priority.CRITICAL
            found = await co.explain(ticket.ident)
            assert (found.priority, found.fields["rule"]) == (Priority.EMERGENCY, "hotfix")
        await (await ticket.wait(5)).release()


def test_commands_go_by_the_rules_unless_they_are_given_a_priority(cli: Cli, file: Path) -> None:
    cli.env["COORDINATOR_PRIORITY_RULES"] = str(file)
    for words, priority in (((), "critical"), (("-p", "low"), "low")):
        ident = cli.json("submit", "job", "-r", "infra/prod/vpc", *words)["id"]
        assert cli.json("show", ident)["priority"] == priority
