"""The translator: the model of a request, and the headers of its answer."""

import numpy as np
import pytest

from runtime.errors import InvalidInput
from runtime.protocols.input_forms import Form
from runtime.protocols.torchserve.inference import Invocations, Predictions
from runtime.tensors import Query
from tests.runtime.protocols.torchserve.requests import ONE, answer_to, content, request


def test_the_path_names_the_model_and_its_version() -> None:
    call = Predictions().decode(request(b"[1, 2]", version="2.0"))
    assert (call.model, call.version) == ("m", "2.0")
    assert Predictions().decode(request(b"[1, 2]")).version is None


@pytest.mark.parametrize(
    ("query", "served", "main", "model"),
    [
        (b"model_name=a", ["a", "b"], None, "a"),
        (b"model_name=a%2Fb&x=1", ["c"], "c", "a/b"),
        (b"", ["only"], "only", "only"),
        (b"", ["a", "b"], "a", "a"),
        (b"model_name=b", ["a", "b"], "a", "b"),
    ],
)
def test_an_invocation_names_one_of_several_models_or_means_the_main_model(
    query: bytes, served: list[str], main: str | None, model: str
) -> None:
    translator = Invocations(lambda: served, lambda: main)
    assert translator.decode(request(b"[1, 2]", query=query)).model == model


@pytest.mark.parametrize(
    ("query", "served", "message"),
    [
        (b"", ["a", "b"], "model_name: got nothing; expected one name in the query, model_name=NAME: one of a, b"),
        (b"", [], "model_name: got nothing"),
        (b"model_name=a&model_name=b", ["a"], "model_name: got 2 names"),
        (b"&".join([b"a=1"] * 65), ["a"], "more than 64 parameters"),
    ],
)
def test_an_invocation_without_exactly_one_model_is_refused(query: bytes, served: list[str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Invocations(lambda: served, lambda: None).decode(request(b"[1, 2]", query=query))


def test_an_answer_is_json_that_is_not_cached() -> None:
    query = Query((), form=Form(one_row=False, by_name=False))
    answer = answer_to(query, ONE, np.array([[1, 2]], np.float32))
    assert content(answer) == b"[[1.0,2.0]]"
    names = [name for name, _ in answer.headers]
    assert names == [b"content-type", b"x-request-id", b"pragma", b"cache-control", b"expires"]
