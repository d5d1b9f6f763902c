"""The comparison of an APIDefinition with the routes of the function: paths, methods, models and bodies."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from runtime.frontends import catalogue
from runtime.frontends.application import SCALEZERO, Application
from runtime.frontends.openapi.listing import BUILTIN, prefixes
from runtime.frontends.predict_api import PREDICT_API
from runtime.service import Service
from runtime.settings import Settings
from tests.knative.checks.cases import API, SPLIT, Case, Edit, check

NO_FUNCTION: Edit = ("name: FUNCTION_SOURCE", "name: OTHER")
PREDICT = "/api/v1/models/{model_name}/predict"


def definition(path: str, method: str = "get", *, body: str = "", parameters: Sequence[str] = ()) -> str:
    """Return an APIDefinition with one path."""
    lines = [
        "apiVersion: api.example.com/v1",
        "kind: APIDefinition",
        "metadata: {name: ml-inference-api}",
        "spec:",
        "  paths:",
        f"    {path}:",
        f"      {method}:",
        "        summary: One path",
    ]
    if parameters:
        described = ", ".join(f"{{name: {name}, in: path, required: true, schema: {{}}}}" for name in parameters)
        lines.append(f"        parameters: [{described}]")
    if body:
        lines.append(f"        requestBody: {{content: {body}}}")
    return "\n".join(lines) + "\n"


def found(tmp_path: Path, text: str, *, handler: bool = False, function: Sequence[Edit] = ()) -> list[tuple[str, str]]:
    edits = (*function, *(() if handler else (NO_FUNCTION,)))
    case = Case(models=((SPLIT, f"{SPLIT}---\n{text}"),), function=edits)
    return [(each.code, each.what) for each in check(case, tmp_path) if each.code.startswith("api-")]


def test_the_example_definition_is_served(tmp_path: Path) -> None:
    assert found(tmp_path, API) == []


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/api/v1/models/payment-model", ()),
        ("/api/v1/models/{m}", ["m"]),
        ("/v2/models/payment-model/versions/{v}", ["v"]),
        ("/healthz/live", ()),
        ("/openapi.json", ()),
    ],
)
def test_a_path_that_matches_a_route_is_served(tmp_path: Path, path: str, parameters: Sequence[str]) -> None:
    assert found(tmp_path, definition(path, parameters=parameters)) == []


def test_head_is_served_as_get(tmp_path: Path) -> None:
    assert found(tmp_path, definition("/healthz/live", "head")) == []


@pytest.mark.parametrize(
    ("path", "method", "what"),
    [
        ("/v2/modelz", "get", "/v2/modelz: the function does not serve this path"),
        (
            "/api/v1/models/other/predict",
            "post",
            "/api/v1/models/other/predict: the function serves payment-model, but not other",
        ),
        (
            "/api/v1/models/payment-model/predict",
            "put",
            "PUT /api/v1/models/payment-model/predict: the function serves only POST there",
        ),
        ("/healthz/live", "post", "POST /healthz/live: the function serves only GET there"),
    ],
)
@pytest.mark.parametrize("handler", [True, False])
def test_an_unserved_path_below_a_protocol_prefix_is_a_finding_with_and_without_a_function(
    tmp_path: Path, path: str, method: str, what: str, *, handler: bool
) -> None:
    assert found(tmp_path, definition(path, method), handler=handler) == [("api-path-not-served", what)]


def test_other_paths_may_be_served_by_the_author_s_function(tmp_path: Path) -> None:
    assert found(tmp_path, definition("/score"), handler=True) == []


def test_other_paths_may_be_served_by_a_guest(tmp_path: Path) -> None:
    guest = ("  maxWaitTime", "  guest: {path: s3://models/guest.wasm}\n  maxWaitTime")
    case = Case(models=((SPLIT, f"{SPLIT}---\n{definition('/score')}"), guest), function=(NO_FUNCTION,))
    assert [each.what for each in check(case, tmp_path) if each.code.startswith("api-")] == []


def test_without_a_function_any_other_path_is_not_served(tmp_path: Path) -> None:
    assert found(tmp_path, definition("/score")) == [
        ("api-path-not-served", "/score: the function does not serve this path")
    ]


def test_the_paths_of_a_disabled_protocol_are_not_served(tmp_path: Path) -> None:
    only = ("  volumes:", '    - name: SCALEZERO_PROTOCOLS\n      value: "ml.v1"\n  volumes:')
    assert found(tmp_path, definition("/v2/health/live"), function=[only]) == [
        ("api-path-not-served", "/v2/health/live: the function does not serve this path")
    ]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("{application/json: {schema: {type: object, properties: {inputs: {type: array}}}}}", None),
        ("{application/json: {schema: {}}}", None),
        ("{text/csv: {schema: {type: string}}}", None),
        ("{application/json: {schema: {type: array}}}", "the body is array, but the function expects object"),
        (
            "{application/json; charset=utf-8: {schema: {type: object, properties: {rows: {}}}}}",
            "the body has rows, but the function requires inputs",
        ),
    ],
)
def test_a_body_that_the_protocol_never_accepts_is_a_finding(tmp_path: Path, body: str, what: str | None) -> None:
    text = definition(PREDICT, "post", body=body, parameters=["model_name"])
    assert found(tmp_path, text) == ([] if what is None else [("api-schema-not-served", f"POST {PREDICT}: {what}")])


def test_the_prefixes_are_those_of_the_owners() -> None:
    assert {owner.name: owner.prefixes for owner in (SCALEZERO, PREDICT_API)} == BUILTIN
    settings = Settings(model_uri="/m.onnx")
    application = Application(Service(settings, process_started=0.0))
    mounted = {prefix for prefix, _ in application._routes._owners}
    protocols, generic = catalogue.mounted(settings, function=False)
    assert set(prefixes(protocols, generic)) == mounted
    assert set(prefixes(protocols, [])) < set(prefixes(protocols, generic))
