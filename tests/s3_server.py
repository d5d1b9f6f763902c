"""A real S3 server for tests: `scripts/s3 --ephemeral`, on ports of its own, gone with its data when the block ends."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests import ROOT

SCRIPT = ROOT / "scripts" / "s3"
STOP_DEADLINE = 10.0  # seconds; an ephemeral server is killed at once


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """Where the server answers and the keys that open it."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str

    def environment(self) -> dict[str, str]:
        """The AWS_* variables with which a process finds this server, and no other."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
        }

    def client(self) -> Any:  # noqa: ANN401 - boto3 makes its classes while it runs
        """A new boto3 client of this server."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
        )

    def make_bucket(self, name: str) -> None:
        """Make the bucket unless it is there."""
        client = self.client()
        if name not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=name)

    def put(self, uri: str, body: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Store the bytes under `s3://bucket/key`, the bucket made where it is missing."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self.make_bucket(bucket)
        self.client().put_object(Bucket=bucket, Key=key, Body=body, Metadata=dict(metadata or {}))


@contextmanager
def running() -> Iterator[S3Server]:
    """Start a server, yield it once it answers with its bucket `models`, and end it."""
    with subprocess.Popen(
        [sys.executable, SCRIPT, "--ephemeral", "--port=0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield announced(process)
        finally:
            process.terminate()
            process.wait(STOP_DEADLINE)


def announced(process: subprocess.Popen[str]) -> S3Server:
    """Read what the script prints when the server is ready; its complaint, if any, is on standard error."""
    words = process.stdout.read() if process.stdout else ""
    found = dict(line.split("=", 1) for line in words.splitlines())
    if not found:
        raise RuntimeError(f"scripts/s3 ended with {process.wait(STOP_DEADLINE)} before its server answered")
    return S3Server(
        endpoint_url=found["AWS_ENDPOINT_URL"],
        access_key=found["AWS_ACCESS_KEY_ID"],
        secret_key=found["AWS_SECRET_ACCESS_KEY"],
        region=found["AWS_REGION"],
    )
