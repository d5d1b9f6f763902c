"""Tests of `fetch` with a faulty S3: each fault has its error and leaves no files, and the next fetch succeeds."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from runtime.errors import (
    AccessDenied,
    ArtifactChanged,
    ArtifactMissing,
    CredentialsMissing,
    DigestMismatch,
    InvalidModel,
    ModelUnavailable,
    StoreStalled,
    StoreUnreachable,
)
from tests.runtime.artifacts.conftest import BUCKET, KIB, PATIENT, SHORT_TIMEOUTS, Bench
from tests.runtime.faulty_s3 import Fault
from tests.waiting import DEADLINE

Bytes = Callable[[int], bytes]

SIZE = 300 * KIB

PERMANENT_FAULTS = {
    "503": (Fault(status=503, code="SlowDown"), StoreUnreachable),
    "500": (Fault(status=500), StoreUnreachable),
    "403": (Fault(status=403, code="AccessDenied"), AccessDenied),
    "404": (Fault(status=404, code="NoSuchKey"), ArtifactMissing),
    "expired token": (Fault(status=400, code="ExpiredToken"), CredentialsMissing),
    "wrong secret": (Fault(status=403, code="SignatureDoesNotMatch"), CredentialsMissing),
    "wrong region": (Fault(status=301, code="PermanentRedirect"), AccessDenied),
    "reset at once": (Fault(reset_after=0), StoreUnreachable),
    "cut off at once": (Fault(close_after=0), StoreUnreachable),
    "silence": (Fault(stall_after=-1), StoreStalled),
    "silence in the middle": (Fault(stall_after=0), StoreStalled),
    "403 for a later part": (Fault(status=403, code="AccessDenied", skip=2), AccessDenied),
    "404 for a later part": (Fault(status=404, code="NoSuchKey", skip=2), ArtifactMissing),
    "silence in a later part": (Fault(stall_after=0, skip=2), StoreStalled),
}


@pytest.mark.parametrize("name", PERMANENT_FAULTS)
def test_a_permanent_fault_is_an_error_and_the_next_fetch_succeeds(
    bench: Bench, random_bytes: Bytes, name: str
) -> None:
    fault, error = PERMANENT_FAULTS[name]
    stored = bench.put(random_bytes(SIZE))
    bench.faulty.add(fault)
    with pytest.raises(error) as raised:
        bench.fetch(stored.uri)
    assert raised.value.details["uri"] == stored.uri
    assert bench.leftovers() == []
    assert not list(bench.cache_dir.glob("blobs/*"))

    bench.faulty.heal()
    assert bench.fetch(stored.uri).path.read_bytes() == stored.body


TEMPORARY_FAULTS = {
    "503, three times": Fault(status=503, code="SlowDown", times=3),
    "reset in the first part": Fault(reset_after=40_000, times=1),
    "cut off in the first part": Fault(close_after=40_000, times=1),
    "silence in the first part": Fault(stall_after=40_000, times=1),
    "reset in later parts": Fault(reset_after=20_000, skip=1, times=4),
    "503 in later parts": Fault(status=503, skip=1, times=4),
}


@pytest.mark.parametrize("name", TEMPORARY_FAULTS)
def test_a_temporary_fault_is_retried(bench: Bench, random_bytes: Bytes, name: str) -> None:
    stored = bench.put(random_bytes(SIZE))
    bench.faulty.add(TEMPORARY_FAULTS[name])
    assert bench.fetch(stored.uri).path.read_bytes() == stored.body
    assert bench.leftovers() == []


def test_a_broken_part_is_resumed_at_its_next_byte(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(SIZE))
    # With one part, the second request is the resumption. An orderly close delivers all bytes before it.
    bench.faulty.add(Fault(close_after=200_000, times=1))
    assert bench.fetch(stored.uri, policy=replace(PATIENT, part_bytes=SIZE)).path.read_bytes() == stored.body
    first, second = bench.faulty.seen
    assert first.headers["range"] == f"bytes=0-{SIZE - 1}"
    assert second.headers["range"] == f"bytes=200000-{SIZE - 1}"
    assert second.headers["if-match"]


def test_progress_restarts_the_progress_timeout(bench: Bench, random_bytes: Bytes) -> None:
    """Twelve broken connections take longer than the progress timeout, but each delivers new bytes."""
    stored = bench.put(random_bytes(SIZE))
    bench.faulty.add(Fault(close_after=25_000))
    policy = replace(SHORT_TIMEOUTS, part_bytes=SIZE, progress_timeout=1.0)
    assert bench.fetch(stored.uri, policy=policy).path.read_bytes() == stored.body


def test_retries_end_with_the_progress_timeout(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(KIB))
    bench.faulty.add(Fault(status=503))
    with pytest.raises(StoreUnreachable, match="503"):
        bench.fetch(stored.uri, policy=replace(SHORT_TIMEOUTS, deadline=10 * DEADLINE))


def test_a_slow_pull_ends_with_the_deadline(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(SIZE))
    bench.faulty.add(Fault(bytes_per_second=2_000))
    with pytest.raises(StoreStalled):
        bench.fetch(stored.uri, policy=replace(SHORT_TIMEOUTS, deadline=1.0))
    assert bench.leftovers() == []


def test_a_dead_endpoint_is_unreachable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreUnreachable, match="cannot be reached"):
        bench.fetch(f"s3://{BUCKET}/m.onnx", policy=SHORT_TIMEOUTS)


def test_an_object_that_is_replaced_during_the_pull_is_pulled_again(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(SIZE))
    new = bytes(reversed(stored.body))
    bench.faulty.add(Fault(before=lambda: bench.overwrite(stored, new), skip=1, times=1))
    assert bench.fetch(stored.uri).path.read_bytes() == new
    assert bench.leftovers() == []


def test_an_object_that_is_replaced_during_both_pulls_is_an_error(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(SIZE))
    versions = iter(range(1000))
    bench.faulty.add(
        Fault(before=lambda: bench.overwrite(stored, random_bytes(SIZE) + str(next(versions)).encode()), skip=1)
    )
    with pytest.raises(ArtifactChanged, match="replaced"):
        bench.fetch(stored.uri)
    bench.faulty.heal()
    assert bench.fetch(stored.uri).size > SIZE


def test_a_store_that_ignores_if_match_is_detected_by_its_etag(bench: Bench, random_bytes: Bytes) -> None:
    stored = bench.put(random_bytes(SIZE))
    bench.faulty.add(Fault(etag='"another"', skip=1))
    with pytest.raises(ArtifactChanged):
        bench.fetch(stored.uri)


@pytest.mark.parametrize("by", ["caller", "metadata"])
def test_content_with_another_digest_is_refused(bench: Bench, by: str) -> None:
    stored = bench.put(b"content", metadata={"sha256": "0" * 64} if by == "metadata" else {})
    with pytest.raises(DigestMismatch, match=stored.sha256):
        bench.fetch(stored.uri, sha256="0" * 64 if by == "caller" else None)
    assert bench.leftovers() == []
    assert not list(bench.cache_dir.glob("blobs/*"))


def test_an_empty_object_is_an_invalid_model(bench: Bench) -> None:
    with pytest.raises(InvalidModel, match="empty"):
        bench.fetch(bench.put(b"").uri)


def test_a_missing_bucket_and_a_missing_object_have_different_messages(bench: Bench) -> None:
    with pytest.raises(ArtifactMissing, match="no such object"):
        bench.fetch(f"s3://{BUCKET}/missing.onnx")
    with pytest.raises(ArtifactMissing, match="no such bucket"):
        bench.fetch("s3://no-such-bucket/m.onnx")


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_SKIP_SIGNATURE", "true")],
)
def test_rejected_credentials_are_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    stored = bench.put(b"content")
    monkeypatch.setenv(name, value)
    with pytest.raises(CredentialsMissing):
        bench.fetch(stored.uri)


def test_every_fault_raises_an_error_that_the_frontends_handle() -> None:
    assert all(issubclass(error, ModelUnavailable) for _, error in PERMANENT_FAULTS.values())
