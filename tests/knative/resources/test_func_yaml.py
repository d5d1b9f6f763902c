"""func.yaml is read by the rules of Knative func, and errors have their place."""

import pytest

from knative.resources import BadManifest
from knative.resources.func_values import Source, source_of
from knative.resources.func_yaml import FunctionFile, parse_function, read_function
from tests import ROOT

TEXT = (ROOT / "func.yaml").read_text("utf-8")
ONE = '"{{ env:NAME }}", "{{ secret:NAME:KEY }}" or "{{ configMap:NAME:KEY }}"'


def edited(old: str, new: str) -> FunctionFile:
    assert old in TEXT
    return parse_function(TEXT.replace(old, new, 1), file="func.yaml")


def test_the_shipped_file_is_read_as_written() -> None:
    written = read_function(ROOT)
    function = written.function
    assert (function.name, function.image, function.invoke) == ("payment-model", "dev.local/scalezero:0.1.0", "http")
    assert function.run.envs[0].name == "SCALEZERO_MODEL_URI"
    assert function.deploy.options.scale.target == 64
    line = TEXT[: TEXT.index("      value: s3:")].count("\n") + 1
    assert written.place("run", "envs", 0, "value") == f"{ROOT}/func.yaml:{line}"


def test_only_the_fields_that_the_schema_and_a_deployment_need_are_required() -> None:
    function = parse_function("specVersion: 0.36.0\nname: a\ncreated: 2026-11-23T00:00:00Z\n", file="f").function
    assert (function.image, function.run.envs, function.deploy.options.scale.max) == (None, (), None)


@pytest.mark.parametrize(
    ("old", "new", "below", "field", "got", "expected"),
    [
        ("0.36.0\nname", "0.38.0\nname", 0, "specVersion", '"0.38.0"', "0.36.0, the only supported schema version"),
        ("created: 2026-11-23T00:00:00Z\n", "", -3, "created", "nothing", "a time such as 2026-11-23T00:00:00Z"),
        ("invoke: http", "invoke: grpc", 0, "invoke", '"grpc"', "http or cloudevent"),
        (
            "scale:",
            "scaling:",
            0,
            "deploy.options.scaling",
            "an unknown field",
            "one of scale, resources",
        ),
        ("min: 0", "min: -1", 0, "deploy.options.scale.min", "-1", "a whole number of at least 0"),
        ("min: 0", "min: 11", 1, "deploy.options.scale.max", "10", "at least 11, the value of min"),
        ("target: 64", "target: 0", 0, "deploy.options.scale.target", "0", "a number of at least 0.01"),
        (
            "utilization: 70",
            "utilization: 101",
            0,
            "deploy.options.scale.utilization",
            "101",
            "a number from 1 to 100",
        ),
        ('cpu: "1"', "cpu: 1", 0, "deploy.options.resources.limits.cpu", "1", "a quantity in quotes"),
        ("AWS_REGION", "0AWS", 0, "run.envs[9].name", '"0AWS"', "letters, digits and - . _, not starting with a digit"),
        ("AWS_REGION", "FUNCTION_TARGET", 0, "run.envs[9].name", 'a second "FUNCTION_TARGET"', "each variable once"),
        ("      value: us-east-1\n", "", -1, "run.envs[9].value", "nothing", 'a string, which may be empty: ""'),
        ("value: us-east-1", 'value: "{{ env }}"', 0, "run.envs[9].value", '"{{ env }}"', ONE),
        ("value: us-east-1", 'value: "{{ secret:a }}"', 0, "run.envs[9].value", '"{{ secret:a }}"', ONE),
        (
            "name: AWS_REGION\n      value: us-east-1",
            'value: "{{ secret:a:b }}"',
            0,
            "run.envs[9].value",
            '"{{ secret:a:b }}"',
            '"{{ secret:NAME }}" or "{{ configMap:NAME }}", for all keys, or a name',
        ),
        (
            "emptyDir:",
            "secret: a\n      emptyDir:",
            0,
            "run.volumes[0]",
            "2 types of volume",
            "exactly one of secret, configMap",
        ),
        ("path: /var", "path: var", 0, "run.volumes[0].path", '"var/cache/scalezero"', "an absolute path"),
        (
            "  volumes:",
            "  volumes:\n    - {secret: a, path: /var/cache/scalezero/}",
            5,
            "run.volumes[1].path",
            'a second "/var/cache/scalezero"',
            "each path once",
        ),
        ("sizeLimit: 1Gi", "medium: Disk", 0, "run.volumes[0].emptyDir.medium", '"Disk"', '"" or Memory'),
        ("deploy:", "deploy:\n  labels: [{key: /a}]", 1, "deploy.labels[0].key", '"/a"', "the key of a label"),
        (
            "deploy:",
            "deploy:\n  labels: [{key: a, value: -}]",
            1,
            "deploy.labels[0].value",
            '"-"',
            "at most 63 letters",
        ),
        (
            "deploy:",
            'deploy:\n  labels: [{key: a, value: "{{ secret:a:b }}"}]',
            1,
            "deploy.labels[0].value",
            '"{{ secret:a:b }}"',
            'a string or "{{ env:NAME }}"',
        ),
        (
            "builder: pack",
            'builder: pack\n  buildEnvs: [{name: A, value: "{{ secret:a:b }}"}]',
            1,
            "build.buildEnvs[0].value",
            '"{{ secret:a:b }}"',
            '"{{ env:NAME }}"',
        ),
        (
            "builder: pack",
            'builder: pack\n  buildEnvs: [{value: "{{ secret:a }}"}]',
            1,
            "build.buildEnvs[0].name",
            "nothing",
            "the name of a variable",
        ),
    ],
)
def test_an_error_has_its_place_and_the_allowed_values(
    old: str, new: str, below: int, field: str, got: str, expected: str
) -> None:
    with pytest.raises(BadManifest) as caught:
        edited(old, new)
    line = TEXT[: TEXT.index(old)].count("\n") + 1 + below
    assert str(caught.value).startswith(f"func.yaml:{line}: {field}: got {got}; expected {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "func.yaml: document: got 0 documents; expected one"),
        ("- a", "func.yaml:1: document: got a list; expected a"),
    ],
)
def test_a_document_that_is_not_a_function_is_refused(text: str, expected: str) -> None:
    with pytest.raises(BadManifest) as caught:
        parse_function(text, file="func.yaml")
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value: us-east-1", 'value: ""'),
        ("value: us-east-1", 'value: "{{ configMap:a:b.c }}"'),
        ("name: AWS_REGION\n      value: us-east-1", 'value: "{{ configMap:a }}"'),
        ("emptyDir:\n        sizeLimit: 1Gi", "persistentVolumeClaim: {claimName: a, readOnly: true}"),
        ("deploy:", 'deploy:\n  labels: [{key: example.com/a}, {key: b, value: "{{ env:B }}"}]'),
        ("builder: pack", 'builder: s2i\n  buildEnvs: [{name: A, value: "{{ env:A }}"}]'),
    ],
)
def test_values_that_func_accepts_are_accepted(old: str, new: str) -> None:
    assert edited(old, new).function.name == "payment-model"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("{{ env:HOME }}", Source("env", "HOME")),
        ("{{secret:my-secret:a.b-c}}", Source("secret", "my-secret", "a.b-c")),
        ("{{ configMap:a }}", Source("configMap", "a")),
        ("{{ secret:a- }}", None),
        ("{{ env:a:b }}", None),
        (" {{ env:a }}", None),
        ("text", None),
    ],
)
def test_references_in_a_value_are_parsed(text: str, source: Source | None) -> None:
    assert source_of(text) == source
