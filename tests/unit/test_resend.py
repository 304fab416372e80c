"""What helps against an error of the store, and how long to pause before the next try."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.policy.resend import Remedy, pause, remedy

# How Redis 6.2 begins when a command inside a script fails.
_IN_SCRIPT = (
    "Error running script (call to f_c84b48b0b73fd843de3726664734e86f8019fbe8): @user_script:7: @user_script: 7:"
)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("NOSCRIPT No matching script.", Remedy.LOAD),
        ("LOADING Redis is loading the dataset in memory", Remedy.AGAIN),
        ("BUSY Redis is busy running a script.", Remedy.AGAIN),
        ("READONLY You can't write against a read only replica.", Remedy.ELSEWHERE),
        ("-READONLY You can't write", Remedy.ELSEWHERE),
        ("NOREPLICAS Not enough good replicas to write.", Remedy.ELSEWHERE),
        ("CLUSTERDOWN The cluster is down", Remedy.AGAIN),
        ("TRYAGAIN Multiple keys request during rehashing of slot", Remedy.AGAIN),
        ("OOM command not allowed when used memory > 'maxmemory'.", Remedy.FULL),
        ("MISCONF Redis is configured to save RDB snapshots", Remedy.FULL),
        (f"{_IN_SCRIPT} -OOM command not allowed when used memory > 'maxmemory'.", Remedy.FULL),
        (f"ERR {_IN_SCRIPT} -READONLY You can't write against a read only replica.", Remedy.ELSEWHERE),
        (f"{_IN_SCRIPT} -WRONGTYPE Operation against a key", Remedy.GIVE_UP),
        ("Script attempted to access a non local key in a cluster node script: f00, on @user_script:1.", Remedy.AGAIN),
        ("ERR something READONLY far behind", Remedy.GIVE_UP),
        ("ERR unknown command", Remedy.GIVE_UP),
        ("WRONGTYPE Operation against a key", Remedy.GIVE_UP),
        ("", Remedy.GIVE_UP),
    ],
)
def test_the_first_word_decides(message: str, found: Remedy) -> None:
    assert remedy(message) is found


@given(st.text())
def test_any_message_has_a_remedy(message: str) -> None:
    assert isinstance(remedy(message), Remedy)


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_short_at_first_and_never_long(tries: int, chance: float) -> None:
    assert 0.01 <= pause(tries, chance) <= 0.5
    assert pause(0, chance) <= 0.02
