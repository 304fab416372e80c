"""Locks that are taken one by one: circles of waits are found, and somebody gives way."""

import random

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.scripts.reach import reaches
from tests.support.engine import Engine

LOW, NORMAL, HIGH = range(3)


def cross(engine: Engine, *, first: int = NORMAL, second: int = NORMAL) -> list[object]:
    """Two that hold one each and want the other's; the answer to the second."""
    engine.open("s")
    engine.hold("s", "a1", "a", priority=first)
    engine.hold("s", "b1", "b", priority=second)
    assert engine.ask("s", "a2", "b", within="a1", priority=first) == ["waiting", "a2"]
    return engine.ask("s", "b2", "a", within="b1", priority=second)


@reaches("request", "deadlock")
def test_the_youngest_that_closes_a_circle_is_refused_and_nothing_is_written(engine: Engine) -> None:
    assert cross(engine) == ["deadlock", "b2,a2"]
    assert engine.state("b2") is None
    engine.release("b1", engine.field("b1", "fence") or "")
    assert engine.state("a2") == "held"


def test_the_less_urgent_gives_way_though_it_was_there_first(engine: Engine) -> None:
    assert cross(engine, first=LOW, second=HIGH) == ["waiting", "b2"]
    assert engine.state("a2") == "cancelled"
    assert engine.inbox("s")[-1] == "ended a2 cancelled b2,a2"
    # Who asks again is told why.
    assert engine.ask("s", "a2", "b", within="a1", priority=LOW) == ["ended", "a2", "cancelled", "deadlock: b2,a2"]
    engine.release("a1", engine.field("a1", "fence") or "")
    assert engine.state("b2") == "held"


