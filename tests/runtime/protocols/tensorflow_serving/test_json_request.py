"""Predict requests in both forms, and TensorFlow Serving's error messages."""

import json
from typing import Any

import numpy as np
import pytest

from runtime.errors import RefusedInput
from runtime.model.signature import Signature
from runtime.protocols.tensorflow_serving import json_body, json_request
from runtime.tensors import STRING, TensorSpec
from tests.runtime.tensor_specs import spec

ROWS = Signature((spec("x", ("batch", 3)),), (spec("y", ("batch", 1)),))
WHOLE = Signature((spec("x", ("batch", 3), "i4"),), (spec("y", ("batch", 1)),))
TEXT = Signature((spec("text", ("batch",), STRING),), (spec("y", ("batch",)),))
TWO = Signature((spec("b", ("n", 2)), spec("a", ("n",), "i8")), (spec("y", ("n",)),))
TEXTS = Signature((spec("a", ("n",), STRING), spec("b", ("n",), STRING)), (spec("y", ("n",)),))
OPTIONAL = Signature((TensorSpec("o", np.dtype("f4"), None, ("optional",)), spec("x", ("n",))), (spec("y", ("n",)),))
SEQUENCE = Signature((TensorSpec("s", np.dtype("f4"), None, ("sequence",)),), (spec("y", ("n",)),))


def read(signature: Signature, document: object, *, large: bool = False) -> tuple[list[Any], bool]:
    """Return the tensors as lists, and whether the request has the row form."""
    body = json.dumps(document).encode()
    checked = json_request.check(json_body.load(body), None if large else body)
    json_request.check_signature(checked)
    tensors, rows = json_request.tensors(checked, signature)
    row = json_request.one_row(checked, signature)
    assert row is None or (rows and row.tolist() == tensors[0].tolist())
    return [tensor.tolist() for tensor in tensors], rows


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("signature", "document", "tensors", "rows"),
    [
        (ROWS, {"instances": [[1, 2, 3]]}, [[[1, 2, 3]]], True),
        (ROWS, {"instances": [[1, 2, 3], [4, 5, 6]]}, [[[1, 2, 3], [4, 5, 6]]], True),
        (ROWS, {"instances": [{"x": [1, 2, 3]}, {"x": [4, 5, 6]}]}, [[[1, 2, 3], [4, 5, 6]]], True),
        (ROWS, {"inputs": [[1, 2, 3]], "signature_name": "serving_default"}, [[[1, 2, 3]]], False),
        (ROWS, {"inputs": {"x": [[1, 2, 3]]}, "signature_name": ""}, [[[1, 2, 3]]], False),
        (ROWS, {"inputs": {"x": [[1, 2, 3]], "other": "ignored"}, "other": None}, [[[1, 2, 3]]], False),
        (ROWS, {"inputs": []}, [[]], False),
        (WHOLE, {"instances": [[1, 2, 3]]}, [[[1, 2, 3]]], True),
        (TEXT, {"instances": [{"b64": "YQ=="}, "b"]}, [["a", "b"]], True),
        (TEXT, {"inputs": {"b64": "YQ=="}}, ["a"], False),
        (TWO, {"instances": [{"a": 1, "b": [1, 2]}, {"b": [3, 4], "a": 2}]}, [[[1, 2], [3, 4]], [1, 2]], True),
        (TWO, {"inputs": {"a": [1], "b": [[1, 2]]}}, [[[1, 2]], [1]], False),
        (OPTIONAL, {"instances": [1]}, [None, [1]], True),
    ],
)
def test_both_forms_are_parsed(
    signature: Signature, document: object, tensors: list[Any], *, rows: bool, large: bool
) -> None:
    assert read(signature, document, large=large) == (tensors, rows)


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [[1, 2]]},
        {"instances": [[1, 2, 1e39]]},
        {"instances": [[1, 2, 3]], "other": 1},
        {"instances": [[1, 2, True]]},
        {"instances": [1, 2, 3]},
        {"inputs": [[1, 2, 3]]},
        {"instances": [[1, 2, float("nan")]]},
    ],
)
def test_the_fast_path_of_a_single_row_declines_any_other_request(document: object) -> None:
    body = json.dumps(document).encode()
    assert json_request.one_row(json_request.check(json_body.load(body), body), ROWS) is None


