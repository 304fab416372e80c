"""What may be defined of a resource, and what is said of what may not."""

from typing import Any

import pytest

from coordinator.errors import InvalidInput
from coordinator.model.definition import words


@pytest.mark.parametrize(
    ("terms", "said"),
    [({"capacity": 2}, "'capacity'"), ({"mode": "unordered", "max_line": 9, "capacity": 2}, "'capacity, mode'")],
)
def test_of_a_subtree_is_refused_what_was_given_and_no_more(terms: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be defined of a subtree") as caught:
        words(terms, subtree=True)
    assert f"(got {said})" in str(caught.value)
    assert words(terms).keys() == terms.keys()
