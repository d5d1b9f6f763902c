"""Closed-loop load from `wrk`: N keep-alive connections, each with one request on its way."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.servers import Server, pinned

SCRIPT: Final = Path(__file__).with_name("load.lua")
MARK: Final = "RESULT "


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk counted."""

    requests: int
    microseconds: int
    bad_status: int
    socket_errors: int

    @property
    def rate(self) -> float:
        """Requests per second. Raises CannotMeasure where not every one was answered with success."""
        if self.bad_status or self.socket_errors or not self.requests:
            faults = f"{self.bad_status} bad statuses and {self.socket_errors} broken connections"
            raise CannotMeasure(f"{faults} in {self.requests} requests")
        return self.requests * 1e6 / self.microseconds


def parse(output: str) -> Load:
    """Read the line that load.lua prints. Raises CannotMeasure where there is none."""
    for text in output.splitlines():
        if text.startswith(MARK):
            return Load(**json.loads(text.removeprefix(MARK)))
    raise CannotMeasure(f"wrk printed no figures: {output.strip()[-300:]!r}")


def wrk(server: Server, body: bytes, *, connections: int, seconds: float, cpu: int) -> Load:
    """Load a server with one request over and over, from one core. Whole seconds, at least one."""
    with tempfile.NamedTemporaryFile(prefix="bench-", suffix=".json") as file:
        file.write(body)
        file.flush()
        url = f"http://127.0.0.1:{server.port}{server.launch.path}"
        options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "60s", "-s", str(SCRIPT)]
        command = pinned(cpu, ["wrk", *options, url, "--", file.name])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return parse(done.stdout + done.stderr)
