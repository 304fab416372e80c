"""Settings: validated as a whole, from every source, with every complaint at once."""

from pathlib import Path
from typing import Any

import pytest

from coordinator import live
from coordinator.cli import acl
from coordinator.drivers import failpoints
from coordinator.errors import ConfigError
from coordinator.model.terms import NO_AGING_US, Terms
from coordinator.policy.adaptive import Adaptive
from coordinator.policy.retry import RetryPolicy
from coordinator.sections import Section
from coordinator.settings import Settings
from workers import cli as worker_cli


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"COORDINATOR_{name.upper()}", raising=False)


def test_every_setting_has_a_default_and_a_description() -> None:
    assert Settings.of() == Settings.of()
    assert all(field.description for field in Settings.model_fields.values())


def test_terms_are_in_the_units_of_redis() -> None:
    given = Settings.of(
        aging_after=1.5, max_line=1, max_queue=20, result_ttl=3, dead_ttl=4, max_deliveries=5, max_events=0
    )
    assert given.terms() == Terms(
        1_500_000, 1, 20, 3000, 4000, 5, 10_000, 0, 100, 10_000, 10_000, 1, 900, 0, 800, 700, 3, 5
    )
    assert given.terms().text == "1500000 1 20 3000 4000 5 10000 0 100 10000 10000 1 900 0 800 700 3 5"
    assert Settings.of(aging_after=None).terms().aging_us == NO_AGING_US


def test_places_in_line_are_exact_for_every_age_and_priority() -> None:
    """A score is a double: the largest one, in the year 2100 and without aging, must still count single steps."""
    largest = 4_102_444_800_000_000 + 4 * NO_AGING_US
    assert largest < 2**53
    assert float(largest) + 1 != float(largest)


def test_all_complaints_come_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.of(max_line=0, session_ttl=0.5, colour="red")
    assert len(caught.value.problems) == 3
    assert "colour: no such setting" in caught.value.problems
    assert "max_line: Input should be greater than or equal to 1 (got 0)" in caught.value.problems


def test_a_complaint_names_what_was_given_but_no_password() -> None:
    with pytest.raises(ConfigError, match=r"sweep_interval \(6\) must be at most half of session_ttl \(10\)"):
        Settings.of(sweep_interval=6)
    with pytest.raises(ConfigError) as caught:
        Settings.of(url=[":secret@"])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"sweep_interval": 6},
        {"operation_timeout": 11},
        {"session_ttl": float("nan")},
        {"max_payload": "much"},
        {"aging_after": 0},
    ],
)
def test_settings_that_do_not_hold_together_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Settings.of(**given)


def test_arguments_win_over_a_file_and_a_file_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COORDINATOR_MAX_LINE", "1")
    monkeypatch.setenv("COORDINATOR_MAX_QUEUE", "1")
    monkeypatch.setenv("COORDINATOR_MAX_EVENTS", "1")
    file = tmp_path / "co.toml"
    file.write_text("max_line = 2\nmax_queue = 2\n")
    found = Settings.from_toml(file, max_line=3)
    assert (found.max_line, found.max_queue, found.max_events) == (3, 2, 1)


@pytest.mark.parametrize("text", ["max_line = ", "colour = 'red'", "\udcff"])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, text: str) -> None:
    file = tmp_path / "co.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError):
        Settings.from_toml(file)
    with pytest.raises(ConfigError, match="missing"):
        Settings.from_toml(tmp_path / "missing")


def test_a_namespace_given_to_the_client_wins_and_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDINATOR_NAMESPACE", "from-env")
    assert Settings.of_client(None, None).namespace == "from-env"
    assert Settings.of_client(Settings.of(namespace="given"), None).namespace == "given"
    assert Settings.of_client(Settings.of(namespace="given"), "argument").namespace == "argument"
    for bad in ("", "a{b}", "a b"):
        with pytest.raises(ValueError, match="namespace"):
            Settings.of_client(None, bad)


