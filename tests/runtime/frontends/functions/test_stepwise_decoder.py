"""Large JSON is decoded to the same values as small JSON, and other threads run meanwhile."""

import json
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.frontends.functions import stepwise_json
from runtime.frontends.functions.stepwise_json import StepwiseDecoder

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.fixture(autouse=True, params=["small", "large"])
def _text_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "large":
        monkeypatch.setattr(stepwise_json, "_LARGE_TEXT", 0)


@given(VALUES)
def test_the_value_is_that_of_the_standard_library(value: Any) -> None:  # noqa: ANN401 - any JSON value
    assert json.loads(json.dumps(value), cls=StepwiseDecoder) == value


@pytest.mark.parametrize("text", ["", "[1", '{"a": 01}', '{"a" 1}', "[1,]"])
def test_the_errors_are_those_of_the_standard_library(text: str) -> None:
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(text)
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(text, cls=StepwiseDecoder)
    assert str(caught.value) == str(expected.value)


def test_options_of_the_caller_are_used() -> None:
    assert json.loads("[1.5, 2]", cls=StepwiseDecoder, parse_float=str, parse_int=str) == ["1.5", "2"]
    assert json.loads('{"a": 1}', cls=StepwiseDecoder, object_hook=list) == ["a"]


def test_another_thread_runs_while_a_million_numbers_are_decoded() -> None:
    """With the standard library's decoder it does not run once."""
    text, turns, decoded = json.dumps([0.5] * 1_000_000), 0, threading.Event()

    def decode() -> None:
        json.loads(text, cls=StepwiseDecoder)
        decoded.set()

    thread = threading.Thread(target=decode)
    thread.start()
    while not decoded.is_set():
        time.sleep(0.001)
        turns += 1
    thread.join()
    assert turns > 5
