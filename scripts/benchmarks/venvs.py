"""Make a peer's venv, where it is missing or its pins have changed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.servers import neutral

STAMP: Final = ".installed"
WORDS: Final = 400  # of what pip said, from the end


def make(venv: Path, requirements: Path) -> None:
    """Install the pins into a venv of their own; nothing happens where they are there. Raises CannotMeasure."""
    stamp = venv / STAMP
    if stamp.exists() and stamp.read_text() == wanted(requirements):
        return
    _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    _run([str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", "-r", str(requirements)])
    stamp.write_text(wanted(requirements))


def wanted(requirements: Path) -> str:
    """What a venv is made of: this interpreter and the pins."""
    return f"{sys.version}\n{requirements.read_text()}"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        command,
        env=neutral(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stdout.strip()[-WORDS:] or "it said nothing"
        raise CannotMeasure(f"{' '.join(command[1:4])} exited with {done.returncode}: {said}")
