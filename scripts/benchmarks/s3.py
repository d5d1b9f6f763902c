"""The S3 server of a benchmark run, and its models."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.launches import BIN, ROOT
from scripts.benchmarks.servers import clean_environment

BUCKET: Final = "models"
PROGRAM: Final = ROOT / "scripts" / "s3"


@contextmanager
def running_s3() -> Iterator[Mapping[str, str]]:
    """Start scripts/s3 on free ports; yield its AWS_* variables. Raises CannotMeasure if it does not start.

    It inherits the CPU affinity of this process, so it uses no CPU time of the measured server's core.
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


def publish(path: Path, environment: Mapping[str, str]) -> str:
    """Publish a model with its digest by `scalezero publish`; return its URI. Raises CannotMeasure if that fails."""
    uri = f"s3://{BUCKET}/{path.name}"
    command = [str(BIN / "scalezero"), "publish", str(path), uri]
    done = subprocess.run(
        command, env={**clean_environment(os.environ), **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotMeasure(f"scalezero publish {uri} exited with {done.returncode}: {done.stderr.strip()[-600:]}")
    return uri
