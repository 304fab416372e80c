"""Re-entrant locks of several owners in several processes against a model that counts."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from coordinator import Coordinator, Lease, Need, Settings
from coordinator.errors import UpgradeRefused
from tests.property.test_engine import PROFILE

NEEDS = (("x", "a"), ("s", "a"), ("x", "b"))
who = st.tuples(st.integers(0, 1), st.sampled_from(("ann", "bob")))


class Machine(RuleBasedStateMachine):
    """Owners who acquire and release at random, never waiting."""

    clients: tuple[Coordinator, ...]

    @initialize()
    def begin(self) -> None:
        # Of each owner in each process: what it holds, under which lease, and how often.
        self.held: dict[tuple[int, str], dict[tuple[str, str], tuple[Lease, int]]] = {}
        self.newest = 0

    def teardown(self) -> None:
        for mine in getattr(self, "held", {}).values():
            for lease, times in mine.values():
                for _ in range(times):
                    lease.release()

    @rule(by=who, need=st.sampled_from(NEEDS))
    def acquire(self, by: tuple[int, str], need: tuple[str, str]) -> None:
        mine = self.held.setdefault(by, {})
        wanted = Need(need[1], "shared" if need[0] == "s" else "exclusive")
        try:
            lease = self.clients[by[0]].try_acquire(wanted, owner=by[1], reentrant=True)
        except UpgradeRefused:
            assert need not in mine
            assert any(one[1] == need[1] for one in mine)
            return
        if need in mine:
            assert lease is mine[need][0]
            mine[need] = (lease, mine[need][1] + 1)
        elif self.fits(need):
            assert lease is not None
            assert lease.fence > self.newest
            self.newest = lease.fence
            mine[need] = (lease, 1)
        else:
            assert lease is None

    def fits(self, need: tuple[str, str]) -> bool:
        """Whether it goes with all that is held."""
        beside = [one[0] for mine in self.held.values() for one in mine if one[1] == need[1]]
        return not beside or {need[0], *beside} == {"s"}

    @rule(by=who, need=st.sampled_from(NEEDS))
    def release(self, by: tuple[int, str], need: tuple[str, str]) -> None:
        mine = self.held.get(by, {})
        if need in mine:
            lease, times = mine.pop(need)
            lease.release()
            if times > 1:
                mine[need] = (lease, times - 1)
            assert lease.held == (times > 1)


def test_against_a_model(redis_url: str, namespace: str) -> None:
    settings = Settings.of(namespace=namespace, sweep_interval=60, session_ttl=300)
    with (
        Coordinator.connect(redis_url, settings=settings) as one,
        Coordinator.connect(redis_url, settings=settings) as two,
    ):
        run_state_machine_as_test(type("Played", (Machine,), {"clients": (one, two)}), settings=PROFILE)