def test_a_url_with_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Settings.of(url="redis://:secret@host/0"))


def test_a_section_comes_from_every_source_setting_by_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDINATOR_TIMEOUTS__LOCK", "1")
    monkeypatch.setenv("COORDINATOR_TIMEOUTS__QUEUE", "1")
    monkeypatch.setenv("COORDINATOR_TIMEOUTS__MOST", "4")
    file = tmp_path / "co.toml"
    file.write_text("[timeouts]\nlock = 2\nqueue = 2\n")
    found = Settings.from_toml(file, timeouts={"lock": 3}).timeouts
    assert (found.lock, found.queue, found.most, found.operation) == (3, 2, 4, 60)
    assert found.rules()["lock"] == Adaptive(3, "quantile", 0.5, 4)


def test_variables_that_look_like_settings_are_refused_beside_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_QUEU", "BRAEKER__FAILURES", "BREAKER_FAILURES", "MAX_LINE__X", "WHATEVER_ELSE_IT_BE"):
        monkeypatch.setenv(f"COORDINATOR_{name}", "canary")
    monkeypatch.setenv("COORDINATOR_BREAKER__PROBSE", "3")
    with pytest.raises(ConfigError) as caught:
        Settings.of(max_line=0)
    assert sorted(caught.value.problems) == [
        "COORDINATOR_BRAEKER__FAILURES: no such setting; did you mean COORDINATOR_BREAKER__FAILURES?",
        "COORDINATOR_BREAKER_FAILURES: no such setting; did you mean COORDINATOR_BREAKER__FAILURES?",
        "COORDINATOR_MAX_LINE__X: no such setting; did you mean COORDINATOR_MAX_LINE?",
        "COORDINATOR_MAX_QUEU: no such setting; did you mean COORDINATOR_MAX_QUEUE?",
        "COORDINATOR_WHATEVER_ELSE_IT_BE: no such setting",
        "breaker.probse: no such setting; did you mean breaker.probes?",
        "max_line: Input should be greater than or equal to 1 (got 0)",
    ]


