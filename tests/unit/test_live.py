"""Settings that change while a process runs: which can, and that they are taken over as a whole or not at all."""

import logging
import re
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator import live
from coordinator.drivers.live import LiveSettings
from coordinator.errors import ConfigError, StoreUnavailable
from coordinator.live import changed, knobs, revised
from coordinator.model.terms import Terms
from coordinator.ops.configuring import Change, Configuration
from coordinator.settings import SECRETS, Settings
from coordinator.wire.loader import source


def test_all_settings_are_known_by_their_full_names() -> None:
    assert knobs()["timeouts.lock"].default == 30
    assert knobs()["url"].of(Settings.of(url="redis://there")) == "redis://there"
    assert knobs()["timeouts.most"].of(Settings.of(timeouts={"most": 5})) == 5
    assert "timeouts" not in knobs()


def test_what_a_process_is_built_from_cannot_be_changed() -> None:
    fixed = {"url", "namespace", "session_ttl", "sweep_interval", "durability", "max_connections", *SECRETS}
    assert not any(knobs()[name].live for name in fixed)
    assert not knobs()["timeouts.handlers"].live
    assert all(knobs()[name].live for name in ("timeouts.lock", "breaker.open_for", "rate.burst", "retries.share"))


def test_values_lie_over_those_that_a_process_began_with() -> None:
    base = Settings.of(max_line=7, timeouts={"lock": 20})
    found = revised(base, {"timeouts.most": "4", "aging_after": "null"})
    assert (found.timeouts.most, found.timeouts.lock, found.max_line, found.aging_after) == (4, 20, 7, None)
    assert revised(base, {}) == base
    assert base.timeouts.most == 3


def test_the_environment_has_no_say_in_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Settings.of(max_line=7, timeouts={"lock": 20})
    monkeypatch.setenv("COORDINATOR_MAX_LINE", "9")
    monkeypatch.setenv("COORDINATOR_TIMEOUTS__LOCK", "9")
    monkeypatch.setenv("COORDINATOR_COLOUR", "red")
    found = revised(base, {"timeouts.most": "4", "max_events": "5"})
    assert (found.max_line, found.timeouts.lock, found.max_events) == (7, 20, 5)


def test_every_complaint_comes_at_once() -> None:
    given = {"url": '"x"', "timeouts.mots": "4", "timeouts.least": "2", "max_line": "0", "max_queue": "{"}
    with pytest.raises(ConfigError) as caught:
        revised(Settings.of(), given)
    assert set(caught.value.problems) == {
        "url: cannot be changed while the fleet runs; set it where the processes are started",
        "timeouts.mots: no such setting; did you mean timeouts.most?",
        "timeouts.least: Input should be less than or equal to 1 (got 2)",
        "max_line: Input should be greater than or equal to 1 (got 0)",
        "max_queue: is not JSON (got '{')",
    }


@given(st.dictionaries(st.one_of(st.sampled_from(sorted(knobs())), st.text()), st.one_of(st.text(), st.just("1"))))
def test_whatever_lies_in_redis_ends_in_settings_or_in_complaints(values: dict[str, str]) -> None:
    base = Settings.of()
    problems: tuple[str, ...] = ()
    try:
        found = revised(base, values)
    except ConfigError as error:
        problems = error.problems
    allowed = all(name in knobs() and knobs()[name].live for name in values)
    assert problems or (allowed and found.url == base.url)


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, "x" * live.MAX_VALUE])
def test_what_is_no_json_or_too_long_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="max_line: must be"):
        changed(Settings.of(), {}, {"max_line": value})


def test_every_complaint_about_a_change_comes_at_once_whatever_kind_it_is_of() -> None:
    values = {
        "breaker.open_for": float("nan"),
        "breaker.failures": 0,
        "nope": float("inf"),
        "breaker": {"failures": 3},
        "shed.memory": 0.0004,
        "retries.share": 0.0004,
        "aging_after": 1e-7,
    }
    with pytest.raises(ConfigError) as caught:
        changed(Settings.of(), {"retry.base": "31"}, values, ["max_lin"])
    assert sorted(one.partition(" (got {")[0] for one in caught.value.problems) == [
        "aging_after: Input should be greater than or equal to 0.000001 (got 1e-07)",
        "breaker.failures: Input should be greater than or equal to 1 (got 0)",
        "breaker.open_for: must be a finite number, text, true, false, null, a list or a table",
        "breaker: is a section, which is set by its settings, such as breaker.failures",
        "max_lin: no such setting; did you mean max_line?",
        "nope: must be a finite number, text, true, false, null, a list or a table",
        "nope: no such setting",
        "retries: share (0.0004) must be 0 or at least 0.001",
        "retry: base (31) must be at most cap (30)",
        "shed: memory (0.0004) must be 0 or at least 0.001",
    ]


def test_a_setting_is_not_set_and_unset_at_once() -> None:
    with pytest.raises(ConfigError, match="max_line: cannot be set and unset at once"):
        Change({"max_line": 1}, ("max_line",))


