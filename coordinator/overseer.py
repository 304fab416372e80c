"""The part of the client that looks inside and steers: resources, requests, breakers, limits, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from coordinator.drivers.describe import person
from coordinator.drivers.sync import SyncDriver
from coordinator.leases import Lease, leased
from coordinator.model.definition import Definition, Terms
from coordinator.model.lease import Explanation
from coordinator.model.need import needs_of
from coordinator.ops import (
    asking,
    configuring,
    draining,
    freezing,
    gates,
    heirs,
    inspect,
    locks,
    looking,
    operator,
    requests,
)
from coordinator.ops.asking import Needs, Urgency
from coordinator.ops.configuring import Change, Configuration
from coordinator.ops.freezing import Freeze
from coordinator.ops.gates import BreakerView, LimitView
from coordinator.ops.history import MOST_EVENTS, Happening
from coordinator.ops.inspect import MOST_PER_PAGE, LineView, Survey
from coordinator.ops.looking import HeldPage, OwnerPage
from coordinator.watches import Watch
from coordinator.wire.calls import Deed


class Overseer:
    """What an operator asks and does."""

    _driver: SyncDriver

    def define(self, resource: str, *, reason: str | None = None, by: str = "", **terms: Unpack[Terms]) -> Definition:
        """Say how a resource is granted; what is not named stays as it is, and None is as where nothing was defined.

        `capacity`: permits (1); who waits for more than it is lowered to has all there are, alone. `mode`: the order of
        its line (`priority`, `oldest_first`, `newest_first`, `newest_ready_first`, `unordered`). `max_line`: waiters.
        `max_hold`: how long one grant lasts at most.
        `lock_delay`: for how long nobody is granted it after a crash of a holder. Raises InvalidInput.
        """
        doing = requests.define(self._driver.scope, resource, self._deed(by, reason), terms)
        return self._driver.run(doing)

    def force_release(self, ident: str, reason: str, *, by: str = "") -> str:
        """Take a held lock or a running job away from its holder. Returns its state then.

        `by` is who does it, for the audit: this user@host unless it is given. Raises IllegalTransition, NotFound,
        and InvalidInput without a reason, as do the other verbs that take one.
        """
        return self._driver.run(operator.force(self._driver.scope, ident, self._reasoned(by, reason)))

    def transfer(self, ident: str, to: str = "", reason: str = "", *, to_owner: str = "", by: str = "") -> str:
        """Take a held lock or a running job away for another request that waits for it. Returns the state of that one.

        It becomes the first in all its lines. `to` is its id; instead of that `to_owner` is whose it is, if that owner
        has exactly one that waits for it. Raises IllegalTransition, InvalidInput, Frozen, NotFound.
        """
        deed = self._reasoned(by, reason)
        return self._driver.run(heirs.transfer(self._driver.scope, ident, to, to_owner, deed))

    def steal(
        self, needs: Needs, reason: str, *, priority: Urgency = None, wait: float = 10.0, by: str = "", **options: Any
    ) -> Lease:
        """Take a lock away from whoever holds it, for oneself, before all who wait.

        They are told, and their fences are refused from now on; a job goes back to its place. The least urgent go
        first, until it is granted; a full line takes it, too. With a `wait` of 0 it does not wait for what is in the
        way then. Options and errors as for `acquire`. Raises Frozen, with nothing taken, where a freeze or a delay
        would keep it from some of that all the same; where that alone is in the way, it waits. For operators only.
        """
        driver, wanted = self._driver, needs_of(needs)
        chosen = asking.once(asking.lock_options(priority, wait, {"reason": reason, **options}))
        asked = asking.lock_ask(driver.new_id(), wanted, chosen, driver.settings.max_hold, driver.rules)
        grant = driver.run(operator.steal(driver.scope, asked, wait, self._reasoned(by, reason)))
        if grant is None:
            raise locks.ran_out(asked, 0)
        return leased(driver, grant, wanted, asked)

    def reorder(
        self, ident: str, place: str = "front", *, before: str = "", reason: str | None = None, by: str = ""
    ) -> str:
        """Give a request that waits another place in all its lines, or in its queue: `front`, `back`, or directly
        before another request. Returns its state then.

        The place stays until the request gets another priority. Raises IllegalTransition, InvalidInput, NotFound.
        """
        where = "before" if before else place
        doing = operator.reorder(self._driver.scope, ident, where, before, self._deed(by, reason))
        return self._driver.run(doing)

    def freeze(
        self,
        pattern: str,
        seconds: float | None = None,
        reason: str = "",
        *,
        until: datetime | None = None,
        by: str = "",
    ) -> Freeze:
        """Grant a resource to nobody for so many seconds: `infra/prod/vpc`, or with all below it `infra/prod/**`.

        Or `until` a moment by the server's clock: a datetime with a time zone. What is held stays held, and everybody
        keeps their place. Raises InvalidInput, also without a reason and if the moment is over.
        """
        deed = self._reasoned(by, reason)
        return self._driver.run(freezing.for_or_until(self._driver.scope, pattern, seconds, until, deed))

    def thaw(self, pattern: str, reason: str | None = None, *, by: str = "") -> None:
        """End a freeze: who stands in front has the resource at once. Raises NotFrozen, InvalidInput."""
        self._driver.run(freezing.thaw(self._driver.scope, pattern, self._deed(by, reason)))

    def drain(
        self,
        pattern: str,
        reason: str,
        *,
        wait: float = draining.WAIT,
        seconds: float = draining.FROZEN,
        by: str = "",
    ) -> Freeze:
        """Freeze what the pattern covers for so many seconds, and wait until nobody holds any of it, at most `wait`.

        It stays frozen afterwards, also where the wait ran out: `undrain` ends that. Raises NotDrained, InvalidInput.
        """
        deed = self._reasoned(by, reason)
        return self._driver.run(draining.drain(self._driver.scope, pattern, seconds, wait, deed))

    def undrain(self, pattern: str, reason: str | None = None, *, by: str = "") -> None:
        """End a drain, as `thaw` does a freeze."""
        self.thaw(pattern, reason, by=by)

    def freezes(self) -> list[Freeze]:
        """What is frozen, by pattern."""
        return self._driver.run(freezing.freezes(self._driver.scope))

    def let_pass(self, ident: str, reason: str, *, by: str = "") -> str:
        """Let a request that waits have what is frozen, as the first in all its lines. Returns its state then.

        Raises IllegalTransition, NotFound.
        """
        return self._driver.run(freezing.let_pass(self._driver.scope, ident, self._reasoned(by, reason)))

    def audit(self, after: str = "", most: int = MOST_EVENTS) -> tuple[Happening, ...]:
        """What operators did: the newest, or those after the one with the id `after`; the oldest first."""
        return self._driver.run(operator.audit(self._driver.scope, after, most))

    def _deed(self, by: str, reason: str | None) -> Deed:
        return operator.deed(by or person(), reason, self._driver.new_id())

    def _reasoned(self, by: str, reason: str) -> Deed:
        return operator.reasoned(by or person(), reason, self._driver.new_id())

    def breakers(self) -> list[BreakerView]:
        """All breakers, by name."""
        return self._driver.run(gates.breakers(self._driver.scope))

    def open_breaker(
        self, name: str, seconds: float | None = None, reason: str = "", *, undeclared: bool = False, by: str = ""
    ) -> None:
        """Hold the jobs behind a breaker back, for so many seconds or until it is closed.

        `undeclared`: also if no worker has told of one of that name yet. Raises InvalidInput, also without a reason.
        """
        deed = self._reasoned(by, reason)
        if not undeclared:
            self._driver.run(gates.declared(self._driver.scope, name))
        self._driver.run(gates.open_breaker(self._driver.scope, name, seconds, deed))

    def close_breaker(self, name: str, reason: str | None = None, *, undeclared: bool = False, by: str = "") -> None:
        """Let the jobs behind a breaker go on. `undeclared`: as for `open_breaker`. Raises InvalidInput."""
        deed = self._deed(by, reason)
        if not undeclared:
            self._driver.run(gates.declared(self._driver.scope, name))
        self._driver.run(gates.close_breaker(self._driver.scope, name, deed))

    def limits(self) -> list[LimitView]:
        """All limits of rate."""
        return self._driver.run(gates.limits(self._driver.scope))

    def explain(self, ident: str) -> Explanation:
        """Everything about one request: state, place, who holds and who stands before it. Raises NotFound."""
        return self._driver.run(inspect.explain(self._driver.scope, ident))

    def line(self, resource: str) -> LineView:
        """One resource with its holders and the head of its line."""
        return self._driver.run(inspect.line(self._driver.scope, resource))

    def holders(self, pattern: str, after: str = "", most: int = MOST_PER_PAGE) -> HeldPage:
        """Who holds the resources that a pattern is for, page by page: `infra/prod/*`, `infra/*/vpc`, `infra/prod/v*`,
        `infra/prod/**` (it and all below it), or one name. Raises InvalidInput."""
        return self._driver.run(looking.holders(self._driver.scope, pattern, after, most))

    def held_by(self, owner: str, after: str = "", most: int = MOST_PER_PAGE) -> OwnerPage:
        """Everything that an owner holds or waits for, page by page. Raises InvalidInput."""
        return self._driver.run(looking.held_by(self._driver.scope, owner, after, most))

    def watch(self, pattern: str = "**", after: str = "") -> Watch:
        """What becomes of resources as it happens: `for change in co.watch("infra/**")`.

        Patterns as for `holders`. `after` is the id of a change to go on from; a change whose `what` is `gap` says that
        some were missed. Raises InvalidInput.
        """
        return Watch(self._driver, pattern, after)

    def survey(self, after: str = "", most: int = inspect.PAGE) -> Survey:
        """The namespace: queues, sessions, counters and one page of resources."""
        return self._driver.run(inspect.survey(self._driver.scope, after, most))

    def configure(self, values: Mapping[str, Any], *, unset: Sequence[str] = (), by: str = "") -> Configuration:
        """Change settings of policies for the whole running fleet: `co.configure({"timeouts.most": 4})`.

        `unset` names those that go back to what each process began with; `by` says who does it. All are changed or
        none; whoever has a session has them within two heartbeats, this client at once: docs/configuration.md. Raises
        ConfigError with every complaint.
        """
        wanted, known = Change(values, unset, by or person()), self._driver.live.version
        changed = configuring.change(self._driver.scope, self._driver.live.base, wanted, self._driver.new_id())
        found = self._driver.run(changed)
        self._driver.live.take(found, known)
        return found

    def configuration(self) -> Configuration:
        """What was changed for the whole running fleet, and its version."""
        return self._driver.run(configuring.look(self._driver.scope))
