"""Only URLs in the model store and below the allowed prefixes are accepted."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.artifacts.uris import S3Location, parse_uri
from runtime.errors import BadSetting, UrlNotRegistrable
from runtime.protocols.torchserve.registering import Allowed, Place, allowed, place

FOLDERS = allowed("/store", ["s3://models/team/", "file:///srv/models/", "s3://open"])
S3_STORE = allowed("s3://store/models/", [])


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("m.mar", Place("/store/m.mar", Path("/store"))),
        ("s3://models/team/m.onnx", Place("s3://models/team/m.onnx", None)),
        ("S3://models/team/deep/m.onnx", Place("S3://models/team/deep/m.onnx", None)),
        ("s3://models/team/m.mar?versionId=7", Place("s3://models/team/m.mar?versionId=7", None)),
        ("s3://open/m.mar", Place("s3://open/m.mar", None)),
        ("file:///srv/models/m.mar", Place("/srv/models/m.mar", Path("/srv/models"))),
        ("file://localhost/srv/models//my%20m.mar", Place("/srv/models/my m.mar", Path("/srv/models"))),
    ],
)
def test_a_model_of_the_store_or_below_a_prefix_may_be_registered(url: str, found: Place) -> None:
    assert place(url, FOLDERS) == found


def test_a_store_may_be_a_prefix_of_a_bucket() -> None:
    assert place("m.mar", S3_STORE) == Place("s3://store/models/m.mar", None)
    assert place("m.mar", allowed("s3://store", [])) == Place("s3://store/m.mar", None)


@pytest.mark.parametrize(
    "url",
    [
        "../m.mar",
        "..",
        "a..b",
        "%2e%2e/m.mar",
        "%2E%2e%2fm.mar",
        "%252e%252e/m.mar",
        "%25252e./m.mar",
        "s3://models/team/../secret.onnx",
        "s3://models/team/%2e%2e/secret.onnx",
        "file:///srv/models/../../etc/passwd",
        "file:///srv/models/%2e%2e/%2e%2e/etc/passwd",
        "https://example.com/../m.mar",
    ],
)
def test_two_dots_are_refused_in_any_encoding(url: str) -> None:
    with pytest.raises(UrlNotRegistrable) as raised:
        place(url, FOLDERS)
    assert raised.value.details["reason"] == "relative"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://models/team/m.mar",
        "HTTPS://example.com/m.mar",
        "ftp://example.com/m.mar",
        "file:///etc/passwd",
        "file:///srv/models",
        "file:///srv/models-of-others/m.mar",
        "file:////srv/models/m.mar",
        "file://host/srv/models/m.mar",
        "file:///srv%2Fmodels-of-others/m.mar",
        "s3://models/m.mar",
        "s3://models/team",
        "s3://models/team-b/m.mar",
        "s3://models/TEAM/m.mar",
        "s3://models//team/m.mar",
        "s3://models/team//m.mar",
        "s3://models/./team/m.mar",
        "s3://Models/team/m.mar",
        "s3://models.evil.com/team/m.mar",
        "s3://models@evil/team/m.mar",
        "s3://user:pass@models/team/m.mar",
        "s3://models:80/team/m.mar",
        "s3://models\\team/m.mar",
        "s3://models/te\nam/m.mar",
        "m\0.mar",
        "sub\\m.mar",
        "//models/team/m.mar://",
        "https:s3://models/team/m.mar",
    ],
)
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(UrlNotRegistrable) as raised:
        place(url, FOLDERS)
    assert raised.value.details["reason"] == "not allowed"


@pytest.mark.parametrize("url", ["/etc/passwd", "sub/m.mar", "./m.mar", ".hidden.mar", "/store/m.mar", "a//b"])
def test_a_file_of_the_store_is_only_a_name(url: str) -> None:
    for where in (FOLDERS, S3_STORE):
        with pytest.raises(UrlNotRegistrable) as raised:
            place(url, where)
        assert raised.value.details["reason"] == "not found"


def test_without_a_store_a_name_is_refused() -> None:
    with pytest.raises(UrlNotRegistrable) as raised:
        place("m.mar", Allowed(None))
    assert raised.value.details["reason"] == "no store"


def test_a_missing_url_is_refused() -> None:
    with pytest.raises(UrlNotRegistrable) as raised:
        place("", FOLDERS)
    assert raised.value.details["reason"] == "missing"


PIECES = st.sampled_from(
    [
        "s3://",
        "file://",
        "http://",
        "models",
        "team",
        "srv",
        "store",
        "/",
        "//",
        ".",
        "..",
        "%2e",
        "%2F",
        "%25",
        "@",
        ":",
    ]
)


@given(st.lists(PIECES, max_size=10).map("".join))
def test_every_accepted_url_is_below_an_allowed_place(url: str) -> None:
    """According to the parser of the artifacts, which opens the URL later."""
    try:
        found = place(url, FOLDERS)
    except UrlNotRegistrable:
        return
    where = parse_uri(found.uri)
    if isinstance(where, S3Location):
        assert found.root is None
        assert where.bucket == "open" or (where.bucket, where.key.split("/")[0]) == ("models", "team")
        assert not {"", ".", ".."} & set(where.key.split("/"))
    else:
        assert found.root in {Path("/store"), Path("/srv/models")}
        assert Path(*where.parts).is_relative_to(found.root)
        assert ".." not in where.parts


@pytest.mark.parametrize(
    "prefix",
    [
        "http://models/",
        "https://models/",
        "models/",
        "/srv/models",
        "s3://",
        "s3://m",
        "s3://models/a//b",
        "s3://models/../x",
        "s3://user@models/",
        "file://host/srv",
        "file:///srv/../etc",
        "gs://models/",
    ],
)
def test_an_invalid_prefix_stops_the_start(prefix: str) -> None:
    with pytest.raises(BadSetting, match=r"^SCALEZERO_REGISTER_FROM="):
        allowed(None, [prefix])


def test_a_store_is_a_folder_a_file_uri_or_a_prefix_of_a_bucket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert allowed("store", []).store == tmp_path / "store"
    assert allowed("file:///store", []).store == Path("/store")
    assert allowed("s3://store/a/", []).store == S3Location("store", "a")
    with pytest.raises(BadSetting, match=r"^MODEL_STORE="):
        allowed("https://store/", [])
