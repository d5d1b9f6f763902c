"""Installs the requirements of all functions with one run of pip, and reports the functions with conflicts.

usage: python install_requirements.py FOLDER PYTHON

It needs a Python with pip. FOLDER has one folder for each function with its requirements.txt. PYTHON is the interpreter
of the target environment; the packages in it keep their versions. The build runs only this file, so it imports only the
standard library.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

Resolves = Callable[[Sequence[str]], bool]  # whether pip can install the requirements of these functions together


def main(folder: Path, python: str) -> str | None:
    """Install the requirements; return None, or the error message."""
    functions = sorted(path.parent.name for path in folder.glob("*/requirements.txt") if path.stat().st_size)
    if not functions:
        return None
    with TemporaryDirectory() as temporary:
        constraints = Path(temporary, "constraints.txt")
        constraints.write_text(_pip(python, "freeze", capture=True).stdout)

        def install(names: Iterable[str], *options: str) -> bool:
            files = [f"--requirement={folder / name / 'requirements.txt'}" for name in names]
            fixed = ["--no-cache-dir", "--no-compile", "--only-binary=:all:", f"--constraint={constraints}"]
            return _pip(python, "install", *fixed, *options, *files, capture=bool(options)).returncode == 0

        if not install(functions):
            return explain(functions, lambda names: install(names, "--dry-run"))
    # Compile now, because a pod may have a read-only root file system.
    compiled = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(Path(python).parents[1])]
    subprocess.run(compiled, check=False)  # ignore errors: some packages have files for other Python versions
    return None


def explain(functions: Sequence[str], resolves: Resolves) -> str:
    """Return the error message: functions that fail alone, otherwise conflicting pairs, otherwise all functions."""
    if alone := [name for name in functions if not resolves([name])]:
        return (
            f"the requirements of {' and of '.join(alone)} cannot be installed with the runtime's packages, "
            "which have fixed versions; see pip's error above"
        )
    pairs: list[Sequence[str]] = [pair for pair in combinations(functions, 2) if not resolves(pair)]
    return "; ".join(_conflict(names) for names in pairs or [functions])


def _conflict(names: Sequence[str]) -> str:
    commands = ", ".join(f"scripts/image --function {name}" for name in names)
    return f"the requirements of {' and '.join(names)} conflict; build an image for each function: {commands}"


def _pip(python: str, *arguments: str, capture: bool) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=capture, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
