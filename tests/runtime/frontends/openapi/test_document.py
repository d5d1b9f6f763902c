"""The document describes each route once for each model, and every route has a description."""

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from openapi_spec_validator import validate

from runtime.frontends import catalogue
from runtime.frontends.application import Application
from runtime.frontends.catalogue import PROTOCOLS
from runtime.frontends.openapi import Described, Model, document
from runtime.frontends.openapi.document import description
from runtime.frontends.openapi.listing import BUILTIN, list_routes
from runtime.frontends.protocol import Protocol, served_paths
from runtime.model.signature import Signature
from runtime.service import Service
from runtime.settings import Settings
from runtime.tensors import STRING, TensorSpec
from tests import ROOT

REST = [each for each in PROTOCOLS if each.rest]
ALL = [each.name for each in PROTOCOLS]


def signature(width: int) -> Signature:
    spec = TensorSpec("x", np.dtype("f4"), ("batch", width))
    return Signature((spec,), (spec._replace(name="y"),))


def described(*models: Model) -> dict[str, Any]:
    return document(models, list(list_routes(PROTOCOLS, ALL)), version="1")


def infer(model: Model, version: str = "") -> dict[str, Any]:
    path = f"/v2/models/{model.name}{version}/infer"
    operation: dict[str, Any] = described(model)["paths"][path]["post"]
    return operation


def sizes(operation: dict[str, Any]) -> object:
    """Return the shape of the example's first input."""
    return (
        operation["requestBody"]["content"]["application/json"].get("example", {}).get("inputs", [{}])[0].get("shape")
    )


@pytest.mark.parametrize("protocol", REST, ids=lambda each: each.name)
def test_a_protocol_describes_exactly_its_routes(protocol: Protocol) -> None:
    assert protocol.rest
    keys = {path.handler for path in (*protocol.rest.paths, *protocol.rest.generic)}
    assert set(description(protocol.name).operations) == keys


@pytest.mark.parametrize("names", [None, *((each.name,) for each in PROTOCOLS)])
def test_the_listed_routes_are_the_mounted_routes(names: tuple[str, ...] | None) -> None:
    settings = Settings(model_uri="/m.onnx", protocols=names)
    routes = Application(Service(settings, process_started=0.0))._routes
    mounted = {
        (route.protocol.name, method, route.pattern)
        for pattern in (*routes._patterns, *routes._generic)
        for method, route in pattern.routes.items()
    }
    grpc = {each for each in mounted if each[0] == "grpc"}
    owners = {each.name: each.rest.part_of for each in REST if each.rest}
    protocols, generic = catalogue.mounted(settings, function=False)
    found = {
        (owners.get(each.protocol) or each.protocol, each.method, each.pattern)
        for each in list_routes(protocols, generic)
    }
    assert found == mounted - grpc


def test_generic_paths_are_described_only_if_they_are_mounted() -> None:
    paths = {each.name: served_paths(each, each.rest.generic, PROTOCOLS) for each in REST if each.rest}
    generic = {(name, path.pattern) for name, each in paths.items() for path in each}
    assert generic.isdisjoint((each.protocol, each.pattern) for each in list_routes(PROTOCOLS, []))
    assert generic <= {(each.protocol, each.pattern) for each in list_routes(PROTOCOLS, ALL)}


def test_a_route_without_a_description_is_an_error() -> None:
    with pytest.raises(KeyError, match="unheard"):
        document([], [Described("open_inference", "GET", "/v2/unheard", "unheard")], version="1")


