"""Who reads the inbox of a sync client."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from coordinator.drivers import clock, failpoints, hall
from coordinator.drivers.messages import GOODBYE, RESYNC
from tests.support.inbox import FAULTS, INBOX, READ, REST, Line, Scene, granted
from tests.support.until import until


@pytest.fixture
def scene() -> Iterator[Scene]:
    one = Scene()
    yield one
    one.end()


def test_who_waits_reads_for_itself(scene: Scene) -> None:
    scene.wait("a")
    assert scene.turn == "a"
    scene.line.say(granted("a"))
    scene.threads[0].join(10)
    assert scene.got["a"] == [("granted", "a", "7")]
    assert scene.readers == ["a"]


def test_who_reads_hands_on_what_is_for_others_and_then_the_turn(scene: Scene) -> None:
    for name in "abc":
        scene.wait(name)
    scene.line.say(granted("c"))
    scene.threads[2].join(10)
    assert scene.turn == "a"
    scene.line.say(granted("a"))
    scene.threads[0].join(10)
    assert scene.turn == "b"
    assert scene.readers == ["a", "a"]
    scene.line.say(granted("b"))
    scene.threads[1].join(10)
    until(lambda: scene.watched)


def test_while_nobody_waits_the_listener_reads(scene: Scene) -> None:
    scene.line.say("lost r-1 7")
    until(lambda: scene.told)
    scene.wait("a")
    scene.line.say(granted("a"))
    scene.threads[0].join(10)
    scene.line.say("lost r-2 8")
    until(lambda: len(scene.told) == 2)
    assert scene.readers == ["coordinator-listener", "a", "coordinator-listener"]


def test_what_comes_another_way_wakes_who_reads(scene: Scene) -> None:
    scene.wait("a")
    scene.wait("b")
    scene.postman.hand_out(granted("a"))
    scene.threads[0].join(10)
    assert scene.got["a"] == [("granted", "a", "7")]
    assert scene.turn == "b"
    scene.postman.tell_all(("session_lost",))
    scene.threads[1].join(10)
    assert scene.got["b"] == [("session_lost",)]
    until(lambda: scene.watched)
    assert scene.line.asked() == READ
    assert scene.line.quiet, "whoever has the turn goes on with the read that was begun"


def test_a_wait_that_runs_out_leaves_the_turn_to_the_next_one(scene: Scene) -> None:
    scene.wait("a", 0.05, found=lambda: True)
    scene.wait("b")
    scene.threads[0].join(10)
    assert scene.got["a"] == [None]
    until(lambda: scene.turn == "b")
    scene.line.say(granted("b"))
    scene.threads[1].join(10)
    assert scene.got["b"] == [("granted", "b", "7")]


def test_no_wait_takes_no_turn(scene: Scene) -> None:
    slot = scene.slot("a")
    assert slot.get(0) is None
    slot.put(("granted", "a"))
    assert slot.get(0) == ("granted", "a")
    assert scene.watched


def test_a_reply_in_pieces_is_waited_for_by_whoever_has_the_turn_then(scene: Scene) -> None:
    assert scene.line.asked() == READ
    whole = b"*2\r\n$%d\r\n%s\r\n$11\r\ngranted b 7\r\n" % (len(INBOX), INBOX.encode())
    scene.wait("a")
    scene.line.raw(whole[:20])
    scene.postman.hand_out(granted("a"))
    scene.threads[0].join(10)
    scene.wait("b")
    scene.line.raw(whole[20:])
    scene.threads[1].join(10)
    assert scene.got["b"] == [("granted", "b", "7")]


def test_many_messages_are_fetched_together(scene: Scene) -> None:
    scene.wait("a")
    scene.wait("b")
    scene.tap._asked_at += 3600  # so that the first comes at once, however busy this machine is
    scene.line.say("yield r-1 7 -")
    assert scene.line.asked() == REST
    scene.line.raw(b"*2\r\n$11\r\ngranted b 7\r\n$11\r\ngranted a 7\r\n")
    for thread in scene.threads:
        thread.join(10)
    assert scene.postman.tally.arrived == 3


@pytest.mark.parametrize(
    "breaks",
    [
        lambda line: line.cut(),
        lambda line: line.raw(b"-NOPERM no\r\n"),
        lambda line: line.raw(b"*1\r\n$2\r\nok\r\n"),
        lambda line: line.raw(b"#f\r\n"),
        lambda line: line.raw(b"?!\r\n"),
    ],
    ids=["cut", "refused", "out of step", "false", "no Redis"],
)
def test_a_connection_that_breaks_is_replaced_and_all_look_at_the_truth(
    scene: Scene, breaks: Callable[[Line], None]
) -> None:
    scene.wait("a")
    scene.wait("b")
    first = scene.line
    breaks(first)
    until(lambda: scene.got["a"] == [RESYNC] == scene.got["b"])
    until(lambda: scene.line is not first)
    scene.line.say(granted("b"))
    scene.threads[1].join(10)
    until(lambda: scene.turn == "a")
    assert first.gone


@pytest.mark.parametrize("place", ["listener.before_read", "listener.after_read"])
def test_a_failpoint_breaks_the_connection(scene: Scene, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def broken(reached: str) -> None:
        if reached == place:
            monkeypatch.undo()
            raise failpoints.Broken("by a failpoint")

    scene.wait("a")
    first = scene.line
    monkeypatch.setattr(failpoints, "on", True)
    monkeypatch.setattr(failpoints, "reach", broken)
    first.say("lost r-1 7")
    until(lambda: scene.got["a"] == [RESYNC])
    until(lambda: scene.line is not first)


def test_an_answer_that_is_overdue_ends_the_connection(scene: Scene) -> None:
    scene.wait("a")
    first = scene.line
    scene.tap._due = 0
    scene.postman.hand_out("yield r-1 7 -")
    scene.wait("b")
    with scene.hall.lock:
        scene.tap.turn.ring()  # as if it had slept until then
    until(lambda: scene.line is not first)
    until(lambda: scene.got["a"] == [RESYNC])


def test_an_interruption_of_who_reads_leaves_the_turn_to_others(scene: Scene) -> None:
    slot, ended = scene.slot("a"), threading.Event()

    def work() -> None:
        with pytest.raises(KeyboardInterrupt):
            slot.get(60)
        ended.set()

    def interrupt(*_found: object) -> None:
        scene.tap._heard = scene.hear
        raise KeyboardInterrupt

    scene.threads.append(threading.Thread(target=work, name="a"))
    scene.threads[0].start()
    until(lambda: scene.turn == "a")
    scene.wait("b")
    first, scene.tap._heard = scene.line, interrupt
    first.say("lost r-1 7")
    assert ended.wait(10)
    # What it had in its hands is lost.
    until(lambda: scene.got["b"] == [RESYNC])
    until(lambda: scene.line is not first)
    scene.line.say(granted("b"))
    scene.threads[1].join(10)
    assert scene.got["b"][-1] == ("granted", "b", "7")


def test_two_that_wait_for_the_same_are_told_one_message_each(scene: Scene) -> None:
    scene.wait("a")
    slot = scene.slot("a")
    scene.wait("a", found=lambda: len(slot.places) == 2)
    scene.line.say(granted("a"))
    until(lambda: len(scene.got["a"]) == 1)
    scene.postman.hand_out(granted("a"))
    for thread in scene.threads:
        thread.join(10)
    assert scene.got["a"] == [("granted", "a", "7")] * 2


def test_those_who_wait_go_on_with_the_listener_that_replaces_another(scene: Scene) -> None:
    scene.wait("a")
    scene.wait("b")
    old = scene.listeners[0]
    scene.listen()
    until(lambda: scene.turn in {"a", "b"})
    old.join(10)
    assert scene.pools[0].lines[0].gone
    scene.line.say(granted("b"))
    scene.threads[1].join(10)
    assert scene.got["b"] == [("granted", "b", "7")]


def test_without_a_listener_a_wait_ends_all_the_same(scene: Scene) -> None:
    scene.hall.retire()
    scene.listeners[0].join(10)
    assert scene.slot("c").get(0.01) is None
    scene.wait("a")
    scene.postman.tell_all(("session_lost",))
    scene.threads[0].join(10)
    assert scene.got["a"] == [("session_lost",)]


def test_what_has_come_is_handed_over_before_a_listener_ends(scene: Scene) -> None:
    with scene.hall.lock:
        scene.line.say("lost r-1 7")
        scene.listeners[0].retire()
    scene.listeners[0].join(10)
    assert scene.told == [("r-1", 7, "the server took it back")]


def test_the_listener_sleeps_while_another_thread_reads(scene: Scene) -> None:
    scene.wait("a")
    until(lambda: not scene.listeners[0]._watching)
    scene.tap.sleeps = 0
    for number in range(20):
        scene.line.say(f"lost r-{number} 7")
        until(lambda: len(scene.told) == number + 1)  # noqa: B023  (it is called before the next one)
    # A message, and what more there may be.
    assert scene.tap.sleeps <= 2 * 20 + 2
    assert set(scene.readers) == {"a"}


def test_the_listener_is_woken_from_a_long_sleep_when_nobody_waits_any_more(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = scene.listeners[0]
    monkeypatch.setattr(hall, "SOON", 600.0)
    with scene.hall.lock:
        scene.tap.watch.ring()  # so that it looks, and takes that for how long it may sleep
    until(lambda: listener._nap == 600)
    scene.wait("a")
    until(lambda: listener._sleeps_until > clock.now() + 60)
    monkeypatch.undo()
    scene.line.say(granted("a"))
    until(lambda: scene.watched)


def test_goodbye_is_no_message(scene: Scene) -> None:
    scene.hear(GOODBYE.encode())
    assert scene.postman.tally.arrived == 0


class Crowd:
    """Threads that wait, give up and come again, each about something of its own but the last two."""

    names = ("a", "b", "c", "d", "e", "e")

    def __init__(self, scene: Scene, seed: int) -> None:
        self.chance, self.seed, self._scene = random.Random(seed), seed, scene
        self.told: Counter[str] = Counter()
        self.over = threading.Event()
        scene.threads += [threading.Thread(target=self._wait, args=one, name=one[1]) for one in enumerate(self.names)]
        for thread in scene.threads:
            thread.start()

    def _wait(self, number: int, name: str) -> None:
        slot, chance = self._scene.slot(name), random.Random(f"{self.seed} {number}")
        while not self.over.is_set():
            seconds = chance.choice([0, 0.0005, 0.002, 60])
            words = slot.get(seconds)
            if words is None and seconds == 60:
                FAULTS.append("a wait was over before its time")
            elif words is not None and words[0] == "granted":
                self.told[name] += 1

    @property
    def somebody(self) -> str:
        return granted(self.chance.choice(self.names))


def test_whatever_happens_at_once_everybody_is_told_and_one_at_a_time_reads(scene: Scene) -> None:
    """While they are told by either way connections break, and listeners are replaced."""
    crowd = Crowd(scene, random.randrange(2**32))
    for turn in range(1, 300):
        line = scene.line
        line.say(crowd.somebody)
        if turn % 29 == 0:
            scene.postman.hand_out(crowd.somebody)
        if turn % 67 == 0:
            line.cut()
            until(lambda: scene.line is not line and scene.tap._asked)  # noqa: B023  (it is called before the next one)
        if turn % 101 == 0:
            scene.listen()
    before = crowd.told.copy()
    for name in crowd.names:
        scene.postman.hand_out(granted(name))
    until(lambda: all(crowd.told[name] > before[name] for name in crowd.names), what=f"all of seed {crowd.seed}")
    crowd.over.set()
