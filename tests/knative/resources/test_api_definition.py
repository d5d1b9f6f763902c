"""APIDefinition: fields of OpenAPI are checked, names and schemas of the author are not restricted."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from knative.resources import BadManifest, parse_resources, read_resources

FILE = Path(__file__).with_name("spec") / "ml-inference-api.yaml"
TEXT = FILE.read_text()
PATH = "/api/v1/models/{model_name}/predict"
AT = f"spec.paths.{PATH}.post"
BLOCK = TEXT[TEXT.index("        parameters:") : TEXT.index("        requestBody:")]


def test_the_users_api_is_read_as_written() -> None:
    (api,) = read_resources(FILE).api_definitions
    ((path, item),) = api.spec.paths.items()
    ((method, operation),) = item.operations()
    (parameter,) = operation.parameters
    assert (path, method, operation.summary) == (PATH, "post", "Model prediction")
    assert (parameter.name, parameter.place, parameter.required) == ("model_name", "path", True)
    assert operation.request_body is not None
    schema = operation.request_body.content["application/json"].schema
    assert schema["properties"]["inputs"] == {"type": "array", "items": {"type": "number"}}


@pytest.mark.parametrize(
    ("written", "instead", "line", "field", "got", "expected"),
    [
        ("in: path", "in: body", 12, f"{AT}.parameters[0].in", '"body"', "path, query, header or cookie"),
        (
            "required: true",
            "required: false",
            13,
            f"{AT}.parameters[0].required",
            "false",
            "true, as the parameter is in the path",
        ),
        (
            "- name: model_name",
            "- name: model",
            10,
            f"{AT}.parameters",
            'no path parameter "model_name"',
            f"a parameter for each name in braces in {PATH}",
        ),
        (
            f"    {PATH}:",
            "    /predict:",
            11,
            "spec.paths./predict.post.parameters[0].name",
            '"model_name"',
            "a name in braces in /predict",
        ),
        (f"    {PATH}:", "    predict:", 7, "spec.paths.predict", '"predict"', "a path that starts with /"),
        (
            BLOCK,
            BLOCK + BLOCK.split("\n", 1)[1],
            16,
            f"{AT}.parameters[1].name",
            '"model_name"',
            "each parameter in the path once",
        ),
        ("      post:", "      psot:", 8, f"spec.paths.{PATH}.psot", "an unknown field", "post"),
        (
            "summary:",
            "sumary:",
            9,
            f"{AT}.sumary",
            "an unknown field",
            "one of summary, description, parameters, requestBody; did you mean summary?",
        ),
        (
            "          content:",
            "          contents:",
            17,
            f"{AT}.requestBody.contents",
            "an unknown field",
            "content",
        ),
        (
            "              schema:",
            "              schema: 1\n              x:",
            19,
            f"{AT}.requestBody.content.application/json.schema",
            "1",
            "a mapping: a schema of OpenAPI 3.0, such as {type: string}",
        ),
    ],
)
def test_an_error_has_its_place(written: str, instead: str, line: int, field: str, got: str, expected: str) -> None:
    assert written in TEXT
    with pytest.raises(BadManifest) as caught:
        parse_resources(TEXT.replace(written, instead, 1), file="api.yaml")
    error = caught.value.details
    assert (error["line"], error["field"], error["value"]) == (line, field, got)
    assert expected in str(error["allowed"])


def test_an_error_below_a_key_of_the_author_has_that_key_also_if_others_have_the_same_error() -> None:
    document: Any = yaml.safe_load(TEXT)
    paths = document["spec"]["paths"]
    content = paths[PATH]["post"]["requestBody"]["content"]
    bad = copy.deepcopy(paths[PATH])
    content["text/csv"] = {"schema": 2}
    bad["post"]["requestBody"]["content"]["application/json"] = {"schema": 2}
    paths[f"{PATH}/again"] = bad
    with pytest.raises(BadManifest) as caught:
        parse_resources(yaml.safe_dump(document, sort_keys=False), file="api.yaml")
    assert caught.value.details["field"] == f"{AT}.requestBody.content.text/csv.schema"


def test_a_schema_may_contain_any_keyword() -> None:
    text = TEXT.replace(
        "                type: object", "                type: object\n                x-mine: [1, {a: null}]"
    )
    (api,) = parse_resources(text, file="api.yaml").api_definitions
    body = api.spec.paths[PATH].post
    assert body is not None
    assert body.request_body is not None
    assert body.request_body.content["application/json"].schema["x-mine"] == [1, {"a": None}]
