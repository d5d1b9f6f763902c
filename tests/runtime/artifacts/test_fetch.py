"""Tests of `fetch` with a real S3 that works, and with local files."""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from runtime.artifacts.cache import hash_file
from runtime.artifacts.fetch import Artifact, check, fetch
from runtime.errors import ArtifactMissing, BadSetting, DigestMismatch, InvalidModel, StoreUnreachable
from tests.runtime.artifacts.conftest import BUCKET, KIB, PATIENT, SHORT_TIMEOUTS, Bench
from tests.runtime.faulty_s3 import Fault
from tests.runtime.published_model import times, with_external_data

Bytes = Callable[[int], bytes]


def test_a_small_object_takes_one_request(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(
        random_bytes(50 * KIB), metadata={"sha256": sha256(random_bytes(50 * KIB)).hexdigest(), "Version": "1.0.0"}
    )
    artifact = bench.fetch(stored.uri)
    assert [(seen.method, seen.status) for seen in bench.faulty.seen] == [("GET", 206)]
    assert artifact.path.read_bytes() == stored.body
    assert (artifact.sha256, artifact.size, artifact.from_cache) == (stored.sha256, len(stored.body), False)
    assert artifact.metadata == {"sha256": stored.sha256, "version": "1.0.0"}
    assert artifact.etag
    assert artifact.path.suffix == ".onnx"


@pytest.mark.parametrize("size", [1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 300 * KIB])
def test_every_part_is_pinned_to_the_first_etag_and_written_at_its_offset(
    bench: Bench, random_bytes: Bytes, size: int
) -> None:
    stored = bench.put(random_bytes(size))
    artifact = bench.fetch(stored.uri)
    assert artifact.path.read_bytes() == stored.body
    first, *rest = sorted(
        bench.faulty.seen, key=lambda seen: int(seen.headers["range"].removeprefix("bytes=").split("-")[0])
    )
    assert "if-match" not in first.headers
    assert [seen.headers["if-match"] for seen in rest] == [artifact.etag] * (-(-size // (64 * KIB)) - 1)
    assert sum(seen.sent for seen in bench.faulty.seen) == size


def test_a_known_digest_in_the_cache_needs_no_request(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(KIB))
    bench.fetch(stored.uri)
    requests = len(bench.faulty.seen)
    again = bench.fetch(stored.uri, sha256=f"sha256:{stored.sha256.upper()}")
    assert (again.from_cache, again.path.read_bytes(), len(bench.faulty.seen)) == (True, stored.body, requests)
    assert again.metadata == {"sha256": stored.sha256}


def test_an_unchanged_object_takes_one_conditional_request_and_no_pull(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(KIB))
    bench.fetch(stored.uri)
    assert bench.fetch(stored.uri).from_cache
    assert [seen.status for seen in bench.faulty.seen] == [206, 304]


def test_a_replaced_object_is_pulled_again(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(KIB))
    old = bench.fetch(stored.uri)
    bench.overwrite(stored, b"new")
    new = bench.fetch(stored.uri)
    assert (new.path.read_bytes(), new.from_cache) == (b"new", False)
    assert old.path.read_bytes() == stored.body
    assert [seen.status for seen in bench.faulty.seen] == [206, 206]


def test_a_cached_object_is_served_while_the_store_is_unreachable(
    bench: Bench, random_bytes: Bytes, caplog: pytest.LogCaptureFixture
) -> None:
    stored = bench.put(random_bytes(KIB))
    bench.fetch(stored.uri)
    bench.faulty.add(Fault(status=503, code="SlowDown"))
    with caplog.at_level(logging.WARNING):
        artifact = bench.fetch(stored.uri)
    assert (artifact.from_cache, artifact.path.read_bytes()) == (True, stored.body)
    assert "the store is unavailable; serving the cached object" in caplog.text


def test_a_cached_object_with_another_digest_is_not_served(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(KIB))
    bench.fetch(stored.uri)
    bench.faulty.add(Fault(status=503))
    with pytest.raises(StoreUnreachable):
        bench.fetch(stored.uri, sha256="0" * 64)


def test_a_damaged_cache_entry_is_pulled_again(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(KIB))
    first = bench.fetch(stored.uri)
    first.path.write_bytes(stored.body[:-1])
    again = bench.fetch(stored.uri, sha256=stored.sha256)
    assert (again.path.read_bytes(), again.from_cache) == (stored.body, False)


def test_threads_that_fetch_the_same_object_share_one_download(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(60 * KIB))
    bench.faulty.add(Fault(bytes_per_second=300 * KIB))
    found: list[Artifact] = []
    threads = [threading.Thread(target=lambda: found.append(bench.fetch(stored.uri, policy=PATIENT))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.faulty.downloads(stored.path)) == 1
    assert [artifact.path.read_bytes() for artifact in found] == [stored.body] * 6
    assert sorted(artifact.from_cache for artifact in found) == [False] + [True] * 5


def test_the_same_uri_at_another_endpoint_is_another_object(
    bench: Bench, random_bytes: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = bench.put(random_bytes(KIB))
    bench.fetch(stored.uri)
    monkeypatch.setenv("AWS_ENDPOINT_URL", bench.s3.endpoint_url)
    assert not bench.fetch(stored.uri).from_cache


@pytest.mark.parametrize("name", ["with space.onnx", "größe+1%20.onnx", "a=b&c?d#e.onnx", "no-suffix", "deep/er/m.ort"])
def test_any_key_that_s3_accepts_can_be_fetched(bench: Bench, name: str) -> None:
    stored = bench.put(b"content", name=name)
    assert bench.fetch(stored.uri).path.read_bytes() == b"content"


def test_a_version_can_be_fetched_after_a_newer_one_was_uploaded(bench: Bench) -> None:
    bench.s3.make_bucket("versioned")
    bench.client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    old = bench.client.put_object(Bucket="versioned", Key="m.onnx", Body=b"old")["VersionId"]
    bench.client.put_object(Bucket="versioned", Key="m.onnx", Body=b"new")
    pinned = bench.fetch(f"s3://versioned/m.onnx?versionId={old}")
    assert (pinned.path.read_bytes(), pinned.version_id) == (b"old", old)
    assert bench.fetch("s3://versioned/m.onnx").path.read_bytes() == b"new"


def test_the_digest_of_the_caller_takes_precedence_over_the_metadata(bench: Bench) -> None:
    stored = bench.put(b"content", metadata={"sha256": "0" * 64})
    assert bench.fetch(stored.uri, sha256=stored.sha256).sha256 == stored.sha256


def test_the_times_of_a_fetch_add_up_to_its_duration(bench: Bench, random_bytes: Bytes) -> None:
    for _ in range(10):  # this thread may wait for a CPU outside of the measured times
        stored = bench.put(random_bytes(300 * KIB))
        began = time.perf_counter()
        artifact = bench.fetch(stored.uri)
        duration = time.perf_counter() - began
        assert artifact.verify_seconds > 0
        assert artifact.pull_seconds + artifact.verify_seconds <= duration
        if artifact.pull_seconds + artifact.verify_seconds > duration / 2:
            return
    pytest.fail("most of the duration was in none of the times")


def test_a_local_file_is_used_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "a model.onnx"
    model.write_bytes(b"content")
    monkeypatch.chdir(tmp_path)
    for uri in (
        str(model),
        f"file://{tmp_path}/a%20model.onnx",
        f"file://localhost{tmp_path}/a%20model.onnx",
        "a model.onnx",
    ):
        artifact = fetch(uri, cache_dir=tmp_path / "unused")
        assert (artifact.path, artifact.size, artifact.sha256) == (model, 7, None)
    assert not (tmp_path / "unused").exists()


def test_a_local_file_is_compared_with_the_expected_digest(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"content")
    digest = sha256(b"content").hexdigest()
    assert fetch(str(model), cache_dir=tmp_path, sha256=digest).sha256 == digest
    with pytest.raises(DigestMismatch, match=digest):
        fetch(str(model), cache_dir=tmp_path, sha256="0" * 64)


def test_a_local_path_that_is_not_a_model_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    for name, error in (("none.onnx", ArtifactMissing), (".", ArtifactMissing), ("empty.onnx", InvalidModel)):
        with pytest.raises(error):
            fetch(str(tmp_path / name), cache_dir=tmp_path)


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "0" * 63])
def test_an_invalid_digest_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(BadSetting, match="64 hexadecimal digits"):
        fetch("s3://bucket/key", cache_dir=tmp_path, sha256=digest)


def test_a_cache_folder_that_cannot_be_created_is_a_bad_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "cache", tmp_path / "file", Path("/proc/1/x"), tmp_path / ("long" * 100)):
        with pytest.raises(BadSetting, match=r"SCALEZERO_CACHE_DIR=.*: expected a folder") as raised:
            check("s3://bucket/key", cache_dir=folder)
        assert raised.value.details["value"] == str(folder)


def test_a_fetch_writes_the_path_of_an_invalid_cache_folder_to_the_log_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Clients of the model get this error, and must not see local paths."""
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match=r"^SCALEZERO_CACHE_DIR: expected a folder") as raised:
        fetch("s3://bucket/key", cache_dir=tmp_path / "file")
    assert str(tmp_path) not in f"{raised.value}{raised.value.details}"
    assert [record.__dict__["value"] for record in caplog.records] == [str(tmp_path / "file")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "localhost:9000"),
        ("AWS_ENDPOINT_URL_S3", "s3.example"),
        ("AWS_CA_BUNDLE", "/no/such/ca.pem"),
        ("SCALEZERO_CACHE_DIR", "/proc/1/x"),
        ("model URI", "s3://m"),
        ("sha256", "abc"),
    ],
)
def test_the_check_names_the_setting_that_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    given = {"model URI": "s3://bucket/key", "SCALEZERO_CACHE_DIR": str(tmp_path), "sha256": "0" * 64} | {name: value}
    for variable in {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"} & {name}:
        monkeypatch.setenv(variable, value)
    with pytest.raises(BadSetting, match=f"{name}='{value}': expected "):
        check(given["model URI"], cache_dir=Path(given["SCALEZERO_CACHE_DIR"]), sha256=given["sha256"])


def test_the_check_sends_no_request_and_takes_less_than_10_ms_of_the_cpu(bench: Bench) -> None:
    def seconds() -> float:
        began = time.thread_time()
        check(f"s3://{BUCKET}/none.onnx", cache_dir=bench.cache_dir)
        return time.thread_time() - began

    assert min(seconds() for _ in range(5)) < 0.01
    assert bench.faulty.seen == []
    check("/no/such/model.onnx", cache_dir=bench.cache_dir / "unused")
    assert not (bench.cache_dir / "unused").exists()


def test_an_invalid_policy_is_refused() -> None:
    invalid: tuple[dict[str, Any], ...] = (
        {"part_bytes": 0},
        {"concurrency": 0},
        {"deadline": float("nan")},
        {"progress_timeout": 0},
    )
    for field in invalid:
        with pytest.raises(BadSetting, match=next(iter(field))):
            replace(SHORT_TIMEOUTS, **field)


@pytest.fixture(params=["s3", "local"])
def with_data(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> tuple[str, Path]:
    """A model with external data in `m.onnx.data`, and a file `m.bin` that it does not name: its URI and its folder."""
    folder = tmp_path / "model"
    folder.mkdir()
    path = with_external_data(times(folder / "m.onnx", 2))
    (folder / "m.bin").write_bytes(b"compiled")
    if request.param == "local":
        return str(path), folder
    prefix = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    for each in folder.iterdir():
        bench.s3.put(f"{prefix}/{each.name}", each.read_bytes())
    return f"{prefix}/m.onnx", folder


def fetch_with(bench: Bench, uri: str, external: Mapping[str, str]) -> Artifact:
    return fetch(uri, cache_dir=bench.cache_dir, external=external, policy=PATIENT)


def test_external_data_must_have_its_expected_digest(bench: Bench, with_data: tuple[str, Path]) -> None:
    uri, folder = with_data
    digest = hash_file(folder / "m.onnx.data")
    artifact = fetch_with(bench, uri, {"m.onnx.data": digest})
    assert hash_file(artifact.path.with_name("m.onnx.data")) == digest
    with pytest.raises(DigestMismatch, match=r"m\.onnx\.data: its SHA-256 is .*; expected 0000"):
        fetch_with(bench, uri, {"m.onnx.data": "0" * 64})


def test_a_file_with_an_expected_digest_is_fetched_although_no_tensor_names_it(
    bench: Bench, with_data: tuple[str, Path]
) -> None:
    uri, folder = with_data
    artifact = fetch_with(bench, uri, {"m.bin": hash_file(folder / "m.bin")})
    assert artifact.path.with_name("m.bin").read_bytes() == b"compiled"
    assert artifact.path.with_name("m.onnx.data").is_file()
    with pytest.raises(ArtifactMissing):
        fetch_with(bench, uri, {"gone.bin": "0" * 64})


def test_an_expected_file_outside_of_the_folder_is_refused(bench: Bench, with_data: tuple[str, Path]) -> None:
    with pytest.raises(InvalidModel, match="expected a relative path inside the model's folder"):
        fetch_with(bench, with_data[0], {"../m.bin": "0" * 64})


def test_cached_external_data_with_a_known_digest_needs_no_request(bench: Bench) -> None:
    folder = bench.cache_dir.parent
    path = with_external_data(times(folder / "m.onnx", 2))
    data = folder / "m.onnx.data"
    prefix = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    for each in (path, data):
        bench.s3.put(f"{prefix}/{each.name}", each.read_bytes())
    for _ in range(2):
        fetch(
            f"{prefix}/m.onnx",
            cache_dir=bench.cache_dir,
            sha256=hash_file(path),
            external={data.name: hash_file(data)},
            policy=PATIENT,
        )
    assert len(bench.faulty.seen) == 2
