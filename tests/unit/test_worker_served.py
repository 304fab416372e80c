"""Which queues a worker serves, from the words it is given to those of a claim."""

import pytest

from coordinator.errors import ConfigError, InvalidInput
from coordinator.live import revised
from coordinator.policy.share import MAX_SHARERS
from coordinator.settings import Settings
from workers import Registry, Worker
from workers.served import Served

PLAIN = Settings.of().queues
SHARED = Settings.of(queues={"bulk": {"sharing": "weighted"}, "calm": {}}).queues


def test_without_weights_the_words_are_the_names() -> None:
    served = Served.of(["default", "bulk", "default"])
    assert served.names == served.words(PLAIN) == ("default", "bulk")


def test_weights_of_queues_and_of_priorities_are_said() -> None:
    served = Served.of(["default=3", "bulk", "calm=2"])
    assert served.names == ("default", "bulk", "calm")
    assert served.words(SHARED) == ("default=3", "bulk=1 16:8:4:2:1", "calm=2")
    assert Served.of(["bulk", "calm"]).words(SHARED) == ("bulk 16:8:4:2:1", "calm")


@pytest.mark.parametrize(
    "word", ["bulk=", "bulk=0", "bulk=1001", "bulk=-1", "bulk=1.5", "bulk=x", "=3", "a b", "bulk=\u0663", 3]
)
def test_what_is_no_queue_is_refused(word: object) -> None:
    with pytest.raises(InvalidInput):
        Served.of(["default", word])


def test_a_queue_has_one_weight_and_only_so_many_have() -> None:
    with pytest.raises(InvalidInput, match="second weight"):
        Served.of(["bulk=1", "bulk=2"])
    names = [f"q{n}" for n in range(MAX_SHARERS + 1)]
    assert len(Served.of(names).names) == MAX_SHARERS + 1
    with pytest.raises(InvalidInput, match="at most"):
        Served.of([*names, "bulk=2"])


def test_all_complaints_about_queues_come_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        Served.of(["default=x", "bulk=0", "a=1", "a=2", "b c"])
    said = str(caught.value)
    assert all(one in said for one in ("'default=x' must be", "'bulk=0' must be", "'a=2' gives", "'b c' must be"))
    assert "'a=1'" not in said


def test_a_worker_takes_words() -> None:
    jobs = Registry()
    jobs.handler("note")(lambda ctx, payload: None)
    worker = Worker(
        jobs, "redis://nowhere:1", settings=Settings.of(queues={"bulk": {"sharing": "weighted"}}), queues="bulk=2"
    )
    assert worker._exchange._queues == ("bulk=2 16:8:4:2:1",)


def test_settings_of_queues_are_checked_and_live() -> None:
    for bad in (
        {"bulk": {"sharing": "fair"}},
        {"bulk": {"weights": [0, 1, 1, 1, 1]}},
        {"bulk": {"weights": [1]}},
        {"a b": {}},
    ):
        with pytest.raises(ConfigError):
            Settings.of(queues=bad)
    found = revised(Settings.of(), {"queues": '{"bulk": {"sharing": "weighted", "weights": [5, 4, 3, 2, 1]}}'})
    assert Served.of(["bulk"]).words(found.queues) == ("bulk 5:4:3:2:1",)
    with pytest.raises(ConfigError):
        revised(Settings.of(), {"queues": '{"bulk": {"weights": [0, 0, 0, 0, 0]}}'})
