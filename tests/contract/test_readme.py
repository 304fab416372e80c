"""The README and the pages in `docs` say what the code says."""

import re
from pathlib import Path

import pytest

from tests.support.readme import BLOCKS, PAGES, README, rendered

pytestmark = pytest.mark.no_redis
ROOT = Path(__file__).parents[2]


def test_blocks_made_from_the_code_are_up_to_date() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert [sum(f"<!-- begin: {name} -->" in text for text in texts) for name in BLOCKS] == [1] * len(BLOCKS)
    assert [rendered(text) for text in texts] == texts, "run `python -m tests.support.readme`"


def test_files_and_commands_it_names_are_there() -> None:
    text = README.read_text(encoding="utf-8")
    for name in ("scripts/demo", "scripts/test", "scripts/check", "compose.yaml"):
        assert name in text
        assert (ROOT / name).exists()
    for folder in re.findall(r"`(coordinator/\w+|workers)`", text):
        assert (ROOT / folder).is_dir()


def test_python_examples_compile() -> None:
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        compile(block, "README.md", "exec")