def element(index: int, message: str, key: str = "") -> str:
    where = f"element: {index} key: {key}" if key else f"element: {index}"
    return f"Failed to process {where} of 'instances' list. Error: INVALID_ARGUMENT: {message}"


@pytest.mark.parametrize(
    ("signature", "document", "message"),
    [
        (ROWS, [], "JSON Value: [] Is not object"),
        (ROWS, {"signature_name": 5}, "'signature_name' key must be a string value."),
        (ROWS, {"signature_name": "z"}, 'Serving signature name: "z" not found in signature def'),
        (ROWS, {}, "Missing 'inputs' or 'instances' key"),
        (ROWS, {"inputs": [], "instances": []}, "expecting only one of 'inputs' or 'instances' keys to exist "),
        (ROWS, {"instances": 1}, "Expecting 'instances' to be an list/array"),
        (ROWS, {"instances": []}, "No values in 'instances' array"),
        (ROWS, {"instances": [[1, 2, 3], [4, 5]]}, element(1, "Expecting tensor size: 3 but got: 2")),
        (ROWS, {"instances": [[1, 2], [[3, 4]]]}, element(1, "Expecting shape [2] but got: [1,2]")),
        (ROWS, {"instances": [[1], [2], [3, 4], [5], [6, 7], [8]]}, element(2, "Expecting tensor size: 1 but got: 2")),
        (
            WHOLE,
            {"instances": [[1, 2, 3], [4, 5, 6.0]]},
            element(1, "JSON Value: 6.0 Type: Number is not of expected type: int32"),
        ),
        (ROWS, {"instances": [[1], {"x": [1]}]}, "Expecting value/list but got object at item 1 of input list"),
        (ROWS, {"instances": [{"x": [1]}, [1]]}, "Expecting object but got list at item 1 of input list"),
        (
            TEXT,
            {"instances": [{"text": "a"}, {"b64": "YQ=="}]},
            "Expecting object but got list at item 1 of input list",
        ),
        (
            TWO,
            {"instances": [{"a": 1, "c": 2}]},
            element(0, "JSON object: does not have named input: c", "c"),
        ),
        (
            TWO,
            {"instances": [{"a": 1}]},
            'JSON object: {\n    "a": 1\n} keys must be equal to: a,b',
        ),
        (
            TWO,
            {"instances": [{"a": 1, "b": [1, 2]}, {"a": "1", "b": [1, 2]}]},
            element(1, 'JSON Value: "1" Type: String is not of expected type: int64', "a"),
        ),
        (
            TWO,
            {"instances": [{"a": 1, "b": [1, 2]}, {"a": 1, "b": [1]}]},
            element(1, "Expecting tensor size: 2 but got: 1", "b"),
        ),
        (TWO, {"instances": [[1]]}, "instances is a plain list, but expecting list of objects as multiple"),
        (TEXTS, {"instances": [{"b64": "YQ=="}]}, "instances is a plain list, but expecting list of objects as"),
        (TWO, {"inputs": [[1]]}, "inputs is a plain value/list, but expecting an object as multiple"),
        (TWO, {"inputs": {"a": [1]}}, "Missing named input: b in 'inputs' object."),
        (SEQUENCE, {"inputs": [[1]]}, "Failed to get input map for signature: DEFAULT"),
        (Signature((), (spec("y", ()),)), {"inputs": []}, "Failed to get input map for signature: DEFAULT"),
    ],
)
def test_errors_have_tensorflow_servings_messages(signature: Signature, document: object, message: str) -> None:
    with pytest.raises(RefusedInput) as refused:
        read(signature, document)
    assert message in refused.value.message


def test_the_error_names_the_value_of_an_array_that_does_not_fit() -> None:
    checked = json_request.Body({"instances": np.array([1.0, 2.5])}, special=False, raw=None)
    with pytest.raises(RefusedInput) as refused:
        json_request.tensors(checked, WHOLE)
    assert refused.value.message == "JSON Value: 2.5 Type: Number is not of expected type: int32"
    checked = json_request.Body({"instances": [np.array([1, 2]), np.array([1.5, 2])]}, special=False, raw=None)
    with pytest.raises(RefusedInput, match=r"element: 1 of 'instances' list.*1\.5 Type: Number"):
        json_request.tensors(checked, WHOLE)
