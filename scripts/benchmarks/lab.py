"""The resources of one benchmark run: cores, noise guard, models and S3 server. Each is created on first use."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.launches import ROOT
from scripts.benchmarks.making import NAMES
from scripts.benchmarks.noise import Guard
from scripts.benchmarks.s3 import publish, running_s3
from scripts.benchmarks.servers import pinned
from scripts.benchmarks.subjects import Subject

CACHE: Final = ROOT / ".local" / "bench"  # the models, until their sources change


class Lab:
    """One benchmark run. A context manager: its exit stops the S3 server and restores the CPU affinity."""

    def __init__(
        self,
        *,
        guard: Guard,
        log: Callable[[str], None],
        server_cpu: int = 0,
        load_cpu: int = 1,
        rounds: int = 7,
        seconds: float = 3.0,
        version: str = "v1",
    ) -> None:
        self.guard, self.log = guard, log
        self.server_cpu, self.load_cpu = server_cpu, load_cpu
        self.rounds, self.seconds, self.version = rounds, seconds, version
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, {self.load_cpu})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def payment(self) -> Subject:
        """The payment model, trained on this machine."""
        sources = sorted((ROOT / "functions" / "payment_model").glob("*.py"))
        return self._subject(self.version, sources)

    @cached_property
    def heavy(self) -> Subject:
        """A text encoder with the cost of ResNet-50."""
        return self._subject("heavy", [Path(__file__).with_name("transformer.py")])

    @cached_property
    def resnet(self) -> Subject:
        """ResNet-50, with images."""
        return replace(self._subject("resnet", [Path(__file__).with_name("resnet.py")]), input_name="input")

    @cached_property
    def counts(self) -> Subject:
        """A small model with integer inputs."""
        return self._subject("counts", [Path(__file__).with_name("making.py")])

    @cached_property
    def digits(self) -> Subject:
        """The model of handwritten digits, under the name that the example's guest asks for."""
        sources = [ROOT / "functions" / "digits" / "train.py", Path(__file__).with_name("making.py")]
        return replace(self._subject("digits", sources), input_name="pixels")

    @cached_property
    def table(self) -> Subject:
        """A table of vectors of 1 GiB."""
        return self.prepared(self._subject("table", [Path(__file__).with_name("large.py")]))

    @cached_property
    def dense(self) -> Subject:
        """Matrix products with 1 GiB of weights."""
        return self.prepared(self._subject("dense", [Path(__file__).with_name("large.py")]))

    def prepared(self, subject: Subject) -> Subject:
        """Return the prepared form of a subject. Its answers are still those of the model itself."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(dir=CACHE)))
        self.log(f"preparing {subject.path.name}")
        program = [sys.executable, "-m", "scripts.benchmarks.large", "prepare", str(subject.path), str(folder)]
        return replace(subject, path=Path(output_of(program).strip()))

    @cached_property
    def s3(self) -> Mapping[str, str]:
        """The environment variables for the S3 server of this run."""
        return self._stack.enter_context(running_s3())

    @cached_property
    def payment_uri(self) -> str:
        """The URI of the payment model in S3."""
        return publish(self.payment.path, self.s3)

    def in_process(self, verb: str, subject_path: Path, rows: Sequence[Sequence[float]], *arguments: object) -> str:
        """Run floors/in_process.py on the core of the server; return its output."""
        module = "scripts.benchmarks.floors.in_process"
        program = [sys.executable, "-m", module, verb, str(subject_path), *map(str, arguments)]
        return output_of(pinned(self.server_cpu, program), json.dumps(rows))

    def _subject(self, kind: str, sources: Sequence[Path]) -> Subject:
        path = CACHE / f"{NAMES[kind]}.onnx"
        rows_file = path.with_suffix(".rows.json")
        if not rows_file.exists() or rows_file.stat().st_mtime < max(source.stat().st_mtime for source in sources):
            self.log(f"creating {path.name}")
            CACHE.mkdir(parents=True, exist_ok=True)
            output_of([sys.executable, "-m", "scripts.benchmarks.making", kind, str(CACHE)])
        rows = json.loads(rows_file.read_text())
        return Subject(path=path, rows=rows, answers=json.loads(self.in_process("answers", path, rows)))


def output_of(command: Sequence[str], text: str = "") -> str:
    """Run a program with `text` on stdin; return its output. Raises CannotMeasure if it fails."""
    done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"{' '.join(command)} exited with {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout
