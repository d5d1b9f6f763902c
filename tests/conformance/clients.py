"""Real clients, each in an environment of its own: their dependencies exclude each other's and ours.

An environment is made once under .local/clients, by the pins that it is asked for.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2] / ".local" / "clients"
INSTALL_DEADLINE, RUN_DEADLINE = 600, 90  # seconds


def python(name: str, *pins: str) -> Path:
    """The interpreter of a virtual environment that has these packages."""
    folder = ROOT / name
    interpreter = folder / "bin" / "python"
    with _once(folder, pins) as missing:
        if missing:
            _run([sys.executable, "-m", "venv", "--clear", str(folder)], ROOT)
            pip = [str(interpreter), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
            _run([*pip, *pins], ROOT)
    return interpreter


def node(name: str, *pins: str) -> Path:
    """A folder whose scripts find these npm packages."""
    folder = ROOT / name
    with _once(folder, pins) as missing:
        if missing:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _run(
                ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), *pins], ROOT
            )
    return folder


def asked(command: Sequence[str | Path], **environment: str) -> Any:  # noqa: ANN401 - any JSON value
    """What a client's script prints as JSON."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [*map(str, command)],
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=RUN_DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    return json.loads(done.stdout)


@contextmanager
def _once(folder: Path, pins: Sequence[str]) -> Iterator[bool]:
    """Whether the environment is to be made; runs that need it at the same time wait. Notes it once it is made."""
    ROOT.mkdir(parents=True, exist_ok=True)
    stamp, wanted = folder / ".installed", "\n".join(pins)
    with (ROOT / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = not stamp.exists() or stamp.read_text() != wanted
        yield missing
        if missing:
            stamp.write_text(wanted)


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=INSTALL_DEADLINE, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-4000:]
