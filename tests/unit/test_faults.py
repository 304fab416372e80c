"""What people are told of an error that Redis met in a script: nothing of the script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import Corrupt
from coordinator.policy.faults import bare, fault, full

OLD = "Error running script (call to f_c84b48b0b73fd843de3726664734e86f8019fbe8): @user_script:7: @user_script: 7: -"
NEW = " script: f00d, on @user_function:5291."
SAID = "READONLY You can't write against a read only replica."


@pytest.mark.parametrize("message", [SAID, f"{OLD}{SAID}", f"ERR {OLD}{SAID}", f"{SAID}{NEW}"])
def test_what_redis_says_of_the_script_is_left_out(message: str) -> None:
    assert bare(message) == SAID


@pytest.mark.parametrize("wrap", ["{}", OLD + "{}", "ERR " + OLD + "{}", "{}" + NEW])
def test_a_full_server_is_told_of_in_our_words_on_every_version(wrap: str) -> None:
    memory = full(wrap.format("OOM command not allowed when used memory > 'maxmemory'."))
    disk = full(wrap.format("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist."))
    assert ("maxmemory" in memory, "disk" in disk) == (True, True)
    assert not any(word in said for said in (memory, disk) for word in ("script", "user_", "OOM", "MISCONF"))


@pytest.mark.parametrize(
    "message",
    [
        "ERR user_function:123: CROWDED meta script: submit, on @user_function:123.",
        "ERR Error running script (call to f_0): @user_script:12: user_script:12: CROWDED meta",
    ],
)
def test_a_crowded_meta_is_named_with_the_way_out(message: str) -> None:
    error = fault(message, "the script 'submit'", "")
    assert isinstance(error, Corrupt)
    assert all(word in str(error) for word in ("co:{NAMESPACE}:meta", "the script 'submit'", "doctor --fix"))


@given(st.text())
def test_any_message_can_be_bared(message: str) -> None:
    assert bare(message) in message
