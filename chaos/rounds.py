"""A round of calls that touches every script and whose answers are all known in advance."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from chaos import roles
from chaos.steering import PATIENCE, Steering
from coordinator import Coordinator, Dedup, Priority, RetryPolicy, Submission
from coordinator.doctor import examine
from coordinator.drivers.ids import new_id
from coordinator.errors import JobFailed, LeaseLost
from coordinator.model.signing import UNSIGNED
from coordinator.ops import answers, history, timing
from coordinator.recipes import CountDownLatch
from coordinator.wire import calls

Step = Callable[[], Any]


class Round(Steering):
    """Two clients of one namespace that has a worker. `between` is called after every step."""

    def __init__(self, one: Coordinator, two: Coordinator, between: Callable[[], object]) -> None:
        self._one, self._two, self._between = one, two, between

    def play(self) -> Iterator[tuple[str, str]]:
        """Make every call. Yields the name and the answer of each step that was answered wrongly."""
        steps: tuple[Step, ...] = (
            self.lock_goes_from_hand_to_hand,
            self.lock_is_kept_by_heartbeats,
            self.lock_is_not_to_be_had,
            self.lock_is_taken_away,
            self.operators_change_who_is_next,
            self.tree_is_frozen,
            self.latch_opens,
            self.wait_is_given_up,
            self.job_runs,
            self.job_is_tried_again_at_once,
            self.jobs_run_in_order_of_urgency,
            self.jobs_behind_a_long_one_are_offered_and_taken_back,
            self.duplicate_joins,
            self.delayed_job_is_cancelled,
            self.running_job_is_cancelled,
            self.job_nobody_knows_dies_twice,
            self.resource_has_room_for_two,
            self.answer_is_kept_until_it_is_dropped,
            self.similar_one_joins,
            self.settings_change_and_go_back,
            self.breaker_holds_a_job_until_it_is_closed,
            self.gates_are_told,
            self.alert_is_raised_and_acknowledged,
            self.everything_can_be_looked_at,
        )
        for step in steps:
            try:
                answer = step()
            except Exception as error:
                answer = f"{type(error).__name__}: {error}"
            if answer is not True:
                yield step.__name__, repr(answer)
            self._between()

    def lock_goes_from_hand_to_hand(self) -> Any:
        """Granted, extended, given back, and the next in line has it under a larger fence."""
        lease = self._one.acquire("a", wait=PATIENCE)
        ticket = self._two.request("a")
        place = ticket.position().place
        lease.extend(60)
        held = lease.held
        lease.release()
        following = ticket.wait(PATIENCE)
        larger = following.fence > lease.fence
        following.release()
        return (place, held, larger) == (0, True, True) or (place, held, larger)

    def lock_is_kept_by_heartbeats(self) -> Any:
        """For as long as some of them take."""
        with self._one.lock("a", wait=PATIENCE) as lease:
            time.sleep(2 * self._one.settings.sweep_interval)
            return lease.held

    def lock_is_not_to_be_had(self) -> Any:
        """Whoever does not want to wait is told so."""
        with self._one.lock("a", wait=PATIENCE):
            other = self._two.try_acquire("a")
        return other is None or other

    def lock_is_taken_away(self) -> Any:
        """After that it is no longer the holder's to give back."""
        lease = self._one.acquire("a", wait=PATIENCE)
        state = self._two.force_release(lease.ident, "chaos")
        try:
            lease.release()
        except LeaseLost:
            return state == "lost" or state
        return "released a lock that had been taken away"

    def operators_change_who_is_next(self) -> Any:
        """The last comes first, the first takes over, and gives it to the one in the middle."""
        lease = self._one.acquire("a", wait=PATIENCE)
        tickets = [self._two.request("a") for _ in range(3)]
        self._one.reorder(tickets[2].ident, "front", reason="chaos")
        order = [one.ident for one in self._one.line("a").waiters]
        self._one.transfer(lease.ident, tickets[0].ident, "chaos")
        first = tickets[0].wait(PATIENCE)
        first.hand_over(tickets[1].ident, "chaos")
        second = tickets[1].wait(PATIENCE)
        fences = [lease.fence, first.fence, second.fence]
        second.release()
        tickets[2].wait(PATIENCE).release()
        done = [one.event for one in self._one.audit(most=3)]
        right = order == [tickets[at].ident for at in (2, 0, 1)] and fences == sorted(fences)
        return (right and done == ["reorder", "transfer", "hand_over"]) or (order, fences, done)

    def tree_is_frozen(self) -> Any:
        """Nobody is granted anything of it but who may pass, until it is thawed."""
        self._one.freeze("tree/**", 60, "chaos")
        tickets = [self._two.request("tree/a") for _ in range(2)]
        self._one.let_pass(tickets[1].ident, "chaos")
        tickets[1].wait(PATIENCE).release()
        waits = str(tickets[0].state())
        frozen = [one.pattern for one in self._one.freezes()]
        self._one.thaw("tree/**")
        tickets[0].wait(PATIENCE).release()
        return (waits, frozen) == ("waiting", ["tree/**"]) or (waits, frozen)

    def latch_opens(self) -> Any:
        """When both have counted, each once."""
        name = new_id()
        latches = [CountDownLatch(one, name, 2) for one in (self._one, self._two)]
        left = [latch.count_down() for latch in latches]
        latches[0].wait(PATIENCE)
        return left == [1, 0] or left

    def wait_is_given_up(self) -> Any:
        """A request that is cancelled leaves the line."""
        with self._one.lock("a", wait=PATIENCE):
            ticket = self._two.request("a")
            over = ticket.cancel("changed my mind")
            length = self._one.line("a").line_length
        return (over, length) == (True, 0) or (over, length)

    def job_runs(self) -> Any:
        """A job with a resource and progress, and its result."""
        ticket = self._one.submit(roles.STEP, {"ms": 1, "progress": True}, resources=["b"], owner="chaos")
        result = ticket.result(PATIENCE)
        return result.split()[0] == ticket.ident or result

    def job_is_tried_again_at_once(self) -> Any:
        """It fails once: its result is that of its second attempt, and no attempt is a delivery that was lost."""
        retry = RetryPolicy(max_attempts=3, base=0)
        ticket = self._one.submit(roles.STEP, {"ms": 1, "fails": True}, resources=["b"], retry=retry)
        ident, fence = ticket.result(PATIENCE).split()
        fields = self._one.explain(ticket.ident).fields
        told = (ident == ticket.ident, fields["attempts"], fields["deliveries"], fields["settled"] == fence)
        return told == (True, "2", "1", True) or told

    def jobs_run_in_order_of_urgency(self) -> Any:
        """Of jobs that wait for a resource the one that was raised runs first."""
        with self._one.lock("b", wait=PATIENCE):
            made = [Submission(roles.STEP, {"ms": 1}, resources=["b"], priority=level) for level in (1, 0, 1)]
            tickets = self._two.submit_many(made)
            tickets[2].reprioritise(Priority.CRITICAL)
            raised = self._one.explain(tickets[2].ident).priority
        results = [ticket.result(PATIENCE).split()[0] for ticket in tickets]
        fences = [int(self._one.explain(ticket.ident).fields["settled"]) for ticket in tickets]
        right = raised is Priority.CRITICAL and fences[2] < fences[0] < fences[1]
        return (right and results == [ticket.ident for ticket in tickets]) or (raised, fences, results)

    def jobs_behind_a_long_one_are_offered_and_taken_back(self) -> Any:
        """There is nobody to take them over, so they run where they were claimed. The first comes alone with the bell,
        and the next with one behind it."""
        times = (1, 12 * self._one.settings.stealing.interval * 1000, 1, 1)
        made = [Submission(roles.STEP, {"ms": ms, "keep": ms > 1}) for ms in times]
        tickets = self._one.submit_many(made)
        results = [ticket.result(PATIENCE).split()[0] for ticket in tickets]
        return results == [ticket.ident for ticket in tickets] or results

    def duplicate_joins(self) -> Any:
        """The second of two alike is the first."""
        how = Dedup("key", on_conflict="join")
        first, second = (self._one.submit(roles.STEP, {"ms": 1}, dedup=how, delay=60) for _ in range(2))
        told = (first.duplicate, second.duplicate, second.ident == first.ident, second.cancel())
        return told == (False, True, True, True) or told

    def delayed_job_is_cancelled(self) -> Any:
        """And says so afterwards."""
        ticket = self._one.submit(roles.STEP, {"ms": 1}, delay=60)
        told = (str(ticket.state()), ticket.cancel("no"), str(self._two.get(ticket.ident).state()))
        return told == ("scheduled", True, "cancelled") or told

    def running_job_is_cancelled(self) -> Any:
        """Its handler stops, and whoever waits is told."""
        ticket = self._one.submit(roles.STEP, {"ms": 60_000})
        self._until(lambda: str(ticket.state()) == "running")
        ticket.cancel("enough")
        try:
            return ticket.result(PATIENCE)
        except JobFailed as error:
            return error.state == "cancelled" or error.state

    def job_nobody_knows_dies_twice(self) -> Any:
        """It is set aside, replayed, and set aside again."""
        ticket = self._one.submit("chaos.nobody", {"ms": 1}, retry=RetryPolicy.none())
        states = []
        for again in (False, True):
            if again:
                self._two.replay(ticket.ident)
            try:
                ticket.result(PATIENCE)
            except JobFailed as error:
                states.append(str(error.state))
        return states == ["dead", "dead"] or states

    def resource_has_room_for_two(self) -> Any:
        """As defined."""
        self._one.define("wide", capacity=2)
        with self._one.lock("wide"), self._two.lock("wide"):
            return len(self._one.line("wide").holders) == 2 or self._one.line("wide")  # noqa: PLR2004

    def answer_is_kept_until_it_is_dropped(self) -> Any:
        """Stored by one, known to the other, and gone for both."""
        scope = self._one._driver.scope
        self._one.run(answers.warm(scope, roles.STEP, 60, [("answer", new_id(), b"\xa3yes")]))
        (had,) = self._two.run(answers.recall(scope, ["answer"], UNSIGNED)).found
        self._one.run(answers.forget(scope, ["answer"]))
        (left,) = self._two.run(answers.recall(scope, ["answer"], UNSIGNED)).found
        said = answers.value(had) if isinstance(had, answers.Kept) else had
        return (said, left) == ("yes", None) or (had, left)

    def everything_can_be_looked_at(self) -> Any:
        """The views answer, and the doctor finds nothing wrong."""
        scope = self._one._driver.scope
        happened, dead = self._one.run(history.events(scope)), self._one.run(history.dead(scope))
        with self._two.lock("seen"):
            report = examine(self._one)
        timed = self._one.run(timing.look(scope))
        with self._two.watch("tree/*") as changes, self._two.lock("tree/seen", owner="ann"):
            [holder] = self._one.holders("tree/*").resources[0].holders
            seen = (holder.owner, self._one.held_by("ann").total, next(changes).what)
        # Only the doctor sweeps on its own account, when it mends, and only a client that has lost track reconciles.
        self._one._driver.store.call(calls.sweep(scope))
        self._one._driver.store.call(calls.reconcile(scope, self._one._driver.keeper.ensure(), ()))
        told = (bool(happened), dead.total, report.healthy, bool(self._two.survey().sessions), *seen)
        return told == (True, 1, True, True, "ann", 1, "waiting") or (*told, timed, report.problems)
