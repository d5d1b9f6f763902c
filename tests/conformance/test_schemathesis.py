"""Tests with schemathesis: requests generated from the OpenAPI document get no server error and a documented answer."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import models
from tests.clients import interpreter
from tests.runtime.frontends.conftest import Served, serving
from tests.runtime.frontends.openapi.test_examples import operations, succeeds

PIN = "schemathesis==4.32.5"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
OPTIONS = ("--phases=examples,coverage,fuzzing", "--max-examples=10", "--seed=1", "--generation-database=none")


def run(served: Served, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    python = interpreter("schemathesis", PIN)
    description = folder / "openapi.json"
    description.write_bytes(served.get("/openapi.json").content)
    command = [
        python.with_name("schemathesis"),
        "run",
        description,
        "--url",
        served.url,
        f"--checks={CHECKS}",
        *OPTIONS,
    ]
    return subprocess.run(
        [*map(str, command), "--no-color", *more], capture_output=True, text=True, cwd=folder, check=False
    )


@pytest.mark.timeout(600)  # the first run installs schemathesis
@pytest.mark.parametrize("make", [models.doubling, models.two_in_two_out], ids=["one input", "two inputs"])
def test_generated_requests_are_answered_as_documented(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with serving(tmp_path, make(tmp_path / "m.onnx")) as served:
        # Operations that always fail answer with 501 or 503, as the original servers do; they are excluded.
        every = [each for _, _, each in operations(served.get("/openapi.json").json())]
        excluded = [f"--exclude-operation-id={each['operationId']}" for each in every if not succeeds(each)]
        done = run(served, tmp_path, *excluded)
        assert done.returncode == 0, done.stdout[-8000:]
        assert f"Tested: {len(every) - len(excluded)}" in done.stdout
        assert served.get("/healthz/ready").status_code == 200


@pytest.mark.timeout(600)
def test_an_answer_that_is_not_documented_is_detected(tmp_path: Path) -> None:
    """Without its model the server answers 503, which is a server error."""
    missing = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, missing, "--lazy", ready=False) as served:
        missing.unlink()
        done = run(served, tmp_path, "--include-path=/api/v1/models/m/predict", "--max-failures=1")
    assert done.returncode == 1
    assert "Server error" in done.stdout
