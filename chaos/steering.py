"""The calls of a round by which an operator steers, and processes tell of themselves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from chaos import roles
from coordinator import Coordinator, Similar
from coordinator.drivers.ids import new_id
from coordinator.metrics import judging
from coordinator.metrics.publisher import Options, Publisher
from coordinator.metrics.recorder import Recorder
from coordinator.metrics.sample import Origin
from coordinator.metrics.window import window
from coordinator.ops import history, pulse
from coordinator.policy.alerts import Rule
from coordinator.policy.rate import RateLimit
from coordinator.wire import calls
from coordinator.wire.gates import Gates

PATIENCE = 30.0
TOLD = 5
# What no process of a round measures by itself.
MEASURED, TIMES = "coalesce.calls", 7


class Steering:
    """The steps. `_one` and `_two` are clients of one namespace."""

    _one: Coordinator
    _two: Coordinator

    def similar_one_joins(self) -> Any:
        """The second of two that say nearly the same is the first."""
        how = Similar(text="the words of a job that comes twice, or nearly so", on_similar="join")
        first, second = (self._one.submit(roles.STEP, {"ms": 1}, similar=how, delay=60) for _ in range(2))
        told = (first.duplicate, second.duplicate, second.ident == first.ident, second.cancel())
        return told == (False, True, True, True) or told

    def settings_change_and_go_back(self) -> Any:
        """Each change is made once, and a worker whose gates follow from it tells so."""
        versions = [self._two.configuration().version]
        self._one.configure({"breaker.failures": TOLD}, by="chaos")
        found = self._two.configuration()
        versions.append(found.version)
        versions.append(self._two.configure({}, unset=["breaker.failures"], by="chaos").version)
        left = self._one.configuration().values
        happened = self._happened("configure")["breaker.failures"]
        told = (dict(found.values), dict(left), versions == sorted(set(versions)), happened)
        return told == ({"breaker.failures": str(TOLD)}, {}, True, 2) or told

    def breaker_holds_a_job_until_it_is_closed(self) -> Any:
        """It is opened once and closed once, and the job runs then."""
        self._one.open_breaker(roles.STEP, 60, "by hand")
        ticket = self._two.submit(roles.STEP, {"ms": 1})
        self._until(lambda: self._waiting() == 1)
        (stands,) = (one.state for one in self._two.breakers() if one.name == roles.STEP)
        self._two.close_breaker(roles.STEP, "done")
        ran = ticket.result(PATIENCE).split()[0] == ticket.ident
        (after,) = (one.state for one in self._one.breakers() if one.name == roles.STEP)
        turned = (self._happened("breaker_open").total(), self._happened("breaker_close").total())
        return (stands, ran, after, turned) == ("open", True, "closed", (1, 1)) or (stands, ran, after, turned)

    def gates_are_told(self) -> Any:
        """As a worker does whose settings have changed."""
        driver = self._one._driver
        gates = {"chaos.told": Gates(rate=RateLimit(TOLD, 1.0)).to_wire("chaos.told")}
        said = driver.store.call(calls.tell(driver.scope, driver.keeper.ensure(), gates))
        known = [(one.name, one.burst, one.tokens) for one in self._two.limits()]
        return (said, known) == ([b"ok"], [("chaos.told", TOLD, TOLD)]) or (said, known)

    def alert_is_raised_and_acknowledged(self) -> Any:
        """By a sample that counts once; each is told of once."""
        scope, rule = self._one._driver.scope, Rule("chaos", MEASURED, warning=1e-9, hold=0.0)
        recorder, name = Recorder(), new_id()
        recorder.count(MEASURED, TIMES)
        options = Options(judge_every=0.001, rules=(rule,))
        began = time.monotonic()
        publisher = Publisher(scope, recorder, lambda: options, Origin(name, "client"), began)
        self._one.run(publisher.publish(began + 1))
        seen = self._two.run(judging.acknowledge(scope, [rule], rule.name, "chaos"))
        found = self._one.run(pulse.samples(scope, 60))
        counted = window(found.samples, found.at).count(MEASURED)
        told = (counted, seen.standing.state, self._happened("alert")[rule.name])
        return told == (TIMES, "acknowledged", 2) or told

    def _waiting(self) -> int:
        return sum(one.waiting for one in self._one.breakers())

    def _happened(self, event: str) -> Counter[str]:
        """How often, by whom or what it happened to."""
        scope = self._one._driver.scope
        return Counter(one.subject for one in self._one.run(history.events(scope)) if one.event == event)

    def _until(self, condition: Callable[[], bool]) -> None:
        ends = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > ends:
                raise TimeoutError("never came about")
            time.sleep(0.01)
