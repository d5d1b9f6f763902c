"""Large JSON is written as small JSON is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.frontends.functions import stepwise_json
from runtime.frontends.functions.stepwise_json import StepwiseEncoder, is_large

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


@pytest.fixture(autouse=True, params=["small", "large"])
def _everything_is(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "large":
        monkeypatch.setattr(stepwise_json, "is_large", lambda _: True)


@given(value=VALUES, sort_keys=st.booleans(), ensure_ascii=st.booleans())
def test_the_text_is_the_one_that_the_standard_library_writes(
    value: object, *, sort_keys: bool, ensure_ascii: bool
) -> None:
    options: dict[str, Any] = {"sort_keys": sort_keys, "ensure_ascii": ensure_ascii, "separators": (",", ":")}
    assert json.dumps(value, cls=StepwiseEncoder, **options) == json.dumps(value, **options)


def test_a_list_that_holds_itself_has_no_text() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        json.dumps(circle, cls=StepwiseEncoder)


@given(value=VALUES, limit=st.integers(0, 20))
def test_large_is_what_holds_more_values_than_the_limit(value: object, limit: int) -> None:
    def count(each: object) -> int:
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, (list, tuple)) else ()
        return 1 + sum(map(count, inner))

    assert is_large(value, limit) is (count(value) > limit)


def test_a_list_that_holds_itself_is_large() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert is_large(circle)
