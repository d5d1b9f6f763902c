"""Fixtures of the tests of the runtime."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runtime.faulty_s3 import FaultyS3
from tests.runtime.published_model import Published
from tests.s3_server import S3Server

Place = Callable[[str], str]  # from a name to a URI in a registry


@pytest.fixture
def published(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """Yield an empty bucket for a published model; this process uses it through a server that injects faults."""
    bucket = f"published-{uuid.uuid4().hex}"
    s3.make_bucket(bucket)
    with FaultyS3(s3.endpoint_url) as faulty:
        for name, value in (s3.environment() | {"AWS_ENDPOINT_URL": faulty.endpoint_url}).items():
            monkeypatch.setenv(name, value)
        yield Published(folder=tmp_path, s3=s3, faulty=faulty, bucket=bucket)


@pytest.fixture
def s3_registry(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return an empty registry on S3, which this process uses."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    s3.make_bucket("registry")
    return f"s3://registry/{tmp_path.name}"


@pytest.fixture(params=["s3", "file", "path"])
def place(request: pytest.FixtureRequest, s3_registry: str, tmp_path: Path) -> Place:
    """Return for each kind of registry a function from a name to a URI in it."""
    roots = {
        "s3": s3_registry,
        "file": f"file://{tmp_path}/registry",
        "path": f"{tmp_path}/registry",
    }
    return lambda name: f"{roots[request.param]}/{name}"
