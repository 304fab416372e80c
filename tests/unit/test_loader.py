"""How the Lua programs are put together."""

import re
from collections.abc import Mapping

import pytest
from lupa import lua51

from coordinator import keys
from coordinator.errors import ProtocolError
from coordinator.wire import loader
from coordinator.wire.nesting import nested

# A function of Lua has 200 local names at most.
SPARE_NAMES = 20


def resolve(**texts: str) -> str:
    return loader.resolve("lib/a", replace={f"lib/{name}": text for name, text in texts.items()})


def test_a_fragment_comes_once_and_before_what_uses_it() -> None:
    found = resolve(a="--@include lib/b\n--@include lib/c\nA()", b="--@include lib/c\nB()", c="C()")
    assert found.split() == ["do", "C()", "end", "do", "B()", "end", "A()"]


def test_a_fragment_shows_what_others_use_and_hides_the_rest() -> None:
    """A function of Lua has 200 local names at most."""
    fragment = "local ONE, TWO = 1, 2\nlocal function shown()\n  return hidden()\nend\nlocal function hidden()\nend"
    found = resolve(a="--@include lib/b\nreturn shown() + TWO -- not hidden", b=fragment)
    assert found.splitlines()[:4] == ["local ONE, TWO, shown", "do", "ONE, TWO = 1, 2", "function shown()"]
    assert "\nlocal function hidden()\n" in found


def test_a_fragment_that_has_a_name_of_its_own_is_shown_no_other_of_that_name() -> None:
    found = resolve(
        a="--@include lib/b\n--@include lib/c\nreturn x() + y()",
        b="local MOST = 1\nlocal function x()\n  return MOST\nend",
        c="local MOST = 2\nlocal function y()\n  return MOST\nend",
    )
    assert found.splitlines()[0] == "local x"
    assert found.count("local MOST = ") == 2


@pytest.mark.parametrize("name", ["", *loader.names()])
def test_every_program_has_room_for_more_names(name: str) -> None:
    text = loader.program(name, False).text if name else loader.library().text.split("\n", 1)[1]
    spare = ", ".join(f"spare_{at}" for at in range(SPARE_NAMES))
    understood = lua51.LuaRuntime().eval("function(text) return loadstring(text) ~= nil end")
    assert understood(f"local {spare}\n{text}")


def test_what_serves_one_only_stands_with_it() -> None:
    fragments = {
        "lib/far": "local function far()\nend",
        "lib/near": "local function near()\n  far()\nend",
        "lib/both": "local function both()\n  near()\nend",
        "lib/one": "local function one()\nend",
    }
    bodies = {"a": "both() one()", "b": "both()", "c": "local one = 1"}
    found = nested(fragments, bodies, {name: set(fragments) for name in [*fragments, "a", "b"]} | {"c": set()})
    assert found.homes == {"lib/far": "lib/both", "lib/near": "lib/both", "lib/both": "lib/both", "lib/one": "a"}
    (outer,) = found.outermost()
    assert outer.startswith("local both\n;(function()\nlocal far\n;(function()\nfunction far()")
    inside = "local one\n;(function()\nfunction one()\nend\nend)()"
    assert found.around("a", "A") == f";(function()\n{inside}\nA\nend)()"
    assert found.around("b", "B") == "B"


def test_a_circle_is_an_error_that_shows_the_way() -> None:
    with pytest.raises(ProtocolError, match="lib/a -> lib/b -> lib/c -> lib/a"):
        resolve(a="--@include lib/b", b="--@include lib/c", c="--@include lib/a")
    with pytest.raises(ProtocolError, match="lib/a -> lib/a"):
        resolve(a="--@include lib/a")


@pytest.mark.parametrize("name", ["nonsense", "lib/nonsense", "../client"])
def test_what_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(ProtocolError, match="no script"):
        loader.source(name)


def test_names_of_keys_become_their_suffix() -> None:
    assert resolve(a="x(K_LINE, K_META)") == f"x('{keys.suffix('LINE')}', 'meta')"
    with pytest.raises(ProtocolError, match="NONSENSE"):
        resolve(a="K_NONSENSE")


@pytest.mark.parametrize("name", loader.names())
def test_every_script_resolves_whole(name: str) -> None:
    text = loader.resolve(name)
    assert "--@include" not in text
    assert not re.search(r"\bK_", text)
    assert text.count("function open(") == 1
    assert text.count("function next_state(") <= 1


@pytest.mark.parametrize("shebang", [True, False])
def test_on_a_cluster_a_script_first_makes_sure_that_it_has_the_whole_slot(shebang: bool) -> None:
    alone, shared = loader.program("submit", shebang), loader.program("submit", shebang, True)
    guard = "redis.call('EXISTS', KEYS[1], KEYS[1] .. ':never')\n"
    assert shared.text == alone.text.replace(loader.resolve("submit"), guard + loader.resolve("submit"))
    assert loader.library(True).text.count(guard) == len(loader.names())
    assert loader.library(True).name != loader.library().name


def test_servers_from_7_on_get_the_first_line_and_older_ones_do_not() -> None:
    new, old = loader.program("release", True), loader.program("release", False)
    body = loader.resolve("release")
    assert new.text == f"#!lua flags=allow-oom\n{body}"
    # 6.2 refuses for want of memory only until a script has written; this write takes nothing.
    assert old.text == f"redis.call('HDEL', KEYS[1], '')\n{body}"
    assert loader.program("submit", False).text == loader.resolve("submit")
    assert not old.text.startswith("#")
    assert new.sha != old.sha
    assert loader.program("submit", True).text.startswith("#!lua flags=\n")
    assert loader.program("release", True) is new


def test_a_header_is_read_as_it_is_written() -> None:
    header = loader.header("settle")
    assert (header.keys, header.args, header.variadic) == (1, 8, True)
    assert (header.replies, header.statuses) == (("ok", "session_lost"), ("ok", "stale", "gone"))


def test_another_text_for_a_fragment_takes_its_place() -> None:
    replace: Mapping[str, str] = {"lib/now": "local function server_us() return 7 end"}
    text = loader.resolve("sweep", replace)
    assert "return 7 end" in text
    assert "'TIME'" not in text
