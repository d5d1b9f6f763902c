"""Large JSON has the same text as from the standard library."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.frontends.functions import stepwise_json
from runtime.frontends.functions.stepwise_json import StepwiseEncoder, is_large, with_numpy

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


@pytest.fixture(autouse=True, params=["small", "large"])
def _everything_is(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "large":
        monkeypatch.setattr(stepwise_json, "is_large", lambda _: True)


@given(value=VALUES, sort_keys=st.booleans(), ensure_ascii=st.booleans())
def test_the_text_equals_that_of_the_standard_library(value: object, *, sort_keys: bool, ensure_ascii: bool) -> None:
    options: dict[str, Any] = {"sort_keys": sort_keys, "ensure_ascii": ensure_ascii, "separators": (",", ":")}
    assert json.dumps(value, cls=StepwiseEncoder, **options) == json.dumps(value, **options)


def test_a_list_that_contains_itself_is_refused() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        json.dumps(circle, cls=StepwiseEncoder)


@given(value=VALUES, limit=st.integers(0, 20))
def test_a_value_with_more_values_than_the_limit_is_large(value: object, limit: int) -> None:
    def count(each: object) -> int:
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, (list, tuple)) else ()
        return 1 + sum(map(count, inner))

    assert is_large(value, limit) is (count(value) > limit)


def test_a_list_that_contains_itself_is_large() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert is_large(circle)


def test_values_of_numpy_are_converted_and_others_are_left_to_the_default() -> None:
    default = with_numpy(repr)
    assert default(np.array([[1.5, 2.0]])) == [[1.5, 2.0]]
    assert default(np.int64(7)) == 7
    assert default(object) == "<class 'object'>"
