"""The place of one run: its cores, its noise guard, and what several figures share, made when first asked for."""

import json
import os
import subprocess
import sys
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

KEPT: Final = ROOT / ".local" / "bench"  # models stay here until their sources change


class Lab:
    """One run. A context manager: leaving it stops the S3 server and frees the core."""

    def __init__(
        self,
        *,
        guard: Guard,
        say: Callable[[str], None],
        server_cpu: int = 0,
        load_cpu: int = 1,
        rounds: int = 7,
        seconds: float = 3.0,
        version: str = "v1",
    ) -> None:
        self.guard, self.say = guard, say
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
        """The payment model, trained here."""
        sources = sorted((ROOT / "functions" / "payment_model").glob("*.py"))
        return self._subject(self.version, sources)

    @cached_property
    def heavy(self) -> Subject:
        """The model as heavy as ResNet-50."""
        return self._subject("heavy", [Path(__file__).with_name("transformer.py")])

    @cached_property
    def resnet(self) -> Subject:
        """ResNet-50, and images."""
        return replace(self._subject("resnet", [Path(__file__).with_name("resnet.py")]), input_name="input")

    @cached_property
    def counts(self) -> Subject:
        """A small model that takes whole numbers."""
        return self._subject("counts", [Path(__file__).with_name("making.py")])

    @cached_property
    def s3(self) -> Mapping[str, str]:
        """The environment that reaches this run's S3 server."""
        return self._stack.enter_context(running_s3())

    @cached_property
    def payment_uri(self) -> str:
        """The payment model's place in S3."""
        return publish(self.payment.path, self.s3)

    def in_process(self, verb: str, subject_path: Path, rows: Sequence[Sequence[float]], *arguments: object) -> str:
        """Run the floor without a server on the server's core; return what it prints."""
        module = "scripts.benchmarks.floors.in_process"
        program = [sys.executable, "-m", module, verb, str(subject_path), *map(str, arguments)]
        return output_of(pinned(self.server_cpu, program), json.dumps(rows))

    def _subject(self, kind: str, sources: Sequence[Path]) -> Subject:
        path = KEPT / f"{NAMES[kind]}.onnx"
        kept = path.with_suffix(".rows.json")
        if not kept.exists() or kept.stat().st_mtime < max(source.stat().st_mtime for source in sources):
            self.say(f"making {path.name}")
            KEPT.mkdir(parents=True, exist_ok=True)
            output_of([sys.executable, "-m", "scripts.benchmarks.making", kind, str(KEPT)])
        rows = json.loads(kept.read_text())
        return Subject(path=path, rows=rows, answers=json.loads(self.in_process("answers", path, rows)))


def output_of(command: Sequence[str], text: str = "") -> str:
    """What a program prints that reads `text`. Raises CannotMeasure where it fails."""
    done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"{' '.join(command)} exited with {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout
