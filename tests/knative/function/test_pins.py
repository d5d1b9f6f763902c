"""Revisions are pinned to what a real registry holds."""

from pathlib import Path

import pytest

from knative.function.pins import pins_of
from knative.manifests import Pin
from runtime.errors import StoreUnreachable
from runtime.registry import Published, find, publish
from tests.knative.manifests.test_steps import read, version
from tests.models import identity
from tests.s3_server import S3Server


@pytest.fixture
def here(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return s3


def test_a_published_model_is_pinned_by_its_digest(here: S3Server, tmp_path: Path) -> None:
    here.make_bucket("pins")
    uri = "s3://pins/published.onnx"
    published = publish(identity(tmp_path / "m.onnx"), uri, metadata={})
    missing = "s3://pins/missing.onnx"
    resources = read(version("shop-v1", "shop", path=uri), version("shop-v2", "shop", path=missing, number="2"))
    assert pins_of(resources, find, report=pytest.fail) == {uri: Pin(published.sha256)}


@pytest.mark.parametrize(("status", "pinned"), [("Enabled", True), ("Suspended", False)])
def test_a_bucket_with_versions_pins_the_version_too(here: S3Server, status: str, *, pinned: bool) -> None:
    bucket = f"pins-{status.lower()}"
    here.make_bucket(bucket)
    client = here.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    if status != "Enabled":
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    uri = f"s3://{bucket}/m.onnx"
    there = client.put_object(Bucket=bucket, Key="m.onnx", Body=b"bytes", Metadata={"sha256": "a" * 64})
    pins = pins_of(read(version("shop-v1", "shop", path=uri)), find, report=pytest.fail)
    assert pins == {uri: Pin("a" * 64, there["VersionId"] if pinned else None)}


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
