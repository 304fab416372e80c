"""House rules that a text search can hold: key names, includes, sizes, floors, and what is never used."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator import keys
from coordinator.ops.doctor import META_FIELDS
from coordinator.wire import loader
from tests.contract.lua import DEFINES, INCLUDES, code, every_source, fragments, strings, text_of, undefined, words

pytestmark = pytest.mark.no_redis

ROOT = Path(__file__).parents[2]
PACKAGES = ("coordinator", "workers")
COMMANDS = r"redis\.call\('(\w+)', "


def python_files() -> list[Path]:
    return [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


def lua_files() -> list[str]:
    """All but the one script that is sent names of keys, to look at what nothing else knows."""
    return [name for name in every_source() if name != "audit_keys"]


@pytest.mark.parametrize("name", lua_files())
def test_no_lua_file_has_a_key_of_its_own(name: str) -> None:
    suffixes = {one.suffix for one in keys.FAMILIES if one.suffix.endswith(":")}
    assert not [one for one in strings(code(name)) if one in suffixes or one.startswith("co:")]
    for argument in re.findall(rf"{COMMANDS}(.+)", code(name)):
        command, first = argument
        # What a key is built from: the prefix, a local made of it, or the one key of the call.
        assert command in ("TIME", "MEMORY", "INFO") or re.match(
            r"ctx\.p \.\. (K_|key)|ctx\.meta|meta|[a-z_]+\b(?!')", first
        ), argument


@pytest.mark.parametrize("name", lua_files())
def test_every_key_variable_is_made_of_the_prefix(name: str) -> None:
    lua = code(name)
    for variable in set(re.findall(r"redis\.call\('\w+', ([a-z_]+)[,)]", lua)) - {"meta"}:
        assert re.search(rf"(local [\w, ]*\b{variable}\b[^\n]*= (ctx\.)?p \.\. K_|in ipairs\(\{{)", lua), variable


def test_every_family_of_keys_is_used_and_no_other() -> None:
    used = {word for name in every_source() for word in words(code(name)) if word.startswith("K_")}
    # The one key that is passed in is the only one that Lua does not build.
    assert used == {f"K_{one.name}" for one in keys.FAMILIES if one.name != "META"}


def test_the_doctor_knows_every_field_of_meta() -> None:
    """It takes out all others where there are very many."""
    named = r"(?:meta|clock|mark)(?:\[.*\])?(?:, | = )(?:\{ )?'(\w+)'"
    found = {field for name in every_source() for field in re.findall(named, code(name))}
    readers = [code(name) for name in every_source() if "m, us" in code(name)]
    found |= {one for lua in readers for one in re.findall(r"\bm\.(\w+)", lua)}
    assert found - {"due"} == META_FIELDS


@pytest.mark.parametrize("name", every_source())
def test_every_include_is_used(name: str) -> None:
    used = words(code(name))
    for wanted in INCLUDES.findall(loader.source(name)):
        assert set(DEFINES.findall(text_of(wanted))) & used, f"{name} uses nothing of {wanted}"


@pytest.mark.parametrize("name", every_source())
def test_every_file_includes_what_it_uses(name: str) -> None:
    """In Lua a name that nothing defines is nil until the line is reached, so a missing include shows up late."""
    assert undefined(name) == set()


def test_every_fragment_is_used() -> None:
    wanted = {one for name in every_source() for one in INCLUDES.findall(loader.source(name))}
    assert set(fragments()) <= wanted


@pytest.mark.parametrize("name", lua_files())
def test_nothing_that_a_file_defines_is_unused(name: str) -> None:
    everywhere = "\n".join(code(one) for one in every_source())
    for defined in DEFINES.findall(code(name)):
        assert len(re.findall(rf"\b{defined}\b", everywhere)) > 1, f"{defined} is never used"


@pytest.mark.parametrize("name", every_source())
def test_lua_files_are_short(name: str) -> None:
    assert len(loader.source(name).splitlines()) <= 120


def test_python_files_and_functions_are_short() -> None:
    for file in python_files():
        text = file.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 400, file.name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= 60, f"{file.name}: {node.name} has {length} lines"


def test_every_python_file_says_what_it_is_for() -> None:
    assert [file.name for file in python_files() if not ast.get_docstring(ast.parse(file.read_text()))] == []


# Fetched as words, so that this file does not find itself.
BANNED = ("pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle")


def test_nothing_in_the_packages_can_run_what_it_reads() -> None:
    for file in python_files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {name.partition(".")[0] for name in names} & set(BANNED), file.name
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "yaml.load", "yaml.unsafe_load"), f"{file.name}: {called}"


def test_imports_stand_at_the_top() -> None:
    for file in python_files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = [one for one in ast.walk(node) if isinstance(one, ast.Import | ast.ImportFrom)]
                assert not inner, f"{file.name}: {node.name} imports"


@pytest.mark.skipif(shutil.which("lint-imports", path=str(Path(sys.executable).parent)) is None, reason="not installed")
def test_imports_go_downwards_only() -> None:
    tool = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert tool is not None
    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
