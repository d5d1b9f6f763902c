"""`fetch` against a real S3 that works, and files of this machine."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from runtime.artifacts.fetch import Artifact, check, fetch
from runtime.errors import ArtifactMissing, BadSetting, DigestMismatch, InvalidModel, StoreUnreachable
from tests.runtime.artifacts.conftest import BUCKET, IMPATIENT, KIB, Bench
from tests.runtime.faulty_s3 import Fault

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
def test_every_part_is_pinned_to_the_first_etag_and_lands_at_its_place(
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
    asked = len(bench.faulty.seen)
    again = bench.fetch(stored.uri, sha256=f"sha256:{stored.sha256.upper()}")
    assert (again.from_cache, again.path.read_bytes(), len(bench.faulty.seen)) == (True, stored.body, asked)
    assert again.metadata == {"sha256": stored.sha256}


def test_an_unchanged_object_is_asked_about_and_not_pulled_again(bench: Bench, random_bytes: Bytes) -> None:
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


def test_an_unreachable_store_still_serves_what_is_cached(
    bench: Bench, random_bytes: Bytes, caplog: pytest.LogCaptureFixture
) -> None:
    stored = bench.put(random_bytes(KIB))
    bench.fetch(stored.uri)
    bench.faulty.add(Fault(status=503, code="SlowDown"))
    with caplog.at_level(logging.WARNING):
        artifact = bench.fetch(stored.uri)
    assert (artifact.from_cache, artifact.path.read_bytes()) == (True, stored.body)
    assert "without a check of the store" in caplog.text


def test_a_cached_copy_of_another_digest_does_not_stand_in(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(KIB))
    bench.fetch(stored.uri)
    bench.faulty.add(Fault(status=503))
    with pytest.raises(StoreUnreachable):
        bench.fetch(stored.uri, sha256="0" * 64)


def test_a_spoilt_cache_entry_is_never_served(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(KIB))
    first = bench.fetch(stored.uri)
    first.path.write_bytes(stored.body[:-1])
    again = bench.fetch(stored.uri, sha256=stored.sha256)
    assert (again.path.read_bytes(), again.from_cache) == (stored.body, False)


def test_threads_that_want_the_same_share_one_download(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(60 * KIB))
    bench.faulty.add(Fault(bytes_per_second=300 * KIB))
    found: list[Artifact] = []
    threads = [threading.Thread(target=lambda: found.append(bench.fetch(stored.uri))) for _ in range(6)]
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
def test_any_key_that_s3_takes_is_read(bench: Bench, name: str) -> None:
    stored = bench.put(b"content", name=name)
    assert bench.fetch(stored.uri).path.read_bytes() == b"content"


def test_a_version_is_read_although_a_newer_one_is_there(bench: Bench) -> None:
    bench.s3.make_bucket("versioned")
    bench.client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    old = bench.client.put_object(Bucket="versioned", Key="m.onnx", Body=b"old")["VersionId"]
    bench.client.put_object(Bucket="versioned", Key="m.onnx", Body=b"new")
    pinned = bench.fetch(f"s3://versioned/m.onnx?versionId={old}")
    assert (pinned.path.read_bytes(), pinned.version_id) == (b"old", old)
    assert bench.fetch("s3://versioned/m.onnx").path.read_bytes() == b"new"


def test_the_digest_that_the_caller_expects_counts(bench: Bench) -> None:
    stored = bench.put(b"content", metadata={"sha256": "0" * 64})
    assert bench.fetch(stored.uri, sha256=stored.sha256).sha256 == stored.sha256


def test_the_times_of_a_fetch_add_up_to_what_the_caller_waited(bench: Bench, random_bytes: Bytes) -> None:
    import time

    stored = bench.put(random_bytes(300 * KIB))
    began = time.perf_counter()
    artifact = bench.fetch(stored.uri)
    waited = time.perf_counter() - began
    assert artifact.verify_seconds > 0
    assert artifact.pull_seconds + artifact.verify_seconds == pytest.approx(waited, rel=0.05)


def test_a_local_file_is_served_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_local_file_is_compared_with_the_digest_expected(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"content")
    digest = sha256(b"content").hexdigest()
    assert fetch(str(model), cache_dir=tmp_path, sha256=digest).sha256 == digest
    with pytest.raises(DigestMismatch, match=digest):
        fetch(str(model), cache_dir=tmp_path, sha256="0" * 64)


def test_a_local_path_that_is_no_model_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    for name, error in (("none.onnx", ArtifactMissing), (".", ArtifactMissing), ("empty.onnx", InvalidModel)):
        with pytest.raises(error):
            fetch(str(tmp_path / name), cache_dir=tmp_path)


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "0" * 63])
def test_what_is_no_digest_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(BadSetting, match="64 hexadecimal digits"):
        fetch("s3://bucket/key", cache_dir=tmp_path, sha256=digest)


def test_a_cache_folder_that_cannot_be_is_a_setting_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "cache", tmp_path / "file", Path("/proc/1/x"), tmp_path / ("long" * 100)):
        with pytest.raises(BadSetting, match=r"SCALEZERO_CACHE_DIR=.*: expected a folder") as told:
            check("s3://bucket/key", cache_dir=folder)
        assert told.value.details["value"] == str(folder)


def test_a_cache_folder_that_is_lost_later_is_named_in_the_log_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever calls the model gets this error; where the cache is on this machine is not theirs to know."""
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match=r"^SCALEZERO_CACHE_DIR: expected a folder") as refused:
        fetch("s3://bucket/key", cache_dir=tmp_path / "file")
    assert str(tmp_path) not in f"{refused.value}{refused.value.details}"
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
def test_the_start_is_told_which_setting_can_never_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    given = {"model URI": "s3://bucket/key", "SCALEZERO_CACHE_DIR": str(tmp_path), "sha256": "0" * 64} | {name: value}
    for variable in {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"} & {name}:
        monkeypatch.setenv(variable, value)
    with pytest.raises(BadSetting, match=f"{name}='{value}': expected "):
        check(given["model URI"], cache_dir=Path(given["SCALEZERO_CACHE_DIR"]), sha256=given["sha256"])


def test_the_check_of_a_start_asks_nobody_and_costs_next_to_nothing(bench: Bench) -> None:
    import time

    began = time.perf_counter()
    check(f"s3://{BUCKET}/none.onnx", cache_dir=bench.cache_dir)
    assert time.perf_counter() - began < 0.01
    assert bench.faulty.seen == []
    check("/no/such/model.onnx", cache_dir=bench.cache_dir / "never made")
    assert not (bench.cache_dir / "never made").exists()


def test_a_policy_that_cannot_work_is_refused() -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"part_bytes": 0},
        {"concurrency": 0},
        {"deadline": float("nan")},
        {"patience": 0},
    )
    for field in wrong:
        with pytest.raises(BadSetting, match=next(iter(field))):
            replace(IMPATIENT, **field)
