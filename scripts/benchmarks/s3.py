"""A real S3 server of the run's own, and the models in it."""

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts.benchmarks.faults import CannotMeasure

BUCKET: Final = "models"
PROGRAM: Final = Path(__file__).resolve().parents[1] / "s3"


@contextmanager
def running_s3() -> Iterator[Mapping[str, str]]:
    """Start scripts/s3 on free ports; yield the AWS_* variables that reach it. Raises CannotMeasure where it does not run.

    It inherits this process's core, so that it never takes time from the server that is measured.
    """
    command = [str(PROGRAM), "--ephemeral", "--port", "0", "--bucket", BUCKET]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            printed = process.stdout.read() if process.stdout else ""
            environment = dict(each.split("=", 1) for each in printed.splitlines())
            if "AWS_ENDPOINT_URL" not in environment:
                raise CannotMeasure(f"scripts/s3 did not start: it exited with {process.wait()}")
            yield environment
        finally:
            process.terminate()


def upload(path: Path, environment: Mapping[str, str]) -> str:
    """Put a file into the bucket with its digest beside it, as a published model has it; return its URI."""
    import obstore
    from obstore.store import S3Store

    options = {name.lower(): value for name, value in environment.items()}
    store = S3Store(BUCKET, client_options={"allow_http": True}, **options)  # type: ignore[arg-type]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    obstore.put(store, path.name, path, attributes={"sha256": digest})
    return f"s3://{BUCKET}/{path.name}"
