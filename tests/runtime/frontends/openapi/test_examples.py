"""Each example of the document works unchanged on a real server."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import TensorProto
from openapi_schema_validator import OAS31Validator

from runtime.frontends.catalogue import PROTOCOLS
from runtime.frontends.openapi import examples
from runtime.model.signature import Signature
from runtime.tensors import STRING, Shape, TensorSpec
from tests import models
from tests.runtime.frontends.conftest import Served, serving

MODELS: dict[str, Callable[[Path], Path]] = {
    "rows": models.doubling,
    "two": models.two_in_two_out,
    "table": models.lookup,
    "text": lambda path: models.identity(path, element=TensorProto.STRING, shape=("batch", 2)),
    "image": lambda path: models.identity(path, shape=("batch", 3, 4, 4)),
    "scalar": lambda path: models.identity(path, element=TensorProto.INT64, shape=()),
    "flags": lambda path: models.identity(path, element=TensorProto.BOOL, shape=(2, 2)),
    "bfloat16": lambda path: models.identity(path, element=TensorProto.BFLOAT16, shape=("batch", 2)),
}


@pytest.fixture(scope="module", params=MODELS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp(request.param)
    with serving(folder, MODELS[request.param](folder / "m.onnx")) as served:
        yield served


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def succeeds(operation: dict[str, Any]) -> bool:
    """Return whether the operation can succeed: it requires no key and is supported."""
    return "security" not in operation and any(status.startswith("2") for status in operation["responses"])


def pasted(path: str, operation: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path, the query and the headers, with the examples of the parameters."""
    shown: dict[str, dict[str, str]] = {place: {} for place in ("path", "query", "header")}
    for each in operation.get("parameters", []):
        if "example" in each:
            shown[each["in"]][each["name"]] = each["example"]
    path = re.sub(r"\{([^{}]*)\}", lambda match: str(shown["path"][match[1]]), path)
    return path, {"params": shown["query"], "headers": shown["header"]}


def requests(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield httpx's arguments for each example of the body; once without a body if the operation has none."""
    content = operation.get("requestBody", {}).get("content", {})
    for media, each in content.items():
        if "example" in each:
            assert media == "application/json"
            yield {"json": each["example"]}
    if not content:
        yield {}


def test_every_example_is_answered_as_described(served: Served) -> None:
    document = served.get("/openapi.json").json()
    with served.client() as client:
        for method, path, operation in operations(document):
            if not succeeds(operation):
                continue
            url, parameters = pasted(path, operation)
            for request in requests(operation):
                check(client.request(method, url, **parameters, **request), operation, document)


@pytest.mark.parametrize("protocol", [each.name for each in PROTOCOLS if each.rest])
def test_every_example_of_a_protocol_works_without_other_protocols(tmp_path: Path, protocol: str) -> None:
    model = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, model, SCALEZERO_PROTOCOLS=protocol) as served:
        test_every_example_is_answered_as_described(served)


def check(response: httpx.Response, operation: dict[str, Any], document: dict[str, Any]) -> None:
    assert response.is_success, (response.request, response.text)
    described = operation["responses"][str(response.status_code)]
    media = response.headers.get("content-type", "").partition(";")[0]
    assert media in described.get("content", {"": None}), response.request
    if media == "application/json":
        # "$ref" is of the whole document.
        schema = {**described["content"][media]["schema"], "components": document["components"]}
        assert OAS31Validator(schema).is_valid(response.json()), (response.request, response.text)


def test_every_inference_has_an_example(served: Served) -> None:
    document = served.get("/openapi.json").json()
    without = {
        path
        for _, path, each in operations(document)
        if "requestBody" in each and succeeds(each) and not list(requests(each))
    }
    # The Open Inference Protocol has no bfloat16 in JSON, and TensorFlow Serving does not accept it.
    expected = (
        {path for path in without if path.startswith(("/v1/", "/v2/"))} if "bfloat16" in str(served.log) else set()
    )
    assert without == expected


def spec(shape: Shape | None, *containers: str) -> TensorSpec:
    return TensorSpec("x", np.dtype("f4"), shape, containers)


@pytest.mark.parametrize(
    ("specs", "possible"),
    [
        ([], True),
        ([spec(())], True),
        ([spec((64, 64))], True),
        ([spec(("batch", 64, 65))], False),
        ([spec((64, 64)), spec(("n",))], False),
        ([spec((0, 2))], False),
        ([spec(None)], False),
        ([spec(None, "sequence")], False),
    ],
)
def test_a_signature_has_an_example_if_its_shapes_are_known_and_small(
    specs: list[TensorSpec], *, possible: bool
) -> None:
    assert examples.possible(Signature(tuple(specs), ())) is possible


def test_a_model_that_is_not_loaded_has_no_example() -> None:
    assert not examples.possible(None)


def test_an_example_has_the_fixed_sizes_and_1_for_dynamic_axes() -> None:
    assert examples.nested(spec(("batch", 2, 3))) == [[[0.5] * 3] * 2]
    assert examples.flat(spec((None, 2))) == [0.5, 0.5]
    assert examples.nested(TensorSpec("t", STRING, ())) == "text"
