"""Real clients, each in its own process and its own virtual environment.

The packages of the clients conflict with each other and with those of .venv. An environment is created once for its
pins and kept in .local/clients.

    with client("triton_client.py", *pins) as call:
        call("infer", model="m", ...)

The script reads one JSON request for each line, `{"call": NAME, ...}`, and prints one JSON answer for each.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from tests import ROOT
from tests.waiting import DEADLINE

KEPT = ROOT / ".local" / "clients"
SCRIPTS = Path(__file__).parent / "conformance" / "clients"
Call: TypeAlias = Callable[..., Any]


class ClientError(Exception):
    """An exception of the client: its class, its text and its status."""

    def __init__(self, facts: dict[str, str]) -> None:
        super().__init__(f"{facts['type']}: {facts['text']}")
        self.kind = facts["type"]
        self.text = facts["text"]
        self.status = facts["status"]


def interpreter(name: str, *pins: str) -> Path:
    """Return the Python of an environment. Create it if it does not exist or has other packages."""
    folder = KEPT / name
    KEPT.mkdir(parents=True, exist_ok=True)
    python, stamp = folder / "bin" / "python", folder / ".installed"
    wanted = "\n".join([*pins, sys.version, str(folder)])
    with (KEPT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
            # The pip of .venv installs. It compiles nothing: a client imports few of the modules.
            pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--no-input"]
            subprocess.run([*pip, "--quiet", "install", "--no-compile", *pins], check=True, stdin=subprocess.DEVNULL)
            stamp.write_text(wanted)
    return python


@contextmanager
def client(script: str, *pins: str) -> Iterator[Call]:
    """Run the script in the environment of its name. Yield a function that calls it, and raises `ClientError`."""
    python = interpreter(Path(script).stem, *pins)
    direct = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = subprocess.Popen(
        [python, SCRIPTS / script], env=direct, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield lambda call, **arguments: _send(process, {"call": call, **arguments})
    finally:
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 0


def _send(process: "subprocess.Popen[str]", request: dict[str, object]) -> Any:  # noqa: ANN401 - JSON
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    assert line, "the client has ended"
    answer = json.loads(line)
    if "error" in answer:
        raise ClientError(answer["error"])
    return answer["result"]
