"""Pins from a real registry."""

from pathlib import Path

import pytest

from knative.function.pins import PublishedVariants, pins_of
from knative.manifests import Pin
from knative.manifests.variants import rankings
from runtime.errors import StoreUnreachable
from runtime.registry import Published, find, publish
from tests.knative.documents import read, version
from tests.knative.published import SHA256, URI, assessment, variant
from tests.models import identity
from tests.s3_server import S3Server

DISABLED = """\
---
apiVersion: ml.example.com/v1
kind: ModelOptimization
metadata: {name: shop-quantization}
spec: {quantization: {enabled: false}}
"""


@pytest.fixture
def server(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return s3


def test_a_published_model_is_pinned_by_its_digest(server: S3Server, tmp_path: Path) -> None:
    server.make_bucket("pins")
    uri = "s3://pins/published.onnx"
    published = publish(identity(tmp_path / "m.onnx"), uri, metadata={})
    missing = "s3://pins/missing.onnx"
    resources = read(version("shop-v1", "shop", path=uri), version("shop-v2", "shop", path=missing, number="2"))
    assert pins_of(resources, find, report=pytest.fail) == {uri: Pin(published.sha256)}


@pytest.mark.parametrize(("status", "pinned"), [("Enabled", True), ("Suspended", False)])
def test_a_bucket_with_versions_pins_the_version_too(server: S3Server, status: str, *, pinned: bool) -> None:
    bucket = f"pins-{status.lower()}"
    server.make_bucket(bucket)
    client = server.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    if status != "Enabled":
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    uri = f"s3://{bucket}/m.onnx"
    stored = client.put_object(Bucket=bucket, Key="m.onnx", Body=b"bytes", Metadata={"sha256": "a" * 64})
    pins = pins_of(read(version("shop-v1", "shop", path=uri)), find, report=pytest.fail)
    assert pins == {uri: Pin("a" * 64, stored["VersionId"] if pinned else None)}


def test_a_registry_that_cannot_be_read_is_reported_once_and_pins_nothing() -> None:
    def unreachable(uri: str) -> Published | None:
        raise StoreUnreachable(uri, "connection refused")

    resources = read(*(version(f"shop-v{n}", "shop", path=f"s3://models/{n}.onnx", number=str(n)) for n in (1, 2)))
    reports: list[str] = []
    assert pins_of(resources, unreachable, report=reports.append) == {}
    assert len(reports) == 1
    assert "connection refused" in reports[0]


def test_a_file_of_the_image_is_not_looked_up() -> None:
    resources = read(version("shop-v1", "shop", path="file:///models/m.onnx"))
    assert pins_of(resources, pytest.fail, report=pytest.fail) == {}


def test_the_published_variants_are_pinned_with_the_digest() -> None:
    reads: list[str] = []

    def read_variants(uri: str) -> PublishedVariants:
        reads.append(uri)
        return [variant(), variant("int8-nncf")], [assessment("intel-amx", "int8-nncf", {"int8-nncf": 3.0})]

    resources = read(*(version(f"shop-v{n}", "shop", path=URI, number=str(n)) for n in (1, 2)))
    pins = pins_of(resources, found, variants=read_variants, report=pytest.fail)
    assert rankings(pins[URI].variants) == {"intel-amx": ("int8-nncf", "original")}
    assert reads == [URI]


def test_variants_that_cannot_be_read_are_reported_and_the_digest_is_pinned() -> None:
    def unreachable(uri: str) -> PublishedVariants:
        raise StoreUnreachable(uri, "connection refused")

    reports: list[str] = []
    pins = pins_of(read(version("shop-v1", "shop", path=URI)), found, variants=unreachable, report=reports.append)
    assert pins == {URI: Pin(SHA256)}
    assert [each.startswith(f"{URI}: its variants are not pinned") for each in reports] == [True]
    assert "connection refused" in reports[0]


def test_the_manifest_of_another_object_is_reported_and_pins_no_variants() -> None:
    reports: list[str] = []
    pins = pins_of(
        read(version("shop-v1", "shop", path=URI)),
        found,
        variants=lambda _: ([variant(sha256="9" * 64, proven=True)], []),
        report=reports.append,
    )
    assert pins == {URI: Pin(SHA256)}
    assert "its manifest is that of another object (9999" in reports[0]


@pytest.mark.parametrize(("uri", "sha256"), [(f"{URI}?versionId=v7", SHA256), (URI, None)])
def test_an_object_that_cannot_have_a_manifest_is_not_asked_for_one(uri: str, sha256: str | None) -> None:
    resources = read(version("shop-v1", "shop", path=f"'{uri}'"))
    pins = pins_of(
        resources, lambda _: Published(uri=uri, sha256=sha256, size=1), variants=pytest.fail, report=pytest.fail
    )
    assert pins == {uri: Pin(sha256)}


def test_a_disabled_model_optimization_pins_no_other_variant() -> None:
    resources = read(version("shop-v1", "shop", path=URI), DISABLED)
    pins = pins_of(
        resources,
        found,
        variants=lambda _: ([variant(proven=True), variant("int8-nncf")], []),
        report=pytest.fail,
    )
    pinned = pins[URI].variants
    assert pinned is not None
    assert [each.name for each in pinned.variants] == ["original"]


def found(uri: str) -> Published:
    return Published(uri=uri, sha256=SHA256, size=1000)
