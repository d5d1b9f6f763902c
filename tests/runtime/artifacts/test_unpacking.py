"""Tests that the model in an archive is unpacked into the cache once, and verified at each use, within its limits."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from runtime.artifacts.cache import Cache
from runtime.artifacts.fetch import Artifact, check, fetch
from runtime.errors import (
    ArtifactMissing,
    ArtifactTooLarge,
    BadSetting,
    DigestMismatch,
    DiskFull,
    InvalidModel,
    StoreStalled,
)
from tests import models
from tests.archives import manifest, tarred, unpacked, zipped
from tests.runtime.artifacts.conftest import KIB, SHORT_TIMEOUTS, Bench

HANDLER = b"raise SystemExit('executed')"


def files(folder: Path) -> dict[str, bytes]:
    """Return a model, and a handler that must never run."""
    return {"m.onnx": models.doubling(folder / "made.onnx").read_bytes(), "handler.py": HANDLER}


def with_weights(folder: Path) -> dict[str, bytes]:
    """Return a model with external data."""
    model = onnx.load(models.scaled(folder / "plain.onnx"))
    weight = onnx.numpy_helper.from_array(np.arange(4096, dtype=np.float32), "w")
    model.graph.initializer.append(weight)
    onnx.save_model(
        model,
        folder / "m.onnx",
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
        convert_attribute=False,
    )
    return {name: (folder / name).read_bytes() for name in ("m.onnx", "w.bin")}


def opens(artifact: Artifact) -> bool:
    return bool(onnxruntime.InferenceSession(artifact.path, providers=["CPUExecutionProvider"]).get_inputs())


@pytest.fixture
def local(tmp_path: Path) -> Callable[[Path], Artifact]:
    """Return a function that fetches a local file."""
    return lambda path: fetch(str(path), cache_dir=tmp_path / "cache", policy=SHORT_TIMEOUTS)


@pytest.mark.parametrize(
    ("make", "name"), [(zipped, "a.mar"), (tarred, "a.tar.gz"), (tarred, "A.MAR"), (tarred, "a.tgz")]
)
def test_a_local_archive_is_unpacked_once(
    make: Callable[..., Path], name: str, tmp_path: Path, local: Callable[[Path], Artifact]
) -> None:
    path = make(tmp_path / name, files(tmp_path))
    first, second = local(path), local(path)
    assert opens(first)
    assert first.path == second.path
    assert (first.from_cache, second.from_cache) == (False, True)
    assert first.sha256 == sha256(path.read_bytes()).hexdigest()
    assert first.metadata == {"model_name": "named", "version": "1.5"}
    assert first.size == first.path.stat().st_size
    assert [each.name for each in tmp_path.rglob("handler.py")] == []


def test_a_folder_with_an_archives_contents_is_used_in_place(tmp_path: Path, local: Callable[[Path], Artifact]) -> None:
    folder = unpacked(tmp_path / "named", files(tmp_path))
    artifact = local(folder)
    assert artifact.path == folder / "m.onnx"
    assert artifact.metadata["version"] == "1.5"
    assert not (tmp_path / "cache").exists()


def test_an_archive_from_s3_is_unpacked_and_then_served_from_the_cache(bench: Bench, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.mar", files(tmp_path))
    stored = bench.put(path.read_bytes(), name="a.mar", metadata={"version": "9"})
    first, second = bench.fetch(stored.uri), bench.fetch(stored.uri)
    assert opens(first)
    assert (first.path, first.sha256) == (second.path, stored.sha256)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert first.metadata["version"] == "9"  # the object's metadata takes precedence over the manifest
    assert [seen.status for seen in bench.faulty.seen] == [206, 304]
    assert bench.leftovers() == []


def test_a_replaced_archive_is_unpacked_again(bench: Bench, tmp_path: Path) -> None:
    stored = bench.put(zipped(tmp_path / "a.mar", {"m.onnx": b"old"}).read_bytes(), name="a.mar")
    assert bench.fetch(stored.uri).path.read_bytes() == b"old"
    bench.overwrite(stored, zipped(tmp_path / "b.mar", {"m.onnx": b"new"}).read_bytes())
    assert bench.fetch(stored.uri).path.read_bytes() == b"new"


def test_a_damaged_model_in_the_cache_is_unpacked_again(tmp_path: Path) -> None:
    path, cache = zipped(tmp_path / "a.mar", {"m.onnx": b"model"}), tmp_path / "cache"
    digest = sha256(b"model").hexdigest()
    (cache / "blobs").mkdir(parents=True, mode=0o700)
    cache.chmod(0o700)
    found = fetch(str(path), cache_dir=cache)
    assert found.path.stem == digest
    found.path.write_bytes(b"other")
    assert fetch(str(path), cache_dir=cache).path.read_bytes() == b"model"


@pytest.mark.parametrize("make", [zipped, tarred])
def test_external_data_in_an_archive_is_unpacked_with_the_model(
    make: Callable[..., Path], tmp_path: Path, local: Callable[[Path], Artifact]
) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    within = {f"sub/{name}": content for name, content in with_weights(folder).items()}
    path = make(tmp_path / "a.mar", within)
    artifact = local(path)
    assert opens(artifact)
    assert artifact.path.name == "m.onnx"
    assert local(path).from_cache


def test_external_data_that_is_not_in_the_archive_is_an_error(
    tmp_path: Path, local: Callable[[Path], Artifact]
) -> None:
    found = with_weights(tmp_path)
    with pytest.raises(ArtifactMissing, match=r"external data 'w\.bin' is not in the archive"):
        local(zipped(tmp_path / "a.mar", {"m.onnx": found["m.onnx"]}))


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "m.onnx"])
def test_external_data_outside_the_archive_is_refused(
    location: str, tmp_path: Path, local: Callable[[Path], Artifact]
) -> None:
    found = with_weights(tmp_path)
    model = onnx.load_model_from_string(found["m.onnx"])
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    content = {location: b"x", "w.bin": b"x", "m.onnx": model.SerializeToString()}
    with pytest.raises(InvalidModel, match="external data"):
        local(zipped(tmp_path / "a.mar", content))


@pytest.mark.parametrize("name", ["../../evil.onnx", "/root/evil.onnx", "a/../../../evil.onnx"])
def test_a_name_in_an_archive_is_not_used_as_a_local_path(
    name: str, tmp_path: Path, local: Callable[[Path], Artifact]
) -> None:
    path = zipped(tmp_path / "a.mar", {name: b"model"}, manifest_text=manifest(file=name))
    assert local(path).path.parent == tmp_path / "cache" / "blobs"
    assert [each.name for each in tmp_path.parent.rglob("evil.onnx")] == []


def test_the_size_limit_applies_to_the_unpacked_files(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.mar", {"m.onnx": b"\1" * 300 * KIB})
    policy = replace(SHORT_TIMEOUTS, max_bytes=299 * KIB)
    with pytest.raises(ArtifactTooLarge, match="SCALEZERO_MAX_ARTIFACT_BYTES"):
        fetch(str(path), cache_dir=tmp_path / "cache", policy=policy)


def test_a_full_disk_is_an_error_before_the_first_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Cache, size: int, uri: str) -> None:
        raise DiskFull(uri, f"no room for {size} bytes")

    monkeypatch.setattr(Cache, "check_free_space", refuse)
    with pytest.raises(DiskFull, match="no room for 5 bytes"):
        fetch(str(zipped(tmp_path / "a.mar", {"m.onnx": b"model"})), cache_dir=tmp_path / "cache")


def test_the_wait_for_another_process_ends_with_the_deadline(tmp_path: Path, local: Callable[[Path], Artifact]) -> None:
    from runtime.artifacts.cache import cache_key

    path = zipped(tmp_path / "a.mar", {"m.onnx": b"model"})
    local(path)
    with Cache(tmp_path / "cache").lock(cache_key("archive", f"{path}!0"), timeout=1), pytest.raises(StoreStalled):
        fetch(str(path), cache_dir=tmp_path / "cache", policy=replace(SHORT_TIMEOUTS, deadline=0.1))


def test_the_expected_digest_is_that_of_the_archive(tmp_path: Path) -> None:
    path, cache = zipped(tmp_path / "a.mar", {"m.onnx": b"model"}), tmp_path / "cache"
    digest = sha256(path.read_bytes()).hexdigest()
    assert fetch(str(path), cache_dir=cache, sha256=digest).path.read_bytes() == b"model"
    with pytest.raises(DigestMismatch):
        fetch(str(path), cache_dir=cache, sha256="0" * 64)


def test_a_missing_archive_and_a_folder_are_errors(tmp_path: Path, local: Callable[[Path], Artifact]) -> None:
    with pytest.raises(ArtifactMissing, match="no such file"):
        local(tmp_path / "a.mar")
    (tmp_path / "b.mar").mkdir()
    with pytest.raises(ArtifactMissing, match="a folder; expected a file"):
        local(tmp_path / "b.mar")


def test_the_check_of_an_archive_includes_the_cache_folder(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.mar", {"m.onnx": b"model"})
    check(str(path), cache_dir=tmp_path / "cache")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadSetting, match="SCALEZERO_CACHE_DIR"):
        check(str(path), cache_dir=tmp_path / "file" / "cache")
