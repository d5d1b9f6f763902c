"""`scalezero openapi` prints the OpenAPI document of a server without starting one."""

import json
import subprocess
from pathlib import Path

import pytest

from knative.resources.read import read_resources
from tests import models
from tests.runtime.frontends.conftest import COMMAND, environment, serving

MANIFEST = """\
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {{name: doubling-v{version}}}
spec:
  modelName: doubling
  version: "{version}"
  format: onnx
  storage: {{type: file, path: v{version}.onnx}}
"""


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(COMMAND), "openapi", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(folder), check=False)


def function(folder: Path) -> Path:
    """Create a folder with an author's function and two versions; the second has wider rows."""
    place = folder / "function"
    place.mkdir()
    for version in (1, 2):
        models.doubling(place / f"v{version}.onnx", width=version + 1)
    (place / "model.yaml").write_text("---\n".join(MANIFEST.format(version=each) for each in (1, 2)))
    (place / "main.py").write_text("raise RuntimeError('a description needs no function')\n")
    return place


def test_the_command_prints_the_document_of_a_server_with_a_loaded_model(tmp_path: Path) -> None:
    model = models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, model) as served:
        document = served.get("/openapi.json").json()
    printed = run(tmp_path, model)
    assert (printed.stderr, json.loads(printed.stdout)) == ("", document)


@pytest.mark.parametrize("version", ["1", "doubling-v2"])
def test_a_folder_is_described_for_the_requested_version(tmp_path: Path, version: str) -> None:
    document = json.loads(run(tmp_path, function(tmp_path), "--model-version", version).stdout)
    operation = document["paths"]["/api/v1/models/doubling/predict"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert len(example["inputs"][0]) == int(version[-1]) + 1


def test_a_printed_api_definition_is_valid_in_the_manifest(tmp_path: Path) -> None:
    folder = function(tmp_path)
    printed = run(tmp_path, folder, "--api-definition")
    assert printed.returncode == 0, printed.stderr
    with (folder / "model.yaml").open("a") as manifest:
        manifest.write(f"---\n{printed.stdout}")
    assert read_resources(folder / "model.yaml").api_definitions
    command = [str(COMMAND), "check", str(folder), "--offline", "-o", "json"]
    checked = subprocess.run(command, capture_output=True, text=True, env=environment(tmp_path), check=False)
    assert "doubling" in checked.stdout
    assert "api-" not in checked.stdout


def test_a_missing_model_is_a_one_line_error(tmp_path: Path) -> None:
    done = run(tmp_path, tmp_path / "none.onnx")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "none.onnx" in done.stderr
