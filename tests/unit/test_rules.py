"""Rules of priority: which one decides, what is wrong with a file, and that nothing in a request breaks them."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import coordinator
from coordinator.errors import ConfigError
from coordinator.model.names import Priority
from coordinator.policy import rules
from coordinator.policy.rules import DEFAULT, MAX_NAME_BYTES, NO_RULES, Decision, RuleSet, parse, texts
from coordinator.settings import Settings, rules_of

EXAMPLE = Path(coordinator.__file__).parent / "examples" / "priority-rules.toml"


def read(text: str) -> RuleSet:
    return parse(tomllib.loads(text))


def one(when: str, more: str = "") -> RuleSet:
    return read(f'[[rule]]\nname = "r"\npriority = "high"\nwhen = {when}\n{more}')


def fits(when: str, more: str = "", **attributes: Any) -> bool:
    return one(when, more).choose(attributes).rule == "r"


@pytest.mark.parametrize(
    ("metadata", "priority", "rule"),
    [
        ({"title": "HOTFIX: login", "base": "dev"}, "emergency", "hotfix or security"),
        ({"title": "a SECURITY matter", "base": "main"}, "emergency", "hotfix or security"),
        ({"title": "docs", "base": "main"}, "critical", "into production"),
        ({"base": "production"}, "critical", "into production"),
        ({"base": "release/7.1"}, "high", "release branch"),
        ({"base": "mainline"}, "normal", ""),
        ({"title": "hotfix in small letters"}, "normal", ""),
        ({}, "normal", ""),
    ],
)
def test_the_example_does_what_it_says(metadata: dict[str, str], priority: str, rule: str) -> None:
    assert rules_of(EXAMPLE).choose({"metadata": metadata}) == Decision(Priority.of(priority), rule)


def test_operators() -> None:
    assert fits('{ name = { equals = "deploy" } }', name="deploy")
    assert not fits('{ name = { equals = "deploy" } }', name="deploy.apply")
    assert fits('{ name = { equals = ["a", "deploy"] } }', name="deploy")
    assert fits('{ name = { like = "deploy.*" } }', name="deploy.apply")
    assert not fits('{ name = { like = "deploy.*" } }', name="a.deploy.b")
    assert fits('{ "payload.pull" = { equals = 7 } }', payload={"pull": 7})
    assert fits('{ "payload.urgent" = { equals = true } }', payload={"urgent": True})
    assert not fits('{ name = { contains = "deploy" } }')
    assert fits('{ name = { contains = "DEPLOY" } }', "ignore_case = true", name="Deploy")
    assert fits('{ name = { like = "DEP*" } }', "ignore_case = true", name="deploy")


def test_all_conditions_must_hold_and_of_a_list_one_element_is_enough() -> None:
    both = '{ queue = { equals = "q" }, resources = { like = "infra/prod/*" } }'
    assert fits(both, queue="q", resources=["a", "infra/prod/vpc"])
    assert not fits(both, queue="q", resources=["a"])
    assert not fits(both, queue="x", resources=["infra/prod/vpc"])
    assert fits('{ name = { contains = "a", like = "*b" } }', name="ab")
    assert not fits('{ name = { contains = "a", like = "*b" } }', name="b")


def test_names_with_dots_are_found_in_both_ways() -> None:
    assert texts({"metadata": {"base": {"branch": "main"}}}, "metadata.base.branch") == ["main"]
    assert texts({"metadata": {"base.branch": "main"}}, "metadata.base.branch") == ["main"]
    assert texts({"metadata": {"a": {"b.c": 1.5}}}, "metadata.a.b.c") == ["1.5"]
    assert texts({"metadata": {"a": "x"}}, "metadata.a.b") == []
    assert texts({"metadata": {"a": {"b": "x"}}}, "metadata.a") == []
    assert texts({"metadata": {"a": None}}, "metadata.a") == []


def test_a_default_of_the_file_is_named() -> None:
    found = read('default = "low"')
    assert found.choose({}) == Decision(Priority.LOW, DEFAULT)
    assert found
    assert not NO_RULES
    assert not read("")


BAD = f"""
defalt = "low"
default = "lowest"

[[rule]]
name = "{"x" * (MAX_NAME_BYTES + 1)}"
priority = "urgent"
when = {{ "metadata" = {{ contains = "x" }}, nam = {{ equals = "x" }} }}

[[rule]]
name = "twice"
when = {{}}

