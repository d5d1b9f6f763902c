"""A published version is immutable, and its digest is recorded, on a real S3 and in a folder."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Barrier, Thread

import pytest

from runtime.errors import ArtifactMissing, BadSetting, InvalidModel, StoreUnreachable
from runtime.registry import AlreadyPublished, Published, find, publish
from tests.archives import zipped
from tests.runtime.artifacts.test_external import save
from tests.runtime.conftest import Place
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.runtime.registry.model_files import digest, model
from tests.s3_server import S3Server
from tests.waiting import DEADLINE


def test_a_published_model_is_found_with_its_digest(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path), place("a.onnx")
    assert find(uri) is None
    assert publish(path, uri, metadata={}) == Published(uri=uri, sha256=digest(path), uploaded=True)
    assert find(uri) == Published(uri=uri, sha256=digest(path))


def test_an_archive_is_published_unchanged(place: Place, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.mar", {"m.onnx": b"its key location is no external data"})
    assert publish(path, place("a.mar"), metadata={}).sha256 == digest(path)


def test_the_same_bytes_are_not_sent_again(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path), place("a.onnx")
    publish(path, uri, metadata={})
    assert publish(path, uri, metadata={}).uploaded is False


def test_different_bytes_are_rejected_and_change_nothing(place: Place, tmp_path: Path) -> None:
    path, other, uri = model(tmp_path), model(tmp_path, "other.onnx", value=2.0), place("a.onnx")
    publish(path, uri, metadata={})
    with pytest.raises(AlreadyPublished) as caught:
        publish(other, uri, metadata={})
    assert caught.value.details == {"uri": uri, "existing": digest(path), "offered": digest(other)}
    assert str(caught.value).endswith("immutable: publish under a new version")
    assert find(uri) == Published(uri=uri, sha256=digest(path))


def test_overwrite_replaces_the_model(place: Place, tmp_path: Path) -> None:
    path, other, uri = model(tmp_path), model(tmp_path, "other.onnx", value=2.0), place("a.onnx")
    publish(path, uri, metadata={})
    assert publish(other, uri, metadata={}, overwrite=True).uploaded is True
    assert find(uri) == Published(uri=uri, sha256=digest(other))


def test_different_external_weights_of_the_same_graph_are_rejected(place: Place, tmp_path: Path) -> None:
    first = model(tmp_path / "one", external=True)
    other = model(tmp_path / "two", external=True, value=2.0)
    assert digest(first) == digest(other)
    publish(first, place("a.onnx"), metadata={})
    assert publish(first, place("a.onnx"), metadata={}).uploaded is False
    with pytest.raises(AlreadyPublished, match=r"weights\.bin: a different file is already published"):
        publish(other, place("a.onnx"), metadata={})


def test_of_several_concurrent_publishers_one_succeeds_and_the_others_get_an_error(
    place: Place, tmp_path: Path
) -> None:
    offered = [model(tmp_path / str(number), value=number) for number in range(3)]
    for attempt in range(3):
        rejected = race(offered, place(f"{attempt}.onnx"))
        assert len(rejected) == len(offered) - 1
        winner = next(iter(set(offered) - rejected))
        assert find(place(f"{attempt}.onnx")) == Published(uri=place(f"{attempt}.onnx"), sha256=digest(winner))


def race(offered: list[Path], uri: str) -> set[Path]:
    """Publish all at the same time under one URI; return the rejected ones."""
    rejected: set[Path] = set()
    ready = Barrier(len(offered))

    def go(path: Path) -> None:
        ready.wait(DEADLINE)
        try:
            publish(path, uri, metadata={})
        except AlreadyPublished:
            rejected.add(path)

    threads = [Thread(target=go, args=(path,)) for path in offered]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return rejected


@pytest.fixture
def overtaken(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], str]]:
    """Return a function for a URI where a file appears between a publisher's check and its upload."""
    with FaultyS3(s3.endpoint_url) as faulty:
        for name, value in (s3.environment() | {"AWS_ENDPOINT_URL": faulty.endpoint_url}).items():
            monkeypatch.setenv(name, value)

        def overtake(path: Path) -> str:
            uri = f"s3://registry/{tmp_path.name}/{path.parent.name}/raced.onnx"
            quicker = partial(s3.put, uri, path.read_bytes(), {"sha256": digest(path)})
            faulty.add(Fault(path="raced.onnx", skip=1, times=1, before=quicker))
            return uri

        yield overtake


