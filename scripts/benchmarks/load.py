"""Closed-loop load from `wrk`: N keep-alive connections, each with one request in flight."""

import json
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.servers import Server, pinned

SCRIPT: Final = Path(__file__).with_name("load.lua")
EVENTS: Final = Path(__file__).with_name("event.lua")
PREFIX: Final = "RESULT "


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The counters of wrk."""

    requests: int
    microseconds: int
    bad_status: int
    socket_errors: int

    @property
    def rate(self) -> float:
        """Requests per second. Raises CannotMeasure unless every request succeeded."""
        if self.bad_status or self.socket_errors or not self.requests:
            errors = f"{self.bad_status} error statuses and {self.socket_errors} broken connections"
            raise CannotMeasure(f"wrk: {errors} in {self.requests} requests; expected all to succeed")
        return self.requests * 1e6 / self.microseconds


def parse(output: str) -> Load:
    """Parse the line that load.lua prints. Raises CannotMeasure if it is missing."""
    for text in output.splitlines():
        if text.startswith(PREFIX):
            return Load(**json.loads(text.removeprefix(PREFIX)))
    raise CannotMeasure(f"wrk printed no figures: {output.strip()[-300:]!r}")


def wrk(server: Server, body: bytes, *, connections: int, seconds: float, cpu: int) -> Load:
    """Load a server from one core with the same request for a whole number of seconds, at least one."""
    return _run(server, server.launch.path, body, [], script=SCRIPT, connections=connections, seconds=seconds, cpu=cpu)


def wrk_events(server: Server, data: bytes, *, connections: int, seconds: float, cpu: int) -> Load:
    """Load a server as `wrk` does, with events in binary mode that have the same data. No two have the same id."""
    prefix = [uuid.uuid4().hex]  # also different from those of earlier loads
    return _run(server, "/", data, prefix, script=EVENTS, connections=connections, seconds=seconds, cpu=cpu)


def wrk_like_events(server: Server, body: bytes, *, connections: int, seconds: float, cpu: int) -> Load:
    """Load a server with the same requests as `wrk`. Making them costs the core of the load as much as events do."""
    return _run(server, server.launch.path, body, [], script=EVENTS, connections=connections, seconds=seconds, cpu=cpu)


def _run(
    server: Server,
    path: str,
    body: bytes,
    arguments: Sequence[str],
    *,
    script: Path,
    connections: int,
    seconds: float,
    cpu: int,
) -> Load:
    with tempfile.NamedTemporaryFile(prefix="bench-", suffix=".json") as file:
        file.write(body)
        file.flush()
        url = f"http://127.0.0.1:{server.port}{path}"
        options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "60s", "-s", str(script)]
        command = pinned(cpu, ["wrk", *options, url, "--", file.name, *arguments])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return parse(done.stdout + done.stderr)