def test_variables_that_are_ours_and_no_settings_are_no_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [failpoints.VARIABLE, acl.FROM_ENVIRONMENT, worker_cli.PASSED_URL, "COORDINATOR_TEST_LONG"]
    handed_on = ["COORDINATOR_FENCE", "COORDINATOR_LEASE_ID", "COORDINATOR_RESOURCES", "COORDINATOR_PROPERTY_RUN"]
    kubernetes = ["COORDINATOR_SERVICE_HOST", "COORDINATOR_PORT", "COORDINATOR_PORT_6379_TCP_ADDR"]
    for name in (*others, *handed_on, *kubernetes, "COORDINATORS", "MAX_QUEU"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("COORDINATOR_QUEUES__BULK__SHARING", "weighted")
    monkeypatch.setenv("COORDINATOR_SIGNING_KEYS__A", "s" * 32)
    assert Settings.of().queues["bulk"].sharing == "weighted"


def test_complaints_about_sections_come_with_the_others_and_say_what_may_be_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.of(max_line=0, timeouts={"lok": 3, "most": 0.5}, timeuots={})
    assert set(caught.value.problems) == {
        "max_line: Input should be greater than or equal to 1 (got 0)",
        "timeouts.lok: no such setting; did you mean timeouts.lock?",
        "timeouts.most: Input should be greater than or equal to 1 (got 0.5)",
        "timeuots: no such setting; did you mean timeouts?",
    }


def test_a_policy_of_retries_comes_from_its_section() -> None:
    assert Settings.of().retry.policy() == RetryPolicy.default()
    given = {"strategy": "linear", "max_attempts": 5, "base": 2, "cap": 9, "factor": 3, "jitter": 0.5}
    assert Settings.of(retry=given).retry.policy() == RetryPolicy(5, 2, 9, 3, 0.5, "linear")
    for bad in ({"base": 31}, {"base": 0.0001}, {"cap": 0.5}):
        with pytest.raises(ConfigError, match=r"retry: base"):
            Settings.of(retry=bad)


def test_everything_in_a_section_is_described() -> None:
    sections = [field.default for field in Settings.model_fields.values() if isinstance(field.default, Section)]
    assert sections
    assert all(field.description for one in sections for field in type(one).model_fields.values())


def test_what_is_measured_is_a_section_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDINATOR_METRICS__INTERVAL", "2")
    file = tmp_path / "co.toml"
    file.write_text(
        '[metrics]\nmax_length = 500\n[metrics.alerts.slow]\nfigure = "queue.run.p99"\nwarning = 5\n'
        '[metrics.alerts.head_age]\nfigure = "fleet.head_age"\n'
    )
    assert Settings.of().metrics.interval == 2
    found = Settings.from_toml(file).metrics
    assert found.max_length == 500
    rules = {rule.name: rule for rule in found.rules()}
    assert (rules["slow"].figure, rules["slow"].warning, rules["slow"].critical) == ("queue.run.p99", 5, None)
    assert "head_age" not in rules, "a rule without limits is off"
    assert rules["queue_depth"].critical == 500


def test_variables_that_are_no_json_are_complained_of_by_name_beside_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QUEUES__BULK__WEIGHTS", "METRICS__ALERTS", "RETRY", "SIGNING_KEYS"):
        monkeypatch.setenv(f"COORDINATOR_{name}", "[canary")
    monkeypatch.setenv("COORDINATOR_METRICS__MAX_LENGTH", "1")
    with pytest.raises(ConfigError) as caught:
        Settings.of(max_line=0)
    assert sorted(caught.value.problems) == [
        "COORDINATOR_METRICS__ALERTS: must be JSON",
        "COORDINATOR_QUEUES__BULK__WEIGHTS: must be JSON",
        "COORDINATOR_RETRY: must be JSON",
        "COORDINATOR_SIGNING_KEYS: must be JSON",
        "max_line: Input should be greater than or equal to 1 (got 0)",
        "metrics.max_length: Input should be greater than or equal to 100 (got '1')",
    ]
    monkeypatch.setenv("COORDINATOR_QUEUES__BULK__WEIGHTS", "[16, 8, 4, 2, 1]")
    monkeypatch.delenv("COORDINATOR_METRICS__MAX_LENGTH")
    assert Settings.of(metrics={"alerts": {}}, retry={}, signing_keys={}).queues["bulk"].weights == (16, 8, 4, 2, 1)


def test_names_in_tables_are_complained_of_beside_what_stands_under_them() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.of(queues={"a b": {}, "bulk": {"weights": [0, 1, 1, 1, 1]}})
    first, second = sorted(caught.value.problems)
    assert first.startswith("queues.bulk.weights: must be whole numbers")
    assert second.startswith("queues: a name must be 1 to 128 letters")
    assert second.endswith("(got 'a b')")


def test_all_complaints_about_a_section_come_at_once() -> None:
    alerts = {"a b": {"figure": "fleet.depth"}, "c": {"figure": "no.such"}}
    with pytest.raises(ConfigError) as caught:
        Settings.of(metrics={"interval": 0, "colour": 1, "alerts": alerts})
    said = str(caught.value)
    assert all(word in said for word in ("metrics.interval", "metrics.colour", "metrics.alerts.c.figure", "'a b'"))


def test_what_does_not_go_together_is_complained_of_beside_fields_that_are_bad() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.of(
            sweep_interval=6,
            operation_timeout=11,
            max_line=0,
            retry={"max_attempts": 0, "base": 31},
            shed={"begin": 0.5, "end": 0.6, "memory": 2},
            adaptive_rate={"least": 20, "most": 5, "decrease": 1},
            batching={"least": 5, "most": 4, "colour": 1},
            rate={"burst": 0, "per_second": 1000},
        )
    said = [one.partition(" (got")[0] for one in caught.value.problems]
    assert sorted(said) == sorted(
        [
            "sweep_interval (6) must be at most half of session_ttl (10), or dead processes are seen too late",
            "operation_timeout (11) must not be above session_ttl (10), or one slow call loses the session",
            "max_line: Input should be greater than or equal to 1",
            "retry.max_attempts: Input should be greater than or equal to 1",
            "retry: base (31) must be at most cap (30)",
            "shed.memory: Input should be less than or equal to 1",
            "shed: end (0.6) must be at most begin (0.5)",
            "adaptive_rate.decrease: Input should be less than 1",
            "adaptive_rate: least (20) must be at most initial (10)",
            "adaptive_rate: initial (10) must be at most most (5)",
            "adaptive_rate: least (20) must be at most most (5)",
            "batching.colour: no such setting",
            "batching: least (5) must be at most most (4)",
            # Nothing is said of how a value that is bad goes with others.
            "rate.burst: Input should be greater than or equal to 1",
        ]
    )


def test_a_table_that_is_none_and_one_that_lacks_a_value_are_one_complaint_each() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.of(retry=5, metrics={"alerts": {"slow": {"warning": "x"}}}, sweep_interval=6)
    said = str(caught.value)
    assert len(caught.value.problems) == 4
    assert all(
        one in said for one in ("retry: ", "alerts.slow.figure: ", "alerts.slow.warning: ", "sweep_interval (6)")
    )


def test_a_change_of_the_running_fleet_is_answered_with_every_complaint() -> None:
    with pytest.raises(ConfigError) as caught:
        live.revised(Settings.of(), {"retry.max_attempts": "0", "retry.base": "31", "no.such": "1"})
    assert len(caught.value.problems) == 3


def test_truth_values_are_no_numbers_and_complained_of_beside_all_else(tmp_path: Path) -> None:
    file = tmp_path / "co.toml"
    file.write_text(
        "max_line = true\naging_after = false\n[breaker]\nfailures = true\nprobes = 0\n[shed]\nmax_bytes = true\n"
        '[queues.a]\nweights = [true, 1, 1, 1, 1]\n[metrics.alerts.a]\nfigure = "fleet.depth"\nwarning = true\n'
    )
    with pytest.raises(ConfigError) as caught:
        Settings.from_toml(file)
    assert sorted(one.partition(":")[0] for one in caught.value.problems) == [
        *("aging_after", "breaker.failures", "breaker.probes", "max_line", "metrics.alerts.a.warning"),
        *("queues.a.weights", "shed.max_bytes"),
    ]
    assert "breaker.failures: must be a number (got True)" in caught.value.problems
    with pytest.raises(ConfigError, match=r"breaker\.failures: must be a number \(got True\)"):
        live.revised(Settings.of(), {"breaker.failures": "true"})
    assert not Settings.of(shed={"enabled": False}).shed.enabled


@pytest.mark.parametrize(
    ("warning", "critical", "below", "said"),
    [(10, 5, False, "at least"), (5, 10, True, "at most"), (5, 10, False, ""), (10, 5, True, ""), (5, 5, False, "")],
)
def test_the_worse_limit_of_an_alert_is_not_the_milder_one(
    warning: float, critical: float, below: bool, said: str
) -> None:
    rule = {"figure": "fleet.depth", "warning": warning, "critical": critical, "below": below}
    if not said:
        assert Settings.of(metrics={"alerts": {"a": rule}}).metrics.alerts["a"].warning == warning
        return
    with pytest.raises(ConfigError) as caught:
        Settings.of(metrics={"alerts": {"a": rule}, "interval": 0}, max_line=0)
    assert len(caught.value.problems) == 3
    assert f"critical ({critical}) must be {said} warning ({warning})" in str(caught.value)
