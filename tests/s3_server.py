"""A real S3 server for tests: `scripts/s3 --ephemeral`, on free ports, removed with its data when the block ends."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests import ROOT
from tests.waiting import DEADLINE

SCRIPT = ROOT / "scripts" / "s3"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """The address and the credentials of a server."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str

    def environment(self) -> dict[str, str]:
        """Return the AWS_* variables with which a process uses this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
        }

    def client(self) -> Any:  # noqa: ANN401 - boto3 creates its classes at run time
        """Return a new boto3 client for this server."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
        )

    def make_bucket(self, name: str) -> None:
        """Create the bucket if it does not exist."""
        client = self.client()
        if name not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=name)

    def put(self, uri: str, body: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Store the bytes as `s3://bucket/key`. Create the bucket if it does not exist."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self.make_bucket(bucket)
        self.client().put_object(Bucket=bucket, Key=key, Body=body, Metadata=dict(metadata or {}))


@contextmanager
def running() -> Iterator[S3Server]:
    """Start a server with the bucket `models`, yield it when it is ready, and stop it afterwards."""
    with subprocess.Popen(
        [sys.executable, SCRIPT, "--ephemeral", "--port=0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield wait_until_ready(process)
        finally:
            process.terminate()
            process.wait(DEADLINE)


def wait_until_ready(process: subprocess.Popen[str]) -> S3Server:
    """Read the variables that the script prints when the server is ready.

    Raises RuntimeError if the script exits before; its error message is on standard error.
    """
    printed = process.stdout.read() if process.stdout else ""
    found = dict(line.split("=", 1) for line in printed.splitlines())
    if not found:
        raise RuntimeError(f"scripts/s3 exited with {process.wait(DEADLINE)} before its server was ready")
    return S3Server(
        endpoint_url=found["AWS_ENDPOINT_URL"],
        access_key=found["AWS_ACCESS_KEY_ID"],
        secret_key=found["AWS_SECRET_ACCESS_KEY"],
        region=found["AWS_REGION"],
    )
