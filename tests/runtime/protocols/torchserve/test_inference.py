"""The translator: which model a request asks, and the headers of its answer."""

import numpy as np
import pytest

from runtime.errors import InvalidInput
from runtime.protocols.input_forms import Form
from runtime.protocols.torchserve.inference import Invocations, Predictions
from runtime.tensors import Query
from tests.runtime.protocols.torchserve.requests import ONE, answered, content, request


def test_the_path_names_the_model_and_its_version() -> None:
    call = Predictions().decode(request(b"[1, 2]", version="2.0"))
    assert (call.model, call.version) == ("m", "2.0")
    assert Predictions().decode(request(b"[1, 2]")).version is None


@pytest.mark.parametrize(
    ("query", "served", "model"),
    [(b"model_name=a", ["a", "b"], "a"), (b"model_name=a%2Fb&x=1", ["c"], "a/b"), (b"", ["only"], "only")],
)
def test_an_invocation_names_its_model_where_there_are_several(query: bytes, served: list[str], model: str) -> None:
    assert Invocations(lambda: served).decode(request(b"[1, 2]", query=query)).model == model


@pytest.mark.parametrize(
    ("query", "served", "words"),
    [
        (b"", ["a", "b"], "model_name: got nothing; expected a parameter of the query, once: one of a, b"),
        (b"", [], "model_name: got nothing"),
        (b"model_name=a&model_name=b", ["a"], "model_name: got 2 names"),
        (b"&".join([b"a=1"] * 65), ["a"], "more than 64 parameters"),
    ],
)
def test_an_invocation_that_names_no_one_model_is_refused(query: bytes, served: list[str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        Invocations(lambda: served).decode(request(b"[1, 2]", query=query))


def test_an_answer_is_json_that_is_not_kept() -> None:
    query = Query((), form=Form(one_row=False, by_name=False))
    answer = answered(query, ONE, np.array([[1, 2]], np.float32))
    assert content(answer) == b"[[1.0,2.0]]"
    names = [name for name, _ in answer.headers]
    assert names == [b"content-type", b"x-request-id", b"pragma", b"cache-control", b"expires"]
