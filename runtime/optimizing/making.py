"""Makes the int8 files, in a separate process.

    make(job) ──► python -m runtime.optimizing.worker FOLDER/job.json ──► a line of JSON for each file ──► QuantizedFile

The libraries that quantize print on the standard output, change the logging of the process, and may end it. In a
separate process they affect no other code, and the memory that they use is free afterwards.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from signal import Signals
from tempfile import TemporaryFile
from typing import IO, Any, Final, NamedTuple

import numpy as np

import runtime
from runtime.optimizing.candidates import Method
from runtime.optimizing.values import Data, NoSpaceLeft, ToolsMissing, failed_write

MOST_ROWS: Final = 300  # of the calibration data that are used: more rows hardly change the ranges
_TOOLS: Final = ("onnx", "nncf")
_ROWS: Final = "rows.npz"
_ROOT: Final = str(Path(next(iter(runtime.__path__))).parent)
_TAIL: Final = 4096  # bytes of the worker's log that are read for its last line


class QuantizedFile(NamedTuple):
    """A file that was made, or why it was not."""

    method: Method
    path: Path | None
    reason: str | None = None


class Job(NamedTuple):
    """What the worker makes."""

    source: Path  # the original
    folder: Path  # for all files of the job; it exists
    methods: Sequence[Method]
    rows: Data  # the calibration data, or generated rows
    calibrated: bool  # whether they are calibration data
    samples: Sequence[str]  # the inputs without an axis of rows: a run takes one sample, without that axis
    may_saturate: bool  # sums of int8 products may saturate on this CPU, unless weights have 7 bits


def require_tools(name: str) -> None:
    """Check that the packages that make files are installed. Raises `ToolsMissing`."""
    for package in _TOOLS:
        if find_spec(package) is None:
            raise ToolsMissing(name, package)


def make(job: Job, *, name: str) -> Iterator[QuantizedFile]:
    """Make the files one by one, and yield each result. If the worker dies at one, another makes the next.

    Raises `NoSpaceLeft`, and `OptimizingFailed` if the rows cannot be written for another reason.
    """
    _write_rows(job, name)
    left = list(job.methods)
    while left:
        for made in _run(job, left, name):
            left.remove(made.method)
            yield made


def _write_rows(job: Job, name: str) -> None:
    rows = {key: _storable(array[:MOST_ROWS]) for key, array in job.rows.inputs.items()}
    try:
        with (job.folder / _ROWS).open("wb") as file:
            np.savez(file, **rows)  # type: ignore[arg-type] # the keywords are the names of the arrays
    except OSError as error:
        raise failed_write(name, error, f"the rows cannot be written to {job.folder}") from error


def _storable(array: np.ndarray) -> np.ndarray:
    return array.astype(str) if array.dtype.kind == "O" else array


def _run(job: Job, methods: Sequence[Method], name: str) -> Iterator[QuantizedFile]:
    """Run a worker on these methods; yield the results that it reports, and one for its death."""
    left = list(methods)
    request = job.folder / "job.json"
    request.write_text(json.dumps(_request(job, methods)), "utf-8")
    with TemporaryFile() as log, _worker(request, log) as process:
        for line in process.stdout or ():
            answer = json.loads(line)
            if (stopped := answer.get("stopped")) is not None:
                folder = job.folder.parent
                raise NoSpaceLeft(name, f"{folder}: {stopped}; free some space there, or use another folder")
            path = answer["path"]
            left.remove(answer["method"])
            yield QuantizedFile(answer["method"], path and Path(path), answer["reason"])
        if left:
            yield QuantizedFile(left[0], None, _death(process.wait(), log))


def _request(job: Job, methods: Sequence[Method]) -> dict[str, Any]:
    return {
        "source": str(job.source),
        "folder": str(job.folder),
        "methods": list(methods),
        "rows": str(job.folder / _ROWS),
        "calibrated": job.calibrated,
        "samples": list(job.samples),
        "may_saturate": job.may_saturate,
    }


@contextmanager
def _worker(request: Path, log: IO[bytes]) -> Iterator["subprocess.Popen[str]"]:
    """Start a worker; end it if the caller does not read all of its results."""
    path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
    folder = str(request.parent)  # for the temporary files of the libraries too
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "runtime.optimizing.worker", str(request)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": folder},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _death(code: int, log: IO[bytes]) -> str:
    """Describe the end of a worker that made nothing more: its signal, or the last line that it wrote."""
    if code < 0:
        return f"the process that makes it was ended by {Signals(-code).name}"
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return f"the process that makes it ended with exit code {code}: {lines[-1] if lines else 'it wrote nothing'}"
