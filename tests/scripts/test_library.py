"""The scripts as one library: what the server says to it. A client would go on without it, and slower."""

import pytest

from coordinator.wire import loader
from tests.support.engine import Engine


@pytest.mark.parametrize("cluster", [False, True])
def test_the_library_is_one_that_the_server_takes(engine: Engine, cluster: bool) -> None:
    if not engine._shebang:
        pytest.skip("this server knows no functions")
    library = loader.library(cluster)
    loaded = engine.raw.function_load(library.text, replace=True)
    assert loaded in (library.name, library.name.encode())
