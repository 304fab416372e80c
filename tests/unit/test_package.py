import importlib

import pytest


@pytest.mark.parametrize("package", ["coordinator", "workers"])
def test_a_package_says_its_version(package: str) -> None:
    assert importlib.import_module(package).__version__.count(".") == 2
