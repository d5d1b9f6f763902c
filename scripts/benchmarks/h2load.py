"""Closed-loop load from `h2load`: it speaks HTTP/1.1 and HTTP/2, so both sides of a comparison have one client."""

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
OVERTIME_SECONDS: Final = 30.0  # beyond its own duration, before it is killed


class Version(StrEnum):
    """What h2load speaks, as it spells it. Both without TLS."""

    HTTP1 = "http/1.1"
    H2C = "h2c"


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What is posted over and over, and where."""

    path: str
    body: bytes
    headers: Sequence[str] = ("content-type: application/json",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What h2load counted: requests per second, those that succeeded, bytes of bodies, and all failures by name."""

    rate: float
    succeeded: int
    data: int
    failures: dict[str, int]

    @property
    def checked_rate(self) -> float:
        """Requests per second. Raises CannotMeasure where not every request was answered with a 2xx."""
        if self.failures or not self.succeeded:
            others = ", ".join(f"{count} {name}" for name, count in self.failures.items()) or "none failed"
            raise CannotMeasure(f"h2load: {self.succeeded} requests succeeded, {others}; expected every one to succeed")
        return self.rate


def parse(output: str) -> Outcome:
    """Read the summary of h2load 1.4x to 1.6x. Raises CannotMeasure where a line of it is missing."""
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


def options(version: Version, *, at_once: int) -> list[str]:
    """Keep `at_once` requests on their way: on as many HTTP/1.1 connections, or as streams of one HTTP/2 connection."""
    clients, streams = (at_once, 1) if version is Version.HTTP1 else (1, at_once)
    return ["-t1", f"-c{clients}", f"-m{streams}", f"--no-tls-proto={version}"]


def h2load(server: Server, post: Post, *, version: Version, at_once: int, seconds: float, cpu: int) -> Outcome:
    """Load a server with one request over and over, from one core. Whole seconds, at least one.

    The second before is a run of its own: h2load counts the data of its warm-up, and not the requests.
    """
    with tempfile.NamedTemporaryFile(prefix="bench-", suffix=".body") as file:
        file.write(post.body)
        file.flush()
        command = [
            *["h2load", *options(version, at_once=at_once)],
            *[*(f"--header={header}" for header in post.headers), f"--data={file.name}"],
            f"http://127.0.0.1:{server.port}{post.path}",
        ]
        _run(command, seconds=WARM_SECONDS, cpu=cpu)
        return parse(_run(command, seconds=max(1, round(seconds)), cpu=cpu))


def _run(command: Sequence[str], *, seconds: int, cpu: int) -> str:
    """What h2load prints after that time."""
    try:
        done = subprocess.run(
            pinned(cpu, [*command[:1], f"--duration={seconds}", *command[1:]]),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + OVERTIME_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotMeasure(f"h2load did not end within {error.timeout:.0f} s; expected {seconds} s") from error
    return done.stdout + done.stderr
