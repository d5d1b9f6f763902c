"""The schema of the Open Inference Protocol allows what the translator accepts, and matches its responses."""

import math
from typing import Any

import numpy as np
import orjson
import pytest
from openapi_schema_validator import OAS31Validator

from runtime.errors import InvalidInput
from runtime.frontends import catalogue, openapi
from runtime.frontends.openapi.listing import list_routes
from runtime.model.signature import Signature
from runtime.protocols.json import tensors
from runtime.protocols.open_inference import rest
from runtime.protocols.open_inference.interface import RequestedOutput
from runtime.tensors import STRING, Prediction, Query, TensorSpec
from tests.runtime.tensor_specs import spec

OUTPUT = (spec("y", ("batch", 2)),)
SIGNATURES = {
    "flat": Signature((spec("x", ("batch", 2)),), OUTPUT),
    "two": Signature((spec("a", ("batch", 2)), spec("b", ("batch",), "i1")), (*OUTPUT, spec("z", (), "i8"))),
    "text": Signature((spec("t", ("n",), STRING),), (spec("u", ("n",), STRING),)),
    "open": Signature((spec("x", None),), (spec("y", None),)),
    "constant": Signature((), OUTPUT),
}
X = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
A, B = {**X, "name": "a"}, {"name": "b", "datatype": "INT8", "shape": [1], "data": [3]}


def operation(signature: Signature | None, name: str = "m") -> dict[str, Any]:
    models = [openapi.Model(name, {"1": signature}, "1")]
    document = openapi.document(models, list(list_routes(catalogue.PROTOCOLS, [])), version="1")
    found: dict[str, Any] = document["paths"][f"/v2/models/{name}/infer"]["post"]
    return found


def request_schema(signature: Signature | None) -> OAS31Validator:
    return OAS31Validator(operation(signature)["requestBody"]["content"]["application/json"]["schema"])


def taken(body: object, signature: Signature) -> bool:
    parts = rest.Parts(tensors.load(orjson.dumps(body)), memoryview(b""))
    try:
        signature.validate(rest.bind(parts, signature).tensors)
    except InvalidInput:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("flat", {"inputs": [X]}),
        ("flat", {"inputs": [X], "id": "7", "outputs": [{"name": "y"}]}),
        ("flat", {"inputs": [{**X, "data": [[1, None]]}], "parameters": {"binary_data_output": True}}),
        ("flat", {"inputs": [X], "id": 7}),
        ("flat", {"inputs": [X], "outputs": [{"name": "z"}]}),
        ("flat", {"inputs": [X], "outputs": [{"name": "y", "parameters": {"binary_data": 1}}]}),
        ("flat", {"inputs": []}),
        ("flat", {"inputs": [X, X]}),
        ("flat", {"inputs": [{**X, "name": "z"}]}),
        ("flat", {"inputs": [{**X, "datatype": "FP64"}]}),
        ("flat", {"inputs": [{**X, "shape": [2]}]}),
        ("flat", {"inputs": [{**X, "shape": [-1, -2]}]}),
        ("flat", {"inputs": [{**X, "shape": "1"}]}),
        ("flat", {"inputs": [{**X, "data": "ab"}]}),
        ("flat", {"inputs": [{**X, "data": ["a", "b"]}]}),
        ("flat", {"inputs": [{**X, "data": [1, 1e39]}]}),
        ("flat", {}),
        ("flat", []),
        ("two", {"inputs": [A, B]}),
        ("two", {"inputs": [B, A]}),
        ("two", {"inputs": [A]}),
        ("two", {"inputs": [A, {**B, "data": [128]}]}),
        ("two", {"inputs": [A, {**B, "data": [1.5]}]}),
        ("text", {"inputs": [{"name": "t", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}]}),
        ("text", {"inputs": [{"name": "t", "datatype": "BYTES", "shape": [1], "data": [1]}]}),
        ("open", {"inputs": [{**X, "shape": [1, 1, 2]}]}),
        ("constant", {"inputs": []}),
    ],
)
def test_the_schema_allows_exactly_what_the_translator_accepts(name: str, body: object) -> None:
    assert request_schema(SIGNATURES[name]).is_valid(body) is taken(body, SIGNATURES[name])
    general = request_schema(None)
    assert general.is_valid(body) or not taken(body, SIGNATURES[name])


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_responses_match_the_schema(name: str) -> None:
    signature = SIGNATURES[name]
    outputs = [
        np.full([1 if not isinstance(size, int) else size for size in each.shape or (1,)], "a", object)
        if each.dtype == STRING
        else np.zeros([1 if not isinstance(size, int) else size for size in each.shape or ()], each.dtype)
        for each in signature.outputs
    ]
    wanted = [RequestedOutput(index, binary=False) for index in range(len(outputs))]
    query = Query((), form=wanted, id="7")
    prediction = Prediction(outputs, model="m", version="1", arrived=0, queued=0, batched=0, ran=0)
    answer = orjson.loads(rest.answer(query, prediction, signature).body)  # type: ignore[arg-type]
    for known in (signature, None):
        schema = operation(known)["responses"]["200"]["content"]["application/json"]["schema"]
        assert OAS31Validator(schema).is_valid(answer), answer
        assert not OAS31Validator(schema).is_valid({**answer, "outputs": [7]})


def test_an_example_has_as_many_elements_as_its_shape_states() -> None:
    example = operation(SIGNATURES["two"])["requestBody"]["content"]["application/json"]["example"]
    assert all(len(each["data"]) == math.prod(each["shape"]) for each in example["inputs"])


def bfloat16() -> np.dtype[Any]:
    import ml_dtypes

    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def test_bfloat16_inputs_have_no_example_and_bfloat16_outputs_are_requested_as_bytes() -> None:
    half = spec("h", ("batch", 2), bfloat16())
    assert "example" not in operation(Signature((half,), OUTPUT))["requestBody"]["content"]["application/json"]
    out = operation(Signature((spec("x", ("batch", 2)),), (half,)))["requestBody"]["content"]["application/json"]
    assert out["example"]["parameters"] == {"binary_data_output": True}


def test_a_model_of_sequences_has_no_example() -> None:
    sequence = TensorSpec("s", np.dtype("f4"), None, ("sequence",))
    content = operation(Signature((spec("x", (2,)),), (sequence,)))["requestBody"]["content"]["application/json"]
    assert "example" not in content