@pytest.mark.parametrize(
    "models",
    [
        [],
        [Model("m", {"1": signature(2)}, "1")],
        [Model("m", {"": None})],
        [Model("m", {})],
        [Model("m", {"1": signature(2), "2": signature(3)}, "2"), Model("ready", {"1": None}, "1")],
        [Model("50% off? #1 ü", {"1": signature(2)}, "1")],
    ],
)
def test_the_document_is_valid_openapi(models: list[Model]) -> None:
    found = described(*models)
    validate(found)
    ids = [operation["operationId"] for methods in found["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    tags = {each["name"] for each in found["tags"]}
    assert tags == {description(each).tag for each in (*BUILTIN, *(each.name for each in REST))}


@pytest.mark.parametrize("protocol", REST, ids=lambda each: each.name)
def test_every_protocol_describes_any_model(protocol: Protocol) -> None:
    """Tensors, scalars, unknown ranks, strings and sequences; loaded or not."""
    row, scalar, anything = (TensorSpec("x", np.dtype("f4"), shape) for shape in (("n", 2), (), None))
    text, sequence = TensorSpec("t", STRING, ("n", 1)), TensorSpec("s", np.dtype("f4"), None, ("sequence",))
    label = TensorSpec("label", np.dtype("i8"), ("n",))
    known = [
        Signature((row,), (label,)),
        Signature((row, text), (row, label)),
        Signature((scalar,), (scalar,)),
        Signature((anything,), (anything,)),
        Signature((sequence,), (sequence,)),
        Signature((), (row,)),
    ]
    served = [Model(f"m{index}", {"1": each}, "1") for index, each in enumerate([*known, None])]
    found = document(
        [*served, Model("unknown", {"": None})], list(list_routes([protocol], [protocol.name])), version="1"
    )
    validate(found)
    secured = any("security" in operation for methods in found["paths"].values() for operation in methods.values())
    assert secured is (protocol.name == "torchserve_management")


def test_a_model_is_described_by_its_default_version() -> None:
    assert sizes(infer(Model("m", {"1": signature(2), "2": signature(3)}, "2"))) == (1, 3)


def test_versions_with_equal_signatures_are_listed_and_described() -> None:
    versions = {"1": signature(2), "2": signature(2)}
    operation = infer(Model("m", versions, "2"), "/versions/{version}")
    assert sizes(operation) == (1, 2)
    parameter = operation["parameters"][0]
    assert (parameter["schema"]["enum"], parameter["example"]) == (["1", "2"], "2")


def test_versions_with_different_signatures_have_the_general_schema() -> None:
    operation = infer(Model("m", {"1": signature(2), "2": signature(3)}, "2"), "/versions/{version}")
    assert "example" not in operation["requestBody"]["content"]["application/json"]


def test_an_error_has_the_form_of_its_protocol() -> None:
    found = described(Model("m", {"1": signature(2)}, "1"))
    for path, protocol in (("/v2/models/m/infer", "open_inference"), ("/api/v1/models/m/predict", "predict")):
        error = found["paths"][path]["post"]["responses"]["400"]["content"]["application/json"]["schema"]
        assert error == {"$ref": f"#/components/schemas/{protocol}.Error"}
        assert found["components"]["schemas"][f"{protocol}.Error"] == description(protocol).error


def test_every_parameter_of_a_path_is_described() -> None:
    for path, methods in described(Model("m", {"1": signature(2)}, "1"))["paths"].items():
        for operation in methods.values():
            named = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
            assert named == set(re.findall(r"\{([^{}]*)\}", path)), path


def run(code: str) -> str:
    root = ROOT
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    return done.stdout.strip()


def test_the_modules_do_not_import_numpy_without_a_signature() -> None:
    code = (
        "import sys; from runtime.frontends.catalogue import PROTOCOLS; from runtime.frontends.openapi import *;"
        "from runtime.frontends.openapi.listing import list_routes;"
        "document([Model('m', {'1': None}, '1')], list(list_routes(PROTOCOLS, [])), version='1');"
        "print('numpy' in sys.modules)"
    )
    assert run(code) == "False"


def test_a_cold_start_imports_no_description() -> None:
    code = "import sys, runtime.frontends.application; print([name for name in sys.modules if 'openapi' in name])"
    assert run(code) == "[]"
