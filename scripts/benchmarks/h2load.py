"""Closed-loop load from `h2load`. It supports HTTP/1.1 and HTTP/2, so both sides of a comparison use one client."""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.servers import Server, pinned

RATE: Final = re.compile(r"^finished in .*?, ([0-9.]+) req/s,", re.MULTILINE)
COUNTS: Final = re.compile(r"^requests: (.+)$", re.MULTILINE)
STATUSES: Final = re.compile(r"^status codes: (.+)$", re.MULTILINE)
DATA: Final = re.compile(r"^traffic: .*\((\d+)\) data$", re.MULTILINE)
COUNT: Final = re.compile(r"(\d+) ([\w]+)")
FAILURES: Final = ("failed", "errored", "timeout")
BAD_STATUSES: Final = ("3xx", "4xx", "5xx")
WARM_SECONDS: Final = 1
EXIT_GRACE_SECONDS: Final = 30.0  # after the end of its duration, before it is killed


class Version(StrEnum):
    """The protocol, in h2load's spelling. Both are without TLS."""

    HTTP1 = "http/1.1"
    H2C = "h2c"


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """The request that is sent repeatedly."""

    path: str
    body: bytes
    headers: Sequence[str] = ("content-type: application/json",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The counters of h2load: requests per second, successful requests, bytes of bodies, and failures by name."""

    rate: float
    succeeded: int
    data: int
    failures: dict[str, int]

    @property
    def checked_rate(self) -> float:
        """Requests per second. Raises CannotMeasure unless every request was answered with a 2xx status."""
        if self.failures or not self.succeeded:
            others = ", ".join(f"{count} {name}" for name, count in self.failures.items()) or "none failed"
            raise CannotMeasure(f"h2load: {self.succeeded} requests succeeded, {others}; expected all to succeed")
        return self.rate


def parse(output: str) -> Outcome:
    """Parse the summary of h2load 1.4x to 1.6x. Raises CannotMeasure if a line is missing."""
    rate, counts, statuses, data = (found.search(output) for found in (RATE, COUNTS, STATUSES, DATA))
    if not rate or not counts or not statuses or not data:
        raise CannotMeasure(f"h2load printed no figures: {output.strip()[-300:]!r}")
    numbers = {name: int(count) for count, name in COUNT.findall(f"{counts[1]}, {statuses[1]}")}
    failures = {name: numbers.get(name, 0) for name in (*FAILURES, *BAD_STATUSES)}
    return Outcome(
        rate=float(rate[1]),
        succeeded=numbers.get("succeeded", 0),
        data=int(data[1]),
        failures={name: count for name, count in failures.items() if count},
    )


def options(version: Version, *, concurrency: int) -> list[str]:
    """Return the options for `concurrency` HTTP/1.1 connections, or as many streams of one HTTP/2 connection."""
    clients, streams = (concurrency, 1) if version is Version.HTTP1 else (1, concurrency)
    return ["-t1", f"-c{clients}", f"-m{streams}", f"--no-tls-proto={version}"]


def h2load(
    server: Server, post: Post, *, version: Version, concurrency: int, seconds: float, cpu: int, rate: int | None = None
) -> Outcome:
    """Load a server from one core with the same request for a whole number of seconds, at least one.

    `rate`: requests per second of HTTP/1.1, a multiple of `concurrency`; None: as many as the server answers.

    A separate run of one second warms up the server. h2load's own warm-up would count its data, but not its requests.
    """
    with tempfile.NamedTemporaryFile(prefix="bench-", suffix=".body") as file:
        file.write(post.body)
        file.flush()
        command = [
            *["h2load", *options(version, concurrency=concurrency)],
            *([] if rate is None else [f"--rps={rate // concurrency}"]),
            *[*(f"--header={header}" for header in post.headers), f"--data={file.name}"],
            f"http://127.0.0.1:{server.port}{post.path}",
        ]
        _run(command, seconds=WARM_SECONDS, cpu=cpu)
        return parse(_run(command, seconds=max(1, round(seconds)), cpu=cpu))


def _run(command: Sequence[str], *, seconds: int, cpu: int) -> str:
    """Run h2load for this time and return its output. Raises CannotMeasure if it does not end in time."""
    try:
        done = subprocess.run(
            pinned(cpu, [*command[:1], f"--duration={seconds}", *command[1:]]),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + EXIT_GRACE_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotMeasure(f"h2load did not end within {error.timeout:.0f} s; expected {seconds} s") from error
    return done.stdout + done.stderr
