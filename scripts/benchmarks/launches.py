"""Pure: how ours and the floors are started. Every one gets one thread for its model, as a pod of one core has."""

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
    """A server to start, and the model as it is asked for."""

    launch: Launch
    subject: Subject


def ours(subject: Subject, uri: str, cache: str, environment: Mapping[str, str]) -> Launch:
    """`scalezero serve URI`, as a pod runs it, with everything switched on and a cache folder of its own."""
    return Launch(
        label="scalezero",
        command=[str(BIN / "scalezero"), "serve", uri, "--port", PORT],
        path=f"/api/v1/models/{subject.name}/predict",
        environment={"SCALEZERO_CACHE_DIR": cache, "SCALEZERO_THREADS": "1", **environment},
    )


def limited(launch: Launch, *, files: int) -> Launch:
    """The same, with so many open files and connections; the hard limit stays."""
    return replace(launch, command=["prlimit", f"--nofile={files}:", *launch.command])


def bare(subject: Subject) -> Launch:
    """The least that serves a model, from disk."""
    return Launch(
        label="floors/bare.py",
        command=[sys.executable, "-P", "-m", f"{FLOORS}.bare", str(subject.path), PORT],
        path="/",
    )


def raw(subject: Subject) -> Launch:
    """The least that an asyncio server can do, from disk."""
    return Launch(
        label="floors/raw.py",
        command=[sys.executable, "-P", "-m", f"{FLOORS}.raw", str(subject.path), PORT],
        path="/",
    )


def batching(subject: Subject) -> Launch:
    """The least ASGI application that batches, from disk."""
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
    """A server made of grpcio's asyncio API, from disk. It has no paths but those of its methods."""
    return Launch(
        label="floors/grpc_asyncio.py",
        command=[sys.executable, "-P", "-m", f"{FLOORS}.grpc_asyncio", str(subject.path), PORT],
        path="/",
    )
