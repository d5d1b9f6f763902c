"""Tests of the URIs of models."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.artifacts.uris import S3Location, parse_uri, suffix_of
from runtime.errors import BadSetting


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("s3://models/payment.onnx", S3Location("models", "payment.onnx")),
        ("S3://models/a/b c%20.onnx", S3Location("models", "a/b c%20.onnx")),
        ("s3://models/m.onnx?versionId=v1", S3Location("models", "m.onnx", "v1")),
        ("s3://models/m.onnx?x", S3Location("models", "m.onnx?x")),
        ("file:///srv/a%20model.onnx", Path("/srv/a model.onnx")),
        ("file://localhost/srv/m.onnx", Path("/srv/m.onnx")),
        ("/srv/m.onnx", Path("/srv/m.onnx")),
        ("models/a%20b.onnx", Path("models/a%20b.onnx")),
    ],
)
def test_a_uri_names_a_location(uri: str, location: S3Location | Path) -> None:
    assert parse_uri(uri) == location


UNKNOWN = ["http://host/m.onnx", "file://host/m.onnx"]


@pytest.mark.parametrize(
    "uri",
    [
        *UNKNOWN,
        "",
        "s3://",
        "s3://bucket",
        "s3://bucket/",
        "s3:///key",
        "s3://bucket/folder/",
        "s3://b/k",
        "s3://a b/k",
        "s3://bucket//k",
        "s3://bucket/a//k",
        "s3://bucket/../k",
        "s3://bucket/a/./k",
        "s3://bucket/a\nb",
        "gs://bucket/key",
        "://x",
        "a\0b",
    ],
)
def test_the_error_for_an_invalid_uri_has_the_allowed_form(uri: str) -> None:
    with pytest.raises(BadSetting, match="s3://bucket/key"):
        parse_uri(uri)


@given(st.from_regex(r"[a-z0-9][a-z0-9.-]{2,20}", fullmatch=True), st.text(st.characters(exclude_categories=["C"])))
def test_a_key_is_not_decoded(bucket: str, key: str) -> None:
    assume(not {"", ".", ".."} & set(key.split("/")) and "?versionId=" not in key)
    assert parse_uri(f"s3://{bucket}/{key}") == S3Location(bucket, key)


@pytest.mark.parametrize(
    ("key", "suffix"), [("a/m.onnx", ".onnx"), ("m.ort", ".ort"), ("m.v1.bin", ""), ("m", ""), (".onnx", "")]
)
def test_only_the_suffixes_of_models_are_kept(key: str, suffix: str) -> None:
    assert suffix_of(S3Location("b", key)) == suffix
