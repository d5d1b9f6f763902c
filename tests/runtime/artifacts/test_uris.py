"""What a model's URI may be."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.artifacts.uris import S3Place, parse_uri, suffix_of
from runtime.errors import BadSetting


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("s3://models/payment.onnx", S3Place("models", "payment.onnx")),
        ("S3://models/a/b c%20.onnx", S3Place("models", "a/b c%20.onnx")),
        ("s3://models/m.onnx?versionId=v1", S3Place("models", "m.onnx", "v1")),
        ("s3://models/m.onnx?x", S3Place("models", "m.onnx?x")),
        ("file:///srv/a%20model.onnx", Path("/srv/a model.onnx")),
        ("file://localhost/srv/m.onnx", Path("/srv/m.onnx")),
        ("/srv/m.onnx", Path("/srv/m.onnx")),
        ("models/a%20b.onnx", Path("models/a%20b.onnx")),
    ],
)
def test_a_uri_names_a_place(uri: str, place: S3Place | Path) -> None:
    assert parse_uri(uri) == place


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
def test_what_names_no_place_is_refused_with_what_is_allowed(uri: str) -> None:
    with pytest.raises(BadSetting, match="s3://bucket/key"):
        parse_uri(uri)


@given(st.from_regex(r"[a-z0-9][a-z0-9.-]{2,20}", fullmatch=True), st.text(st.characters(exclude_categories=["C"])))
def test_a_key_is_taken_as_it_is_written(bucket: str, key: str) -> None:
    assume(not {"", ".", ".."} & set(key.split("/")) and "?versionId=" not in key)
    assert parse_uri(f"s3://{bucket}/{key}") == S3Place(bucket, key)


@pytest.mark.parametrize(
    ("key", "suffix"), [("a/m.onnx", ".onnx"), ("m.ort", ".ort"), ("m.v1.bin", ""), ("m", ""), (".onnx", "")]
)
def test_only_suffixes_that_mean_something_are_kept(key: str, suffix: str) -> None:
    assert suffix_of(S3Place("b", key)) == suffix