[[rule]]
name = "twice"
priority = "high"
ignore_case = 1
when = {{ name = {{ contain = "x", equals = [], like = [[1]] }}, queue = "q" }}
"""


def test_every_complaint_about_a_file_comes_at_once(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(BAD)
    with pytest.raises(ConfigError) as caught:
        Settings.of(priority_rules=file).rules()
    found = [problem.removeprefix(f"{file}: ") for problem in caught.value.problems]
    assert all(problem.startswith(str(file)) for problem in caught.value.problems)
    places = [problem.partition(": ")[0] for problem in found]
    assert places == [
        "defalt",
        "rule 1.name",
        "rule 1.priority",
        "rule 1.when.metadata",
        "rule 1.when.nam",
        'rule "twice".priority',
        'rule "twice".when',
        'rule "twice".ignore_case',
        'rule "twice".when.name.contain',
        'rule "twice".when.name.equals',
        'rule "twice".when.name.like',
        'rule "twice".when.queue',
        "rule",
        "default",
    ]
    assert found[0].endswith("did you mean default?")
    assert found[4].endswith("did you mean name?")
    assert found[8].endswith("did you mean contains?")
    assert Settings.of().rules() is NO_RULES


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(["name", "queue", "resources", "metadata.a", "metadata.a.b", "payload.x"])
TEXTS = st.text(max_size=8)
RULES = st.lists(
    st.tuples(
        st.sampled_from([one.name.lower() for one in Priority]),
        st.dictionaries(
            WORDS, st.dictionaries(st.sampled_from(["equals", "contains", "like"]), TEXTS, min_size=1), min_size=1
        ),
    ),
    max_size=5,
)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXTS,
        "queue": TEXTS,
        "resources": st.lists(TEXTS),
        "metadata": st.fixed_dictionaries({"a": TEXTS | st.fixed_dictionaries({"b": TEXTS})}),
        "payload": VALUES,
    },
)


def made(several: list[tuple[str, dict[str, Any]]]) -> RuleSet:
    return parse(
        {"rule": [{"name": f"r{at}", "priority": urgent, "when": when} for at, (urgent, when) in enumerate(several)]}
    )


@given(RULES, ATTRIBUTES)
def test_the_first_rule_that_matches_decides(several: list[Any], attributes: dict[str, Any]) -> None:
    found = made(several)
    matching = [rule for rule in found.rules if rule.matches(attributes)]
    decision = found.choose(attributes)
    assert decision == (Decision(matching[0].priority, matching[0].name) if matching else Decision(Priority.NORMAL))
    told = list(found.explain(attributes))
    assert [matches for _, matches, _ in told] == [False] * (len(told) - bool(matching)) + [True] * bool(matching)
    assert all(why for _, _, why in told)
    assert len(told) == (found.rules.index(matching[0]) + 1 if matching else len(found.rules))


@given(RULES, ATTRIBUTES)
def test_a_rule_behind_the_one_that_decides_changes_nothing(several: list[Any], attributes: dict[str, Any]) -> None:
    whole = made(several).choose(attributes)
    for length in range(len(several)):
        part = made(several[:length]).choose(attributes)
        assert part.rule in ("", whole.rule)


@given(st.dictionaries(st.sampled_from(["rule", "default", "x"]), VALUES))
def test_whatever_stands_in_a_file_ends_in_rules_or_in_complaints(document: dict[str, Any]) -> None:
    problems: tuple[str, ...] = ()
    try:
        found = parse(document)
    except ConfigError as error:
        problems = error.problems
    assert problems or all(one.conditions and one.name for one in found.rules)


@given(st.lists(st.dictionaries(st.sampled_from(["name", "priority", "when", "ignore_case"]), VALUES), max_size=3))
def test_whatever_stands_in_a_rule_ends_in_rules_or_in_complaints(several: list[Any]) -> None:
    problems: tuple[str, ...] = ()
    try:
        found = parse({"rule": several})
    except ConfigError as error:
        problems = error.problems
    assert problems or len(found.rules) == len(several)


@given(VALUES, TEXTS)
def test_no_request_breaks_a_rule(payload: Any, pattern: str) -> None:
    when = {"payload.x": {"like": pattern}, "metadata.a": {"contains": pattern}}
    found = parse({"rule": [{"name": "r", "priority": "low", "when": when}]})
    found.choose({"payload": payload, "metadata": payload})
    list(found.explain({"payload": payload, "metadata": {"a": payload}}))


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert rules.MAX_VALUE == 512
    assert not fits(f'{{ name = {{ like = "{"*a" * 250}b" }} }}', name="a" * 5000)
