"""Creates the venv of a peer if it is missing or its pins have changed."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.servers import clean_environment

STAMP: Final = ".installed"
LIBRARIES: Final = Path(sysconfig.get_config_var("LIBDIR"))  # of this Python, and so of every venv
OUTPUT_LENGTH: Final = 400  # characters of the end of pip's output in an error message


def make(venv: Path, requirements: Path) -> None:
    """Install the pins into a venv, unless they are installed. Raises CannotMeasure if that fails."""
    stamp = venv / STAMP
    if stamp.exists() and stamp.read_text() == stamp_text(requirements):
        return
    _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    _run([str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", "-r", str(requirements)])
    stamp.write_text(stamp_text(requirements))


def need_libpython(folder: Path = LIBRARIES) -> None:
    """Check for the shared library of Python, which a program that embeds Python needs. Raises CannotMeasure."""
    version = sysconfig.get_python_version()
    name = f"libpython{version}.so.1.0"
    if not (folder / name).exists():
        raise CannotMeasure(f"{name} is not in {folder}; on Debian: apt-get install libpython{version}")


def stamp_text(requirements: Path) -> str:
    """Return the text that identifies the content of a venv: the interpreter's version and the pins."""
    return f"{sys.version}\n{requirements.read_text()}"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        command,
        env=clean_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        output = done.stdout.strip()[-OUTPUT_LENGTH:] or "no output"
        raise CannotMeasure(f"{' '.join(command[1:4])} exited with {done.returncode}: {output}")
