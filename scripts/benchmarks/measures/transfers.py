"""Transfers of 1 GiB between this machine and a real S3 server, each compared with curl and sha256sum.

    pull     ours: a verified file in the cache; the floor: `curl URL | tee FILE | sha256sum`
    upload   ours: hashed and uploaded in parts; the floor: `sha256sum FILE` while `curl --upload-file` runs

Ours and the floor run on the core of the server, the S3 server on the other core.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure, Pair, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.launches import ROOT
from scripts.benchmarks.s3 import BUCKET
from scripts.benchmarks.servers import clean_environment, pinned

MIB: Final = 2**20
SIZE: Final = 1024  # MiB
BLOCK: Final = 16  # MiB
SECONDS: Final = 120.0


class Transfers:
    """The measurements of one run, and the growth of memory in each of them."""

    def __init__(self, *, size: int = SIZE) -> None:
        """Set the size of the object, in MiB."""
        self._size = size
        self._growth: list[float] = []

    def measures(self) -> Mapping[str, Callable[[Lab], Figure]]:
        """Return the figures by name. `rss_mib` is the largest growth of memory in the transfers before it."""
        return {"upload": self._upload, "pull": self._pull, "rss_mib": self._memory}

    def _upload(self, lab: Lab) -> Figure:
        with tempfile.TemporaryDirectory() as folder:
            path = self._write(Path(folder))
            ours = partial(self._ours, lab, "upload", str(path), f"s3://{BUCKET}/ours")
            floor = partial(self._floor, lab, f'sha256sum "{path}" & {curl(lab, "floor")} --upload-file "{path}"; wait')
            return figure("upload", measure_pairs(lab.guard, lab.rounds, ours=ours, floor=floor))

    def _pull(self, lab: Lab) -> Figure:
        with tempfile.TemporaryDirectory() as folder:
            path = self._write(Path(folder))
            self._ours(lab, "upload", str(path), f"s3://{BUCKET}/ours")

            def ours() -> float:
                with tempfile.TemporaryDirectory(dir=folder) as cache:
                    return self._ours(lab, "pull", f"s3://{BUCKET}/ours", cache)

            def floor() -> float:
                with tempfile.TemporaryDirectory(dir=folder) as target:
                    return self._floor(lab, f'{curl(lab, "ours")} | tee "{target}/file" | sha256sum')

            pairs = measure_pairs(lab.guard, lab.rounds, ours=ours, floor=floor)
            alone = self._floor(lab, f"{curl(lab, 'ours')} --output /dev/null")
            return figure("pull", pairs, {"curl_alone": alone})

    def _memory(self, lab: Lab) -> Figure:
        if not self._growth:
            self._pull(lab)
        largest = max(self._growth)
        return figure("rss_mib", [Pair(ours=largest, floor=1.0)], {"median": median(self._growth)})

    def _ours(self, lab: Lab, *words: str) -> float:
        """Return MiB per second of one transfer."""
        command = [sys.executable, "-m", "scripts.benchmarks.transfer", *words]
        done = json.loads(run(lab, command))
        self._growth.append(done["growth"])
        return self._size / float(done["seconds"])

    def _floor(self, lab: Lab, script: str) -> float:
        began = time.perf_counter()
        run(lab, ["bash", "-euc", f"set -o pipefail; {script}"])
        return self._size / (time.perf_counter() - began)

    def _write(self, folder: Path) -> Path:
        """Write random bytes, which no server can compress."""
        path = folder / "object"
        with path.open("wb") as file:
            for _ in range(0, self._size, BLOCK):
                file.write(os.urandom(min(BLOCK, self._size) * MIB))
        return path


def curl(lab: Lab, key: str) -> str:
    """Return a command of curl for an object, signed as S3 requires."""
    secret = f"{lab.s3['AWS_ACCESS_KEY_ID']}:{lab.s3['AWS_SECRET_ACCESS_KEY']}"
    signature = f"--aws-sigv4 aws:amz:{lab.s3['AWS_REGION']}:s3 --user {secret}"
    unsigned = "--header 'x-amz-content-sha256: UNSIGNED-PAYLOAD'"
    return f"curl --silent --show-error --fail {signature} {unsigned} {lab.s3['AWS_ENDPOINT_URL']}/{BUCKET}/{key}"


def run(lab: Lab, command: list[str]) -> str:
    """Run a program on the core of the server; return its output. Raises CannotMeasure if it fails."""
    environment = {**clean_environment(os.environ), **lab.s3}
    try:
        done = subprocess.run(
            pinned(lab.server_cpu, command),
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotMeasure(f"{command[0]} did not end within {SECONDS:.0f} s") from error
    if done.returncode:
        raise CannotMeasure(f"{command[-1]} exited with {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout
