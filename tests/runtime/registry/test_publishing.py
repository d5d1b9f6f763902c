"""A model with a manifest is complete, and its manifest never changes: on a real S3 and in a folder."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier, Thread
from types import SimpleNamespace
from urllib.parse import unquote

import onnx
import pytest

from runtime.errors import ArtifactChanged, BadSetting, InvalidModel, ModelUnavailable
from runtime.published.manifest import Value
from runtime.published.manifest_json import render
from runtime.published.objects import full_uri
from runtime.registry import (
    AlreadyPublished,
    InvalidManifest,
    OtherManifest,
    Publication,
    complete_model,
    entries,
    find,
    manifest_uri,
    plan_model,
    publish,
    publish_model,
    publish_planned,
    read_manifest,
)
from runtime.registry.files import delete, put_once
from runtime.variants.values import StoredFile, Variant
from tests.archives import zipped
from tests.runtime.conftest import Place
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.runtime.registry.model_files import digest, model
from tests.s3_server import S3Server
from tests.waiting import DEADLINE

NAMED = Publication("add", "1.0.0")
SHA256 = "0" * 64
only_s3 = pytest.mark.parametrize("place", ["s3"], indirect=True)


def test_a_published_model_has_a_manifest_with_its_facts(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path, external=True), place("a.onnx")
    now = datetime(2026, 11, 29, 13, 0, tzinfo=UTC)
    publish_planned(plan_model(path, uri, Publication("add", "1.0.0", {"auc": 0.5, "lost": float("nan")}), now=now))
    manifest = read_manifest(uri)
    assert manifest is not None
    weights = StoredFile(uri=full_uri(place("weights.bin")), sha256=digest(tmp_path / "weights.bin"), size=4)
    assert (manifest.name, manifest.version, manifest.uri) == ("add", "1.0.0", full_uri(uri))
    assert (manifest.sha256, manifest.size, manifest.files) == (digest(path), path.stat().st_size, (weights,))
    assert (manifest.format, manifest.ir_version, manifest.opset, manifest.domains) == ("onnx", 8, 17, {"ai.onnx": 17})
    assert manifest.inputs == (Value(name="x", dtype="float32", shape=("batch", 1)),)
    assert manifest.metrics == {"auc": 0.5}
    assert manifest.provenance.published_at == "2026-11-29T13:00:00Z"
    assert manifest.provenance.source == "model.onnx"
    assert {"scalezero", "onnxruntime", "numpy"} <= set(manifest.provenance.packages)
    assert manifest.variants == (
        Variant(
            name="original",
            provider="CPUExecutionProvider",
            precision="float32",
            uri=manifest.uri,
            sha256=manifest.sha256,
            size=manifest.size,
            files=(weights,),
        ),
    )


def test_without_a_name_and_a_version_those_of_the_file_are_used(place: Place, tmp_path: Path) -> None:
    publish_model(model(tmp_path), place("add-v1.onnx"), Publication())
    manifest = read_manifest(place("add-v1.onnx"))
    assert manifest is not None
    assert manifest.title == "add-v1:1"


def test_the_name_and_the_version_in_an_archive_are_used(place: Place, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.mar", {"m.onnx": model(tmp_path).read_bytes()})
    publish_model(archive, place("a.mar"), Publication())
    manifest = read_manifest(place("a.mar"))
    assert manifest is not None
    assert (manifest.title, manifest.format, manifest.opset, manifest.files) == ("named:1.5", "archive", 17, ())


def test_publishing_again_changes_nothing(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path), place("a.onnx")
    assert publish_model(path, uri, NAMED).uploaded
    first = read_manifest(uri)
    assert not publish_model(path, uri, NAMED).uploaded
    assert not publish_model(path, uri, Publication()).uploaded
    assert read_manifest(uri) == first


@pytest.mark.parametrize("other", [Publication("sub", "1.0.0"), Publication("add", "2.0.0"), Publication(version="2")])
def test_the_same_model_under_another_name_is_refused(place: Place, tmp_path: Path, other: Publication) -> None:
    path, uri = model(tmp_path), place("a.onnx")
    publish_model(path, uri, NAMED)
    with pytest.raises(OtherManifest, match=r"already published as add:1\.0\.0, and not as"):
        publish_model(path, uri, other)


def test_another_model_is_refused_and_nothing_changes(place: Place, tmp_path: Path) -> None:
    uri = place("a.onnx")
    publish_model(model(tmp_path), uri, NAMED)
    before = read_manifest(uri)
    with pytest.raises(AlreadyPublished):
        publish_model(model(tmp_path, "b.onnx", value=2.0), uri, NAMED)
    assert read_manifest(uri) == before


def test_a_model_that_lost_its_artifact_can_only_get_the_same_one(place: Place, s3: S3Server, tmp_path: Path) -> None:
    uri = place("a.onnx")
    planned = plan_model(model(tmp_path), uri, NAMED)
    put_once(manifest_uri(uri), render(planned.manifest))
    with pytest.raises(AlreadyPublished):
        publish_model(model(tmp_path, "b.onnx", value=2.0), uri, NAMED)
    assert publish_model(tmp_path / "model.onnx", uri, NAMED).uploaded


def test_a_model_from_before_manifests_gets_one_at_the_next_publish(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path, external=True), place("a.onnx")
    publish(path, uri, metadata={})
    assert entries(place("")) == []
    assert not publish_model(path, uri, NAMED).uploaded
    assert [each.uri for each in entries(place(""))] == [full_uri(uri)]


def test_a_manifest_is_added_without_the_file(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path / "away", external=True), place("a.onnx")
    publish(path, uri, metadata={})
    expected = plan_model(path, uri, NAMED).manifest
    (tmp_path / "away").rename(tmp_path / "gone")
    assert complete_model(uri, NAMED)
    manifest = read_manifest(uri)
    assert manifest is not None
    assert (manifest.sha256, manifest.files, manifest.inputs) == (expected.sha256, expected.files, expected.inputs)
    assert manifest.provenance.source == uri
    assert not complete_model(uri, NAMED)


def test_a_model_that_does_not_exist_gets_no_manifest(place: Place) -> None:
    assert not complete_model(place("a.onnx"), NAMED)
    assert read_manifest(place("a.onnx")) is None


def test_a_version_of_an_object_gets_no_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert not complete_model("s3://registry/a.onnx?versionId=1", NAMED)


@only_s3
def test_an_object_without_a_digest_gets_no_manifest_and_is_not_pulled(
    place: Place, s3: S3Server, faulty: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put(place("a.onnx"), model(tmp_path).read_bytes())
    with faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint_url)
        assert not complete_model(place("a.onnx"), NAMED)
        assert [seen.headers.get("range") for seen in faulty.seen if seen.path.endswith("a.onnx")] == ["bytes=0-0"]
        assert read_manifest(place("a.onnx")) is None


@only_s3
def test_without_onnx_runtime_no_model_is_pulled(
    place: Place, faulty: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(model(tmp_path), place("a.onnx"), metadata={})
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "runtime.model.session")
    with faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint_url)
        with pytest.raises(ModuleNotFoundError):
            complete_model(place("a.onnx"), NAMED)
        assert [seen.headers.get("range") for seen in faulty.seen if seen.path.endswith("a.onnx")] == ["bytes=0-0"]


@only_s3
def test_an_archive_gets_a_manifest_without_the_file(place: Place, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.mar", {"m.onnx": model(tmp_path).read_bytes()})
    publish(path, place("a.mar"), metadata={})
    assert complete_model(place("a.mar"), NAMED)
    manifest = read_manifest(place("a.mar"))
    assert manifest is not None
    assert (manifest.format, manifest.sha256) == ("archive", digest(path))


@only_s3
def test_the_object_states_only_the_name_and_the_version_that_the_publisher_stated(
    place: Place, s3: S3Server, tmp_path: Path
) -> None:
    publish_model(model(tmp_path), place("a.onnx"), Publication("add", "1.0.0", {"mean_error": 0.25}))
    publish_model(model(tmp_path), place("b.onnx"), Publication())
    bucket, _, key = place("").removeprefix("s3://").partition("/")
    stated, silent = (s3.client().head_object(Bucket=bucket, Key=f"{key}{name}.onnx")["Metadata"] for name in "ab")
    assert stated == {
        "model": "add",
        "version": "1.0.0",
        "metric-mean-error": "0.25",
        "sha256": digest(tmp_path / "model.onnx"),
    }
    assert set(silent) == {"sha256"}


def race(publishers: list[Callable[[], object]]) -> list[Exception]:
    """Run all at the same time; return what they raised."""
    raised: list[Exception] = []
    ready = Barrier(len(publishers))

    def go(work: Callable[[], object]) -> None:
        ready.wait(DEADLINE)
        try:
            work()
        except (AlreadyPublished, OtherManifest) as error:
            raised.append(error)

    threads = [Thread(target=go, args=(work,)) for work in publishers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_of_two_publishers_of_different_models_one_wins_and_the_other_is_told(place: Place, tmp_path: Path) -> None:
    paths = [model(tmp_path, f"{value}.onnx", value=value) for value in (1.0, 2.0)]
    planned = [plan_model(path, place("a.onnx"), NAMED) for path in paths]  # neither sees the other
    raised = race([lambda each=each: publish_planned(each) for each in planned])  # type: ignore[misc]
    assert [type(error) for error in raised] == [AlreadyPublished]
    manifest = read_manifest(place("a.onnx"))
    assert manifest is not None
    assert raised[0].details["existing"] == manifest.sha256  # type: ignore[attr-defined]


def test_of_two_publishers_of_one_model_under_two_names_one_wins_and_the_other_is_told(
    place: Place, tmp_path: Path
) -> None:
    planned = [plan_model(model(tmp_path), place("a.onnx"), Publication(name, "1")) for name in ("one", "two")]
    raised = race([lambda each=each: publish_planned(each) for each in planned])  # type: ignore[misc]
    assert [type(error) for error in raised] == [OtherManifest]
    manifest = read_manifest(place("a.onnx"))
    assert manifest is not None
    assert raised[0].details["existing"] == manifest.title  # type: ignore[attr-defined]


@only_s3
def test_a_manifest_has_the_version_in_the_metadata_of_the_object(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path), place("a.onnx")
    publish(path, uri, metadata={"version": "2.0.0"})
    found = find(uri)
    assert found is not None
    assert found.version == "2.0.0"
    with pytest.raises(OtherManifest, match=r"already published as add:2\.0\.0, and not as add:1\.0\.0"):
        plan_model(path, uri, NAMED).check()
    with pytest.raises(OtherManifest):
        complete_model(uri, NAMED)
    assert read_manifest(uri) is None
    publish_model(path, uri, Publication("add"))
    manifest = read_manifest(uri)
    assert manifest is not None
    assert manifest.version == "2.0.0"


@only_s3
def test_a_publisher_of_another_version_that_was_faster_keeps_its_version(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path), place("a.onnx")
    planned = plan_model(path, uri, NAMED)
    publish(path, uri, metadata={"version": "2.0.0"})
    with pytest.raises(OtherManifest, match=r"already published as add:2\.0\.0, and not as add:1\.0\.0"):
        publish_planned(planned)
    assert read_manifest(uri) is None


@pytest.mark.parametrize("declared", [Publication("sub", "1.0.0"), Publication("add", "2.0.0")])
def test_a_manifest_of_another_name_or_version_than_declared_is_reported(
    place: Place, tmp_path: Path, declared: Publication
) -> None:
    publish_model(model(tmp_path), place("a.onnx"), NAMED)
    with pytest.raises(OtherManifest, match=r"already published as add:1\.0\.0"):
        complete_model(place("a.onnx"), declared)


@only_s3
def test_a_manifest_of_another_version_than_its_object_is_reported(place: Place, tmp_path: Path) -> None:
    uri = place("a.onnx")
    planned = plan_model(model(tmp_path), uri, NAMED)
    publish(tmp_path / "model.onnx", uri, metadata={"version": "2.0.0"})
    put_once(manifest_uri(uri), render(planned.manifest))
    with pytest.raises(OtherManifest, match=r"already published as add:2\.0\.0, and not as add:1\.0\.0"):
        complete_model(uri, NAMED)


@pytest.fixture
def faulty(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> FaultyS3:
    """Return a server in front of S3, which the publisher uses while the test has entered it."""
    server = FaultyS3(s3.endpoint_url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return server


@only_s3
@pytest.mark.parametrize("broken", ["weights.bin", "a.onnx"])
def test_a_publication_that_breaks_shows_no_model_and_the_next_one_finishes_it(
    place: Place, faulty: FaultyS3, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path, uri = model(tmp_path, external=True), place("a.onnx")
    with faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint_url)
        planned = plan_model(path, uri, NAMED)
        faulty.add(Fault(path=broken, status=500))
        with pytest.raises(ModelUnavailable):
            publish_planned(planned)
        assert entries(place("")) == []
        faulty.heal()
        assert publish_model(path, uri, NAMED).uploaded
        assert [each.uri for each in entries(place(""))] == [uri]


@only_s3
def test_a_large_upload_that_breaks_midway_shows_no_model(
    place: Place, faulty: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, uri = model(tmp_path, external=True), place("a.onnx")
    weights = tmp_path / "weights.bin"
    weights.write_bytes(weights.read_bytes() + bytes(20 * 2**20))  # boto3 uploads it in two parts
    with faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint_url)
        planned = plan_model(path, uri, NAMED)
        faulty.add(Fault(path="weights.bin", skip=2, status=500))  # after the first part
        with pytest.raises(ModelUnavailable):
            publish_planned(planned)
        faulty.heal()
        assert entries(place(""), every=True) == []


@only_s3
def test_a_manifest_that_cannot_be_written_is_an_error_and_the_next_publication_adds_it(
    place: Place, faulty: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = place("a.onnx")
    with faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint_url)
        planned = plan_model(model(tmp_path), uri, NAMED)
        faulty.add(Fault(path=".manifest.json", status=503))
        with pytest.raises(ModelUnavailable):
            publish_planned(planned)
        faulty.heal()
        assert read_manifest(uri) is None
        assert not publish_model(tmp_path / "model.onnx", uri, NAMED).uploaded
        assert read_manifest(uri) is not None


@only_s3
def test_the_manifest_is_written_last(
    place: Place, faulty: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint_url)
        publish_model(model(tmp_path, external=True), place("a.onnx"), NAMED)
        puts = [seen for seen in faulty.seen if seen.method == "PUT"]
    assert [seen.path.rpartition("/")[2] for seen in puts] == ["weights.bin", "a.onnx", "a.onnx.manifest.json"]
    assert all(seen.headers["if-none-match"] == "*" for seen in puts)


@only_s3
def test_a_manifest_whose_response_was_lost_is_accepted(place: Place, tmp_path: Path) -> None:
    uri = place("a.onnx")
    planned = plan_model(model(tmp_path), uri, NAMED)
    publish_planned(planned)
    assert publish_planned(planned).sha256 == planned.manifest.sha256  # its own manifest is there already


@pytest.mark.parametrize(
    ("name", "publication", "setting"),
    [
        ("a.onnx.manifest.json", Publication(), "URI"),
        ("a" * 1020, Publication(), "URI"),
        ("a.onnx", Publication("a/b"), "--name"),
        ("a.onnx", Publication(version="1 0"), "--version"),
        ("a.onnx?versionId=1", Publication(), "destination"),
    ],
)
@only_s3
def test_an_impossible_destination_is_refused_before_any_request(
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    publication: Publication,
    setting: str,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BadSetting, match=setting):
        publish_model(model(tmp_path), place(name), publication)


def test_a_folder_is_no_destination(place: Place, tmp_path: Path) -> None:
    put_once(place("folder/b"), b"1")
    uris = [place("folder/")] if place("").startswith("s3:") else [place("folder/"), place("folder"), place("new/")]
    for uri in uris:
        with pytest.raises(BadSetting, match="the path of a file, not of a folder"):
            publish_model(model(tmp_path), uri, NAMED)
    assert entries(place(""), every=True) == []


@only_s3
@pytest.mark.parametrize("deleted", ["a.onnx", "a.onnx.manifest.json"])
def test_an_object_that_is_deleted_during_the_publication_is_an_error(
    place: Place, faulty: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deleted: str
) -> None:
    """The upload finds an object, and the publisher does not find it afterwards."""
    with faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint_url)
        planned = plan_model(model(tmp_path), place("a.onnx"), NAMED)
        faulty.add(Fault(path=f"/{deleted}", times=1, status=412, code="PreconditionFailed"))
        with pytest.raises(ArtifactChanged, match=f"/{deleted}: it was deleted while it was published; publish again"):
            publish_planned(planned)
        assert entries(place("")) == []


def test_a_file_that_is_no_model_is_not_published(place: Place, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x80\x04pickle")
    with pytest.raises(InvalidModel, match="Python pickle"):
        publish_model(tmp_path / "m.onnx", place("a.onnx"), NAMED)
    assert entries(place(""), every=True) == []


def test_weights_with_nan_are_not_published(place: Place, tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="its weight 'w' contains NaN"):
        publish_model(model(tmp_path, value=float("nan"), external=True), place("a.onnx"), NAMED)
    assert entries(place(""), every=True) == []


@pytest.mark.parametrize(("opset", "domain"), [(99, ""), (1, "com.example.custom")])
def test_a_model_that_onnx_runtime_does_not_support_is_not_published(
    place: Place, tmp_path: Path, opset: int, domain: str
) -> None:
    path = model(tmp_path)
    loaded = onnx.load(path)
    del loaded.opset_import[:]
    loaded.opset_import.extend([onnx.helper.make_opsetid("", min(opset, 17) if domain else opset)])
    if domain:
        loaded.opset_import.append(onnx.helper.make_opsetid(domain, opset))
        loaded.graph.node[0].domain = domain
    onnx.save(loaded, path)
    with pytest.raises(InvalidModel):
        publish_model(path, place("a.onnx"), NAMED)
    assert entries(place(""), every=True) == []


def test_a_manifest_that_was_copied_from_another_artifact_is_refused(place: Place, tmp_path: Path) -> None:
    planned = plan_model(model(tmp_path), place("a.onnx"), NAMED)
    put_once(manifest_uri(place("b.onnx")), render(planned.manifest))
    with pytest.raises(InvalidManifest, match=r"b\.onnx\.manifest\.json.*uri: got .*a\.onnx; expected .*b\.onnx"):
        read_manifest(place("b.onnx"))


@pytest.mark.parametrize(
    "named",
    [
        "../other/b.onnx",
        "sub/../../other/b.onnx",
        "%2e%2e/other/b.onnx",
        "sub//b.bin",
        "sub/",
        "b.bin?versionId=1",
        "b.onnx.manifest.json",
        "other",
        "elsewhere",
    ],
)
def test_a_manifest_that_names_an_object_outside_of_its_folder_is_refused(
    place: Place, tmp_path: Path, named: str
) -> None:
    planned = plan_model(model(tmp_path), place("own/a.onnx"), NAMED)
    own = full_uri(place("own/a.onnx")).removesuffix("a.onnx")
    named = unquote(named) if own.startswith("s3:") else named  # an S3 key is not decoded
    uri = {"other": own[:-1] + "-2/b.bin", "elsewhere": "file:///etc/passwd"}.get(named, own + named)
    outside = StoredFile(uri=uri, sha256=SHA256, size=1)
    for changed in (
        replace(planned.manifest, files=(outside,)),
        replace(planned.manifest, variants=(replace(planned.manifest.variants[0], uri=uri),)),
    ):
        put_once(manifest_uri(place("own/a.onnx")), render(changed))
        with pytest.raises(InvalidManifest, match="expected an object in or below"):
            read_manifest(place("own/a.onnx"))
        delete(manifest_uri(place("own/a.onnx")))


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 5_000_000])
def test_a_manifest_that_is_none_is_an_error_with_its_uri(place: Place, s3: S3Server, body: bytes) -> None:
    uri = place("a.onnx")
    if uri.startswith("s3:"):
        s3.put(manifest_uri(uri), body)
    else:
        put_once(manifest_uri(uri), body)
    with pytest.raises(InvalidManifest, match=r"a\.onnx\.manifest\.json: this is not a manifest"):
        read_manifest(uri)
    assert [(each.uri, each.manifest) for each in entries(place(""))] == [(full_uri(uri), None)]


def test_a_model_in_a_folder_is_the_same_by_every_path_to_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    path = model(tmp_path, external=True)
    publish_model(path, f"{tmp_path}/link/../link/a.onnx", NAMED)
    for folder in ("real", "link", "real/../link"):
        manifest = read_manifest(f"{tmp_path}/{folder}/a.onnx")
        assert manifest is not None
        assert [each.uri for each in manifest.objects] == [
            f"file://{tmp_path}/real/{name}" for name in ("weights.bin", "a.onnx")
        ]
        assert not publish_model(path, f"{tmp_path}/{folder}/a.onnx", NAMED).uploaded


def test_external_data_through_a_link_to_another_folder_is_not_published(tmp_path: Path) -> None:
    for folder in ("registry", "outside", "sub"):
        (tmp_path / folder).mkdir()
    (tmp_path / "registry" / "sub").symlink_to(tmp_path / "outside")
    loaded = onnx.load(model(tmp_path / "sub", external=True), load_external_data=False)
    next(each for each in loaded.graph.initializer[0].external_data if each.key == "location").value = "sub/weights.bin"
    onnx.save(loaded, tmp_path / "a.onnx")
    with pytest.raises(BadSetting, match=r"outside/weights\.bin.*an object in or below the artifact's folder"):
        publish_model(tmp_path / "a.onnx", f"{tmp_path}/registry/a.onnx", NAMED)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_folder_without_write_permission_is_a_bad_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match="a path that this process can write to"):
        publish_model(model(tmp_path), str(tmp_path / "file" / "a.onnx"), NAMED)


@pytest.mark.parametrize(("name", "most"), [("a" * 1000 + ".onnx", 832), ("a" * 1020, 1010)])
def test_a_key_leaves_room_for_those_of_the_manifest_and_the_variants(tmp_path: Path, name: str, most: int) -> None:
    with pytest.raises(BadSetting, match=f"a key of at most {most} bytes"):
        plan_model(model(tmp_path), f"s3://registry/{name}", NAMED)


def test_what_a_completion_does_not_do_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, lines = f"{tmp_path}/registry/a.onnx", list[str]()
    publish(model(tmp_path), uri, metadata={})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert complete_model(uri, NAMED, lines.append)
    assert lines[0].startswith("no prepared form was made: ")
