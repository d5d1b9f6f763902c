"""What is made of a model is sent before its manifest, so nothing half-published is visible: on a real S3."""

import math
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from types import SimpleNamespace

import pytest

from runtime.errors import AccessDenied, BadSetting, DiskFull, ModelUnavailable
from runtime.optimizing import Bounds
from runtime.registry import (
    Manifest,
    Optimization,
    OtherManifest,
    Publication,
    Published,
    add_assessment,
    entries,
    find,
    plan_cleaning,
    plan_model,
    publish_model,
    publish_planned,
    read_manifest,
    remove,
    verify,
)
from runtime.registry.forms import Form, form_of, planned
from runtime.registry.making import BuiltVariants
from runtime.registry.publishing import PlannedModel, send_variants
from runtime.variants.values import ORIGINAL, PreparedForm, Variant
from tests.runtime.conftest import Place
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.runtime.registry.model_files import model
from tests.runtime.variants.recorded import assessment
from tests.s3_server import S3Server

NAMED = Publication("add", "1.0.0")
pytestmark = pytest.mark.parametrize("place", ["s3"], indirect=True)


def made(plan: PlannedModel, folder: Path, *, value: float = 5.0) -> BuiltVariants:
    """Return a variant with a prepared form and with external data, as if they were made of the model."""
    uri = plan.manifest.uri
    variant = form_of(model(folder / f"variant-{value}", value=value), uri, "int8-nncf")
    prepared = form_of(model(folder / f"prepared-{value}", value=value, external=True), uri, "int8-nncf-prepared")
    original = plan.manifest.variants[0]
    return BuiltVariants(
        (original, _variant(original, variant, prepared)),
        assessment("intel-amx", {ORIGINAL: 2.0, "int8-nncf": 1.0}, chosen="int8-nncf"),
        planned([variant, prepared]),
    )


def _variant(original: Variant, own: Form, prepared: Form) -> Variant:
    form = PreparedForm(
        uri=prepared.model.uri, sha256=prepared.model.sha256, size=prepared.model.size, files=prepared.files
    )
    return Variant(
        name="int8-nncf",
        provider=original.provider,
        precision="int8",
        uri=own.model.uri,
        sha256=own.model.sha256,
        size=own.model.size,
        prepared=(form,),
    )


@pytest.fixture
def faulty(place: Place, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """Return a server in front of S3, which the publisher uses."""
    with FaultyS3(s3.endpoint_url) as server:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        yield server


def manifest_of(uri: str) -> Manifest:
    """Return the manifest of a published model."""
    manifest = read_manifest(uri)
    assert manifest is not None
    return manifest


def test_variants_and_prepared_forms_come_before_the_artifact_and_the_manifest(
    place: Place, faulty: FaultyS3, tmp_path: Path
) -> None:
    plan = plan_model(model(tmp_path, external=True), place("a.onnx"), NAMED)
    result = send_variants(plan, made(plan, tmp_path))
    puts = [seen for seen in faulty.seen if seen.method == "PUT"]
    names = [seen.path.rpartition("/")[2] for seen in puts]
    assert names == ["model.onnx", "weights.bin", "model.onnx", "weights.bin", "a.onnx", "a.onnx.manifest.json"]
    assert all(seen.headers["if-none-match"] == "*" for seen in puts)
    manifest = manifest_of(place("a.onnx"))
    assert result.assessment == manifest.assessment is not None
    assert all(each.is_good for each in verify(manifest))
    assert len(manifest.objects) == 5


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(path="/model.onnx", skip=2, status=500), ModelUnavailable),  # 2: the requests that look for them
        (Fault(path="/model.onnx", skip=2, status=403, code="AccessDenied"), AccessDenied),
        (Fault(path="/model.onnx", skip=3, status=507, code="InsufficientStorage"), ModelUnavailable),
        (Fault(path="/a.onnx", status=503, skip=1, code="SlowDown"), ModelUnavailable),
    ],
)
def test_a_publication_that_breaks_shows_no_model_and_the_next_one_continues(
    place: Place, faulty: FaultyS3, tmp_path: Path, fault: Fault, error: type[ModelUnavailable]
) -> None:
    uri = place("a.onnx")
    faulty.add(fault)
    plan = plan_model(model(tmp_path), uri, NAMED)
    offered = made(plan, tmp_path)
    with pytest.raises(error):
        send_variants(plan, offered)
    faulty.heal()
    assert entries(place("")) == []
    assert find(uri) is None
    sent = {each for left in entries(place(""), every=True) for each in left.leftovers}
    again = plan_model(model(tmp_path), uri, NAMED)
    repeated = made(again, tmp_path / "again")
    assert {each.upload.uri for each in repeated.uploads if not each.is_new} == sent
    send_variants(again, repeated)
    assert all(each.is_good for each in verify(manifest_of(uri)))
    assert entries(place(""))[0].leftovers == ()


