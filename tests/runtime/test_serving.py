"""`scalezero serve` as a process: its first log lines, and `--reload`."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime.artifacts.cache import hash_file
from runtime.published.manifest_json import render
from runtime.registry import Publication, manifest_uri, publish_model, read_manifest
from runtime.variants.cpu_class import cpu_class
from runtime.variants.names import CPU_PROVIDER, ORIGINAL
from runtime.variants.values import Variant
from tests import models
from tests.runtime.frontends.conftest import environment, free_port
from tests.runtime.published_model import measured, times
from tests.waiting import DEADLINE, eventually

SCALEZERO = Path(sys.executable).with_name("scalezero")


def publish_variant(path: Path, variant: Path) -> None:
    """Publish a local model in place, and add a variant to its manifest that is the fastest on this machine."""
    publish_model(path, str(path), Publication("m", "1"))
    manifest = read_manifest(str(path))
    assert manifest is not None
    fast = Variant(
        name="fast",
        provider=CPU_PROVIDER,
        precision="int8",
        uri=variant.as_uri(),
        sha256=hash_file(variant),
        size=variant.stat().st_size,
    )
    changed = replace(manifest, variants=(*manifest.variants, fast), assessment=measured("fast"))
    path.with_name(manifest_uri(path.name)).write_bytes(render(changed))


@contextmanager
def serve(folder: Path, *arguments: str, **env: str) -> Iterator[tuple[int, Path]]:
    """Run the command until the block ends; yield its port and its log."""
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
        assert process.wait(DEADLINE) == 0, log.read_text()


def line(log: Path, beginning: str) -> dict[str, Any]:
    """Return the first line of the log whose message starts with `beginning`."""
    lines: list[dict[str, Any]] = []

    def logged() -> bool:
        texts = log.read_text().rpartition("\n")[0].splitlines()  # the last line may be incomplete
        found = [json.loads(text) for text in texts if text.startswith("{")]
        lines[:] = [each for each in found if each.get("message", "").startswith(beginning)]
        return bool(lines)

    eventually(logged, log.read_text)
    return lines[0]


def test_the_first_line_of_a_process_without_a_model_names_none(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text("def handle(request):\n    return 'x'\n")
    with serve(tmp_path, FUNCTION_SOURCE=str(source)) as (_, log):
        first = line(log, "listening")
    assert first["message"] == "listening"
    assert first["function"] == str(source)


@pytest.mark.parametrize(("flags", "waiting"), [([], "loading"), (["--lazy"], "the first request loads the model")])
def test_the_first_line_has_the_url_and_when_the_model_is_loaded(
    tmp_path: Path, flags: list[str], waiting: str
) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    with serve(tmp_path, str(path), *flags) as (port, log):
        first = line(log, "listening")
        document = httpx.get(first["openapi"], timeout=DEADLINE).json()
    assert first["message"] == f"listening; {waiting}"
    assert first["url"] == f"http://127.0.0.1:{port}"
    assert first["model"] == "m.onnx"
    assert "/api/v1/models/m/predict" in document["paths"]


def answer(port: int) -> str | None:
    try:
        return httpx.post(f"http://127.0.0.1:{port}/", timeout=DEADLINE).text
    except httpx.TransportError:
        return None  # the process restarts


def await_answer(port: int, expected: str, log: Path) -> None:
    eventually(lambda: answer(port) == expected, log.read_text)


def test_reload_serves_the_changed_files_of_the_folder(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text("def handle(request):\n    return 'before'\n")
    models.doubling(tmp_path / "m.onnx")
    logs = tmp_path.parent / f"{tmp_path.name}-logs"  # the log must not be in the watched folder
    logs.mkdir()
    path = str(tmp_path / "m.onnx")
    with serve(logs, path, "--reload", FUNCTION_SOURCE=str(source)) as (port, log):
        await_answer(port, "before", log)
        source.write_text("def handle(request):\n    return 'after'\n")
        await_answer(port, "after", log)
        assert "main.py changed" in log.read_text()


def test_reload_needs_a_local_target(tmp_path: Path) -> None:
    done = subprocess.run(
        [SCALEZERO, "serve", "s3://models/m.onnx", "--reload"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 2
    assert "'s3://models/m.onnx'" in done.stderr
    assert "on this machine" in done.stderr


def test_in_a_pod_an_unknown_variable_is_a_warning(tmp_path: Path) -> None:
    path = models.doubling(tmp_path / "m.onnx")
    with serve(tmp_path, str(path), K_REVISION="m-v1", SCALEZERO_BATCHSIZE="8") as (port, log):
        warning = line(log, "unknown setting")
        assert httpx.get(f"http://127.0.0.1:{port}/healthz/live", timeout=DEADLINE).status_code == 200
    assert warning["level"] == "WARNING"
    assert warning["variable"] == "SCALEZERO_BATCHSIZE"
    assert "SCALEZERO_BATCH_SIZE" in warning["expected"]


@pytest.mark.parametrize("pod", [{}, {"K_REVISION": "m-00001"}])
def test_outside_of_a_pod_serve_reads_the_variants_of_the_manifest(tmp_path: Path, pod: dict[str, str]) -> None:
    """A pod has its variants in SCALEZERO_VARIANTS, or none."""
    path = times(tmp_path / "m.onnx", 2)
    fast = times(tmp_path / "m.onnx.variants" / "fast" / "model.onnx", 3)
    publish_variant(path, fast)
    with serve(tmp_path, str(path), **pod) as (port, log):
        ready = line(log, "model ready")
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE)
        answer = client.post("/api/v1/models/m/predict", json={"inputs": [[1.0] * 4]}).json()
        described = client.get("/api/v1/models/m").json()["serving"]
        metadata = client.get("/v2/models/m").json()["parameters"]
        metrics = client.get("/metrics").text
        client.close()
    expected = ORIGINAL if pod else "fast"
    assert answer["outputs"] == [[2.0 if pod else 3.0] * 4]
    assert ready["variant"] == described["variant"] == metadata["variant"] == expected
    assert described["cpu_class"] == cpu_class()
    assert ("choice" in described) is not bool(pod)
    assert f'variant="{expected}"' in metrics
