"""What schemathesis makes of the description is never answered by a fault of the server, and always as described."""

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
def test_requests_made_of_the_description_are_answered_as_described(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    with serving(tmp_path, make(tmp_path / "m.onnx")) as served:
        # What can only be refused is refused with 501 or 503, as by the original servers.
        every = [each for _, _, each in operations(served.get("/openapi.json").json())]
        refused = [f"--exclude-operation-id={each['operationId']}" for each in every if not succeeds(each)]
        done = run(served, tmp_path, *refused)
        assert done.returncode == 0, done.stdout[-8000:]
        assert f"Tested: {len(every) - len(refused)}" in done.stdout
        assert served.get("/healthz/ready").status_code == 200


@pytest.mark.timeout(600)
def test_an_answer_that_is_not_as_described_is_found(tmp_path: Path) -> None:
    """Without its model the server answers 503, which is a fault of the server."""
    missing = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, missing, "--lazy", ready=False) as served:
        missing.unlink()
        done = run(served, tmp_path, "--include-path=/api/v1/models/m/predict", "--max-failures=1")
    assert done.returncode == 1
    assert "Server error" in done.stdout
