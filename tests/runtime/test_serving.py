"""`scalezero serve` as a process: what it logs at the start, and `--reload`."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import models
from tests.runtime.frontends.conftest import environment

SCALEZERO = Path(sys.executable).with_name("scalezero")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def serve(folder: Path, *arguments: str, **env: str) -> Iterator[tuple[int, Path]]:
    """The command, until the block ends; its port and its log."""
    port, log = free_port(), folder / "serve.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [SCALEZERO, "serve", *arguments, "--port", str(port), "--host", "127.0.0.1"],
            env={**environment(folder), **env},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    try:
        yield port, log
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0, log.read_text()


def line(log: Path, beginning: str) -> dict[str, Any]:
    """The first line of the log whose message begins so."""
    for _ in range(200):
        for text in log.read_text().splitlines():
            found: dict[str, Any] = json.loads(text) if text.startswith("{") else {}
            if found.get("message", "").startswith(beginning):
                return found
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@pytest.mark.parametrize(("flags", "waiting"), [([], "loading"), (["--lazy"], "the first request loads the model")])
def test_the_first_line_says_where_it_listens_and_what_it_waits_for(
    tmp_path: Path, flags: list[str], waiting: str
) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    with serve(tmp_path, str(path), *flags) as (port, log):
        first = line(log, "listening")
        document = httpx.get(first["openapi"]).json()
    assert first["message"] == f"listening; {waiting}"
    assert first["url"] == f"http://127.0.0.1:{port}"
    assert first["model"] == "m.onnx"
    assert "/api/v1/models/m/predict" in document["paths"]


def answer(port: int) -> str | None:
    try:
        return httpx.post(f"http://127.0.0.1:{port}/").text
    except httpx.TransportError:
        return None  # it starts again


def await_answer(port: int, expected: str, log: Path) -> None:
    for _ in range(300):
        if answer(port) == expected:
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_reload_serves_what_a_file_of_the_folder_says_now(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text("def handle(request):\n    return 'before'\n")
    models.doubling(tmp_path / "m.onnx")
    logs = tmp_path.parent / f"{tmp_path.name}-logs"  # the folder that is watched must not hold the log
    logs.mkdir()
    path = str(tmp_path / "m.onnx")
    with serve(logs, path, "--reload", FUNCTION_SOURCE=str(source)) as (port, log):
        await_answer(port, "before", log)
        source.write_text("def handle(request):\n    return 'after'\n")
        await_answer(port, "after", log)
        assert "main.py changed" in log.read_text()


def test_reload_needs_something_to_watch(tmp_path: Path) -> None:
    done = subprocess.run(
        [SCALEZERO, "serve", "s3://models/m.onnx", "--reload"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "'s3://models/m.onnx'" in done.stderr
    assert "on this machine" in done.stderr


def test_in_a_pod_it_starts_with_a_variable_of_a_later_version_and_warns(tmp_path: Path) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    with serve(tmp_path, str(path), K_REVISION="m-v1", SCALEZERO_BATCHSIZE="8") as (port, log):
        warning = line(log, "unknown setting")
        assert httpx.get(f"http://127.0.0.1:{port}/healthz/live").status_code == 200
    assert warning["level"] == "WARNING"
    assert warning["variable"] == "SCALEZERO_BATCHSIZE"
    assert "SCALEZERO_BATCH_SIZE" in warning["expected"]
