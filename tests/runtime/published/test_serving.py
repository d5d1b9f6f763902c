"""What is published beside an artifact is read as the registry writes it, from a real S3 and from a folder."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import onnx
import pytest

from runtime.artifacts.cache import hash_file
from runtime.artifacts.policy import PullPolicy
from runtime.errors import DigestMismatch
from runtime.loading import Pulled, puller
from runtime.published import places, serving
from runtime.published.manifest_json import render
from runtime.registry import Publication, manifest_uri, publish_model, read_manifest
from runtime.settings import Settings
from runtime.variants import added
from runtime.variants.added import AddedAssessment
from runtime.variants.cpu_class import cpu_class
from runtime.variants.names import CPU_PROVIDER, ORIGINAL
from runtime.variants.pinned import pinned_from
from runtime.variants.values import Assessment, RowsProof, Variant
from tests.runtime.faulty_s3 import Fault
from tests.runtime.published_model import Published, measured, times
from tests.s3_server import S3Server


class Model:
    """A published model whose manifest names the variant `fast`, in a bucket or a folder."""

    def __init__(self, base: str, tmp_path: Path, write: Callable[[str, bytes], None]) -> None:
        self.uri = f"{base}/m.onnx"
        self.write = write
        self._tmp_path = tmp_path
        publish_model(times(tmp_path / "original.onnx", 2), self.uri, Publication("m", "7.1"))
        manifest = read_manifest(self.uri)
        assert manifest is not None
        self.manifest = manifest

    def variant(self, name: str, factor: float) -> Variant:
        """Store a variant."""
        body = times(self._tmp_path / f"{name}.onnx", factor).read_bytes()
        uri = f"{self.manifest.uri}.variants/{name}/model.onnx"
        self.write(uri, body)
        return Variant(
            name=name,
            provider=CPU_PROVIDER,
            precision="int8",
            uri=uri,
            sha256=sha256(body).hexdigest(),
            size=len(body),
        )

    def publish(self, *variants: Variant, assessment: Assessment | None) -> None:
        """Replace the manifest by one with these variants."""
        self.manifest = replace(self.manifest, variants=(*self.manifest.variants, *variants), assessment=assessment)
        self.write(manifest_uri(self.manifest.uri), render(self.manifest))

    def added(self, *variants: Variant, assessment: Assessment) -> AddedAssessment:
        """Return an assessment of this model."""
        return AddedAssessment(
            uri=self.manifest.uri,
            sha256=self.manifest.sha256,
            measured_by="test",
            variants=variants,
            assessment=assessment,
        )

    def add(self, *variants: Variant, assessment: Assessment) -> None:
        """Store an added assessment."""
        place = places.assessment_uri(self.manifest.uri, assessment.cpu_class, ())
        self.write(place, added.render(self.added(*variants, assessment=assessment)))

    def pull(self, **settings: object) -> Pulled:
        """Pull the model as `scalezero serve` does outside of a pod."""
        chosen = Settings(cache_dir=self._tmp_path / "cache", manifest="read", **settings)  # type: ignore[arg-type]
        return puller(self.uri, chosen)()


@pytest.fixture(params=["bucket", "folder"])
def model(request: pytest.FixtureRequest, published: Published, tmp_path: Path) -> Model:
    if request.param == "bucket":
        return Model(f"s3://{published.bucket}", tmp_path, published.s3.put)

    def write(uri: str, body: bytes) -> None:
        path = Path(uri.removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    return Model(str(tmp_path / "models"), tmp_path, write)


def test_the_variants_of_the_manifest_are_those_that_a_deploy_pins(model: Model) -> None:
    assessment = measured("fast")
    model.publish(model.variant("fast", 3), assessment=assessment)
    found = serving.read(model.uri, PullPolicy())
    assert found == ("7.1", pinned_from(model.manifest.variants, [assessment]))


def test_serve_takes_the_best_variant_and_the_version_of_the_manifest(model: Model) -> None:
    model.publish(model.variant("fast", 3), assessment=measured("fast"))
    pulled = model.pull()
    assert pulled.serving.candidate.variant == "fast"
    assert pulled.artifact.metadata["version"] == "7.1"
    assert pulled.artifact.sha256 == model.manifest.variants[1].sha256


def test_an_added_assessment_counts(model: Model) -> None:
    model.add(model.variant("faster", 4), assessment=measured("faster"))
    assert model.pull().serving.candidate.variant == "faster"


def test_an_added_assessment_of_this_class_replaces_an_earlier_one(model: Model) -> None:
    model.publish(model.variant("fast", 3), assessment=measured("fast"))
    model.add(model.variant("faster", 4), assessment=measured("faster", at="2026-02-01"))
    assert model.pull().serving.candidate.variant == "faster"


@pytest.mark.parametrize("name", ["my data.bin", "50%25.bin"])
def test_external_data_whose_name_a_uri_encodes_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "source").mkdir()
    path = times(tmp_path / "source" / "m.onnx", 2)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location=name, size_threshold=0)
    uri = str(tmp_path / "models" / "m.onnx")
    publish_model(path, uri, Publication("m", "1"))
    manifest = read_manifest(uri)
    assert manifest is not None
    proven = replace(manifest.variants[0], rows=RowsProof(state="proven", reason="8 rows"))
    Path(manifest_uri(uri)).write_bytes(render(replace(manifest, variants=(proven,))))
    pulled = puller(uri, Settings(cache_dir=tmp_path / "cache", manifest="read"))()
    assert list(pulled.serving.candidate.files) == [name]


def test_a_manifest_without_variants_says_no_more_than_the_artifact(model: Model) -> None:
    assert serving.read(model.uri, PullPolicy()) is None
    assert model.pull().serving.reason == ""


def test_the_original_is_served_without_reading_the_manifest(model: Model) -> None:
    model.write(manifest_uri(model.manifest.uri), b"broken")
    assert model.pull(variant=ORIGINAL).serving.candidate.variant == ORIGINAL


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schemaVersion": 99}, "schemaVersion: got 99; expected 1"),
        ({"uri": "s3://elsewhere/m.onnx"}, "uri: got s3://elsewhere/m.onnx"),
        ({"variants": [{}]}, "variants[0].name: missing"),
        (None, "Expecting value"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_ignored_and_logged(
    model: Model, caplog: pytest.LogCaptureFixture, change: dict[str, object] | None, reason: str
) -> None:
    model.publish(model.variant("fast", 3), assessment=measured("fast"))
    text = json.dumps(json.loads(render(model.manifest)) | change) if change else "no JSON"
    model.write(manifest_uri(model.manifest.uri), text.encode())
    assert model.pull().serving.candidate.variant == ORIGINAL
    (warning,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert reason in warning.__dict__["reason"]


def test_a_manifest_that_names_an_object_elsewhere_is_ignored(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = replace(model.variant("fast", 3), uri="s3://elsewhere/fast.onnx")
    model.publish(elsewhere, assessment=measured("fast"))
    assert model.pull().serving.candidate.variant == ORIGINAL
    (warning,) = caplog.records
    assert "uri: got s3://elsewhere/fast.onnx; expected an object" in warning.__dict__["reason"]


def test_an_added_assessment_that_cannot_be_read_is_logged(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    model.publish(model.variant("fast", 3), assessment=measured("fast"))
    model.write(f"{places.assessments_folder(model.manifest.uri)}{cpu_class()}.json", b"{}")
    assert model.pull().serving.candidate.variant == "fast"
    assert [each.__dict__["reason"] for each in caplog.records] == ["schemaVersion: missing"]


def elsewhere(model: Model) -> AddedAssessment:
    faster = replace(model.variant("faster", 4), uri=f"{model.manifest.uri}.variants/../faster.onnx")
    return model.added(faster, assessment=measured("faster"))


def of_another_class(model: Model) -> AddedAssessment:
    return model.added(model.variant("faster", 4), assessment=measured("faster", cpu="riscv64"))


def of_another_file(model: Model) -> AddedAssessment:
    return replace(model.added(model.variant("faster", 4), assessment=measured("faster")), sha256="f" * 64)


def of_another_variant(model: Model) -> AddedAssessment:
    return model.added(replace(model.variant("fast", 3), sha256="f" * 64), assessment=measured("fast"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (elsewhere, "variants: got the object"),
        (of_another_class, "assessment.cpuClass: got riscv64; expected the class in the name of the object"),
        (of_another_file, f"sha256: got {'f' * 64}"),
        (of_another_variant, "variants: got fast with the SHA-256"),
    ],
)
def test_an_added_assessment_that_the_registry_refuses_is_left_out(
    model: Model, caplog: pytest.LogCaptureFixture, make: Callable[[Model], AddedAssessment], reason: str
) -> None:
    model.publish(model.variant("fast", 3), assessment=measured("fast"))
    model.write(places.assessment_uri(model.manifest.uri, cpu_class(), ()), added.render(make(model)))
    assert model.pull().serving.candidate.variant == "fast"
    (warning,) = caplog.records
    assert reason in warning.__dict__["reason"]


def test_a_listing_that_the_store_refuses_leaves_the_manifest(
    published: Published, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(f"s3://{published.bucket}", tmp_path, published.s3.put)
    model.publish(model.variant("fast", 3), assessment=measured("fast"))
    published.faulty.add(Fault(path=f"/{published.bucket}", status=403, code="AccessDenied"))
    assert model.pull().serving.candidate.variant == "fast"
    (warning,) = caplog.records
    assert warning.__dict__["uri"] == f"{model.uri}.assessments/"
    assert "403 AccessDenied" in warning.__dict__["reason"]


def test_the_variants_of_another_file_than_the_required_one_are_ignored(model: Model) -> None:
    model.publish(model.variant("fast", 3), assessment=measured("fast"))
    with pytest.raises(DigestMismatch):
        model.pull(model_sha256="f" * 64)


def test_a_model_without_a_manifest_costs_one_request(published: Published, caplog: pytest.LogCaptureFixture) -> None:
    published.original()
    pulled = puller(published.uri, published.settings(None, manifest="read"))()
    assert pulled.artifact.from_cache is False
    assert [(each.path.rpartition("/")[2], each.status) for each in published.faulty.seen] == [
        ("m.onnx.manifest.json", 404),
        ("m.onnx", 206),
    ]
    assert caplog.records == []


@pytest.mark.parametrize(
    "fault", [Fault(path=".manifest.json", status=403, code="AccessDenied"), Fault(path=".manifest.json", status=503)]
)
def test_a_manifest_that_the_store_refuses_is_ignored(published: Published, fault: Fault) -> None:
    published.original()
    published.faulty.add(fault)
    assert puller(published.uri, published.settings(None, manifest="read"))().serving.candidate.variant == ORIGINAL


def test_a_pod_asks_for_no_manifest(published: Published) -> None:
    published.original()
    puller(published.uri, published.settings(None))()
    assert [each.path.rpartition("/")[2] for each in published.faulty.seen] == ["m.onnx"]


def test_the_manifest_of_a_local_file_that_was_written_again_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def write(uri: str, body: bytes) -> None:
        path = Path(uri.removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    model = Model(str(tmp_path / "models"), tmp_path, write)
    model.publish(model.variant("fast", 3), assessment=measured("fast"))
    path = times(Path(model.uri), 9)
    pulled = model.pull()
    assert pulled.serving.candidate.variant == ORIGINAL
    assert hash_file(pulled.artifact.path) == hash_file(path)
    assert "it describes another file" in str([each.__dict__ for each in caplog.records])


def test_the_manifest_of_an_object_that_was_written_again_is_ignored(
    published: Published, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(f"s3://{published.bucket}", tmp_path, published.s3.put)
    model.publish(model.variant("fast", 3), assessment=measured("fast"))
    body = times(tmp_path / "new.onnx", 99).read_bytes()
    for metadata in ({}, {"sha256": sha256(body).hexdigest()}):
        published.s3.put(model.uri, body, metadata)
        caplog.clear()
        pulled = model.pull()
        assert pulled.serving.candidate.variant == ORIGINAL
        assert hash_file(pulled.artifact.path) == sha256(body).hexdigest()
        (warning,) = [each for each in caplog.records if each.levelno == logging.WARNING]
        assert "it describes another file" in warning.__dict__["reason"]


@pytest.mark.parametrize("uri", ["s3://models/m.onnx?versionId=1", "s3://models/m.mar", "m.mar"])
def test_a_version_of_an_object_and_an_archive_have_no_variants(uri: str, s3: S3Server) -> None:
    assert serving.read(uri, PullPolicy()) is None
