"""KServe's V1 protocol: the forms of requests and answers, and KServe's error messages."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runtime.errors import ArtifactMissing, InvalidInput, RefusedInput, ScalezeroError, UnknownModel
from runtime.http.messages import Request
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protocols import kserve_v1
from runtime.tensors import STRING, Prediction
from tests.runtime.protocols.json.texts import drained
from tests.runtime.tensor_specs import spec


class Match:
    """A match of the route table."""

    def __init__(self) -> None:
        self.parameters = {"model": "m"}


ROWS = Signature((spec("x", ("n", 2)),), (spec("y", ("n",)),))
TWO = Signature((spec("a", ("n",)), spec("b", ("n",), STRING)), (spec("y", ("n",)), spec("z", ("n", 2))))
OPTIONAL = Signature((spec("o", None, "f4", "optional"), spec("x", ("n",))), (spec("y", ("n",)),))
SEQUENCE = Signature((spec("s", None, "f4", "sequence"),), (spec("y", ("n",)),))


def request(body: bytes) -> Request:
    found = Request("POST", "/v1/models/m:predict", b"", b"", [], "1.1", body)
    found.match = Match()
    return found


@pytest.mark.parametrize(
    ("signature", "document", "tensors"),
    [
        (ROWS, {"instances": [[1, 2], [3, None]]}, [[[1, 2], [3, np.nan]]]),
        (ROWS, {"inputs": [[1, 2]]}, [[[1, 2]]]),
        (ROWS, {"instances": []}, [[]]),
        (TWO, {"instances": [{"a": 1, "b": "x", "other": 5}, {"b": "y", "a": 2}]}, [[1, 2], ["x", "y"]]),
        (OPTIONAL, {"instances": [{"x": 1}]}, [None, [1]]),
    ],
)
def test_instances_are_rows(signature: Signature, document: object, tensors: list[Any]) -> None:
    ready = ReadyModel("m", "1", None, signature, None)  # type: ignore[arg-type]
    translator = kserve_v1.KServeV1()
    sent = request(json.dumps(document).encode())
    for call in (translator.decode(sent), drained(translator.decode_slices(sent))[0]):
        assert (call.model, call.version) == ("m", None)
        (query,) = translator.bind(call, ready)
        np.testing.assert_equal([tensor.tolist() for tensor in query.tensors], tensors)


@pytest.mark.parametrize(
    ("signature", "document", "message"),
    [
        (ROWS, [], 'body: got a list; expected an object with "instances"'),
        (ROWS, {}, 'Expected "instances" to be a list'),
        (ROWS, {"inputs": 1}, 'Expected "inputs" to be a list'),
        (ROWS, {"instances": [["a"]]}, 'instances[0][0]: got "a"'),
        (TWO, {"instances": [1]}, "instances: got a plain list; expected a list of objects with a, b"),
        (TWO, {"instances": [{"a": 1, "b": "x"}, 1]}, "instances[1]: got 1; expected an object, like instances[0]"),
        (TWO, {"instances": [{"a": 1}]}, "instances[0].b: got nothing; expected string[n]"),
        (TWO, {"instances": [{"a": "x", "b": "x"}]}, 'instances[0].a: got "x"'),
        (SEQUENCE, {"instances": [1]}, "use the predict API"),
    ],
)
def test_an_error_names_the_value_that_does_not_fit(signature: Signature, document: object, message: str) -> None:
    with pytest.raises((InvalidInput, RefusedInput)) as refused:
        kserve_v1.tensors(document, signature)
    assert message in refused.value.message


def test_a_body_that_is_not_json_is_an_unrecognized_format() -> None:
    translator = kserve_v1.KServeV1()
    with pytest.raises(RefusedInput, match=r"Unrecognized request format: .* at byte 1"):
        translator.decode(request(b"{x"))
    with pytest.raises(RefusedInput, match=r"Unrecognized request format: .* at byte 1"):
        drained(translator.decode_slices(request(b"{x")))


@pytest.mark.parametrize("rows", [2, 20_000])
def test_several_outputs_are_an_object_for_each_row(rows: int) -> None:
    outputs = [np.arange(rows, dtype=np.float32), np.zeros((rows, 2), np.float32)]
    ready = ReadyModel("m", "1", None, TWO, None)  # type: ignore[arg-type]
    prediction = Prediction(outputs, model="m", version="1", arrived=0.0, queued=0.0, batched=0.0, ran=0.0)
    body: Any = kserve_v1.KServeV1().encode([], [prediction], ready, latency=0.0).body
    found = json.loads(body if isinstance(body, bytes) else b"".join(body))
    assert found == {"predictions": [{"y": index, "z": [0, 0]} for index in range(rows)]}


def test_outputs_of_unequal_length_are_answered_by_name() -> None:
    for second in (np.zeros((3, 2), np.float32), np.array(0, np.float32)):
        body: Any = kserve_v1.answer([np.array([1], np.float32), np.asarray(second)], TWO).body
        assert json.loads(body) == {"predictions": {"y": [1], "z": second.tolist()}}


@given(array=arrays.arrays("f4", arrays.array_shapes(max_dims=3), elements=st.floats(width=32, allow_infinity=False)))
def test_the_predictions_are_valid_instances_of_the_same_numbers(array: np.ndarray) -> None:
    signature = Signature((spec("x", None),), (spec("y", None),))
    body: Any = kserve_v1.answer([array], signature).body
    instances = json.loads(body)["predictions"]
    np.testing.assert_array_equal(kserve_v1.tensors({"instances": instances}, signature)[0], array)


def test_strings_of_any_length_are_answered() -> None:
    signature = Signature((spec("x", None),), (spec("y", ("n",), STRING), spec("s", None, "f4", "sequence")))
    for text in ("a", "a" * 100_000):
        body: Any = kserve_v1.answer([np.array([text], object), np.array([1.0])], signature).body
        found = body if isinstance(body, bytes) else b"".join(body)
        assert json.loads(found) == {"predictions": [text]}


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        (UnknownModel("z", ["m"]), 404, "Model with name z does not exist."),
        (ArtifactMissing("s3://b/k", "no such key"), 503, "Model is not ready. "),
        (RefusedInput("x"), 400, "x"),
    ],
)
def test_errors_have_the_form_of_kserve(fault: ScalezeroError, status: int, text: str) -> None:
    answer = kserve_v1.refuse(fault)
    body: Any = answer.body
    assert answer.status == status
    assert json.loads(body)["error"].startswith(text)