def test_a_publisher_that_checked_first_and_uploads_last_changes_nothing(
    tmp_path: Path, overtaken: Callable[[Path], str]
) -> None:
    quicker, slower = model(tmp_path), model(tmp_path, "other.onnx", value=2.0)
    uri = overtaken(quicker)
    with pytest.raises(AlreadyPublished) as caught:
        publish(slower, uri, metadata={})
    assert caught.value.details == {"uri": uri, "existing": digest(quicker), "offered": digest(slower)}
    assert find(uri) == Published(uri=uri, sha256=digest(quicker))


def test_a_publisher_that_finds_its_own_bytes_succeeds(tmp_path: Path, overtaken: Callable[[Path], str]) -> None:
    """This includes a publisher whose upload succeeded and whose response was lost: its retry finds its own bytes."""
    path = model(tmp_path)
    uri = overtaken(path)
    assert publish(path, uri, metadata={}).sha256 == digest(path)


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_a_version_or_metadata_that_s3_does_not_accept_is_rejected_before_any_request(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BadSetting, match="destination"):
        publish(model(tmp_path), place("a.onnx?versionId=1"), metadata={})
    with pytest.raises(BadSetting, match="metadata"):
        publish(model(tmp_path), place("a.onnx"), metadata={"größe": "1"})


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_the_external_data_is_uploaded_first_and_each_object_has_its_digest(
    place: Place, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model(tmp_path, external=True)
    with FaultyS3(s3.endpoint_url) as faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint_url)
        publish(path, place("a.onnx"), metadata={})
        puts = [seen.path.rpartition("/")[2] for seen in faulty.seen if seen.method == "PUT"]
        weights = find(place("weights.bin"))
    assert puts == ["weights.bin", "a.onnx"]
    assert weights == Published(uri=place("weights.bin"), sha256=digest(tmp_path / "weights.bin"))


def test_an_interrupted_publication_is_finished_by_the_next(place: Place, tmp_path: Path) -> None:
    path = model(tmp_path, external=True)
    publish(tmp_path / "weights.bin", place("weights.bin"), metadata={})
    assert publish(path, place("a.onnx"), metadata={}).uploaded
    assert find(place("a.onnx")) == Published(uri=place("a.onnx"), sha256=digest(path))


def test_a_folder_without_write_permission_is_a_bad_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match=r"destination=.*a path that this process can write to"):
        publish(model(tmp_path), str(tmp_path / "file" / "a.onnx"), metadata={})


def test_external_data_outside_of_the_model_folder_is_not_published(place: Place, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(save("../w.bin"))
    with pytest.raises(InvalidModel):
        publish(tmp_path / "m.onnx", place("a.onnx"), metadata={})


def test_a_missing_file_is_an_error(place: Place, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match=r"nothing to publish: no such file: .*none\.onnx"):
        publish(tmp_path / "none.onnx", place("a.onnx"), metadata={})


def test_a_uri_with_an_unknown_scheme_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="s3://bucket/key"):
        publish(model(tmp_path), "ftp://models/a.onnx", metadata={})


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_the_object_has_the_metadata_of_the_model(place: Place, s3: S3Server, tmp_path: Path) -> None:
    path, uri = model(tmp_path), place("a.onnx")
    publish(path, uri, metadata={"model": "add", "version": "1.0.0"})
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    recorded = s3.client().head_object(Bucket=bucket, Key=key)["Metadata"]
    assert recorded == {"model": "add", "version": "1.0.0", "sha256": digest(path)}


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_an_object_without_a_digest_counts_as_different(place: Place, s3: S3Server, tmp_path: Path) -> None:
    path, uri = model(tmp_path), place("a.onnx")
    s3.put(uri, path.read_bytes())
    assert find(uri) == Published(uri=uri, sha256=None)
    with pytest.raises(AlreadyPublished, match="no recorded SHA-256"):
        publish(path, uri, metadata={})


def test_a_registry_that_does_not_answer_does_not_count_as_empty(monkeypatch: pytest.MonkeyPatch, s3: S3Server) -> None:
    for name, value in (s3.environment() | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreUnreachable):
        find("s3://registry/a.onnx")


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_credentials_can_be_read_from_a_profile(
    place: Place, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = f"aws_access_key_id = {s3.access_key}\naws_secret_access_key = {s3.secret_key}\n"
    (tmp_path / "credentials").write_text(f"[publisher]\n{keys}")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "publisher")
    assert publish(model(tmp_path), place("a.onnx"), metadata={}).uploaded is True
    assert find(place("a.onnx")) is not None


@pytest.mark.parametrize("place", ["path"], indirect=True)
def test_a_copy_leaves_no_partial_file(place: Place, tmp_path: Path) -> None:
    publish(model(tmp_path), place("a.onnx"), metadata={})
    assert [each.name for each in Path(place("")).iterdir()] == ["a.onnx"]
