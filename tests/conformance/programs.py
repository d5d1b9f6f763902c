"""Clients as programs that run once and print their results as JSON. `tests.clients` creates their environments."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.clients import KEPT, SCRIPTS
from tests.waiting import DEADLINE


def run(command: Sequence[str | Path], **variables: str) -> Any:  # noqa: ANN401 - any JSON value
    """Run a program; return the JSON that it prints."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [*map(str, command)],
        env={**environment, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    return json.loads(done.stdout)


def node(script: str, *pins: str) -> tuple[list[str | Path], dict[str, str]]:
    """Return the command that runs a Node.js script with these packages, and its environment variables.

    The packages are installed once for their pins.
    """
    missing = [program for program in ("node", "npm") if not shutil.which(program)]
    assert not missing, f"{' and '.join(missing)} not found; on Debian: scripts/cluster requirements --install"
    folder = KEPT / Path(script).stem
    KEPT.mkdir(parents=True, exist_ok=True)
    stamp, wanted = folder / ".installed", "\n".join(pins)
    with (KEPT / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
            subprocess.run([*npm, *pins], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            stamp.write_text(wanted)
    return ["node", SCRIPTS / script], {"NODE_PATH": str(folder / "node_modules")}
