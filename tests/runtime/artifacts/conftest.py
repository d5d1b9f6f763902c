"""A bucket of the real S3, reached through a server that breaks what a test asks it to break."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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

# Short enough for a test that waits for a limit, small enough that 300 KiB are several parts.
IMPATIENT = PullPolicy(part_bytes=64 * KIB, concurrency=3, stall_timeout=0.4, patience=0.8, deadline=8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object that a test put into the bucket."""

    uri: str
    path: str  # as the requests name it
    body: bytes

    @property
    def sha256(self) -> str:
        """The digest of its bytes."""
        return sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """All that a test of the pull needs."""

    s3: S3Server
    faulty: FaultyS3
    cache_dir: Path
    client: Any  # straight to the real S3, past the faults

    def put(self, body: bytes, *, name: str = "m.onnx", metadata: Mapping[str, str] | None = None) -> Stored:
        """Store the bytes under a key that no other test has, with their digest unless `metadata` says else."""
        key = f"{uuid.uuid4().hex}/{name}"
        stored = Stored(uri=f"s3://{BUCKET}/{key}", path=f"/{BUCKET}/{key}", body=body)
        self.overwrite(stored, body, metadata={"sha256": stored.sha256} if metadata is None else metadata)
        return stored

    def overwrite(self, stored: Stored, body: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
        """Replace the object."""
        key = stored.uri.removeprefix(f"s3://{BUCKET}/")
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata=dict(metadata or {}))

    def fetch(self, uri: str, *, sha256: str | None = None, policy: PullPolicy = IMPATIENT) -> Artifact:
        """Fetch through the faulty server."""
        return fetch(uri, cache_dir=self.cache_dir, sha256=sha256, policy=policy)

    def leftovers(self) -> list[str]:
        """What lies in the cache but an entry: partial files, and blobs whose name is not their content."""
        partial = [path.name for path in self.cache_dir.glob("partial/*")]
        wrong = [
            path.name for path in self.cache_dir.glob("blobs/*") if sha256(path.read_bytes()).hexdigest() != path.stem
        ]
        return partial + wrong

    def environment(self) -> dict[str, str]:
        """The AWS_* variables of a process that goes through the faulty server."""
        return self.s3.environment() | {"AWS_ENDPOINT_URL": self.faulty.endpoint_url}


@pytest.fixture
def bench(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench with the environment of this process set to it."""
    s3.make_bucket(BUCKET)
    with FaultyS3(s3.endpoint_url) as faulty:
        bench = Bench(s3=s3, faulty=faulty, cache_dir=tmp_path / "cache", client=s3.client())
        for name, value in bench.environment().items():
            monkeypatch.setenv(name, value)
        yield bench


@pytest.fixture
def random_bytes() -> Callable[[int], bytes]:
    """Bytes that differ from one place to another, so that a part at the wrong place is seen."""

    def make(size: int) -> bytes:
        return b"".join(sha256(index.to_bytes(8)).digest() for index in range(size // 32 + 1))[:size]

    return make
