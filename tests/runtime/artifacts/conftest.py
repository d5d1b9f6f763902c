"""Fixtures of the tests of pulls: a bucket of a real S3, behind a server that injects the faults of a test."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from runtime.artifacts.fetch import Artifact, fetch
from runtime.artifacts.policy import PullPolicy
from tests.runtime.faulty_s3 import FaultyS3
from tests.s3_server import S3Server

BUCKET = "artifacts"
KIB = 1024

# Short timeouts for tests that wait for a limit, and small parts so that 300 KiB are several parts.
SHORT_TIMEOUTS = PullPolicy(part_bytes=64 * KIB, concurrency=3, stall_timeout=1.0, progress_timeout=2.0, deadline=20.0)
PATIENT = replace(SHORT_TIMEOUTS, stall_timeout=20, progress_timeout=40, deadline=60)  # of a store without faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object that a test put into the bucket."""

    uri: str
    path: str  # in requests
    body: bytes

    @property
    def sha256(self) -> str:
        """The SHA-256 of the body."""
        return sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The setup of a test of the pull."""

    s3: S3Server
    faulty: FaultyS3
    cache_dir: Path
    client: Any  # of the real S3, without faults

    def put(self, body: bytes, *, name: str = "m.onnx", metadata: Mapping[str, str] | None = None) -> Stored:
        """Store the bytes under a unique key. The default metadata is their digest."""
        key = f"{uuid.uuid4().hex}/{name}"
        stored = Stored(uri=f"s3://{BUCKET}/{key}", path=f"/{BUCKET}/{key}", body=body)
        self.overwrite(stored, body, metadata={"sha256": stored.sha256} if metadata is None else metadata)
        return stored

    def overwrite(self, stored: Stored, body: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
        """Replace the object."""
        key = stored.uri.removeprefix(f"s3://{BUCKET}/")
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata=dict(metadata or {}))

    def fetch(self, uri: str, *, sha256: str | None = None, policy: PullPolicy | None = None) -> Artifact:
        """Fetch the URI through the faulty server. The timeouts are short only if it has a fault, or by `policy`."""
        policy = policy or (SHORT_TIMEOUTS if self.faulty.has_faults else PATIENT)
        return fetch(uri, cache_dir=self.cache_dir, sha256=sha256, policy=policy)

    def leftovers(self) -> list[str]:
        """Return the names of partial files, and of blobs whose name is not the digest of their content."""
        partial = [path.name for path in self.cache_dir.glob("partial/*")]
        damaged = [
            path.name for path in self.cache_dir.glob("blobs/*") if sha256(path.read_bytes()).hexdigest() != path.stem
        ]
        return partial + damaged

    def environment(self) -> dict[str, str]:
        """Return the AWS_* variables of a process that uses the faulty server."""
        return self.s3.environment() | {"AWS_ENDPOINT_URL": self.faulty.endpoint_url}


@pytest.fixture
def bench(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Yield a bench, with its variables in the environment of this process."""
    s3.make_bucket(BUCKET)
    with FaultyS3(s3.endpoint_url) as faulty:
        bench = Bench(s3=s3, faulty=faulty, cache_dir=tmp_path / "cache", client=s3.client())
        for name, value in bench.environment().items():
            monkeypatch.setenv(name, value)
        yield bench


@pytest.fixture
def random_bytes() -> Callable[[int], bytes]:
    """Return a function that makes bytes without repetition, so that a part at a wrong offset is detected."""

    def make(size: int) -> bytes:
        return b"".join(sha256(index.to_bytes(8)).digest() for index in range(size // 32 + 1))[:size]

    return make