def test_of_two_publishers_of_one_model_the_manifest_decides_and_the_other_is_told(
    place: Place, tmp_path: Path
) -> None:
    """A quantization need not be reproducible, so their variants differ."""
    uri = place("a.onnx")
    plans = [plan_model(model(tmp_path), uri, NAMED) for _ in range(2)]
    offers = [made(plan, tmp_path, value=value) for plan, value in zip(plans, (5.0, 6.0), strict=True)]
    start, lines, results = Barrier(2), list[str](), list[Published]()

    def publish(plan: PlannedModel, offer: BuiltVariants) -> None:
        start.wait()
        results.append(send_variants(plan, offer, tell=lines.append))

    threads = [Thread(target=publish, args=each) for each in zip(plans, offers, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    manifest = manifest_of(uri)
    assert manifest.variants in [each.variants for each in offers]
    assert sorted(result.assessment is None for result in results) == [False, True]
    assert len(lines) == 1
    assert "published the same model at the same time and was first" in lines[0]
    assert f"leaves 3 unused objects; to delete them: scalezero models delete '{uri}' --leftovers" in lines[0]
    assert len(entries(place(""))[0].leftovers) == 3
    remove(plan_cleaning(uri), lines.append)
    assert entries(place(""))[0].leftovers == ()
    assert all(each.is_good for each in verify(manifest))


def test_a_publisher_of_another_version_that_loses_is_told_what_it_leaves(place: Place, tmp_path: Path) -> None:
    uri, lines = place("a.onnx"), list[str]()
    slow = plan_model(model(tmp_path), uri, NAMED._replace(version="2"))
    offered = made(slow, tmp_path)
    publish_model(model(tmp_path), uri, NAMED)
    with pytest.raises(OtherManifest):
        send_variants(slow, offered, tell=lines.append)
    (line,) = lines
    assert (
        line == f"the variants that were sent are not used; to delete them: scalezero models delete '{uri}' --leftovers"
    )
    remove(plan_cleaning(uri), lines.append)
    assert entries(place(""))[0].leftovers == ()


def test_a_publisher_whose_own_manifest_is_there_already_is_told_nothing(place: Place, tmp_path: Path) -> None:
    plan = plan_model(model(tmp_path), place("a.onnx"), NAMED)
    offered, lines = made(plan, tmp_path), list[str]()
    for _ in range(2):  # the response to the first was lost, and the request was repeated
        send_variants(plan, offered, tell=lines.append)
    assert lines == []


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Limit the size of files, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def large_model(folder: Path) -> Path:
    """Write a model with 1 MiB of external data."""
    path = model(folder, external=True)
    weights = folder / "weights.bin"
    weights.write_bytes(weights.read_bytes() + bytes(2**20))
    return path


def test_a_registry_whose_disk_is_full_keeps_nothing_half_written(place: Place, tmp_path: Path) -> None:
    path, registry = large_model(tmp_path), tmp_path / "registry"
    plan = plan_model(path, f"{registry}/a.onnx", NAMED)
    with largest_file(2**19), pytest.raises(BadSetting, match="a path that this process can write to"):
        publish_planned(plan)
    assert list(registry.iterdir()) == []
    publish_planned(plan)
    assert all(each.is_good for each in verify(manifest_of(f"{registry}/a.onnx")))


def test_a_disk_that_fills_while_a_model_is_measured_adds_nothing(place: Place, tmp_path: Path) -> None:
    uri = place("a.onnx")
    publish_model(large_model(tmp_path), uri, NAMED)
    with largest_file(2**19), pytest.raises(DiskFull, match=r"cannot be written below .*File too large.*TMPDIR"):
        add_assessment(uri, Optimization(Bounds()))
    (entry,) = entries(place(""), every=True)
    assert (entry.added, entry.leftovers) == ((), ())


def test_without_room_a_model_is_published_without_prepared_forms_but_not_without_asked_variants(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    path, uri, lines = model(tmp_path), place("a.onnx"), list[str]()
    with pytest.raises(DiskFull, match=r"which has 0 MiB free; expected about 65 MiB"):
        publish_model(path, uri, NAMED, optimization=Optimization(Bounds()))
    assert entries(place(""), every=True) == []
    publish_model(path, uri, NAMED, tell=lines.append)
    assert lines[0].startswith("no prepared form was made: ")
    assert [each.name for each in manifest_of(uri).variants] == [ORIGINAL]


def test_nothing_is_sent_if_the_manifest_cannot_be_written_as_json(place: Place, tmp_path: Path) -> None:
    plan = plan_model(model(tmp_path), place("add.onnx"), NAMED)
    good = made(plan, tmp_path)
    assert good.assessment is not None
    with pytest.raises(ValueError, match="not JSON compliant"):
        send_variants(plan, good._replace(assessment=replace(good.assessment, min_speedup=math.inf)))
    assert entries(place(""), every=True) == []