class Taken:
    """Live settings whose server answers what the test wants."""

    def __init__(self) -> None:
        self.answer: Configuration | Exception = Configuration()
        self.asked = 0
        self.told: list[int] = []
        self.live = LiveSettings(Settings.of(), self.fetch, lambda settings: self.told.append(settings.max_line))

    def fetch(self) -> Configuration:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_new_version_is_fetched_once_and_told_to_all() -> None:
    one = Taken()
    told: list[int] = []
    one.live.on_change(lambda settings: told.append(settings.max_line))
    one.live.heard(0)
    assert one.asked == 0
    one.answer = Configuration(5, {"max_line": "9"})
    for _ in range(3):
        one.live.heard(5)
    assert (one.asked, one.told, told, one.live.current.max_line) == (1, [9], [9], 9)
    one.answer = Configuration(6, {})
    one.live.heard(6)
    assert one.told == [9, 1000]
    assert one.live.current == one.live.base


def test_what_could_not_be_fetched_is_fetched_with_the_next_beat() -> None:
    one = Taken()
    one.answer = StoreUnavailable("away")
    one.live.heard(5)
    one.answer = Configuration(5, {"max_line": "9"})
    one.live.heard(5)
    assert one.told == [9]


def test_what_is_not_valid_stays_as_it_was_and_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    one = Taken()
    one.live.take(Configuration(5, {"max_line": "9"}), 0)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            one.answer = Configuration(6, {"max_line": "-1", "timeouts.most": "4"})
            one.live.heard(6)
    assert len(caplog.records) == 1
    assert "max_line: Input should be greater than or equal to 1 (got -1)" in caplog.text
    assert (one.told, one.live.current.max_line, one.live.current.timeouts.most) == ([9, 9], 9, 4)


def test_a_process_of_its_own_settings_takes_over_all_sections_but_those_that_conflict(
    caplog: pytest.LogCaptureFixture,
) -> None:
    base = Settings.of(retry={"base": 0.1, "cap": 5})
    one = LiveSettings(base, Configuration, lambda _settings: None)
    told: list[tuple[int, int]] = []
    one.report_to(lambda version, refused: told.append((version, len(refused))))
    one.take(Configuration(5, {"retry.base": "2", "retry.factor": "3"}), 0)
    assert (one.current.retry.base, one.current.retry.factor) == (2, 3)
    values = {"retry.base": "10", "retry.factor": "4", "rate.burst": "20", "max_line": "8", "timeouts.lock": "7"}
    one.take(Configuration(6, values), 5)
    assert "retry: base (10) must be at most cap (5)" in caplog.text
    assert (one.current.retry.base, one.current.retry.factor, one.current.retry.cap) == (2, 3, 5)
    assert (one.current.rate.burst, one.current.max_line, one.current.timeouts.lock) == (20, 8, 7)
    one.take(Configuration(7, {**values, "rate.burst": "30", "retry.base": "4"}), 6)
    assert (one.current.rate.burst, one.current.retry.base, one.current.retry.factor) == (30, 4, 4)
    assert told == [(5, 0), (6, 1), (7, 0)]
    later: list[tuple[int, int]] = []
    one.report_to(lambda version, refused: later.append((version, len(refused))))
    assert later == [(7, 0)]


def test_a_late_fetch_of_an_older_version_is_not_taken_over_a_newer_one() -> None:
    one = Taken()
    one.live.take(Configuration(5, {"max_line": "5"}), 0)

    def overtaken() -> Configuration:
        one.live.take(Configuration(7, {"max_line": "7"}), 5)
        return Configuration(6, {"max_line": "6"})

    one.live._fetch = overtaken
    one.live.heard(6)
    assert (one.told, one.live.version) == ([5, 7], 7)
    one.live._fetch = Configuration  # the namespace was emptied
    one.live.heard(0)
    assert (one.told, one.live.version) == ([5, 7, 1000], 0)


def test_one_that_cannot_take_it_does_not_keep_it_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    one = Taken()
    told: list[int] = []

    def fails(_settings: Settings) -> None:
        raise RuntimeError("not me")

    one.live.on_change(fails)
    one.live.on_change(lambda settings: told.append(settings.max_line))
    one.live.take(Configuration(5, {"max_line": "9"}), 0)
    assert told == [9]
    assert "could not be taken over" in caplog.text


def test_the_engine_goes_by_all_that_travels_with_every_call_and_scripts_know_it_by_the_same_names() -> None:
    sheds = {name for name in live.knobs() if name.startswith("shed.")}
    assert set(live.FLEET_TERMS) == {*live.TERMS, *sheds, "escalation.after", "escalation.most"}
    names = [one.name for one in fields(Terms)]
    assert set(live.FLEET_TERMS.values()) <= set(names)
    [listed] = re.findall(r"local TERMS = \{(.*?)\}", source("lib/context"), re.DOTALL)
    assert re.findall(r"'(\w+)'", listed) == names


def test_the_terms_of_the_fleet_are_those_of_the_settings_that_it_changed() -> None:
    settings = Settings.of(max_line=5, shed={"begin": 0.5, "end": 0.25, "max_bytes": 7})
    changed = ["shed.end", "max_line", "shed.max_bytes", "breaker.open_for", "shed.enabled"]
    assert live.fleet_terms(settings, changed) == "max_line=5 shedding=1 shed_end=250 max_bytes=7"
    assert live.fleet_terms(settings, ["breaker.open_for"]) == ""
