"""Pure: how ours and the floors are started. Each uses one thread for its model, like a pod with one core."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from scripts.benchmarks.servers import PORT, Launch
from scripts.benchmarks.subjects import Subject

ROOT: Final = Path(__file__).resolve().parents[2]
BIN: Final = Path(sys.executable).parent  # not resolved: a venv's interpreter is a link
FLOORS: Final = "scripts.benchmarks.floors"
BATCHING: Final = {"SCALEZERO_BATCH_SIZE": "32", "SCALEZERO_MAX_WAIT_TIME": "100ms"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A server to start, and the model that it serves."""

    launch: Launch
    subject: Subject
    warm_seconds: int = 0  # of full load, once, before its speed counts


def ours(subject: Subject, uri: str, cache: str, environment: Mapping[str, str]) -> Launch:
    """Return the launch of `scalezero serve URI`, as in a pod, with all features on and its own cache folder."""
    return Launch(
        label="scalezero",
        command=[str(BIN / "scalezero"), "serve", uri, "--port", PORT],
        path=f"/api/v1/models/{subject.name}/predict",
        environment={"SCALEZERO_CACHE_DIR": cache, "SCALEZERO_THREADS": "1", **environment},
    )


def event_sink() -> Launch:
    """Return the launch of a minimal sink of CloudEvents."""
    command = [sys.executable, "-P", "-m", f"{FLOORS}.event_sink", PORT]
    return Launch(label="floors/event_sink.py", command=command, path="/")


def limited(launch: Launch, *, files: int) -> Launch:
    """Return the launch with a soft limit on open files, and so on connections. The hard limit stays unchanged."""
    return replace(launch, command=["prlimit", f"--nofile={files}:", *launch.command])


def bare(subject: Subject) -> Launch:
    """Return the launch of a minimal model server; it reads the model from disk."""
    return Launch(
        label="floors/bare.py",
        command=[sys.executable, "-P", "-m", f"{FLOORS}.bare", str(subject.path), PORT],
        path="/",
    )


def raw(subject: Subject) -> Launch:
    """Return the launch of a minimal asyncio server; it reads the model from disk."""
    return Launch(
        label="floors/raw.py",
        command=[sys.executable, "-P", "-m", f"{FLOORS}.raw", str(subject.path), PORT],
        path="/",
    )


def batching(subject: Subject) -> Launch:
    """Return the launch of a minimal ASGI application that batches; it reads the model from disk."""
    options = ["--http", "zttp", "--http2", "--loop", "uvloop", "--lifespan", "off", "--no-access-log"]
    return Launch(
        label="floors/asgi_batching.py",
        command=[
            *[
                sys.executable,
                "-P",
                "-m",
                "uvicorn",
                f"{FLOORS}.asgi_batching:app",
                "--app-dir",
                str(ROOT),
                "--port",
                PORT,
            ],
            *[*options, "--log-level", "warning"],
        ],
        path="/",
        environment={"MODEL": str(subject.path)},
    )


def grpc_asyncio(subject: Subject) -> Launch:
    """Return the launch of a server on grpcio's asyncio API; it reads the model from disk.

    Its only paths are those of its methods.
    """
    return Launch(
        label="floors/grpc_asyncio.py",
        command=[sys.executable, "-P", "-m", f"{FLOORS}.grpc_asyncio", str(subject.path), PORT],
        path="/",
    )