def test_who_wants_what_its_own_flow_holds_waits_for_itself(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r", "a")
    assert engine.ask("s", "again", "a", within="r") == ["deadlock", "again"]
    engine.hold("s", "r2", "b", within="r")
    assert engine.ask("s", "third", "a", within="r2") == ["deadlock", "third"], "all of a flow is one"
    engine.hold("s", "shared", "s1:c")
    engine.hold("s", "more", "s1:c", within="shared")


@reaches("request", "not_within")
def test_what_is_taken_within_something_that_is_over_or_never_was_is_refused(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "other", "b")
    assert engine.ask("s", "nested", "b", within="nope") == ["not_within", "nope"]
    assert engine.ask("s", "nested", "c", within="nope") == ["not_within", "nope"], "what is free, too"
    engine.release("r", engine.hold("s", "r", "a"))
    assert engine.ask("s", "nested", "b", within="r") == ["not_within", "r"]
    assert engine.state("nested") is None
    fence = engine.hold("s", "outer", "a")
    assert engine.ask("s", "nested", "b", within="outer") == ["waiting", "nested"]
    engine.release("outer", fence)
    assert engine.ask("s", "nested", "b", within="outer") == ["waiting", "nested"], "it stands as it did"


def test_a_circle_through_the_order_of_a_line_is_one_too(engine: Engine) -> None:
    """`both` stands before `nested` on b, and waits for a, which the flow of `nested` holds."""
    engine.open("s")
    fence = engine.hold("s", "other", "b")
    engine.hold("s", "r", "a")
    assert engine.ask("s", "nested", "b", within="r", priority=LOW) == ["waiting", "nested"]
    assert engine.ask("s", "both", "a b", priority=HIGH) == ["waiting", "both"]
    assert engine.state("nested") == "cancelled"
    engine.release("other", fence)
    engine.release("r", engine.field("r", "fence") or "")
    assert engine.state("both") == "held"


def test_a_job_never_gives_way_and_the_sweep_finds_what_a_job_has_closed(engine: Engine) -> None:
    engine.worker("s")
    engine.hold("s", "other", "b")
    engine.hold("s", "r", "a")
    engine.ask("s", "nested", "b", within="r")
    engine.put("j", "a b", priority=HIGH)
    assert engine.state("nested") == "waiting"
    engine.sweep_all()
    assert (engine.state("nested"), engine.state("j")) == ("cancelled", "waiting")


@pytest.mark.parametrize("needs", ["x1:c", "s1:c"])
def test_where_several_may_let_go_nobody_is_refused(engine: Engine, needs: str) -> None:
    engine.open("s")
    engine.raw.hset(engine.key("DEF", "c"), "capacity", 2)
    engine.hold("s", "h1", needs)
    engine.hold("s", "h2", needs)
    engine.hold("s", "r", "a")
    assert engine.ask("s", "h1b", "a", within="h1") == ["waiting", "h1b"]
    assert engine.ask("s", "rc", "x1:c", within="r")[0] == ("waiting" if needs == "x1:c" else "deadlock")


def test_whoever_waits_no_longer_is_forgotten(engine: Engine) -> None:
    engine.open("s")
    engine.open("t")
    engine.hold("s", "a1", "a")
    engine.hold("t", "b1", "b")
    engine.ask("t", "b2", "a", within="b1", wait_ms=1000)
    assert engine.raw.zcard(engine.key("NESTED")) == 1
    engine.advance(2)
    engine.sweep_all()
    assert engine.state("b2") == "expired"
    assert engine.ask("s", "a2", "b", within="a1") == ["waiting", "a2"], "nobody waits for a any more"
    engine.release("b1", engine.field("b1", "fence") or "")
    assert (engine.state("a2"), engine.raw.exists(engine.key("NESTED"))) == ("held", 0)
    assert engine.raw.hget(engine.key("META"), "nested") is None


@pytest.mark.parametrize("seed", range(3))
def test_of_many_who_take_locks_one_by_one_all_come_to_an_end(engine: Engine, seed: int) -> None:
    """Each flow wants four of eight; who is refused lets go of all and begins anew. Nobody is ever stuck."""
    chance = random.Random(seed)
    engine.open("s")
    wants = {flow: chance.sample("abcdefgh", 4) for flow in range(8)}
    held: dict[int, list[str]] = {flow: [] for flow in wants}
    asked: dict[int, str] = {}
    number = done = 0
    for _ in range(2000):
        if not wants:
            break
        moving = [flow for flow in wants if flow not in asked or engine.state(asked[flow]) != "waiting"]
        assert moving, "everybody waits"
        flow = chance.choice(moving)
        last = asked.pop(flow, None)
        if last and engine.state(last) == "held":
            held[flow].append(last)
        elif last:
            _let_go(engine, held[flow])
        if len(held[flow]) == len(wants[flow]):
            _let_go(engine, held[flow])
            del wants[flow]
            done += 1
            continue
        number += 1
        ident = f"r{number}"
        answer = engine.ask("s", ident, wants[flow][len(held[flow])], within=held[flow][0] if held[flow] else "")
        if answer[0] == "deadlock":
            _let_go(engine, held[flow])
        else:
            asked[flow] = ident
    assert done == 8


def _let_go(engine: Engine, idents: list[str]) -> None:
    for ident in idents:
        assert engine.release(ident, engine.field(ident, "fence") or "") == ["ok"]
    idents.clear()


def semaphore(engine: Engine, permits: int, *holders: str) -> None:
    """So many permits of `p`, of which some hold one each, all in use."""
    engine.open("s")
    engine.call(calls.define(engine.scope, "p", Deed("op", "test", "c"), {"capacity": permits}))
    for one in holders:
        engine.hold("s", one, "p")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_all_who_have_permits_and_want_one_more_stand_in_a_circle(engine: Engine, count: int) -> None:
    names = [f"h{n}" for n in range(count)]
    semaphore(engine, count, *names)
    for one in names[:-1]:
        assert engine.ask("s", f"{one}-more", "p", within=one) == ["waiting", f"{one}-more"]
    last = names[-1]
    word, circle = engine.ask("s", f"{last}-more", "p", within=last)
    assert word == "deadlock"
    assert sorted(circle.split(",")) == [f"{one}-more" for one in names]
    engine.release(last, engine.field(last, "fence") or "")
    assert count == 1 or engine.state("h0-more") == "held"


def test_whoever_has_a_permit_and_waits_for_nothing_may_let_go(engine: Engine) -> None:
    semaphore(engine, 3, "one", "other", "free")
    engine.ask("s", "more", "p", within="one")
    assert engine.ask("s", "too", "p", within="other") == ["waiting", "too"]
    engine.release("free", engine.field("free", "fence") or "")
    assert engine.state("more") == "held"


def test_a_circle_goes_through_all_the_holders_of_permits_or_is_none(engine: Engine) -> None:
    """Both who have a permit wait for a lock of the one who asks for one; or one of them does."""
    semaphore(engine, 2, "one", "other")
    engine.hold("s", "mine", "a")
    engine.ask("s", "one-a", "a", within="one")
    fence = engine.field("other", "fence") or ""
    assert engine.ask("s", "more", "p", within="mine") == ["waiting", "more"], "the other may let go"
    assert engine.ask("s", "other-a", "a", within="other") == ["waiting", "other-a"]
    # Who closed it is not the youngest of them: the flow of `mine` is.
    assert engine.state("more") == "cancelled"
    engine.release("mine", engine.field("mine", "fence") or "")
    assert engine.state("one-a") == "held"
    assert engine.release("other", fence) == ["ok"]


def test_who_wants_the_permits_of_those_that_wait_for_each_other_alone_is_in_no_circle(engine: Engine) -> None:
    semaphore(engine, 2, "one", "other")
    engine.hold("s", "a1", "a")
    engine.hold("s", "r", "r")
    engine.ask("s", "one-a", "a", within="one")
    engine.ask("s", "other-a", "a", within="other")
    assert engine.ask("s", "more", "p", within="r") == ["waiting", "more"], "who has `a` waits for nothing"


def test_a_dead_holder_of_permits_lets_go(engine: Engine) -> None:
    semaphore(engine, 2, "one")
    engine.open("dead")
    engine.hold("dead", "other", "p")
    engine.ask("dead", "other-more", "p", within="other")
    engine.keep_alive(engine.terms.session_ms / 1000 + 1, "s")
    assert engine.ask("s", "more", "p", within="one")[0] == "granted"


CAPACITY = {"a": 1, "b": 1, "p": 2, "q": 3}


class Flows:
    """Pieces of work that take one lock after the other, and what must come of it if each gives all back once it has
    what it asked for."""

    def __init__(self) -> None:
        self.held: list[tuple[str, str, str]] = []  # request, flow, resource
        self.waiting: list[tuple[str, str, str]] = []  # by arrival

    def stuck(self) -> set[str]:
        """Who waits for ever."""
        held, waiting = list(self.held), list(self.waiting)
        while True:
            busy = {flow for _, flow, _ in waiting}
            held = [one for one in held if one[1] in busy]
            first = next((one for one in waiting if self._goes(one, held, waiting)), None)
            if first is None:
                return {ident for ident, _, _ in waiting}
            waiting.remove(first)
            held.append(first)

    @staticmethod
    def _goes(one: tuple[str, str, str], held: list[tuple[str, str, str]], waiting: list[tuple[str, str, str]]) -> bool:
        used = sum(resource == one[2] for _, _, resource in held)
        ahead = [other for other in waiting if other[2] == one[2]]
        return ahead[0] == one and used < CAPACITY[one[2]]


@pytest.mark.parametrize("seed", range(6))
def test_circles_are_found_where_there_are_any_and_nowhere_else(engine: Engine, seed: int) -> None:
    """Random flows on two locks and two counted resources, against a simulation in which everybody gets on who can."""
    chance, flows = random.Random(seed), Flows()
    engine.open("s")
    for number, (name, capacity) in enumerate(CAPACITY.items()):
        engine.call(calls.define(engine.scope, name, Deed("op", "test", f"c{number}"), {"capacity": capacity}))
    for number in range(30):
        flow = f"f{chance.randrange(6)}"
        mine = [one for one in flows.held if one[1] == flow]
        if any(one[1] == flow for one in flows.waiting):
            continue
        ident, resource = f"r{number}", chance.choice(list(CAPACITY))
        within = mine[0][0] if mine else ""
        reply = engine.ask("s", ident, resource, **({"within": within} if within else {}), writes=True)
        flows.waiting.append((ident, flow, resource))
        stuck = flows.stuck()
        gone = {one[0] for one in flows.waiting if engine.state(one[0]) in (None, "cancelled")}
        assert bool(gone) == bool(stuck), (reply, flows.held, flows.waiting)
        assert gone <= stuck
        flows.waiting = [one for one in flows.waiting if one[0] not in gone]
        flows.held += [one for one in flows.waiting if engine.state(one[0]) == "held"]
        flows.waiting = [one for one in flows.waiting if engine.state(one[0]) == "waiting"]
        assert not flows.stuck(), (gone, flows.held, flows.waiting)
        if chance.random() < 0.1 and flows.held:
            free = chance.choice(flows.held)
            if not any(one[1] == free[1] for one in flows.waiting):
                for one in [one for one in flows.held if one[1] == free[1]]:
                    engine.release(one[0], engine.field(one[0], "fence") or "")
                    flows.held.remove(one)
                got = [one for one in flows.waiting if engine.state(one[0]) == "held"]
                flows.held += got
                flows.waiting = [one for one in flows.waiting if one not in got]
